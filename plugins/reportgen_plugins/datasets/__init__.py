"""Datasets: each reads what people have on disk, and says what it kept and why it dropped the rest."""
