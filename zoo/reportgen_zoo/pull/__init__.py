"""Which models are on offer, and how one gets onto this machine whole."""
