"""Give a model to others: into a zoo folder, to a repository of the Hugging Face hub, or as a mirror. The room also
converts the weights of older checkpoints, and takes the scores of a record from a reproduction.
"""
