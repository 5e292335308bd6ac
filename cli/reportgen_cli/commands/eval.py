"""`rg eval`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reportgen_cli.option_values import parse_options
from reportgen_core import Collection, DataError, GenerationSettings, OptionError
from reportgen_core.files.reports import read_text_file

from ..dataset_input import PLACE as PLACE_OF_DATA
from ..dataset_input import read_dataset
from ..options import FOLDER, completes, device_option, print_note, values
from ..render import print_tables

if TYPE_CHECKING:
    from reportgen_core.scoring.evaluation import Evaluation

PLACE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("eval")
@click.option("--model", metavar="NAME|DIR", help="Let this model write the reports of a dataset.")
@click.option("--data", metavar="NAME", shell_complete=completes("datasets"), help="References from a dataset.")
@click.option("--data-root", type=click.Path(path_type=Path), help=PLACE_OF_DATA)
@values("--data-option", "data_options", "Of the dataset; rg info NAME lists them.")
@click.option("--predictions", type=PLACE, help="CSV, JSONL, ReXrank's, R2Gen's or COCO's JSON, or lines (.txt).")
@click.option("--references", type=PLACE, help="References, in the same formats; may be the same file.")
@click.option("--training", type=PLACE, help="Training reports: for baselines, seen references, and protocols.")
@click.option("--validation", type=PLACE, help="Validation reports: the constant baseline is chosen on them.")
@click.option("--split", default="", help="The studies to score; with --data or --model, test unless said.")
@click.option("--section", "sections", multiple=True, help="Of the references; may be given again, in order.")
@click.option("--protocol", metavar="NAME", shell_complete=completes("protocols"), help="How texts become words.")
@values("--protocol-option", "protocol_options", "Of the protocol.")
@click.option("--metrics", metavar="A,B,...", help="Instead of bleu,meteor,rouge-l,cider,chexpert-rules.")
@values("--metric-option", "metric_options", "Of a metric, as METRIC.K=V.")
@click.option("--baselines/--no-baselines", default=True, show_default=True, help="Score what needs no image, too.")
@click.option("--features", type=PLACE, help="Image features for the nearest-image baseline: a .npz, an array an id.")
@click.option("--nearest-image", is_flag=True, help="With --model: take the features of its own encoder.")
@click.option("--partial", is_flag=True, help="Score what is there when predictions are missing, and mark it.")
@click.option("--resamples", default=1000, show_default=True, type=click.IntRange(0, 10**6), help="0: no intervals.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--name", default="", help="What the reports are called in tables.")
@click.option("--out", type=FOLDER, help="Write scores, tables, statistics and report.html here.")
@click.option("--images", type=FOLDER, help="Show the images that the files name, from this folder.")
@click.option("--format", "shape", type=click.Choice(["table", "json", "csv", "markdown", "latex"]), default="table")
@click.option("--beams", default=1, show_default=True, type=click.IntRange(1, 100), help="With --model.")
@click.option("--n-best", default=1, show_default=True, type=click.IntRange(1, 100), help="With --model.")
@click.option("--distinct", is_flag=True, help="With --model: leave out a sentence that the report has already.")
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(1, 4096), help="With --model.")
@device_option()
def eval_command(**asked: Any) -> None:
    """Score a model, or a file of reports, beside what a constant sentence scores.

    \b
    Example: rg eval --model runs/best --data iu-xray --data-root NLMCXR --data-option protocol=r2gen
    Example: rg eval --predictions reports.jsonl --references references.csv --protocol raw

    Without --protocol texts are cut as pycocoevalcap cuts them (coco), or where Java cannot run by white space (raw).
    Scores that cannot be computed here are named with the reason, and the others are printed.
    """
    found = evaluation(asked)
    show(found, asked["shape"])
    if asked["out"]:
        from reportgen_core.files.atomic import atomic_write
        from reportgen_core.scoring.evaluation_folder import save_evaluation

        from ..pages.evaluation_page import page

        save_evaluation(found, asked["out"])
        atomic_write(asked["out"] / "report.html", page(found, asked["images"]))
        for metric, points in found.curves.items():
            from ..pages.reliability import reliability_svg

            atomic_write(asked["out"] / f"reliability-{metric}.svg", reliability_svg(metric, points))
        click.echo(f"{asked['out'] / 'report.html'}", err=True)


def evaluation(asked: Mapping[str, Any]) -> Evaluation:
    """What was asked for, through `reportgen_core.evaluate`."""
    if bool(asked["model"]) == bool(asked["predictions"]):
        raise OptionError("eval needs --model or --predictions, and not both")
    how = {
        "protocol": (asked["protocol"], parse_options(asked["protocol_options"])) if asked["protocol"] else None,
        "metrics": metrics(asked["metrics"], asked["metric_options"]),
        "sections": asked["sections"],
        "baselines": asked["baselines"],
        "partial": asked["partial"],
        "resamples": asked["resamples"],
        "seed": asked["seed"],
    }
    if asked["data"]:
        return _on_dataset(asked, how)
    if asked["model"]:
        raise OptionError("--model needs --data and --data-root: the studies it is to report on")
    return _on_files(asked, how)


def metrics(names: str | None, options: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
    """The metrics with their options."""
    from reportgen_core.scoring.evaluation import METRICS

    chosen = [n.strip() for n in names.split(",") if n.strip()] if names else list(METRICS)
    wished: dict[str, list[str]] = {}
    for option in options:
        metric, dot, rest = option.partition(".")
        if not dot or metric not in chosen:
            raise OptionError(f"--metric-option {option!r} is not METRIC.K=V with one of {', '.join(chosen)}")
        wished.setdefault(metric, []).append(rest)
    return [(n, parse_options(wished.get(n, ()))) for n in dict.fromkeys(chosen)]


def _on_dataset(asked: Mapping[str, Any], how: dict[str, Any]) -> Evaluation:
    from reportgen_core import evaluate

    split = asked["split"] or "test"
    collection = read_dataset(asked["data"], asked["data_root"], parse_options(asked["data_options"]))
    how |= {"dataset": asked["data"], "split": split}
    if asked["predictions"]:
        from reportgen_core.scoring.evaluation_set import SECTIONS, background_of

        sections = asked["sections"] or SECTIONS
        predictions = read_text_file(asked["predictions"], "prediction", on_note=print_note).texts
        background = background_of(collection, collection.split(split), sections)
        how |= {"sections": sections, "background": replace(background, features=_features(asked["features"]))}
        return evaluate(predictions, collection, name=asked["name"] or asked["predictions"].stem, **how)
    return _with_model(asked, how, collection, split)


def _with_model(asked: Mapping[str, Any], how: dict[str, Any], collection: Collection, split: str) -> Evaluation:
    from reportgen_core import evaluate
    from reportgen_core.scoring.evaluation_set import background_of

    from .report import ready

    model = ready(asked["model"], asked["device"], "auto")
    sections = asked["sections"] or model.text.sections
    background = background_of(collection, collection.split(split), sections)
    features = _features(asked["features"])
    if asked["nearest_image"]:
        studies = (*collection.split("train"), *collection.split(split))
        features = model.pooled_features(studies, batch_size=asked["batch_size"])
    beams = max(asked["beams"], asked["n_best"])
    settings = GenerationSettings(beams, asked["n_best"], attention=False, distinct=asked["distinct"])
    how |= {"sections": sections, "background": replace(background, features=features)}
    how |= {"name": asked["name"] or Path(asked["model"]).name, "settings": settings}
    return evaluate(model, collection, batch_size=asked["batch_size"], **how)


def _on_files(asked: Mapping[str, Any], how: dict[str, Any]) -> Evaluation:
    from reportgen_core import evaluate
    from reportgen_core.scoring.baselines import BaselineData

    sections, split = asked["sections"], asked["split"]
    predictions = read_text_file(asked["predictions"], "prediction", split=split, on_note=print_note)
    source = asked["references"] or asked["predictions"]
    try:
        references = read_text_file(source, "reference", sections=sections, split=split, on_note=print_note)
    except DataError as e:
        hint = "" if asked["references"] else "; --references names their file"
        raise DataError(f"{e}{hint}") from e
    if not asked["references"] and references.texts == predictions.texts:  # one field was read for both sides
        raise DataError(
            f"{source} holds one text a study, the predictions; --references names the file to compare with"
        )

    def other(option: str) -> dict[str, str]:
        if asked[option] is None:
            return {}
        split = SPLIT_OF[option]
        file = read_text_file(asked[option], "reference", sections=sections, split=split, on_note=print_note)
        return {id: t[0] for id, t in file.texts.items()}

    background = BaselineData(other("training"), other("validation"), features=_features(asked["features"]))
    images = {**references.images, **predictions.images} if asked["images"] else {}
    name = asked["name"] or asked["predictions"].stem
    return evaluate(
        predictions.texts, references.texts, background=background, images=images, name=name, split=split, **how
    )


SPLIT_OF = {"training": "train", "validation": "val"}


def _features(path: Path | None) -> dict[str, Any]:
    """Image features by study."""
    if path is None:
        return {}
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {id: arrays[id].reshape(-1) for id in arrays.files}
    except (OSError, ValueError) as e:
        raise DataError(f"{path}: no .npz of plain arrays by study id: {e}") from e


def show(found: Evaluation, shape: str) -> None:
    """Print the evaluation."""
    from reportgen_core.scoring import score_tables as tables

    others = {
        "json": lambda: tables.as_json(found.to_json()),
        "csv": lambda: tables.as_csv(found.card, found.systems),
    }
    print_tables(tables.tables(found), shape, others)
    if shape in ("json", "csv"):
        for metric, why in found.problems.items():
            click.echo(f"rg: no {metric}: {why}", err=True)
        for note in found.notes:
            click.echo(f"rg: {note}", err=True)
