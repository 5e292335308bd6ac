"""Measure what a dataset holds before anything is trained on it: the fingerprint of `rg plan look`, and its page."""
