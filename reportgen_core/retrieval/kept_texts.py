"""What a retriever writes into its model's folder and reads from it: its texts, as an index."""

from __future__ import annotations

from pathlib import Path

from .abilities import KeepsTexts
from .index import FOLDER, TextIndex, check_model, copy_index, open_index, write_index


def write_texts(part: KeepsTexts, folder: Path, model_digest: str) -> None:
    """Write the texts of a retriever into its model's folder, with the vectors that its weights give them."""
    texts = part.texts_to_save()
    if isinstance(texts, TextIndex):
        copy_index(texts, folder / FOLDER, model_digest)
    elif texts is not None:
        rows, vectors = texts
        numbers = vectors.detach().float().cpu().numpy()
        write_index(folder / FOLDER, rows, numbers, model=model_digest, sentences=part.text_encoder())


def read_texts(part: KeepsTexts, folder: Path, model_digest: str) -> None:
    """Let a retriever search the index in its model's folder, if there is one.

    Raises CheckpointError for an index of another model.
    """
    if (folder / FOLDER).is_dir():
        index = open_index(folder / FOLDER)
        check_model(index, model_digest, {})
        part.use_index(index)
