"""Print tables as Markdown and as LaTeX, with the names of scores and the groups of rows that papers have."""
