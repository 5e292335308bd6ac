"""Make a plan for a dataset: what can learn from it, with which settings, in which time and memory."""
