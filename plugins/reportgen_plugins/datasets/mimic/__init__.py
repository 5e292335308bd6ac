"""Where the studies of MIMIC-CXR are, and what their reports say in which section."""
