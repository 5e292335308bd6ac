"""Name the differences between a report and its reference, statement by statement, with the words of both texts."""
