"""Show what is in a dataset or in a table, build tables, and label or group their sentences: `rg data`."""
