"""Hold the decoders that are transformers with an encoder of image tokens of their own. Each module is one system."""
