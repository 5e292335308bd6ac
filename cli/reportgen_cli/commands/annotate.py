"""`rg annotate`."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from reportgen_core import OptionError
from reportgen_core.annotation_rows import Columns, read_rows

from ..options import FOLDER, device_option, pick_device
from ..render import table as draw

if TYPE_CHECKING:
    from reportgen_core import Model
    from reportgen_core.annotation import Annotated, BadRow, Thresholds

TOLD = 20  # bad rows named one by one; the rest are counted


@click.command()
@click.argument("table", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--model", required=True, metavar="NAME|DIR", help="A model of the zoo or a folder, as tienet.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help=".csv or .jsonl; without it, stdout.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines instead of CSV on stdout.")
@click.option("--text", default="", metavar="COLUMN", help="The reports; else the model's sections, text or report.")
@click.option("--id", "name", default="", metavar="COLUMN", help="Without it id, study, uid ...; else the line.")
@click.option("--image", default="", metavar="COLUMN", help="Image files, several joined by |.")
@click.option("--images", type=FOLDER, help="The folder of the images; without it, that of the table.")
@click.option("--explain", is_flag=True, help="With JSON lines: each word and how much the model looked at it.")
@click.option("--tune", is_flag=True, help="Choose thresholds by the table's labels; keep them with the model.")
@click.option("--labels", default="", metavar="COLUMN", help="With --tune: names joined by |; else a column a finding.")
@click.option("--batch-size", default=128, show_default=True, type=click.IntRange(1, 65536))
@click.option(
    "--workers", default=0, show_default=True, type=click.IntRange(0, 256), help="Processes that read images."
)
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), default="auto", show_default=True)
@device_option()
def annotate(
    table: Path,
    model: str,
    out: Path | None,
    as_json: bool,
    text: str,
    name: str,
    image: str,
    images: Path | None,
    explain: bool,
    tune: bool,
    labels: str,
    batch_size: int,
    workers: int,
    precision: str,
    device: str,
) -> None:
    """Label a table of reports, or of images with their reports: the probability of every finding, and the labels.

    TABLE is CSV, TSV or JSON lines of any size. A row that cannot be read is named on stderr by its line, the rest go
    on; the exit code is then 1.

    \b
    Example: rg annotate reports.csv --model runs/tienet-r/best --out labels.csv
    Example: rg annotate val.csv --model runs/tienet-r/best --tune
    """
    lines = as_json if out is None else out.suffix == ".jsonl"
    if out is not None and out.suffix not in (".csv", ".jsonl"):
        raise OptionError(f"--out {out}: labels are written as .csv or .jsonl")
    if explain and not lines:
        raise OptionError("--explain needs JSON lines: --json, or --out FILE.jsonl")
    if labels and not tune:
        raise OptionError("--labels says what --tune learns from, and --tune is not asked for")

    from reportgen_core import load
    from reportgen_core.annotation import annotate as findings_of
    from reportgen_core.annotation import annotator, load_thresholds
    from reportgen_core.checkpoint import find

    folder = find(model)
    made = load(folder).to(pick_device(device))
    annotator(made)
    asked = Columns(
        sections=made.text.sections, id=name, text=text, image=image, images=images,
        needs_image=made.encoder.image.views > 0,
        labels=made.findings if tune else (), label_list=labels,
    )  # fmt: skip
    how: dict[str, Any] = {"batch_size": batch_size, "precision": precision, "workers": workers}
    if tune:
        choose(made, folder, table, asked, how)
        return
    known = load_thresholds(folder, made.findings)
    click.echo(_thresholds(known, folder), err=True)
    said = findings_of(made, read_rows(table, asked), thresholds=known, explain=explain, **how)
    with writing(out) as file:
        bad = write(said, file, made.findings, lines)
    if bad:
        click.get_current_context().exit(1)


def choose(model: Model, folder: Path, table: Path, columns: Columns, how: dict[str, Any]) -> None:
    """Choose thresholds, keep and show them."""
    from reportgen_core.annotation import save_thresholds, tune

    found = tune(model, read_rows(table, columns), table.name, **how)
    path = save_thresholds(folder, found)
    rows = [
        (
            name,
            str(count),
            *((f"{found.of(name):.3f}", f"{found.f1[name]:.3f}") if name in found.values else ("–", "–")),
        )
        for name, count in found.positives.items()
    ]
    draw(("finding", "positives", "threshold", "F1 here"), rows)
    click.echo(f"{path}, chosen on {found.studies} studies", err=True)


def _thresholds(known: Thresholds | None, folder: Path) -> str:
    if known is None:
        return f"{folder} has no thresholds: 0.5 is taken; rg annotate TABLE --model {folder} --tune chooses them"
    return f"thresholds of {known.source or folder}, {known.studies} studies"


@contextmanager
def writing(out: Path | None) -> Iterator[IO[str]]:
    """stdout, or a file that appears under its name once it is whole."""
    if out is None:
        yield sys.stdout
        return
    beside = out.with_name(f".{out.name}.part")
    try:
        with beside.open("w", encoding="utf-8", newline="") as file:
            yield file
        os.replace(beside, out)
    finally:
        beside.unlink(missing_ok=True)


def write(said: Iterable[Annotated | BadRow], file: IO[str], findings: tuple[str, ...], lines: bool) -> int:
    """Write row after row; how many were bad."""
    from reportgen_core.annotation import BadRow

    cells = csv.writer(file, lineterminator="\n")
    if not lines:
        cells.writerow(("id", *findings, "labels", "note"))
    good = bad = 0
    for row in said:
        if isinstance(row, BadRow):
            bad += 1
            if bad <= TOLD:
                click.echo(f"rg: line {row.line}: {row.why}", err=True)
            continue
        good += 1
        if lines:
            file.write(json.dumps(_values(row), ensure_ascii=False) + "\n")
        else:
            cells.writerow((row.id, *(f"{p:.6f}" for p in row.findings.values()), "|".join(row.labels), row.note))
    click.echo(f"{good} rows annotated" + (f", {bad} could not be read" if bad else ""), err=True)
    return bad


def _values(row: Annotated) -> dict[str, Any]:
    findings = {name: round(p, 6) for name, p in row.findings.items()}
    values: dict[str, Any] = {"id": row.id, "findings": findings, "labels": row.labels, "note": row.note}
    if row.words:
        values["words"] = [[word, round(look, 5)] for word, look in row.words]
    return values
