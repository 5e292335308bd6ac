"""Tell whether the studies of a plan are still those that it was made for, and which are not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from reportgen_core.types import Study

DIGITS = 12  # of a digest, hexadecimal
WHOLE = 1 << 20  # bytes: of a larger image file only the first and the last bytes are read
ENDS = 1 << 16  # bytes at each end of a large file
SHOWN = 3  # ids in a message


def study_digests(studies: Iterable[Study]) -> dict[str, str]:
    """Return a digest of each study by its id: split, patient, texts, labels, tags, and names and bytes of images.

    The folder of the images does not count. Of a file of more than `WHOLE` bytes the size and both ends count.
    """
    return {s.id: _digest(s) for s in studies}


def _digest(study: Study) -> str:
    views = [(view.path.name, view.projection, _file_digest(view.path)) for view in study.views]
    values = [
        study.split, study.patient, dict(study.sections), sorted(study.labels.items()), list(study.tags), views,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:DIGITS]


def _file_digest(path: Path) -> str:
    size = path.stat().st_size
    with path.open("rb") as file:
        content = file.read(WHOLE if size <= WHOLE else ENDS)
        if size > WHOLE:
            file.seek(-ENDS, 2)
            content += file.read(ENDS)
    return f"{size} {hashlib.sha256(content).hexdigest()}"


def describe_changes(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Return which studies were added, removed and changed, as "2 studies changed (a, b)"; "" if none was."""
    changes = {
        "added": [id for id in after if id not in before],
        "removed": [id for id in before if id not in after],
        "changed": [id for id in after if id in before and after[id] != before[id]],
    }
    return ", ".join(f"{_named(ids)} {word} ({_listed(ids)})" for word, ids in changes.items() if ids)


def _named(ids: Sequence[str]) -> str:
    return f"{len(ids)} {'study' if len(ids) == 1 else 'studies'}"


def _listed(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    return ", ".join(ids[:SHOWN]) + more
