"""Run `rg eval`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reportgen_cli.option_values import parse_options
from reportgen_core import Collection, GenerationSettings, OptionError, Report, Study
from reportgen_core.files.reports import read_text_file

from ..audits.option import audit_option, with_audit, write_audit
from ..dataset_input import ROOT_HELP, dataset_root, meant_dataset, read_dataset
from ..options import (
    FOLDER,
    completes,
    device_option,
    meant_part,
    part,
    print_note,
    raw_cells_option,
    send_images_option,
    values,
)
from ..pages.shared.origin import Origin, model_origin, today
from ..registry_names import check_model_name
from ..render import print_tables
from ..terminal.echo import say
from ..terminal.progress import Heartbeat
from .scores.from_files import evaluate_files, image_features, named_columns

if TYPE_CHECKING:
    from reportgen_core import Model, Reporter
    from reportgen_core.scoring.evaluation import Evaluation
    from reportgen_core.scoring.evaluation_set import EvaluationRequest

EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalOptions:
    """The options of `rg eval`. Raises OptionError for options that exclude or need each other."""

    models: tuple[str, ...]
    data: str | None
    data_root: Path | None
    data_options: tuple[str, ...]
    predictions: Path | None
    references: Path | None
    training: Path | None
    validation: Path | None
    split: str
    by: tuple[str, ...]
    columns: tuple[str, ...]
    sections: tuple[str, ...]
    protocol: str | None
    protocol_options: tuple[str, ...]
    metric_names: str | None
    metric_options: tuple[str, ...]
    audit: bool
    baselines: bool
    features: Path | None
    nearest_image: bool
    partial: bool
    resamples: int
    seed: int
    name: str
    out: Path | None
    images: Path | None
    output: str
    raw_cells: bool
    beams: int
    n_best: int
    distinct: bool
    batch_size: int
    device: str
    send_images: bool
    send_reports: bool
    expensive_baselines: bool

    @property
    def model(self) -> str | None:
        """The first of the models, whose reports are the first row; None without one."""
        return self.models[0] if self.models else None

    def __post_init__(self) -> None:
        if bool(self.model) == bool(self.predictions):
            raise OptionError("eval needs --model or --predictions, and not both")
        if self.model and not self.data:
            raise OptionError("--model needs --data and --data-root: the studies it is to report on")

    def request(self) -> EvaluationRequest:
        """Return what is requested, as far as no file has to be read for it."""
        from reportgen_core.scoring.evaluation_set import EvaluationRequest

        source = self.model or self.predictions
        return EvaluationRequest(
            protocol=(self.protocol, parse_options(self.protocol_options)) if self.protocol else None,
            metrics=metrics(with_audit(self.metric_names, self.audit), self.metric_options),
            sections=self.sections,
            dataset=self.data or "",
            split=self.split or ("test" if self.data else ""),
            by=self.by,
            baselines=self.baselines,
            partial=self.partial,
            resamples=self.resamples,
            seed=self.seed,
            name=self.name or (Path(source).name if self.model else Path(source).stem) if source else "",
            settings=self.generation() if self.model else None,
            batch_size=self.batch_size,
            expensive_baselines=self.expensive_baselines,
            send_reports=self.send_reports,
        )

    def generation(self) -> GenerationSettings:
        """Return how the model is to generate reports."""
        beams = max(self.beams, self.n_best)
        return GenerationSettings(beams, self.n_best, attention=False, distinct=self.distinct)


@click.command("eval")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME|DIR",
    help="Let this model write the reports of a dataset; a further one is a further row.",
)
@click.option("--data", metavar="NAME", shell_complete=completes("datasets"), help="References from a dataset.")
@click.option("--data-root", type=click.Path(path_type=Path), help=ROOT_HELP)
@values("--data-option", "data_options", "Of the dataset; rg info NAME lists them.")
@click.option(
    "--predictions", type=EXISTING_FILE, help="CSV, JSONL, ReXrank's, R2Gen's or COCO's JSON, or lines (.txt)."
)
@click.option("--references", type=EXISTING_FILE, help="References, in the same formats; may be the same file.")
@click.option("--training", type=EXISTING_FILE, help="Training reports: for baselines, seen references, and protocols.")
@click.option("--validation", type=EXISTING_FILE, help="Validation reports: the constant baseline is chosen on them.")
@click.option("--split", default="", help="The studies to score; with --data or --model, test unless said.")
@click.option(
    "--by", multiple=True, metavar="COLUMN", help="Subgroups: sex, age, view, any column; may be given again."
)
@click.option(
    "--column", "columns", multiple=True, metavar="PART=NAME",
    help="The column of a part in the files: prediction, reference, id or patient; may be given again.",
)  # fmt: skip
@click.option("--section", "sections", multiple=True, help="Of the references; may be given again, in order.")
@part("--protocol", "protocols", "How texts become words.")
@values("--protocol-option", "protocol_options", "Of the protocol.")
@click.option(
    "--metrics", "metric_names", metavar="A,B,...", help="Instead of bleu,meteor,rouge-l,cider,chexpert-rules."
)
@values("--metric-option", "metric_options", "Of a metric, as METRIC.K=V.")
@audit_option()
@click.option("--baselines/--no-baselines", default=True, show_default=True, help="Score what needs no image, too.")
@click.option(
    "--features", type=EXISTING_FILE, help="Image features for the nearest-image baseline: a .npz, an array an id."
)
@click.option("--nearest-image", is_flag=True, help="With --model: take the features of its own encoder.")
@click.option("--partial", is_flag=True, help="Score what is there when predictions are missing, and mark it.")
@click.option("--resamples", default=1000, show_default=True, type=click.IntRange(0, 10**6), help="0: no intervals.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--name", default="", help="What the reports are called in tables.")
@click.option("--out", type=FOLDER, help="Write scores, tables, statistics and report.html here.")
@click.option("--images", type=FOLDER, help="Show the images that the files name, from this folder.")
@click.option("--format", "output", type=click.Choice(["table", "json", "csv", "markdown", "latex"]), default="table")
@raw_cells_option()
@click.option("--beams", default=1, show_default=True, type=click.IntRange(1, 100), help="With --model.")
@click.option("--n-best", default=1, show_default=True, type=click.IntRange(1, 100), help="With --model.")
@click.option("--distinct", is_flag=True, help="With --model: leave out a sentence that the report has already.")
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(1, 4096), help="With --model.")
@device_option()
@send_images_option()
@click.option(
    "--send-reports", is_flag=True, help="Allow metrics that ask an address elsewhere to be sent the reports."
)
@click.option("--expensive-baselines", is_flag=True, help="Run metrics that cost money on the baselines, too.")
def eval_command(**options: Any) -> None:
    """Score a model, or a file of reports, and compare it with a constant report.

    \b
    Example: rg eval --model runs/best --data iu-xray --data-root NLMCXR --data-option protocol=r2gen
    Example: rg eval --predictions reports.jsonl --references references.csv --protocol raw

    Without --protocol texts are cut as pycocoevalcap cuts them (coco), or where Java cannot run by white space (raw).
    A metric that fails is named with the reason, and the others are printed; the exit code is then 1.
    """
    given = EvalOptions(**options)
    with Heartbeat("eval") as heartbeat:
        evaluation = evaluate_given(given, heartbeat)
    show(evaluation, given.output, given.raw_cells)
    origin = model_origin(given.model) if given.model and given.out else Origin(date=today())
    if given.out:
        write_folder(evaluation, given.out, given.images, origin=origin, raw_cells=given.raw_cells)
        say(f"{given.out / 'report.html'}", err=True)
    if given.audit:
        write_audit(evaluation, given.out, origin)
    if evaluation.problems:
        click.get_current_context().exit(1)


def write_folder(
    evaluation: Evaluation, out: Path, images: Path | None, *, origin: Origin, raw_cells: bool = False
) -> None:
    """Write scores, tables, statistics and pages to the folder `out`. The page shows images of the folder `images`."""
    from reportgen_core.scoring.evaluation_folder import save_evaluation

    from ..pages.evaluation_page import write_page

    model = {"name": origin.model, "sha256": origin.digest} if origin.model else {}
    save_evaluation(evaluation, out, model=model, raw_cells=raw_cells)
    write_page(evaluation, out, images, origin)


def metrics(names: str | None, options: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
    """Return the metrics with their options. Raises OptionError for an option of another metric."""
    from reportgen_core.scoring.evaluation_set import METRICS

    chosen = [meant_part("metrics", n.strip()) for n in names.split(",") if n.strip()] if names else list(METRICS)
    of_metric: dict[str, list[str]] = {}
    for option in options:
        metric, dot, rest = option.partition(".")
        if not dot or metric not in chosen:
            raise OptionError(f"--metric-option {option!r} is not METRIC.K=V with one of {', '.join(chosen)}")
        of_metric.setdefault(metric, []).append(rest)
    return [(n, parse_options(of_metric.get(n, ()))) for n in dict.fromkeys(chosen)]


def evaluate_given(given: EvalOptions, heartbeat: Heartbeat) -> Evaluation:
    """Score what the options name: files, or a model or a file on a dataset."""
    heartbeat.say("reading the studies")
    request = given.request()
    if given.data is None:
        return evaluate_files(given, request, heartbeat)
    from reportgen_core.scoring.subgroups.values import column_names

    dataset_root(*meant_dataset(given.data, given.data_root))
    for name in given.models:  # before the dataset is read, whose files may be many
        check_model_name(name)
    columns = [column for name in given.by for column in column_names(name)]
    collection = read_dataset(given.data, given.data_root, parse_options(given.data_options), columns=columns)
    if given.model:
        return _with_model(given, given.model, request, collection, heartbeat)
    heartbeat.say("scoring")
    return _on_dataset(given, request, collection)


def _on_dataset(given: EvalOptions, request: EvaluationRequest, collection: Collection) -> Evaluation:
    from reportgen_core import evaluate
    from reportgen_core.scoring.evaluation_set import SECTIONS, background_of

    assert given.predictions is not None
    sections = request.sections or SECTIONS
    named = named_columns(given.columns)
    predictions = read_text_file(given.predictions, "prediction", named=named, on_note=print_note).texts
    background = background_of(collection, collection.split(request.split), sections)
    background = replace(background, features=image_features(given.features))
    return evaluate(predictions, collection, replace(request, sections=sections, background=background))


class _Counted:
    """A model whose reports are counted while it writes them; in all else it is the model."""

    def __init__(self, model: Reporter, heartbeat: Heartbeat) -> None:
        self._model, self._heartbeat = model, heartbeat

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def report_studies(self, studies: Sequence[Study], *arguments: Any, **options: Any) -> list[Report]:
        """Return a report for each study, in order. Set the state to scoring after the last one."""
        reports = self._model.stream_reports(studies, *arguments, **options)
        written = list(self._heartbeat.count(reports, "reports", len(studies)))
        self._heartbeat.say("scoring")
        return written


def _with_model(
    given: EvalOptions, name: str, request: EvaluationRequest, collection: Collection, heartbeat: Heartbeat
) -> Evaluation:
    from reportgen_core import evaluate
    from reportgen_core.scoring.evaluation_set import background_of

    from .report import load_model

    heartbeat.say("reading the model")
    models = {name: load_model(name, given.device, "auto", given.send_images) for name in dict.fromkeys(given.models)}
    model = models[name]
    sections = request.sections or model.sections
    background = background_of(collection, collection.split(request.split), sections)
    features = image_features(given.features)
    if given.nearest_image:
        studies = (*collection.split("train"), *collection.split(request.split))
        heartbeat.say("reading image features")
        features = _with_encoder(models).pooled_features(studies, batch_size=given.batch_size)
    background = replace(background, features=features)
    others = {_row(other, models): _Counted(models[other], heartbeat) for other in models if other != name}
    request = replace(request, sections=sections, background=background, others=others)
    return evaluate(_Counted(model, heartbeat), collection, request)


def _row(name: str, models: Mapping[str, Reporter]) -> str:
    """Return what tables call a model: the last part of its path, or all of it if two models share that."""
    last = Path(name).name
    return last if sum(Path(other).name == last for other in models) == 1 else name


def _with_encoder(models: Mapping[str, Reporter]) -> Model:
    """Return the first model with an encoder. Raises OptionError if none has one."""
    from reportgen_core import Model

    for model in models.values():
        if isinstance(model, Model):
            return model
    raise OptionError(
        "--nearest-image takes the features of a model's encoder, and no --model here has one; --features"
    )


def show(evaluation: Evaluation, output: str, raw_cells: bool = False) -> None:
    """Print the evaluation in the format `output`."""
    from reportgen_core.scoring import score_tables as tables
    from reportgen_core.scoring.studies.failed import failure_lines

    others = {
        "json": lambda: tables.as_json(evaluation.to_json()),
        "csv": lambda: tables.evaluation_csv(evaluation, raw_cells=raw_cells),
    }
    print_tables(tables.tables(evaluation), output, others)
    for metric, why in (*evaluation.problems.items(), *failure_lines(evaluation.failed)):
        say(f"rg: no {metric}: {why}", err=True)
    if output in ("json", "csv"):
        for note in evaluation.notes:
            say(f"rg: {note}", err=True)
