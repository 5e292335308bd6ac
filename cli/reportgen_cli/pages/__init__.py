"""Draw what a user sees in a browser or as a picture. The room has the page of an evaluation, the page of an explained
report, the attention over a radiograph, shaded words, ROC curves and reliability diagrams.
"""
