"""Blocks of decoders: attention, LSTM steps, greedy and beam search, the balanced loss of findings, word vectors.
Several decoders import them. None of them is a decoder itself.
"""
