"""Read and write a reading study on disk: a folder for the readers, and a key for the person who made the study.

    STUDY/study.json     rubric, cases (id, text, images) in blocks, the key's SHA-256; no source of a text
    STUDY/images/        radiographs as PNG, named by case
    STUDY/answers/       one JSON lines file a reader, appended to, never rewritten
    STUDY.key.json       case -> study and source

The digest in study.json proves later that the key was not changed. A random salt in the key prevents that somebody
guesses the key from the digest.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reportgen_core import DataError
from reportgen_core.errors import quoted
from reportgen_core.files.digests import sha256_file
from reportgen_core.files.json_files import is_format, read_json

from .rubrics import RUBRICS, Rubric

FORMAT = 1
READER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


@dataclass(frozen=True, slots=True)
class Case:
    """One text and the images of one examination, as a reader sees them."""

    id: str
    text: str
    images: tuple[str, ...]  # file names in images/


@dataclass(frozen=True, slots=True)
class ReadingStudy:
    """The folder of a reading study."""

    root: Path
    rubric: Rubric
    blocks: tuple[tuple[Case, ...], ...]
    key_sha256: str

    @property
    def cases(self) -> dict[str, Case]:
        """All cases by id."""
        return {c.id: c for block in self.blocks for c in block}

    def order(self, reader: str) -> list[Case]:
        """Return the cases in the order of one reader: blocks, and cases in a block, are shuffled for each reader."""
        rng = random.Random(f"{self.key_sha256}:{reader}")
        blocks = [rng.sample(block, len(block)) for block in self.blocks]
        rng.shuffle(blocks)
        return [case for block in blocks for case in block]

    def answers_of(self, reader: str) -> Path:
        """Return the file of a reader's answers. Raises DataError for a name that is no plain word."""
        if not READER.fullmatch(reader):
            raise DataError(f"reader {quoted(reader)}: a name is 1 to 40 letters, digits, dots, dashes or underscores")
        return self.root / "answers" / f"{reader}.jsonl"

    def readers(self) -> list[str]:
        """Return the names of the readers who have answered at least once."""
        return sorted(p.stem for p in (self.root / "answers").glob("*.jsonl") if READER.fullmatch(p.stem))


@dataclass(frozen=True, slots=True)
class Key:
    """The source of each text."""

    cases: Mapping[str, tuple[str, str]]  # case: (study, source)
    sources: tuple[str, ...]  # the human one first
    facts: Mapping[str, Any]  # seed, design, section, files: how the study was made


def read_study(root: Path) -> ReadingStudy:
    """Read study.json. Raises DataError if it is missing or not of this format."""
    path = root / "study.json"
    row = _load(path, "rg study make writes one")
    try:
        blocks = tuple(tuple(Case(c["id"], c["text"], tuple(c["images"])) for c in block) for block in row["blocks"])
        study = ReadingStudy(root, RUBRICS[row["rubric"]], blocks, row["key_sha256"])
    except (KeyError, TypeError) as e:
        raise DataError(f"{path}: is no study of this reportgen: {e} is missing or wrong") from e
    names = [name for case in study.cases.values() for name in (case.id, *case.images)]
    if bad := next((n for n in names if not READER.fullmatch(n)), None):
        raise DataError(f"{path}: {bad!r} is no name of a case or an image")
    return study


def read_key(path: Path, study: ReadingStudy) -> Key:
    """Read the key of this study. Raises DataError for the key of another study, or a key that was changed."""
    row = _load(path, "it was written when the study was made")
    if sha256_file(path) != study.key_sha256:
        raise DataError(f"{path}: is not the key that {study.root} was made with, or was changed since")
    cases = {case: (c["study"], c["source"]) for case, c in row["cases"].items()}
    return Key(cases, tuple(row["sources"]), {k: v for k, v in row.items() if k not in ("cases", "salt")})


def _load(path: Path, hint: str) -> dict[str, Any]:
    """Read a JSON object of this format. Raises DataError."""
    row = read_json(path, DataError, hint=hint)
    if not isinstance(row, dict) or not is_format(row.get("format"), FORMAT):
        raise DataError(f"{path}: is not of format {FORMAT}; {hint}")
    return row


def blocks_json(blocks: Sequence[Sequence[Case]]) -> list[list[dict[str, Any]]]:
    """Return blocks as JSON values for study.json."""
    return [[{"id": c.id, "text": c.text, "images": list(c.images)} for c in block] for block in blocks]
