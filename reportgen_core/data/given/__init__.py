"""Take images that a program holds in memory: PIL images, numpy arrays and tensors."""
