"""Commands that put saved evaluations side by side."""
