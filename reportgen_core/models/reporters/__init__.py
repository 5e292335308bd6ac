"""Let anything that writes reports be used, saved and scored as a model of parts is: a reporter. An author writes
`Reporter.iter_reports`; the other modules read studies, fill prompts, clean answers and keep the folder of a reporter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .answers import AnswerRule
    from .boxes import BOX_NOTATIONS, Grounded, parse_boxes
    from .cleaning import CLEANINGS, Cleaned
    from .context import Takes, context_of, missing_context, pictures_of
    from .folder import is_reporter, read_reporter, save_reporter
    from .guard import guarded_reports
    from .prompts import Piece, Prompt
    from .reference import Reference, hash_files
    from .reporter import Reporter

__all__ = [
    "BOX_NOTATIONS",
    "CLEANINGS",
    "AnswerRule",
    "Cleaned",
    "Grounded",
    "Piece",
    "Prompt",
    "Reference",
    "Reporter",
    "Takes",
    "context_of",
    "guarded_reports",
    "hash_files",
    "is_reporter",
    "missing_context",
    "parse_boxes",
    "pictures_of",
    "read_reporter",
    "save_reporter",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "answers": ["AnswerRule"],
        "boxes": ["BOX_NOTATIONS", "Grounded", "parse_boxes"],
        "cleaning": ["CLEANINGS", "Cleaned"],
        "context": ["Takes", "context_of", "missing_context", "pictures_of"],
        "folder": ["is_reporter", "read_reporter", "save_reporter"],
        "guard": ["guarded_reports"],
        "prompts": ["Piece", "Prompt"],
        "reference": ["Reference", "hash_files"],
        "reporter": ["Reporter"],
    },
)
