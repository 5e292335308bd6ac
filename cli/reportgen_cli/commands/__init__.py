"""Do something with a model: each file is one command, `rg NAME`. A command turns its options into one request, calls
the core or the zoo, and prints the result. Commands about the installation, about data and about the zoo have rooms of
their own.
"""
