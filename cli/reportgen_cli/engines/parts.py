"""Write the outcome of a block as a part: JSON lines or Parquet, and the rows that could not be read next to it.

A part is named by its block and written whole or not at all, so that a block that is done twice has one part.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reportgen_core import OptionError
from reportgen_core.files.atomic import atomic_file, atomic_write
from reportgen_core.text.printable import printable_json

from .seam import Block, Outcome

MAX_TRIES = 5  # workers that may end while they do the same block
Schema = Mapping[str, str]  # of Parquet: the kind of each column


@dataclass(frozen=True, slots=True)
class PartWriter:
    """Writes the parts of an output folder. It is sent to the workers, which see the same folder.

    `escaped`: JSON lines are written as `rg report` prints them, with unsafe characters as escapes.
    """

    folder: Path
    parquet: bool = False
    escaped: bool = False
    schema: Schema | None = None

    def part(self, number: int) -> Path:
        """Return the path of the part of a block."""
        return self.folder / f"part-{number:06}.{'parquet' if self.parquet else 'jsonl'}"

    def bad(self, number: int) -> Path:
        """Return the path of the rows of a block that could not be read."""
        return self.folder / f"_bad-{number:06}.jsonl"

    def begin(self, block: Block) -> str:
        """Count how often a block was begun and not ended. Return a line if that was too often."""
        tries = self._tries(block)
        with tries.open("ab") as file:
            file.write(b".")
            count = file.tell()
        if count <= MAX_TRIES:
            return ""
        tries.unlink()  # of the next run, which begins to count anew
        return f"{MAX_TRIES} workers ended while they did it; it may need more memory, or break a library"

    def _tries(self, block: Block) -> Path:
        return self.folder / f"_try-{block.number:06}"

    def write(self, block: Block, outcome: Outcome) -> int:
        """Write the part, and before it the bad rows. Return the bytes of both."""
        bad = self.bad(block.number)
        size = 0
        if outcome.bad:
            lines = [printable_json({"line": row.line, "why": row.why}) + "\n" for row in outcome.bad]
            atomic_write(bad, "".join(lines))
            size = bad.stat().st_size
        else:
            bad.unlink(missing_ok=True)
        part = self.part(block.number)
        if self.parquet:
            self._write_parquet(part, outcome.rows)
        else:
            dump = printable_json if self.escaped else _dump
            with atomic_file(part) as file:
                file.writelines(dump(row) + "\n" for row in outcome.rows)
        self._tries(block).unlink(missing_ok=True)
        return size + part.stat().st_size

    def _write_parquet(self, part: Path, rows: Sequence[Mapping[str, Any]]) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        assert self.schema is not None
        types = {
            "text": pa.string(), "number": pa.float64(), "texts": pa.list_(pa.string()), "json": pa.string(),
            "labels": pa.map_(pa.string(), pa.int8()), "numbers": pa.map_(pa.string(), pa.float64()),
        }  # fmt: skip
        columns = [
            pa.array([_cell(row.get(name), kind) for row in rows], types[kind]) for name, kind in self.schema.items()
        ]
        with atomic_file(part, "wb") as file:
            parquet.write_table(pa.table(columns, names=list(self.schema)), file)


def _dump(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False)


def _cell(value: Any, kind: str) -> Any:
    """Return a value as pyarrow takes it: a mapping as pairs, and what has no column type as JSON."""
    if value is None:
        return None
    if kind == "json":
        return json.dumps(value, ensure_ascii=False)
    return list(value.items()) if isinstance(value, Mapping) else value


def check_parquet(schema: Schema | None, command: str) -> None:
    """Raise OptionError if a command's rows have no fixed columns, or if pyarrow is not installed."""
    if schema is None:
        raise OptionError(f"rg {command} writes rows with the columns of the table, as JSON lines; leave .parquet off")
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as e:
        raise OptionError("Parquet is written by pyarrow: pip install 'reportgen[ray]'") from e
