"""Hold the commands that look at a dataset, make a plan for it, and run the plan."""
