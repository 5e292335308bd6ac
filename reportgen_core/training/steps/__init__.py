"""One optimizer step on a batch, and the reward that a self-critical step learns from."""
