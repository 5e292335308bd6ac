"""Compare the evaluated reports with baselines: the strongest constant report, and differences with their intervals."""
