"""Run a job over the blocks of a table: plan or continue, write each part once, count, and say what is missing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reportgen_core import DataError
from reportgen_core.files.digests import sha256_file
from reportgen_core.version import __version__

from ..terminal.echo import say
from ..terminal.progress import Heartbeat
from .folder import RunFolder, open_folder
from .parts import PartWriter, Schema, check_parquet
from .seam import Block, Done, Engine, Job
from .tables import Keep, TablePlan, TableSource, plan_table, readable_bytes

LISTING = "_input.jsonl"
MAX_NAMED = 20  # bad rows that are named; the rest are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A command whose rows an engine runs."""

    command: str
    table: Path | None  # None: `listing` writes it
    out: Path
    rows: int  # of a block
    options: dict[str, Any]  # that the rows depend on
    model: str = ""  # the digest of what labels the rows
    resume: bool = False
    disk_limit: int | None = None
    listing: Callable[[Path], None] | None = None  # writes the input into the folder of the run
    keep: Keep | None = None
    empty: bool = False  # whether the empty lines of a text file are rows
    needs: str = ""  # what a table without rows lacks; "": such a table makes no rows, and that is right
    escaped: bool = False
    schema: Schema | None = None

    @property
    def parts(self) -> PartWriter:
        """The writer of the parts: Parquet if the folder is named so."""
        parquet = self.out.suffix.lower() == ".parquet"
        if parquet:
            check_parquet(self.schema, self.command)
        return PartWriter(self.out.absolute(), parquet, self.escaped, self.schema if parquet else None)

    def identity(self, digest: str) -> dict[str, Any]:
        """Return what makes a run this run and no other."""
        parts = self.parts
        return {
            "command": self.command,
            "input": {"sha256": digest},
            "model": self.model,
            "options": self.options,
            "parts": "parquet" if parts.parquet else "jsonl",
            "rows of a block": self.rows,
            "version": __version__,
        }


@dataclass(slots=True)
class Totals:
    """What became of a run."""

    rows: int = 0
    bad: int = 0
    bytes: int = 0
    parts: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failures: dict[int, str] = field(default_factory=dict)
    missing: int = 0  # blocks that are not done
    stopped: str = ""  # why the run ended early
    seconds: float = 0.0  # from the first row to the last part, of the blocks that were done now
    now: int = 0  # rows that were done now, not before a --resume

    @property
    def good(self) -> bool:
        """Whether every row was read and every part written."""
        return not (self.bad or self.missing)


def run_blocks(run: Run, make: Callable[[TableSource], Job], engine: Engine) -> Totals:
    """Run a job over a table and return the totals. `make` returns the job for the table as the workers read it.

    Raises OptionError for a folder that belongs to another run, and DataError for a table that cannot be read.
    """
    with Heartbeat(run.command) as heartbeat, open_folder(run.out, run.parts) as folder:
        plan = _plan(run, folder, heartbeat)
        folder.sweep()
        todo = [block for block in plan.blocks if block.number not in folder.done]
        if folder.done:
            say(f"{len(folder.done)} of {len(plan.blocks)} parts are there", err=True)
        totals = Totals()
        for done in folder.done.values():
            _add(totals, done)
        heartbeat.say("starting the workers")
        if todo:
            results = engine.run(todo, make(plan.source), folder.parts)
            counted = heartbeat.count(results, "blocks", len(todo))
            _collect(run, folder, counted, totals, lambda left: min(left, engine.ahead()), len(todo))
        folder.sweep()
        totals.missing = sum(block.number not in folder.done for block in plan.blocks)
        _say_missing(plan.blocks, folder, totals)
    return totals


def _plan(run: Run, folder: RunFolder, heartbeat: Heartbeat) -> TablePlan:
    """Return the blocks of a run: of the run that was begun if it is continued, else of the table."""
    if not run.resume or not folder.begun():
        folder.check_new()
    table = run.table or run.out / "_listed.jsonl"
    if run.listing is not None:
        heartbeat.say("listing the images")
        run.listing(table)
    heartbeat.say("reading the table")
    copy = run.out / f"_input{table.with_suffix('').suffix if table.suffix == '.gz' else table.suffix}"
    saved = None
    if run.resume and folder.begun():
        saved = folder.read_plan(run.identity(sha256_file(table)))
        folder.read_done(saved.blocks)
        folder.check_parts()
    if run.listing is not None:
        table = table.replace(run.out / LISTING)
    if saved is not None:  # the table, and this folder, may lie elsewhere now
        source = replace(saved.source, table=table.resolve(), bytes=readable_bytes(table, copy))
        return replace(saved, source=source)
    plan = plan_table(table, copy, run.rows, run.keep, empty=run.empty)
    if run.needs and not plan.blocks:
        raise DataError(f"{table}: holds no {run.needs}")
    folder.save_plan(plan, run.identity(plan.sha256))
    return plan


def _collect(
    run: Run, folder: RunFolder, results: Iterator[Done], totals: Totals, ahead: Callable[[int], int], left: int
) -> None:
    """Enter each block that is done into the manifest, print its bad rows, and stop at the limit of the disk.

    `left` is the number of blocks; `ahead` returns how many of those that are left may be written before the run stops.
    """
    begun, ended, largest = math.inf, 0.0, 0
    for done in results:
        left -= 1
        if done.failure:
            totals.failures[done.block] = done.failure
            continue
        if run.disk_limit is not None and totals.bytes + done.bytes > run.disk_limit:
            totals.stopped = _limit(run, totals)  # this part is larger than those before, and is removed
            break
        folder.add(done)
        _say_bad(folder, done, totals.bad)
        _add(totals, done)
        totals.now += done.rows
        begun, ended, largest = min(begun, done.begun), max(ended, done.ended), max(largest, done.bytes)
        totals.seconds = ended - begun
        if left and run.disk_limit is not None and totals.bytes + ahead(left) * largest > run.disk_limit:
            totals.stopped = _limit(run, totals)
            break
    close = getattr(results, "close", None)
    if close is not None:
        close()


def _limit(run: Run, totals: Totals) -> str:
    return f"--disk-limit: the parts take {totals.bytes:,} bytes of {run.disk_limit:,}"


def _add(totals: Totals, done: Done) -> None:
    totals.rows += done.rows
    totals.bad += done.bad
    totals.bytes += done.bytes
    totals.parts += 1
    totals.counts.update(done.counts)


def _say_bad(folder: RunFolder, done: Done, before: int) -> None:
    """Print the bad rows of a block, as long as few were printed before."""
    if not done.bad or before >= MAX_NAMED:
        return
    import json

    with folder.parts.bad(done.block).open(encoding="utf-8") as file:
        for _, line in zip(range(MAX_NAMED - before), file, strict=False):
            row = json.loads(line)
            say(f"rg: line {row['line']}: {row['why']}", err=True)


def _say_missing(blocks: Sequence[Block], folder: RunFolder, totals: Totals) -> None:
    """Print which blocks failed, and how the run is continued."""
    if totals.stopped:
        say(f"rg: {totals.stopped}", err=True)
    lines = {block.number: block.line for block in blocks}
    for number, why in list(totals.failures.items())[:MAX_NAMED]:
        say(f"rg: block {number}, from line {lines[number]}: {why}", err=True)
    if totals.missing:
        say(f"{totals.missing} of {len(blocks)} parts are missing; --resume does them", err=True)


def print_totals(run: Run, totals: Totals, on_stdout: bool = True) -> None:
    """Print what became of a run, and on stdout its folder."""
    speed = f", {totals.now / totals.seconds:,.0f} rows/s once at work" if totals.seconds > 0 else ""
    say(f"{totals.rows:,} rows in {totals.parts:,} parts, {totals.bytes:,} bytes{speed}", err=True)
    if totals.bad:
        say(f"{totals.bad:,} rows could not be read; {run.out}/_bad-*.jsonl has them", err=True)
    if on_stdout:
        say(run.out)
