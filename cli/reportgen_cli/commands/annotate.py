"""Run `rg annotate`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from reportgen_core import OptionError
from reportgen_core.annotation.report_rows import Columns, read_report_rows
from reportgen_core.files.atomic import atomic_file, atomic_write
from reportgen_core.files.json_files import write_json
from reportgen_core.files.table_writer import CellWriter

from ..engines.options import EngineOptions, engine_options
from ..formats.values import annotation_values
from ..options import FOLDER, device_option, pick_device, print_note, raw_cells_option
from ..render import table as draw
from ..terminal.echo import data_stream, say
from ..terminal.progress import Heartbeat

if TYPE_CHECKING:
    from reportgen_core import Model
    from reportgen_core.annotation.findings import Annotated, AnnotationSettings, BadRow, OnBadRow
    from reportgen_core.annotation.roc import Curve, FindingCurves
    from reportgen_core.annotation.thresholds import Thresholds

MAX_BAD_ROWS_NAMED = 20  # the rest are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationRequest:
    """The options of `rg annotate`. Raises OptionError for options that exclude each other."""

    table: Path
    model: str
    out: Path | None
    as_json: bool
    raw_cells: bool
    text: str
    id: str
    image: str
    images: Path | None
    explain: bool
    tune: bool
    evaluate: Path | None
    labels: str
    split: str
    resamples: int
    batch_size: int
    workers: int
    precision: str
    device: str
    engine: EngineOptions

    def __post_init__(self) -> None:
        self._check_out()
        if self.explain and not self.json_lines and not self.engine.distributed:
            raise OptionError("--explain needs JSON lines: --json, or --out FILE.jsonl")
        if self.labels and not self.compares:
            raise OptionError("--labels says what --tune learns from or --evaluate compares with; neither is asked for")

    def _check_out(self) -> None:
        if self.engine.distributed:
            if self.compares:
                raise OptionError("--tune and --evaluate need all rows in one place; leave --engine ray")
            if self.out is None or self.out.suffix == ".csv":
                raise OptionError("--engine ray writes parts, as JSON lines or Parquet: --out DIR or --out DIR.parquet")
        elif self.out is not None and self.out.suffix not in (".csv", ".jsonl"):
            raise OptionError(f"--out {self.out}: labels are written as .csv or .jsonl")
        elif self.out is not None and self.out.is_dir():
            raise OptionError(f"--out {self.out} is a folder; name a file, or --engine ray for a folder of parts")

    @property
    def json_lines(self) -> bool:
        """Whether the output is JSON lines, not CSV."""
        return self.as_json if self.out is None else self.out.suffix == ".jsonl"

    @property
    def compares(self) -> bool:
        """Whether the labels of the table are needed."""
        return self.tune or self.evaluate is not None

    def columns(self, model: Model) -> Columns:
        """Return what is to be read of the table for this model."""
        return Columns(
            sections=model.text.sections, id=self.id, text=self.text, image=self.image, images=self.images,
            needs_image=model.encoder.image.views > 0, needs_text=bool(model.head.needs & {"words", "sentences"}),
            labels=model.findings if self.compares else (), label_list=self.labels, split=self.split,
        )  # fmt: skip

    def settings(self) -> AnnotationSettings:
        """Return how the model is to read the rows."""
        from reportgen_core.annotation.findings import AnnotationSettings

        return AnnotationSettings(batch_size=self.batch_size, precision=self.precision, workers=self.workers)


@click.command()
@click.argument("table", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--model", required=True, metavar="NAME|DIR", help="A model of the zoo or a folder, as tienet.")
@click.option("--out", type=click.Path(path_type=Path), help=".csv or .jsonl; without it, stdout. With ray DIR.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines instead of CSV on stdout.")
@raw_cells_option()
@click.option("--text", default="", metavar="COLUMN", help="The reports; else the model's sections, text or report.")
@click.option("--id", default="", metavar="COLUMN", help="Without it id, study, uid ...; else the line.")
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
    "--workers",
    default=0,
    show_default=True,
    type=click.IntRange(0, 4096),
    help="Processes that read images. With ray: workers; 0 is one a CPU, or a GPU.",
)
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), default="auto", show_default=True)
@device_option()
@engine_options
def annotate(**options: Any) -> None:
    """Label a table of reports, or of images with their reports: the probability of every finding, and the labels.

    TABLE is CSV, TSV or JSON lines of any size. A row that cannot be read is named on stderr by its line, the rest go
    on; the exit code is then 1.

    \b
    Example: rg annotate reports.csv --model runs/tienet-r/best --out labels.csv
    Example: rg annotate val.csv --model runs/tienet-r/best --tune
    Example: rg annotate test.csv --model runs/tienet-r/best --evaluate scores
    Example: rg annotate archive.jsonl --model runs/tienet-r/best --engine ray --out labels
    """
    engine = EngineOptions.take(options)
    request = AnnotationRequest(**options, engine=engine)
    from reportgen_core.annotation.findings import annotator
    from reportgen_core.models.loading import find_model_folder, load_model

    folder = find_model_folder(request.model)
    if engine.distributed:
        model = load_model(folder)
        annotator(model)
        if not annotate_by_engine(request, model, folder):
            click.get_current_context().exit(1)
        return
    model = load_model(folder).to(pick_device(request.device))
    annotator(model)
    bad_rows = BadRows()
    if request.tune:
        choose(request, model, folder, bad_rows)
    elif request.evaluate is not None:
        compare(request, model, request.evaluate, bad_rows)
    else:
        label(request, model, folder, bad_rows)
    if bad_rows.count:
        say(f"{bad_rows.count} rows could not be read", err=True)
        click.get_current_context().exit(1)


class BadRows:
    """Prints the first rows that cannot be read, with their lines, and counts all."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, row: BadRow) -> None:
        self.count += 1
        if self.count <= MAX_BAD_ROWS_NAMED:
            say(f"rg: line {row.line}: {row.why}", err=True)


def label(request: AnnotationRequest, model: Model, folder: Path, bad_rows: BadRows) -> None:
    """Write the findings of every row. The thresholds are those of the model's folder."""
    from reportgen_core.annotation.findings import annotate as findings_of
    from reportgen_core.annotation.thresholds import load_thresholds

    thresholds = load_thresholds(folder, model.findings)
    say(_threshold_note(thresholds, folder), err=True)
    rows = read_report_rows(request.table, request.columns(model), print_note)
    annotations = findings_of(model, rows, request.settings(), thresholds=thresholds, explain=request.explain)
    with writing(request.out) as file, Heartbeat("annotate", last=request.out is not None) as heartbeat:
        counted = heartbeat.count(annotations, "rows")
        count = write_annotations(counted, file, model.findings, request, bad_rows)
    say(f"{count} rows annotated", err=True)


def annotate_by_engine(request: AnnotationRequest, model: Model, folder: Path) -> bool:
    """Write the findings of every row by an engine. Return False if a row could not be read or a part is missing."""
    from reportgen_core.annotation.findings import WINDOW
    from reportgen_core.annotation.thresholds import load_thresholds
    from reportgen_core.files.cells import split_name
    from reportgen_core.files.digests import sha256_folder
    from reportgen_core.files.tables import row_split

    from ..engines.jobs.annotate import EXPLAINED, SCHEMA, AnnotateJob
    from ..engines.ray_engine import RayEngine
    from ..engines.run import Run, print_totals, run_blocks

    assert request.out is not None
    columns = request.columns(model)
    next(iter(read_report_rows(request.table, columns, print_note)), None)  # a fault of its header is reported now
    columns = replace(columns, images=(request.images or request.table.parent).resolve())
    say(_threshold_note(load_thresholds(folder, model.findings), folder), err=True)
    settings = {"batch_size": request.batch_size, "precision": request.precision, "explain": request.explain}
    run = Run(
        command="annotate", table=request.table, out=request.out, rows=WINDOW, model=sha256_folder(folder),
        options={**asdict(columns), "images": str(columns.images), **settings},
        keep=(lambda cells: row_split(cells) == split_name(request.split)) if request.split else None,
        resume=request.engine.resume, disk_limit=request.engine.disk_limit,
        schema=EXPLAINED if request.explain else SCHEMA,
    )  # fmt: skip
    totals = run_blocks(
        run,
        lambda source: AnnotateJob(
            source, folder.resolve(), columns, request.batch_size, request.precision, request.device, request.explain
        ),
        RayEngine(request.engine, request.workers, request.out),
    )
    print_totals(run, totals)
    return totals.good


def choose(request: AnnotationRequest, model: Model, folder: Path, bad_rows: BadRows) -> None:
    """Choose thresholds by the labels of the table, save them with the model, and print them."""
    from reportgen_core.annotation.findings import tune
    from reportgen_core.annotation.thresholds import save_thresholds

    rows = read_report_rows(request.table, request.columns(model), print_note)
    with Heartbeat("annotate") as heartbeat:
        counted = heartbeat.count(rows, "rows")
        thresholds = tune(model, counted, request.table.name, request.settings(), on_bad_row=bad_rows)
    path = save_thresholds(folder, thresholds)
    cells = []
    for name, count in thresholds.positives.items():
        chosen = name in thresholds.values
        numbers = (f"{thresholds.of(name):.3f}", f"{thresholds.f1[name]:.3f}") if chosen else ("–", "–")
        cells.append((name, str(count), *numbers))
    draw(("finding", "positives", "threshold", "F1 here"), cells)
    say(f"{path}, chosen on {thresholds.studies} studies", err=True)


def compare(request: AnnotationRequest, model: Model, folder: Path, bad_rows: BadRows) -> None:
    """Compare findings with the labels of the table. Print the areas, and write them and their curves to `folder`."""
    from reportgen_core.annotation.findings import evaluate_findings

    from ..pages.roc import roc_picture
    from ..pages.shared.origin import model_origin

    table = request.table
    with Heartbeat("annotate") as heartbeat:
        rows = heartbeat.count(read_report_rows(table, request.columns(model), print_note), "rows")
        scores = evaluate_findings(
            model, rows, table.name, request.settings(), resamples=request.resamples, on_bad_row=bad_rows
        )
    folder.mkdir(parents=True, exist_ok=True)
    values = {"table": table.name, "studies": scores.studies, "lines": [asdict(line) for line in scores.lines]}
    write_json(folder / "findings.json", {"format": 1, **values}, sort=False)
    for kind in ("svg", "png"):
        title = f"{table.name}, {scores.studies} studies"
        atomic_write(folder / f"roc.{kind}", roc_picture(scores, title, kind, origin=model_origin(request.model)))
    _print_scores(scores)
    say(str(folder / "roc.svg"), err=True)


def _print_scores(scores: FindingCurves) -> None:
    draw(("finding", "positives", "negatives", "AUC", "95 % interval"), [_area(c) for c in scores.curves])
    for line in scores.lines:
        if line.name.endswith("mean auc"):
            ends = "" if line.low is None else f" ({line.low:.3f}-{line.high:.3f})"
            say(f"{line.name.removeprefix('findings ')}: {line.value:.3f}{ends}")
    for curve in scores.left_out:
        lacks = "positive" if not curve.positives else "negative"
        say(f"left out of the means: {curve.name}, which no study has as a {lacks}")


def _area(curve: Curve) -> tuple[str, ...]:
    ends = "–" if curve.low is None or curve.high is None else f"{curve.low:.3f}-{curve.high:.3f}"
    area = "–" if curve.area is None else f"{curve.area:.3f}"
    return curve.name, str(curve.positives), str(curve.negatives), area, ends


def _threshold_note(thresholds: Thresholds | None, folder: Path) -> str:
    if thresholds is None:
        return f"{folder} has no thresholds: 0.5 is taken; rg annotate TABLE --model {folder} --tune chooses them"
    return f"thresholds of {thresholds.source or folder}, {thresholds.studies} studies"


@contextmanager
def writing(out: Path | None) -> Iterator[IO[str]]:
    """Yield stdout, or a file that is written whole or not at all."""
    if out is None:
        yield data_stream()
        return
    with atomic_file(out) as file:
        yield file


def write_annotations(
    annotations: Iterable[Annotated | BadRow],
    file: IO[str],
    findings: tuple[str, ...],
    request: AnnotationRequest,
    on_bad_row: OnBadRow,
) -> int:
    """Write the annotations as CSV or JSON lines and return their number. Call `on_bad_row` for rows without one."""
    from reportgen_core.annotation.findings import BadRow

    cells = CellWriter(file, raw_cells=request.raw_cells)
    if not request.json_lines:
        cells.write(("id", *findings, "labels", "note"))
    count = 0
    for row in annotations:
        if isinstance(row, BadRow):
            on_bad_row(row)
            continue
        count += 1
        if request.json_lines:
            file.write(json.dumps(annotation_values(row), ensure_ascii=False) + "\n")
        else:
            cells.write((row.id, *(f"{p:.6f}" for p in row.findings.values()), "|".join(row.labels), row.note))
    return count
