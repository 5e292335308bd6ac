"""Hold studies in tar files that a program reads from front to back or by offset, as WebDataset does.

SHARDS/manifest.json       the shards with their splits, counts and digests
SHARDS/train-00000.tar     00000012.0.png, 00000012.1.png, 00000012.json: the images of a study, and the study
"""
