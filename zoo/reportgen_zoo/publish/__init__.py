"""How a model gets to others."""
