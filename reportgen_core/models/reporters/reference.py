"""A reference: weights or an endpoint that a reporter uses and that do not lie in its folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from ...errors import CheckpointError
from ...files.digests import sha256_file

MAX_NAMED = 3


@dataclass(frozen=True, slots=True)
class Reference:
    """Where the weights of a reporter are, and how far they can be pinned."""

    kind: Literal["files", "endpoint"]
    source: str  # the id on a hub, the name of a folder, or the URL of an endpoint
    revision: str = ""  # the commit on the hub; "" if there is none
    files: Mapping[str, str] = field(default_factory=dict)  # sha256 by path; {} for an endpoint, which shows no file
    model: str = ""  # the name by which an endpoint is asked

    @property
    def sha256(self) -> str:
        """Return the sha256 of the files' hashes and paths; "" if there are no files."""
        lines = sorted(f"{digest}  {path}\n" for path, digest in self.files.items())
        return hashlib.sha256("".join(lines).encode()).hexdigest() if lines else ""

    @property
    def limits(self) -> tuple[str, ...]:
        """Return what the reference cannot promise, for its record and for the foot of every score."""
        if self.kind == "endpoint":
            return (
                f"REFERENCE: model {self.model!r} at {self.source} is named, not pinned: its server may change "
                "its weights, and the same request may then get another answer",
            )
        return (f"REFERENCE: the weights are those of {self.source}, pinned by sha256 and not part of this folder",)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values; empty fields are left out."""
        return {name: value for name, value in asdict(self).items() if value}


def reference_from_json(values: object, place: str) -> Reference:
    """Return the reference that `to_json` wrote. Raises CheckpointError that begins with `place`."""
    known = {f.name for f in fields(Reference)}
    if not isinstance(values, dict) or values.get("kind") not in ("files", "endpoint") or set(values) - known:
        raise CheckpointError(f"{place}: reference is no object with kind (files or endpoint), source and files")
    files = values.get("files", {})
    texts = [v for name, v in values.items() if name != "files"]
    if not isinstance(files, dict) or not all(isinstance(v, str) for v in (*texts, *files, *files.values())):
        raise CheckpointError(f"{place}: reference has a value that is no text")
    return Reference(**{"source": "", **values})


def hash_files(folder: Path, paths: Iterable[Path]) -> dict[str, str]:
    """Return the sha256 of files by their path in the folder, in the order of the alphabet."""
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in sorted(paths)}


def check_reference(saved: Reference, found: Reference, place: str) -> None:
    """Raise CheckpointError that names the files that are not those of the saved reference."""
    differ = sorted(p for p in {*saved.files, *found.files} if saved.files.get(p) != found.files.get(p))
    if differ:
        more = f" and {len(differ) - MAX_NAMED} more" if len(differ) > MAX_NAMED else ""
        raise CheckpointError(
            f"{place}: {found.source} is not what was saved: {', '.join(differ[:MAX_NAMED])}{more} changed; "
            "rg compose --reporter makes a reporter of the files as they are now"
        )
