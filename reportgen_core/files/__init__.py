"""How a file of people is read, and how a file of ours is written whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .atomic import atomic_file, atomic_write, recover, replacing
    from .digests import sha256_file, sha256_folder
    from .json_files import read_bounded, read_json, write_json
    from .reports import TextFile, read_text_file
    from .study_json import study_from_json, study_to_json
    from .tables import Rows, table_rows, text_of, written

__all__ = [
    "Rows",
    "TextFile",
    "atomic_file",
    "atomic_write",
    "read_bounded",
    "read_json",
    "read_text_file",
    "recover",
    "replacing",
    "sha256_file",
    "sha256_folder",
    "study_from_json",
    "study_to_json",
    "table_rows",
    "text_of",
    "write_json",
    "written",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "atomic": ["atomic_file", "atomic_write", "recover", "replacing"],
        "digests": ["sha256_file", "sha256_folder"],
        "json_files": ["read_bounded", "read_json", "write_json"],
        "reports": ["TextFile", "read_text_file"],
        "study_json": ["study_from_json", "study_to_json"],
        "tables": ["Rows", "table_rows", "text_of", "written"],
    },
)
