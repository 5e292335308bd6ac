"""Encode, classify and group the sentences of reports: TF-IDF, word vectors and transformers as encoders and
classifiers, their vote, and groups of sentences that say the same.
"""
