"""Find stored texts for an image, and images for a text. An index holds texts and their vectors on disk, belongs to one
model, and can grow and shrink. The wing builds and searches indexes, in two stages if the retriever has two, and
computes recall, precision, MAP and median rank of the results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .abilities import KeepsTexts, ScoresPairs
    from .index import (
        FOLDER,
        KINDS,
        IndexPart,
        TextIndex,
        TextRow,
        add_texts,
        check_model,
        check_vectors,
        copy_index,
        open_index,
        remove_texts,
        write_index,
    )
    from .index_texts import read_index_texts
    from .kept_texts import read_texts, write_texts
    from .search import (
        SearchResult,
        build_index,
        extend_index,
        images_for_text,
        retrieval_lines,
        shrink_index,
        stage_recall,
        texts_for_images,
        use_index,
    )

__all__ = [
    "FOLDER",
    "KINDS",
    "IndexPart",
    "KeepsTexts",
    "ScoresPairs",
    "SearchResult",
    "TextIndex",
    "TextRow",
    "add_texts",
    "build_index",
    "check_model",
    "check_vectors",
    "copy_index",
    "extend_index",
    "images_for_text",
    "open_index",
    "read_index_texts",
    "read_texts",
    "remove_texts",
    "retrieval_lines",
    "shrink_index",
    "stage_recall",
    "texts_for_images",
    "use_index",
    "write_index",
    "write_texts",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "abilities": ["KeepsTexts", "ScoresPairs"],
        "index": [
            "FOLDER",
            "KINDS",
            "IndexPart",
            "TextIndex",
            "TextRow",
            "add_texts",
            "check_model",
            "check_vectors",
            "copy_index",
            "open_index",
            "remove_texts",
            "write_index",
        ],
        "index_texts": ["read_index_texts"],
        "kept_texts": ["read_texts", "write_texts"],
        "search": [
            "SearchResult",
            "build_index",
            "extend_index",
            "images_for_text",
            "retrieval_lines",
            "shrink_index",
            "stage_recall",
            "texts_for_images",
            "use_index",
        ],
    },
)
