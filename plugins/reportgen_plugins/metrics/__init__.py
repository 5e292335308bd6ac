"""Metrics: what is said about reports beside references."""
