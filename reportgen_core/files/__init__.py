"""Read the files that people bring, and write files whole or not at all. One reader decides for all commands and
datasets which suffixes, encodings, delimiters and column names are known, and names the file and the line of what it
cannot read. One writer fills a temporary file or folder and renames it at the end. The wing needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .atomic import atomic_file, atomic_write, recover, replacing, sweep
    from .digests import sha256_file, sha256_folder
    from .json_files import read_bounded, read_json, write_json
    from .reports import TextFile, read_text_file, read_texts
    from .study_json import study_from_json, study_to_json
    from .table_writer import Rows, write_table
    from .tables import BadRow, TableRow, scan_rows, table_rows, text_of

__all__ = [
    "BadRow",
    "Rows",
    "TableRow",
    "TextFile",
    "atomic_file",
    "atomic_write",
    "read_bounded",
    "read_json",
    "read_text_file",
    "read_texts",
    "recover",
    "replacing",
    "scan_rows",
    "sha256_file",
    "sha256_folder",
    "study_from_json",
    "study_to_json",
    "sweep",
    "table_rows",
    "text_of",
    "write_json",
    "write_table",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "atomic": ["atomic_file", "atomic_write", "recover", "replacing", "sweep"],
        "digests": ["sha256_file", "sha256_folder"],
        "json_files": ["read_bounded", "read_json", "write_json"],
        "reports": ["TextFile", "read_text_file", "read_texts"],
        "study_json": ["study_from_json", "study_to_json"],
        "table_writer": ["Rows", "write_table"],
        "tables": ["BadRow", "TableRow", "scan_rows", "table_rows", "text_of"],
    },
)
