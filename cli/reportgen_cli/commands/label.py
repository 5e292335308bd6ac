"""Run `rg label`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Protocol, runtime_checkable

import click

from reportgen_core import DataError, MetricError, OptionError, ReportgenError
from reportgen_core.files.reports import read_texts
from reportgen_core.files.table_writer import CellWriter
from reportgen_core.files.tables import SUFFIXES

from ..engines.options import EngineOptions, rows_options
from ..labelers import NotesTexts, TextLabeler, label_values, labeler_of
from ..options import FOLDER, print_note, raw_cells_option
from ..render import table
from ..terminal.echo import data_stream, say, say_json

ANSWERS = {1: "positive", 0: "negative", -1: "uncertain"}
MAX_NOTES = 5  # texts that are named; the rest are counted


@runtime_checkable
class ChecksSentences(Protocol):
    """A labeler that compares itself with a table of sentences and answers."""

    def check(self, path: Path, on_note: Callable[[str], None] | None = None) -> Any:
        """Return the number of `rows` and those that are `wrong`, each a line for the user. Raises DataError."""


@click.command()
@click.argument("source", metavar="FILE|TEXT", required=False)
@click.option("--scheme", default="chexpert14", show_default=True, help="chexpert14 or chestxray14.")
@click.option("--explain", is_flag=True, help="Every mention: its words and place, cue, scope, rule, sentence.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a report.")
@click.option("--csv", "as_csv", is_flag=True, help="A row a report, a column a label; empty where not mentioned.")
@raw_cells_option()
@click.option("--lines", is_flag=True, help="A text file holds one report a line.")
@click.option("--phrases", metavar="TABLE", help="Phrases of your own, a .toml file, added to the shipped ones.")
@click.option("--check", metavar="TABLE", help="Compare the rules with a table of text, label and answer.")
@click.option("--metric", default="chexpert-rules", show_default=True, help="The metric whose labeler reads.")
@click.option("--out", type=FOLDER, help="With --engine ray: the folder of the parts; DIR.parquet for Parquet.")
@rows_options
@click.pass_context
def label(
    ctx: click.Context,
    /,
    source: str | None,
    scheme: str,
    explain: bool,
    as_json: bool,
    as_csv: bool,
    raw_cells: bool,
    lines: bool,
    phrases: str | None,
    check: str | None,
    metric: str,
    out: Path | None,
    batch_size: int,
    workers: int,
    **engine: Any,
) -> None:
    """Find the findings that reports state.

    FILE is JSON, JSON lines, CSV or TSV of id and text, or a text file (.txt) with one report; - is standard input.

    \b
    Example: rg label "Heart size is normal. Small left effusion, no pneumothorax." --explain
    Example: rg label reports.csv --engine ray --out labels

    --check prints each answer that is wrong. Its exit code is 0 where all are right, 1 where some are wrong, and 2
    where the table cannot be used.
    """
    if check is not None:
        others = {"FILE|TEXT": source, "--explain": explain, "--json": as_json, "--csv": as_csv, "--lines": lines}
        if given := [name for name, value in others.items() if value]:
            raise click.UsageError(f"--check reads its table only, and takes no {given[0]}.", ctx)
        ctx.exit(_check(check, metric, scheme, phrases))
    if source is None:
        raise click.UsageError("Missing argument 'FILE|TEXT'.", ctx)
    request = LabelRequest(Path(source), lines, metric, scheme, phrases, explain, out, batch_size, workers)
    if (options := EngineOptions.take(engine)).distributed or out is not None:
        ctx.exit(0 if label_by_engine(request, options, as_csv) else 1)
    labeler = labeler_of(metric, scheme, phrases)
    texts = _texts(source, lines)
    reports = {name: labeler.explain(text) for name, text in texts.items()}
    _note_unlabeled(labeler, {name: text for name, text in texts.items() if not reports[name]}, len(texts))
    if as_json:
        for name, mentions in reports.items():
            say_json(label_values(name, mentions, explain))
    elif as_csv:
        _write_cells(reports, labeler.labels_of_scheme, raw_cells)
    else:
        _draw(reports, explain)


def _write_cells(reports: Mapping[str, Mapping[str, Sequence[Any]]], labels: Sequence[str], raw_cells: bool) -> None:
    """Write a row for each report and a column for each label as CSV on stdout."""
    cells = CellWriter(data_stream(), raw_cells=raw_cells)
    cells.write(("id", *labels))
    for name, mentions in reports.items():
        cells.write((name, *(mentions[k][0].value if k in mentions else "" for k in labels)))


@dataclass(frozen=True, slots=True)
class LabelRequest:
    """What `rg label` is to label by an engine."""

    table: Path
    lines: bool
    metric: str
    scheme: str
    phrases: str | None
    explain: bool
    out: Path | None
    batch_size: int
    workers: int


def label_by_engine(given: LabelRequest, options: EngineOptions, as_csv: bool) -> bool:
    """Label a table by an engine. Return False if a row could not be read or a part is missing."""
    from reportgen_core.files.digests import sha256_file
    from reportgen_core.files.tables import kind_of

    from ..engines.jobs.label import EXPLAINED, SCHEMA, LabelJob
    from ..engines.ray_engine import RayEngine
    from ..engines.run import Run, print_totals, run_blocks

    if not options.distributed:
        raise OptionError("--out belongs to --engine ray; without it the labels are printed")
    if as_csv:
        raise OptionError("--csv: --engine ray writes JSON lines, or Parquet with --out DIR.parquet")
    if given.out is None:
        raise OptionError("--engine ray writes parts into a folder; name it with --out DIR")
    if not given.table.is_file():
        raise DataError(f"{given.table}: no such file; --engine ray labels a table")
    if kind_of(given.table, SUFFIXES.values()) == "txt" and not given.lines:
        raise OptionError(f"{given.table}: a text file is one report; --lines makes each line one")
    labeler_of(given.metric, given.scheme, given.phrases)  # a fault is reported before workers start
    phrases = str(Path(given.phrases).resolve()) if given.phrases else None
    about = {"metric": given.metric, "scheme": given.scheme, "explain": given.explain}
    about["phrases"] = sha256_file(Path(phrases)) if phrases else ""
    run = Run(
        command="label", table=given.table, out=given.out, rows=given.batch_size, options=about, escaped=True,
        resume=options.resume, disk_limit=options.disk_limit, empty=True, needs="text",
        schema=EXPLAINED if given.explain else SCHEMA,
    )  # fmt: skip
    totals = run_blocks(
        run,
        lambda source: LabelJob(source, given.metric, given.scheme, phrases, given.explain),
        RayEngine(options, given.workers, given.out),
    )
    if unlabeled := totals.counts["unlabeled"]:
        print_note(f"{unlabeled:,} of {totals.rows:,} texts have no labels")
    print_totals(run, totals)
    return totals.good


def _check(table: str, metric: str, scheme: str, phrases: str | None) -> int:
    """Print the wrong answers of a table of sentences and return the exit code: 0, 1, or 2 if it cannot be used."""
    try:
        labeler = labeler_of(metric, scheme, phrases)
        if not isinstance(labeler, ChecksSentences):
            raise MetricError(f"the labeler of metric {metric!r} checks no sentences; that of chexpert-rules does")
        report = labeler.check(Path(table), print_note)
    except ReportgenError as e:
        say(f"rg: {e}", err=True)
        return 2
    for wrong in report.wrong:
        say(f"{table}: {wrong}")
    say(f"{report.rows - len(report.wrong)} of {report.rows} right")
    return 1 if report.wrong else 0


def _note_unlabeled(labeler: TextLabeler, unlabeled: Mapping[str, str], texts: int) -> None:
    """Print in one line which texts have no labels, and why."""
    if not unlabeled:
        return
    reasons = [
        (name, labeler.note(text) if isinstance(labeler, NotesTexts) else "") for name, text in unlabeled.items()
    ]
    shown = ", ".join(
        f"{'the text' if texts == 1 else name} {why or 'names no finding and calls nothing normal'}"
        for name, why in reasons[:MAX_NOTES]
    )
    more = f"; and {len(reasons) - MAX_NOTES} more" if len(reasons) > MAX_NOTES else ""
    number = f"{len(reasons)} of {texts} texts {'has' if len(reasons) == 1 else 'have'} " if texts > 1 else ""
    print_note(f"{number}no labels: {shown}{more}")


def _texts(source: str, lines: bool) -> dict[str, str]:
    """Return texts by id: of a file, of standard input ("-"), or the source itself. Raises DataError."""
    if source == "-":
        text = sys.stdin.read()
        return {str(n): t for n, t in enumerate(text.removesuffix("\n").split("\n"), 1)} if lines else {"stdin": text}
    path = Path(source)
    if len(source) < 1024 and path.is_file():
        return read_texts(path, lines=lines, on_note=print_note)
    if PurePath(path.name.lower().removesuffix(".gz")).suffix in SUFFIXES and " " not in source:
        raise DataError(f"{source}: no such file")
    return {"text": source}


def _cell(mention: Any, field: str) -> str:
    """Return a field of a mention as a cell; a span is written as "12-20", and "" if nothing is there."""
    value = getattr(mention, field, "")
    return value if isinstance(value, str) else f"{value[0]}-{value[1]}" if value[1] else ""


def _draw(reports: Mapping[str, Mapping[str, Sequence[Any]]], explain: bool) -> None:
    """Print a row for each label of one report, for each of several reports, or, explained, for each mention."""
    if explain or len(reports) == 1:
        more = ("span", "cue", "scope") if explain else ()
        header = ("label", "says", "words", *more, "rule", "sentence")
        rows = [
            ((name,) if len(reports) > 1 else ())
            + (key, ANSWERS[m.value], m.words, *(_cell(m, field) for field in more), m.rule, m.sentence)
            for name, mentions in reports.items()
            for key, mentioned in mentions.items()
            for m in (mentioned if explain else mentioned[:1])
        ]
        table(("id", *header) if len(reports) > 1 else header, rows)
        return
    rows = [
        (name, *(", ".join(k for k, m in mentions.items() if m[0].value == value) for value in ANSWERS))
        for name, mentions in reports.items()
    ]
    table(("id", *ANSWERS.values()), rows)
