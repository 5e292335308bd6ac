"""Find the texts that belong to an image among stored texts. The retrievers give the report of the nearest image, or
sentences of abnormal findings by a visual-semantic embedding. This package also has the search that they share.
"""
