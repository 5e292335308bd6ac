"""Files of texts for a retriever to hold: JSON lines, plain lines, or a folder of groups."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ..errors import DataError
from ..types import TextRow


def read_rows(path: Path) -> list[TextRow]:
    """Texts to hold: JSON lines with "text" (and "id"), one text a line, or a folder of groups (rg data groups).

    A text without an id has its number, from 0. Raises DataError naming file and line.
    """
    if path.is_dir():
        from ..sentences.groups import load_groups

        groups = load_groups(path).groups
        return [TextRow(f"g{n}", g.central, g.sentences) for n, g in enumerate(groups)]
    try:
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except OSError as e:
        raise DataError(f"cannot read {path}: {e.strerror}") from e
    except UnicodeDecodeError as e:
        raise DataError(f"{path} is not UTF-8: byte {e.start} cannot be read; save it as UTF-8 text") from e
    made = _json_rows(path, lines) if path.suffix in (".jsonl", ".ndjson") else _plain_rows(lines)
    if not made:
        raise DataError(f"{path} holds no text")
    return made


def _plain_rows(lines: Sequence[str]) -> list[TextRow]:
    return [TextRow(str(n), s.strip()) for n, s in enumerate(s for s in lines if s.strip())]


def _json_rows(path: Path, lines: Sequence[str]) -> list[TextRow]:
    made = []
    for n, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as e:
            raise DataError(f"{path}, line {n + 1} is no JSON: {e}") from e
        if not isinstance(value, dict) or not isinstance(value.get("text"), str) or not value["text"].strip():
            raise DataError(f'{path}, line {n + 1} has no "text"')
        made.append(TextRow(str(value.get("id", n)), value["text"].strip()))
    return made
