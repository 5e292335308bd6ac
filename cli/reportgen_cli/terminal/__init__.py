"""The streams of a command: lines that say how far it is, notes of libraries, signs that a stream cannot take, and
signals.
"""
