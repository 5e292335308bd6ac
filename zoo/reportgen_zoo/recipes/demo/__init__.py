"""Make the demonstration model that is part of the package: its data, its encoder, the small language of its reports
and its scores.
"""
