"""What several decoders use, and is no decoder itself."""
