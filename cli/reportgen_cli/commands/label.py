"""Run `rg label`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePath
from typing import Any, Protocol, runtime_checkable

import click

from reportgen_core import DataError, MetricError
from reportgen_core.files.reports import read_texts
from reportgen_core.files.table_writer import CellWriter
from reportgen_core.files.tables import SUFFIXES
from reportgen_core.registries import metrics

from ..options import print_note, raw_cells_option
from ..render import table

ANSWERS = {1: "positive", 0: "negative", -1: "uncertain"}


class TextLabeler(Protocol):
    """A labeler of a metric, ours or a plugin's."""

    labels_of_scheme: Sequence[str]

    def explain(self, text: str) -> Mapping[str, Sequence[Any]]:
        """Return the mentions of each label, the deciding one first; each has value, words, rule and sentence."""


@runtime_checkable
class HasLabeler(Protocol):
    """A metric that labels texts."""

    labeler: TextLabeler


@click.command()
@click.argument("source", metavar="FILE|TEXT")
@click.option("--scheme", default="chexpert14", show_default=True, help="chexpert14 or chestxray14.")
@click.option("--explain", is_flag=True, help="Every mention: which words, which rule, which sentence.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a report.")
@click.option("--csv", "as_csv", is_flag=True, help="A row a report, a column a label; empty where not mentioned.")
@raw_cells_option()
@click.option("--lines", is_flag=True, help="A text file holds one report a line.")
@click.option("--metric", default="chexpert-rules", show_default=True, help="The metric whose labeler reads.")
def label(
    source: str, scheme: str, explain: bool, as_json: bool, as_csv: bool, raw_cells: bool, lines: bool, metric: str
) -> None:
    """Find the findings that reports state.

    FILE is JSON, JSON lines, CSV or TSV of id and text, or a text file (.txt) with one report; - is standard input.

    Example: rg label "Heart size is normal. Small left effusion, no pneumothorax." --explain
    """
    labeler = _labeler(metric, scheme)
    reports = {name: labeler.explain(text) for name, text in _texts(source, lines).items()}
    if as_json:
        for name, mentions in reports.items():
            click.echo(json.dumps(_plain(name, mentions, explain), ensure_ascii=False))
    elif as_csv:
        cells = CellWriter(sys.stdout, raw_cells=raw_cells)
        cells.write(("id", *labeler.labels_of_scheme))
        for name, mentions in reports.items():
            cells.write((name, *(mentions[k][0].value if k in mentions else "" for k in labeler.labels_of_scheme)))
    else:
        _draw(reports, explain)


def _labeler(metric: str, scheme: str) -> TextLabeler:
    """Return the labeler of a metric. Raises MetricError if it has none."""
    part = metrics.create(metric, scheme=scheme)
    if not isinstance(part, HasLabeler):
        raise MetricError(f"metric {metric!r} labels no texts; chexpert-rules does")
    return part.labeler


def _texts(source: str, lines: bool) -> dict[str, str]:
    """Return the texts by id of a file, of standard input ("-"), or of the source itself."""
    """Return texts by id: of a file, of standard input (-), or the argument itself. Raises DataError."""
    if source == "-":
        text = sys.stdin.read()
        return {str(n): t for n, t in enumerate(text.removesuffix("\n").split("\n"), 1)} if lines else {"stdin": text}
    path = Path(source)
    if len(source) < 1024 and path.is_file():
        return read_texts(path, lines=lines, on_note=print_note)
    if PurePath(path.name.lower().removesuffix(".gz")).suffix in SUFFIXES and " " not in source:
        raise DataError(f"{source}: no such file")
    return {"text": source}


def _plain(name: str, mentions: Mapping[str, Sequence[Any]], explain: bool) -> dict[str, Any]:
    """Return a report as a JSON object; with `explain` it holds every mention."""
    row: dict[str, Any] = {"id": name, "labels": {k: m[0].value for k, m in mentions.items()}}
    if explain:
        row["mentions"] = {k: [asdict(x) for x in m] for k, m in mentions.items()}
    return row


def _draw(reports: Mapping[str, Mapping[str, Sequence[Any]]], explain: bool) -> None:
    """Print a row for each label of one report, for each of several reports, or, explained, for each mention."""
    if explain or len(reports) == 1:
        header = ("label", "says", "words", "rule", "sentence")
        rows = [
            ((name,) if len(reports) > 1 else ()) + (key, ANSWERS[m.value], m.words, m.rule, m.sentence)
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
