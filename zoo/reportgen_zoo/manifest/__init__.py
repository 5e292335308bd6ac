"""What a record of a trained model is, and who vouches for it."""
