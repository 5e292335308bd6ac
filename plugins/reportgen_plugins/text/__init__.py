"""Cut reports into pieces of words by a tokenizer that travels with the model."""
