"""Serve trained models: a page to try them on, and an API with the fields of the command line."""
