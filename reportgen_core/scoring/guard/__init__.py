"""Run metrics that anybody may have written: a failure stays the metric's own, and what a metric returns is checked."""
