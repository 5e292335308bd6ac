"""Say of each single study what it scored, and why it has no score where a metric failed on it alone."""
