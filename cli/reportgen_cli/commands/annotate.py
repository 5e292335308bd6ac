"""`rg annotate`."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from reportgen_core import OptionError
from reportgen_core.annotation.report_rows import Columns, read_rows
from reportgen_core.files.atomic import atomic_file, atomic_write
from reportgen_core.files.json_files import write_json

from ..options import FOLDER, device_option, pick_device, print_note
from ..render import table as draw

if TYPE_CHECKING:
    from reportgen_core import Model
    from reportgen_core.annotation.findings import Annotated, BadRow, OnBadRow
    from reportgen_core.annotation.roc import Curve
    from reportgen_core.annotation.thresholds import Thresholds

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
@click.option("--evaluate", type=FOLDER, help="Compare with the table's labels: AUC, ROC curves as a picture, here.")
@click.option("--labels", default="", metavar="COLUMN", help="Of --tune, --evaluate: names by |; else a column each.")
@click.option("--split", default="", help="Only rows whose column split says so.")
@click.option("--resamples", default=1000, show_default=True, type=click.IntRange(0, 10**6), help="Of --evaluate.")
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
    evaluate: Path | None,
    labels: str,
    split: str,
    resamples: int,
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
    Example: rg annotate test.csv --model runs/tienet-r/best --evaluate scores
    """
    lines = as_json if out is None else out.suffix == ".jsonl"
    if out is not None and out.suffix not in (".csv", ".jsonl"):
        raise OptionError(f"--out {out}: labels are written as .csv or .jsonl")
    if explain and not lines:
        raise OptionError("--explain needs JSON lines: --json, or --out FILE.jsonl")
    if labels and not (tune or evaluate):
        raise OptionError("--labels says what --tune learns from or --evaluate compares with; neither is asked for")

    from reportgen_core import load
    from reportgen_core.annotation.findings import annotate as findings_of
    from reportgen_core.annotation.findings import annotator
    from reportgen_core.annotation.thresholds import load_thresholds
    from reportgen_core.models.loading import find_model_folder

    folder = find_model_folder(model)
    made = load(folder).to(pick_device(device))
    annotator(made)
    asked = Columns(
        sections=made.text.sections, id=name, text=text, image=image, images=images,
        needs_image=made.encoder.image.views > 0, needs_text=bool(made.head.needs & {"words", "sentences"}),
        labels=made.findings if tune or evaluate else (), label_list=labels, split=split,
    )  # fmt: skip
    how: dict[str, Any] = {"batch_size": batch_size, "precision": precision, "workers": workers}
    bad = BadRows()
    if tune:
        choose(made, folder, table, asked, {**how, "told": bad})
    elif evaluate:
        judge(made, evaluate, table, asked, {**how, "told": bad, "resamples": resamples})
    else:
        known = load_thresholds(folder, made.findings)
        click.echo(_thresholds(known, folder), err=True)
        said = findings_of(made, read_rows(table, asked, print_note), thresholds=known, explain=explain, **how)
        with writing(out) as file:
            good = write(said, file, made.findings, lines, bad)
        click.echo(f"{good} rows annotated", err=True)
    if bad.count:
        click.echo(f"{bad.count} rows could not be read", err=True)
        click.get_current_context().exit(1)


class BadRows:
    """Names rows that cannot be read by their lines, the first of them, and counts all."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, row: BadRow) -> None:
        self.count += 1
        if self.count <= TOLD:
            click.echo(f"rg: line {row.line}: {row.why}", err=True)


def choose(model: Model, folder: Path, table: Path, columns: Columns, how: dict[str, Any]) -> None:
    """Choose thresholds, keep and show them."""
    from reportgen_core.annotation.findings import tune
    from reportgen_core.annotation.thresholds import save_thresholds

    found = tune(model, read_rows(table, columns, print_note), table.name, **how)
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


def judge(model: Model, folder: Path, table: Path, columns: Columns, how: dict[str, Any]) -> None:
    """Compare with labels; show the areas, keep them and their curves in the folder."""
    from reportgen_core.annotation.findings import evaluate

    from ..pages.roc import roc_picture

    found = evaluate(model, read_rows(table, columns, print_note), table.name, **how)
    folder.mkdir(parents=True, exist_ok=True)
    values = {"table": table.name, "studies": found.studies, "lines": [asdict(line) for line in found.lines]}
    write_json(folder / "findings.json", {"format": 1, **values}, sort=False)
    for kind in ("svg", "png"):
        atomic_write(folder / f"roc.{kind}", roc_picture(found, f"{table.name}, {found.studies} studies", kind))
    draw(("finding", "positives", "negatives", "AUC", "95 % interval"), [_area(c) for c in found.curves])
    for line in found.lines:
        if line.name.endswith("mean auc"):
            ends = "" if line.low is None else f" ({line.low:.3f}-{line.high:.3f})"
            click.echo(f"{line.name.removeprefix('findings ')}: {line.value:.3f}{ends}")
    for one in found.left_out:
        lacks = "positive" if not one.positives else "negative"
        click.echo(f"left out of the means: {one.name}, which no study has as a {lacks}")
    click.echo(str(folder / "roc.svg"), err=True)


def _area(one: Curve) -> tuple[str, ...]:
    ends = "–" if one.low is None or one.high is None else f"{one.low:.3f}-{one.high:.3f}"
    return one.name, str(one.positives), str(one.negatives), "–" if one.area is None else f"{one.area:.3f}", ends


def _thresholds(known: Thresholds | None, folder: Path) -> str:
    if known is None:
        return f"{folder} has no thresholds: 0.5 is taken; rg annotate TABLE --model {folder} --tune chooses them"
    return f"thresholds of {known.source or folder}, {known.studies} studies"


@contextmanager
def writing(out: Path | None) -> Iterator[IO[str]]:
    """Yield stdout, or a file that is written whole or not at all."""
    if out is None:
        yield sys.stdout
        return
    with atomic_file(out) as file:
        yield file


def write(
    said: Iterable[Annotated | BadRow], file: IO[str], findings: tuple[str, ...], lines: bool, told: OnBadRow
) -> int:
    """Write row after row; how many. Those that cannot be read are told."""
    from reportgen_core.annotation.findings import BadRow

    cells = csv.writer(file, lineterminator="\n")
    if not lines:
        cells.writerow(("id", *findings, "labels", "note"))
    good = 0
    for row in said:
        if isinstance(row, BadRow):
            told(row)
            continue
        good += 1
        if lines:
            file.write(json.dumps(_values(row), ensure_ascii=False) + "\n")
        else:
            cells.writerow((row.id, *(f"{p:.6f}" for p in row.findings.values()), "|".join(row.labels), row.note))
    return good


def _values(row: Annotated) -> dict[str, Any]:
    findings = {name: round(p, 6) for name, p in row.findings.items()}
    values: dict[str, Any] = {"id": row.id, "findings": findings, "labels": row.labels, "note": row.note}
    if row.words:
        values["words"] = [[word, round(look, 5)] for word, look in row.words]
    return values
