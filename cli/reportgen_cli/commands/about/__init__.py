"""Show what is installed, and check that it works: `rg demo`, `rg doctor`, `rg info`, `rg list` and `rg plugins`."""
