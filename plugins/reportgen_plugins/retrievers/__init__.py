"""Find the texts that belong to an image among stored texts: the report of the nearest image, or sentences of abnormal
findings by a visual-semantic embedding. The room has the retrievers and the search that they share.
"""
