"""Blocks of decoders: text attention, the balanced loss of findings, predicted tags, word vectors, a kept file.
Several decoders import them. None of them is a decoder itself.
"""
