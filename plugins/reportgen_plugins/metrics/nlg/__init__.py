"""Measure how much the wording of a report agrees with its reference. The metrics are BLEU, ROUGE-L, METEOR and
CIDEr-D, with the tokenizer of the COCO caption evaluation.
"""
