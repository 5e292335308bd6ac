"""Keep every answer of an endpoint, so that a run that was killed continues where it stopped.

An answer is one JSON file, named by the sha256 of its request, in a folder that only its owner can read: it has medical
text. The request itself, with its images, and the key are not written.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reportgen_core.files.atomic import atomic_write


def default_answers() -> Path:
    """Return the folder `answers` in $REPORTGEN_CACHE, else in `reportgen` in the user's cache folder."""
    from reportgen_core.data.images import default_cache

    return default_cache().with_name("answers")


class KeptAnswers:
    """The answers in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def key(self, url: str, body: Mapping[str, Any]) -> str:
        """Return the name of the answer to a request."""
        return hashlib.sha256((url + "\n" + json.dumps(body, sort_keys=True)).encode()).hexdigest()

    def find(self, key: str) -> dict[str, Any] | None:
        """Return the answer to a request, None if there is none. A damaged file is no answer."""
        try:
            values = json.loads((self.folder / f"{key}.json").read_text(encoding="utf-8"))["response"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return values if isinstance(values, dict) else None

    def keep(self, key: str, study: str, response: Mapping[str, Any], *, usable: bool) -> None:
        """Write an answer. One without a report is kept under another name, so that the next run asks again."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = key if usable else f"{key}.{time.time_ns()}.{os.getpid()}.unusable"
        about = {"study": study, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "response": response}
        atomic_write(self.folder / f"{name}.json", json.dumps(about, ensure_ascii=False, indent=1) + "\n", private=True)
