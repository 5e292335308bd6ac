"""List trained models, pull, verify and remove them, and publish new ones: `rg zoo`."""
