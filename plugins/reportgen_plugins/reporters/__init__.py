"""Write reports by models that are no encoder and decoder of ours: vision-language models and endpoints."""

__all__: list[str] = []  # each reporter is found by its registered name
