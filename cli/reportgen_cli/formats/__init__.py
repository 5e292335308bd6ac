"""Write a report in a format that a person or another program reads: each format is one function to bytes."""
