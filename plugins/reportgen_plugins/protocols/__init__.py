"""Scoring protocols: how reports and references become words before they are compared."""
