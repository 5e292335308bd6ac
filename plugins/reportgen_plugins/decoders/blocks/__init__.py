"""Build decoders: attention, LSTM steps, greedy and beam search, the weighing of sparse labels, word vectors. Several
decoders import these blocks; none of them is a decoder itself.
"""
