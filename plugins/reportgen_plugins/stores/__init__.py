"""Stores of vectors outside the folder of an index."""
