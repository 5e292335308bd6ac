"""A reader's answers: a log that is only appended to, each line on disk before the reader sees it accepted."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reportgen_core import DataError


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reader said about a case."""

    case: str
    score: int
    comment: str = ""
    seconds: float = 0.0  # from seeing the case to scoring it


def read_answers(path: Path) -> dict[str, Answer]:
    """The answers that stand, in the order they were given: a later one replaces, an undo takes back.

    A last line without its end was cut off by a crash before it was accepted, and does not count.
    """
    if not path.exists():
        return {}
    standing: dict[str, Answer] = {}
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            standing.pop(row.get("undo") or row["case"], None)
            if "undo" not in row:
                answer = Answer(str(row["case"]), int(row["score"]), str(row["comment"]), float(row["seconds"]))
                standing[answer.case] = answer
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise DataError(f"{path}: line {number} is no answer; mend or remove it") from e
    return standing


def add(path: Path, answer: Answer) -> None:
    """Append an answer; it is on the disk when this returns."""
    _append(
        path,
        {"case": answer.case, "score": answer.score, "comment": answer.comment, "seconds": round(answer.seconds, 1)},
    )


def undo(path: Path) -> str | None:
    """Take back the last answer that stands, and say which; None where there is none."""
    standing = read_answers(path)
    if not standing:
        return None
    case = list(standing)[-1]
    _append(path, {"undo": case})
    return case


def _append(path: Path, row: Mapping[str, Any]) -> None:
    """One line in one write. What a crash left unfinished is cut off first, so that lines do not run together."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({**row, "time": round(time.time(), 3)}, ensure_ascii=False).encode() + b"\n"
    with path.open("ab") as file:
        whole = _whole(path)
        if file.tell() != whole:
            file.truncate(whole)
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def _whole(path: Path) -> int:
    """Bytes up to the end of the last whole line."""
    content = path.read_bytes()
    return content.rfind(b"\n") + 1
