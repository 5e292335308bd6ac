"""Encode, classify and group the sentences of reports. The encoders and classifiers use TF-IDF, word vectors and
transformers, or let several classifiers vote; the groupers join sentences with the same meaning.
"""
