"""Say where a page or a picture comes from: the model with its hash, the release of reportgen, and the date."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from reportgen_core.version import __version__

PURPOSE = "For research. Not a medical device."
DIGITS = 12  # of a hash that are shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a page or a picture comes from. An empty text is not shown."""

    model: str = ""  # its name: resnet10t-cvse.phantom_v3, or the name of its folder
    digest: str = ""  # hexadecimal digits of the sha256 of its folder
    demonstration: bool = False  # the model was made to show how the program works
    version: str = f"reportgen {__version__}"
    date: str = ""  # 2026-11-29

    def parts(self) -> tuple[str, ...]:
        """Return the facts as short texts: model, hash, version and date."""
        model = f"Model {self.model}" + (", a demonstration" if self.demonstration else "") if self.model else ""
        digest = f"sha256 {self.digest[:DIGITS]}" if self.digest else ""
        return tuple(part for part in (model, digest, self.version, self.date) if part)

    def text(self) -> str:
        """Return purpose and facts as one line, for a picture."""
        return " · ".join((PURPOSE, *self.parts()))


def model_origin(name: str) -> Origin:
    """Return the origin of what a model writes today; `name` is its folder or its name. Raises UnknownName."""
    from reportgen_zoo.pull import catalogue

    from reportgen_core.models.format import digest
    from reportgen_core.models.loading import find_model_folder

    folder = find_model_folder(name)
    record = None if Path(name).exists() else catalogue.find_record(name.partition("@")[0])
    parts = folder.resolve().parts
    return Origin(
        model=record.name if record else "/".join(parts[-2:] if parts[-1] == "best" else parts[-1:]),
        digest=digest(folder),
        demonstration=bool(record and record.demonstration),
        date=today(),
    )


def today() -> str:
    """Return the date in UTC as 2026-11-29; that of SOURCE_DATE_EPOCH if it is set, so that files can be made again."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH", "")
    now = datetime.fromtimestamp(int(seconds), UTC) if seconds.isdigit() else datetime.now(UTC)
    return now.date().isoformat()
