"""Hold the file of a plan: its settings with their reasons, the data that it was made for, and how it is read back."""
