"""Subgroups of the scored studies: by sex, age, view, by the reference, by training, or by any column of a table."""
