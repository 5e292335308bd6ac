"""Train or score one part of a plan in a process of its own, and measure its time and its memory."""
