"""Send the log of a training run to the trackers of accelerate, such as TensorBoard."""
