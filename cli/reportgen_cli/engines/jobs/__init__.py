"""Hold what each command does with a block of rows, as jobs that an engine sends to its workers."""
