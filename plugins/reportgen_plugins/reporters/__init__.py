"""Write reports by models that are no encoder and decoder of ours: vision-language models and endpoints."""
