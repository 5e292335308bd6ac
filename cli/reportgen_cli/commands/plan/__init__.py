"""Hold the commands that look at a dataset before anything is trained."""
