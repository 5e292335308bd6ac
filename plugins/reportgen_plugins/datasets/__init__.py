"""Read the datasets of the field from the files that people have on disk. Each dataset yields studies, and reports
which studies it dropped and why. This room has what all datasets share and the datasets of one file; `table` reads a
user's own table.
"""
