"""The functions of `reportgen`: those of `reportgen_core`, with what a first guess leaves out filled in."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reportgen_cli.commands.report import default_model

from reportgen_core import DataError, TrainSettings

from .sources import studies
from .texts import keyed, paired

if TYPE_CHECKING:
    from reportgen_core import Model, Reporter
    from reportgen_core.scoring import Evaluation
    from reportgen_core.scoring.abilities.metrics import ReportAudit


def load(name_or_folder: str | Path | None = None) -> Reporter:
    """Load a trained model: a folder, a name of the zoo, or without either the model that ships inside.

    `rg zoo list` prints the names. Raises UnknownName, or CheckpointError that names the file that is wrong.

    Example: reportgen.load("run/best")
    """
    from reportgen_core import load as load_model

    return load_model(name_or_folder if name_or_folder is not None else default_model())


def compose(encoder: str, decoder: str | None = None, **options: Any) -> Model:
    """Build a new model of an encoder and a decoder, or a retriever, by name. It has random weights until trained.

    `options` are those of `reportgen_core.compose`: `encoder_options={"pretrained": True}`, `decoder_options`, `text`,
    `seed` and more. Raises UnknownName with the nearest names, OptionError, CompositionError.

    Example: reportgen.compose("densenet121", "hier-lstm")
    """
    from reportgen_core import compose as build

    return build(encoder, decoder, **options)


def save(model: Model, folder: str | Path) -> Path:
    """Write a model as a folder and return it; an older model there is replaced. Raises CheckpointError.

    Example: reportgen.save(model, "my-model")
    """
    from reportgen_core import save as write

    return write(model, folder)


def sample_image() -> Path:
    """Return the file of a real chest radiograph that ships inside (Hannover Medical School, CC BY 3.0).

    Example: reportgen.load().report(reportgen.sample_image())
    """
    from reportgen_zoo.demo import image

    return image()


def train(
    model: Model | str | Path,
    data: Any,
    val: Any = None,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    settings: TrainSettings | None = None,
    **more: Any,
) -> Model:
    """Train a model and return the best one, which is also in OUT/best.

    `data` is anything that `reportgen.studies` takes. Its studies of split "train" are learned from and those of split
    "val" choose the best epoch; without splits all are learned from, and `val` may give others. `more` are the settings
    of `TrainSettings`, and replace those of `settings`: epochs, batch_size, lr and others. Without `out` the run is in
    the new folder ENCODER-DECODER-run.
    `resume` continues the run in `out`. `progress` prints on stderr where the run is, and a line for each epoch. Raises
    DataError, OptionError, CheckpointError.

    Example: reportgen.train(model, studies, epochs=2)
    """
    from reportgen_cli.render import TrainingProgress

    from reportgen_core import train as learn
    from reportgen_core.models.loading import load_model

    collection = studies(data)
    held_out = collection.split("val") if val is None else studies(val).studies
    learned = collection.split("train") or tuple(s for s in collection.studies if not s.split)
    if not learned:
        splits = ", ".join(sorted({s.split for s in collection.studies})) or "no studies at all"
        raise DataError(
            f"the data have no studies to learn from: a split 'train' or none is wanted; there are: {splits}"
        )
    start = load_model(model) if isinstance(model, str | Path) else model
    chosen = TrainSettings.of({**(asdict(settings) if settings is not None else {}), **more})
    folder = Path(out) if out is not None else _free_folder(start)
    with ExitStack() as stack:
        watch = stack.enter_context(TrainingProgress(progress, "reportgen.train"))
        watch.note(f"{len(learned)} studies to learn from, {len(held_out)} held back, run in {folder}")
        return learn(start, learned, held_out, out=folder, settings=chosen, resume=resume, watch=watch)


def _free_folder(model: Model) -> Path:
    """Return a new folder for a run of this model: ENCODER-DECODER-run, with a number if it is taken."""
    names = [part.part_config["name"] for part in (model.encoder, model.head)]
    stem = "-".join(names).replace("/", "-") + "-run"
    numbers = ("", *(f"-{i}" for i in range(2, 10_000)))
    return next(path for i in numbers if not (path := Path(stem + i)).exists())


def evaluate(predictions: Any, references: Any = None, **options: Any) -> Evaluation:
    """Score reports against references, with intervals and the scores of reports that see no image.

    `predictions` is a model, a list of reports of a model, texts by study id, or a list of texts in the order of the
    references. `references` is anything that `reportgen.studies` takes, texts by study id, or a list of texts. A table
    or a Series of pandas is taken for either, and so is the path of a table; a table with both columns, prediction and
    reference, needs no `references`. Ids may be numbers. `options` are those of `reportgen_core.evaluate`:
    metrics=["bleu"], split="test", protocol, resamples and more. Raises DataError for predictions that do not fit the
    references.

    Example: reportgen.evaluate(["heart normal"], ["the heart is normal"], metrics=["bleu"]).scores
    """
    from reportgen_core import evaluate as score

    return score(*paired(predictions, references, str(options.get("split") or "")), **keyed(options))


def audit(reference: str, prediction: str, **options: Any) -> ReportAudit:
    """Name the differences between a report and its reference, with the words of both; a notebook draws them.

    `options` are those of the metric errors: `significant`, `minor`, `phrases`. Raises OptionError.

    Example: reportgen.audit("Small left effusion.", "Small right effusion.").kinds
    """
    from reportgen_core.registries import metrics
    from reportgen_core.scoring.abilities.metrics import AuditsReports

    metric = metrics.create("errors", **options)
    assert isinstance(metric, AuditsReports)
    return metric.audit(prediction, [reference])
