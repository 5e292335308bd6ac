"""Run `rg train`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reportgen_cli.option_values import parse_options
from reportgen_core import Collection, DataError, OptionError, Study
from reportgen_core.files.json_files import read_json
from reportgen_core.registries import datasets, encoders
from reportgen_core.text.spec import cut_note
from reportgen_core.training.lock import is_main_process, lock_run
from reportgen_core.training.settings import TrainSettings

from ..dataset_input import ROOT_HELP, meant_dataset, read_dataset, studies_of_split
from ..options import FOLDER, completes, part, values
from ..render import TrainingProgress
from ..terminal.echo import say
from .compose import compose_arguments

if TYPE_CHECKING:
    from reportgen_core import Model

LABELS = "Where finding labels come from: data, mesh (Open-i's headings), or a metric that labels reports."


class TrainCommand(click.Command):
    """A command whose help ends with every setting, its default and its meaning. A setting is an option, too."""

    def setting_of(self, flag: str) -> str:
        """Return the setting that an option names, as --lr or --batch-size; "" if it names none."""
        name = flag.removeprefix("--").replace("-", "_").lower()
        return name if flag.startswith("--") and name in {f.name for f in fields(TrainSettings)} else ""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Settings"):
            defaults = TrainSettings()
            rows = [
                (f"{f.name}={json.dumps(getattr(defaults, f.name))}", f.metadata["meaning"]) for f in fields(defaults)
            ]
            formatter.write_dl(rows)


@click.command(cls=TrainCommand)
@click.argument("model", required=False)
@part("--preset", "presets", "Train a published system by its own settings; without MODEL it is composed first.")
@part("--encoder", "encoders", "Compose a new model of this encoder, in place of MODEL.")
@part("--decoder", "decoders", "Of the new model.")
@values("--encoder-option", "encoder_options", "Of the new model's encoder.")
@values("--decoder-option", "decoder_options", "Of the new model's decoder.")
@click.option(
    "--data", required=True, metavar="NAME", shell_complete=completes("datasets"), help="See rg list datasets."
)
@click.option("--data-root", type=click.Path(path_type=Path), help=ROOT_HELP)
@values("--data-option", "data_options", "Of the dataset; rg info NAME lists them.")
@click.option("--labels", "source", default="data", metavar="SOURCE", show_default=True, help=LABELS)
@values("--label-option", "label_options", "Of the metric that --labels names.")
@click.option("--train-split", default="train", show_default=True, help="The studies to learn from.")
@click.option("--val-split", default="val", show_default=True, help="The studies that pick the best epoch.")
@click.option("--limit", type=click.IntRange(1), help="At most so many studies of each split, the first ones.")
@values("--set", "settings", "A setting of training, see below; --lr 1e-4 is --set lr=1e-4.")
@click.option("--epochs", type=int, help="The same as --set epochs=N.")
@click.option("--out", type=FOLDER, help="The run's folder; without it, MODEL-run here.")
@click.option("--resume", is_flag=True, help="Go on where the run in --out stopped; without one, start.")
@click.option("--cache/--no-cache", default=True, show_default=True, help="Keep resized images on disk.")
def train(
    model: str | None, preset: str | None, encoder: str | None, decoder: str | None, encoder_options: tuple[str, ...],
    decoder_options: tuple[str, ...], data: str, data_root: Path | None, data_options: tuple[str, ...], source: str,
    label_options: tuple[str, ...], train_split: str, val_split: str, limit: int | None, settings: tuple[str, ...],
    epochs: int | None, out: Path | None, resume: bool, cache: bool,
) -> None:  # fmt: skip
    """Train MODEL (a folder or a name of the zoo) on a dataset. The best epoch is in OUT/best, the log in OUT.

    \b
    Example: rg train densenet121-hier-lstm --data covid-chestxray --data-root covid-chestxray --epochs 20
    Example: rg train --encoder resnet18 --decoder lstm --data reports.csv --limit 100 --epochs 2

    A model without words takes words, tags and findings from the training studies; one that looks at no image, as
    tienet-r, takes rows without any. One that was killed goes on with --resume, to the same weights. Several processes:
    accelerate launch -m reportgen_cli train ...
    """
    if model is None and preset is None and encoder is None:
        raise OptionError("train needs MODEL, a folder that rg compose wrote, or --preset, or --encoder and --decoder")
    if model is not None and (encoder or decoder or encoder_options or decoder_options):
        raise OptionError(f"--encoder and --decoder make a new model, and MODEL {model} has its own; leave out one")
    options = {"encoder_options": parse_options(encoder_options), "decoder_options": parse_options(decoder_options)}
    chosen = settings_of(preset, parse_options(settings), epochs)
    name = model or preset or f"{encoder}-{decoder}".replace("/", "-")
    folder = out or Path(f"{Path(name).name}-run")
    data, data_root = meant_dataset(data, data_root)
    request = DataRequest(data, data_root, parse_options(data_options), source, parse_options(label_options), limit)
    with lock_run(folder), TrainingProgress(is_main_process()) as progress:
        if (folder / "log.jsonl").exists() and not resume:
            raise OptionError(f"{folder} holds a run; --resume goes on with it, --out chooses another place")
        progress.heartbeat.say("reading the model and the data")
        collection = request.read_first(encoder_name(model, preset, encoder))
        start = starting_model(model, preset, {"encoder": encoder, "decoder": decoder, "retriever": None}, options)
        learn, held_out = request.studies(start, collection, train_split, val_split)
        run(start, learn, held_out, RunRequest(folder, chosen, resume, cache, data), progress)


@dataclass(frozen=True)
class DataRequest:
    """The dataset to learn from, and where the labels of its studies come from."""

    name: str
    root: Path | None
    options: dict[str, Any]
    labels: str
    label_options: dict[str, Any]
    limit: int | None  # studies of each split

    def read_first(self, encoder: str) -> Collection | None:
        """Return the dataset, read before the model, so that a wrong table costs no import of torch.

        None if it cannot be read and the encoder may be one that looks at no image: then the model decides. `encoder`
        is "" if it is not known. Raises DataError otherwise.
        """
        try:
            return read_dataset(self.name, self.root, self.options)
        except DataError:
            if encoder in encoders and encoder != "none" and encoders.owner(encoder).startswith("reportgen:"):
                raise
            return None

    def studies(
        self, model: Model, collection: Collection | None, train_split: str, val_split: str
    ) -> tuple[Sequence[Study], Sequence[Study]]:
        """Return the studies to train on and to validate on. Raises DataError if there are none to train on."""
        from reportgen_core.data.labels import relabel

        if model.encoder.image.views == 0 and "require_images" in datasets.options(self.name):
            collection = read_dataset(self.name, self.root, {"require_images": False, **self.options})
        collection = read_dataset(self.name, self.root, self.options) if collection is None else collection
        learn, held_out = studies_of_split(collection, train_split, self.name), collection.split(val_split)
        learn, held_out = learn[: self.limit], held_out[: self.limit]
        sections = model.text.sections
        return (
            relabel(learn, self.labels, sections, self.label_options),
            relabel(held_out, self.labels, sections, self.label_options) if held_out else (),
        )


@dataclass(frozen=True)
class RunRequest:
    """Where and how to train."""

    folder: Path
    settings: TrainSettings
    resume: bool
    cache: bool
    data: str  # the dataset's name, by which the model calls its domain


def run(
    model: Model,
    learn: Sequence[Study],
    held_out: Sequence[Study],
    request: RunRequest,
    progress: TrainingProgress,
) -> None:
    """Train a model, with its progress and notes on stderr, and print the folder of the best epoch."""
    from reportgen_core import train as learn_from
    from reportgen_core.data.images import default_cache
    from reportgen_core.models.computing.heap import keep_freed_memory

    keep_freed_memory()
    if is_main_process():
        say(f"{len(learn)} studies to learn from, {len(held_out)} held back, run in {request.folder}", err=True)
        texts = [s.text(model.text.sections) for s in learn] if model.decoder else []
        progress.heartbeat.say("preparing the first step")
        if cut := cut_note(texts, model.text):
            say(cut, err=True)
        if cuts := [note for note in model.context_notes(learn) if note]:
            say(f"{len(cuts)} of {len(learn)} studies have more context than the model reads: {cuts[0]}", err=True)
    learn_from(
        model, learn, held_out, out=request.folder, settings=request.settings, resume=request.resume,
        cache=default_cache() if request.cache else None, watch=progress, domain=request.data,
    )  # fmt: skip
    if is_main_process():
        say(str(request.folder / "best"))


def encoder_name(model: str | None, preset: str | None, encoder: str | None) -> str:
    """Return the name of the encoder of the model to train, without importing it; "" if that is not known."""
    if encoder is not None:
        return encoder
    if model is None and preset is not None:
        from reportgen_zoo.reproduce.preset import load_preset

        return load_preset(preset).compose.encoder
    for folder in (Path(model or "."), Path(model or ".", "best")):
        if model is not None and (folder / "config.json").is_file():
            part_config = read_json(folder / "config.json").get("encoder")
            return str(part_config.get("name", "")) if isinstance(part_config, dict) else ""
    return ""


def starting_model(
    model: str | None,
    preset: str | None,
    parts: Mapping[str, str | None],
    options: Mapping[str, Mapping[str, Any]],
) -> Model:
    """Return the model to train: of a folder, of a name, or composed by a preset or of named parts."""
    if model is not None:
        from reportgen_core.models.loading import load_model

        return load_model(model)
    from reportgen_core import compose

    return compose(**compose_arguments(preset, parts, options, {}))


def settings_of(preset: str | None, options: dict[str, Any], epochs: int | None) -> TrainSettings:
    """Return the settings of a preset, replaced by the options that were given."""
    defaults: dict[str, Any] = {}
    if preset is not None:
        from reportgen_zoo.reproduce.preset import load_preset

        defaults = dict(load_preset(preset).train)
    return TrainSettings.of({**defaults, **options, **({"epochs": epochs} if epochs is not None else {})})
