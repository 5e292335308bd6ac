"""Find stored texts for an image, and images for a text. An index holds texts and their vectors on disk, belongs to one
model, and can grow and shrink. The wing builds and searches indexes, in two stages if the retriever has two, and
computes recall, precision, MAP and median rank of the results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .abilities import KeepsTexts, ScoresPairs
    from .filters import TextFilter, plain_name, read_labels, tags_of
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
        set_store,
        write_index,
    )
    from .index_texts import read_index_texts
    from .kept_texts import read_texts, write_texts
    from .search import (
        SearchResult,
        build_index,
        extend_index,
        images_for_text,
        rebuild_store,
        retrieval_lines,
        shrink_index,
        stage_recall,
        texts_for_images,
        use_index,
    )
    from .stores import TextStore, check_store, open_store, searchable_store

__all__ = [
    "FOLDER",
    "KINDS",
    "IndexPart",
    "KeepsTexts",
    "ScoresPairs",
    "SearchResult",
    "TextFilter",
    "TextIndex",
    "TextRow",
    "TextStore",
    "add_texts",
    "build_index",
    "check_model",
    "check_store",
    "check_vectors",
    "copy_index",
    "extend_index",
    "images_for_text",
    "open_index",
    "open_store",
    "plain_name",
    "read_index_texts",
    "read_labels",
    "read_texts",
    "rebuild_store",
    "remove_texts",
    "retrieval_lines",
    "searchable_store",
    "set_store",
    "shrink_index",
    "stage_recall",
    "tags_of",
    "texts_for_images",
    "use_index",
    "write_index",
    "write_texts",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "abilities": ["KeepsTexts", "ScoresPairs"],
        "filters": ["TextFilter", "plain_name", "read_labels", "tags_of"],
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
            "set_store",
            "write_index",
        ],
        "index_texts": ["read_index_texts"],
        "kept_texts": ["read_texts", "write_texts"],
        "search": [
            "SearchResult",
            "build_index",
            "extend_index",
            "images_for_text",
            "rebuild_store",
            "retrieval_lines",
            "shrink_index",
            "stage_recall",
            "texts_for_images",
            "use_index",
        ],
        "stores": ["TextStore", "check_store", "open_store", "searchable_store"],
    },
)
