"""Name the errors of every report of an evaluation: the option of `rg eval`, the page and the lines of differences."""
