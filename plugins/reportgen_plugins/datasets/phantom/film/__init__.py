"""Draws the radiographs of the phantom: the body, what a projection shows of it, and the signs of its findings."""
