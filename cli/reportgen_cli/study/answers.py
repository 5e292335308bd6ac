"""Keep the answers of a reader in a log. Each line is on disk before the reader sees that it was accepted."""

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
    """The answer of a reader to one case."""

    case: str
    score: int
    comment: str = ""
    seconds: float = 0.0  # from seeing the case to scoring it


def read_answers(path: Path) -> dict[str, Answer]:
    """Return the valid answers by case, in the order they were given.

    A later answer replaces an earlier one, and an undo removes the last one.
    A last line without a line end was cut off by a crash before it was accepted, and is ignored. Raises DataError for
    any other line that cannot be read.
    """
    if not path.exists():
        return {}
    answers: dict[str, Answer] = {}
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            answers.pop(row.get("undo") or row["case"], None)
            if "undo" not in row:
                answer = Answer(str(row["case"]), int(row["score"]), str(row["comment"]), float(row["seconds"]))
                answers[answer.case] = answer
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as e:
            raise DataError(f"{path}: line {number} is no answer; mend or remove it") from e
    return answers


def add(path: Path, answer: Answer) -> None:
    """Append an answer. It is on the disk when this returns."""
    _append(
        path,
        {"case": answer.case, "score": answer.score, "comment": answer.comment, "seconds": round(answer.seconds, 1)},
    )


def undo(path: Path) -> str | None:
    """Take back the last valid answer and return its case; None if there is no answer."""
    answers = read_answers(path)
    if not answers:
        return None
    case = list(answers)[-1]
    _append(path, {"undo": case})
    return case


def _append(path: Path, row: Mapping[str, Any]) -> None:
    """Append one line in one write. Cut off an unfinished line of a crash first, so that lines do not run together."""
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
    """Return the number of bytes up to the end of the last complete line."""
    content = path.read_bytes()
    return content.rfind(b"\n") + 1
