"""Write the texts of a retriever into its model's folder as an index, and read them again."""

from __future__ import annotations

from pathlib import Path

from .abilities import KeepsTexts
from .index import FOLDER, TextIndex, check_model, copy_index, open_index, write_index


def write_texts(part: KeepsTexts, folder: Path, model_digest: str) -> None:
    """Write the texts of a retriever into its model's folder, with their vectors by its weights."""
    texts = part.texts_to_save()
    if isinstance(texts, TextIndex):
        copy_index(texts, folder / FOLDER, model_digest)
    elif texts is not None:
        rows, vectors = texts
        numbers = vectors.detach().float().cpu().numpy()
        write_index(folder / FOLDER, rows, numbers, model=model_digest, sentences=part.text_encoder())


def read_texts(part: KeepsTexts, folder: Path, model_digest: str) -> None:
    """Give a retriever the index in its model's folder to search, if the folder has an index.

    Raises CheckpointError for an index of another model.
    """
    if (folder / FOLDER).is_dir():
        index = open_index(folder / FOLDER)
        check_model(index, model_digest, {})
        part.use_index(index)
