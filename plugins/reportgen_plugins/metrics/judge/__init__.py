"""Let a model behind an endpoint judge reports, and keep what it answered."""
