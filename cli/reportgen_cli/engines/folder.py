"""Keep the folder of a run: what the run is, its blocks, the manifest of the blocks that are done.

    part-000012.jsonl    the rows of block 12, in the order of the table
    _bad-000012.jsonl    its rows that could not be read: line, why
    _run.json            the command, the input, the model and the options
    _blocks.jsonl        where the blocks lie in the input
    _done.jsonl          a line for each block that is done

Names that begin with _ are no data to readers of Parquet. Only one process at a time may run in a folder.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reportgen_core import DataError, OptionError
from reportgen_core.files.atomic import atomic_file
from reportgen_core.files.json_files import write_json

from .parts import PartWriter
from .seam import Block, Done
from .tables import TablePlan, TableSource

RUN, BLOCKS, DONE, LOCK = "_run.json", "_blocks.jsonl", "_done.jsonl", "_lock"
SOURCE = ("table", "bytes", "head", "head_lines")
PART = re.compile(r"part-(\d{6,})\.(?:jsonl|parquet)")
Identity = Mapping[str, Any]


class RunFolder:
    """An output folder that is open for one run."""

    def __init__(self, folder: Path, parts: PartWriter) -> None:
        self.folder, self.parts = folder, parts
        self.done: dict[int, Done] = {}

    def begun(self) -> bool:
        """Return whether a run was begun here."""
        return (self.folder / RUN).is_file()

    def check_new(self) -> None:
        """Raise OptionError if the folder has files of a run, or of anything else that is not hidden."""
        if self.begun():
            raise OptionError(f"--out {self.folder} has a run already; --resume continues it, or choose another folder")
        if others := sorted(p.name for p in self.folder.iterdir() if not p.name.startswith(("_", "."))):
            raise OptionError(f"--out {self.folder} has other files ({others[0]}); choose an empty folder")

    def check_parts(self) -> None:
        """Raise OptionError for a file that readers of the parts would take for one, and that no run writes."""
        for path in sorted(self.folder.glob("part-*")):
            if not PART.fullmatch(path.name):
                raise OptionError(f"--resume: {path} is no part of a run; move it out of the folder")

    def save_plan(self, plan: TablePlan, identity: Identity) -> None:
        """Write the blocks, and then the run itself: a folder without it has no run."""
        with atomic_file(self.folder / BLOCKS) as file:
            file.writelines(json.dumps(asdict(block)) + "\n" for block in plan.blocks)
        values = (str(plan.source.table), str(plan.source.bytes), plan.source.head, plan.source.head_lines)
        source = dict(zip(SOURCE, values, strict=True))
        (self.folder / DONE).unlink(missing_ok=True)
        write_json(self.folder / RUN, {"format": 1, **identity, "source": source}, sort=False)

    def read_plan(self, identity: Identity) -> TablePlan:
        """Return the blocks of the run that was begun here, with the table where it was then.

        Raises OptionError if that run is another one, and DataError if its files were changed or cut.
        """
        try:
            saved = json.loads((self.folder / RUN).read_text(encoding="utf-8"))
            lines = (self.folder / BLOCKS).read_text(encoding="utf-8").splitlines()
            table, content, head, head_lines = (saved["source"][name] for name in SOURCE)
            plan = TablePlan(
                TableSource(Path(table), Path(content), head, head_lines),
                tuple(Block(**json.loads(line)) for line in lines),
                "",
            )
        except (OSError, ValueError, TypeError, LookupError) as e:
            raise DataError(
                f"--resume: {self.folder}: {RUN} or {BLOCKS} was removed, changed or cut ({type(e).__name__}); "
                "begin again in another folder"
            ) from e
        for name in dict.fromkeys([*identity, *(key for key in saved if key not in ("format", "source"))]):
            before, now = saved.get(name), json.loads(json.dumps(identity.get(name)))
            if before != now:
                raise OptionError(
                    f"--resume: {self.folder} was begun with another {name} ({_shown(before, now)}); "
                    "give what was given then, or choose another folder"
                )
        return plan

    def read_done(self, blocks: Sequence[Block]) -> None:
        """Read the manifest. A line that was cut off, and a block whose part is not there in full, are not done."""
        path = self.folder / DONE
        known = {block.number for block in blocks}
        for line in path.read_bytes().splitlines() if path.is_file() else ():
            try:
                done = Done(**json.loads(line))
                whole = done.block in known and self._size(done.block) == done.bytes
            except (ValueError, TypeError):
                continue  # the run was killed while it wrote this line, or it was changed; the block is done again
            if whole:
                self.done[done.block] = done
        with atomic_file(path) as file:  # without the line that was cut off
            file.writelines(json.dumps(asdict(done)) + "\n" for done in self.done.values())

    def _size(self, number: int) -> int:
        files = (self.parts.part(number), self.parts.bad(number))
        return sum(path.stat().st_size for path in files if path.is_file())

    def sweep(self) -> None:
        """Remove temporary files, and parts that the manifest does not name: their blocks are done again."""
        for path in self.folder.glob("part-*"):
            if (match := PART.fullmatch(path.name)) and int(match[1]) not in self.done:
                path.unlink()
        for pattern in (".*.part", "_try-*"):
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)

    def add(self, done: Done) -> None:
        """Write a block that is done into the manifest, on the disk."""
        self.done[done.block] = done
        with (self.folder / DONE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(done)) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _shown(before: Any, now: Any) -> str:
    """Return how two values differ: of mappings the first key that does."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        key = next(key for key in dict.fromkeys([*before, *now]) if before.get(key) != now.get(key))
        return f"{key} {json.dumps(before.get(key))}, now {json.dumps(now.get(key))}"
    return f"{json.dumps(before)}, now {json.dumps(now)}"


@contextmanager
def open_folder(folder: Path, parts: PartWriter) -> Iterator[RunFolder]:
    """Make and lock an output folder. Raises DataError if another process runs in it."""
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as e:
        raise DataError(f"{folder}: another run writes into this folder") from e
    try:
        yield RunFolder(folder, parts)
    finally:
        lock.release()
