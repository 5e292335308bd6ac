"""Measure how well findings, tags, boxes and sentences agree with their references. Metrics of wording are in `nlg`;
the labeler, which finds findings in a text by rules, is in `labeler`.
"""
