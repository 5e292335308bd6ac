"""Read a prompt from a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reportgen_core import OptionError
from reportgen_core.files.json_files import read_bounded
from reportgen_core.models.reporters.prompts import DEFAULT, FIELDS, Prompt

MAX_BYTES = 2**20


def read_prompt(file: str, default: str = DEFAULT, fields: Sequence[str] = FIELDS) -> Prompt:
    """Return the prompt in a file, the default one without a file. Raises OptionError that names file and line."""
    if not file:
        return Prompt.parse(default, fields=fields)
    content = read_bounded(Path(file), OptionError, MAX_BYTES)
    try:
        return Prompt.parse(content.decode("utf-8"), file, fields)
    except UnicodeDecodeError as e:
        raise OptionError(f"{file}: byte {e.start} is not UTF-8; a prompt is a text file") from e
