"""Run `rg data domain`: describe the images of a dataset to a model that was saved without their description."""

from __future__ import annotations

from pathlib import Path

import click

from reportgen_cli.option_values import parse_options
from reportgen_core import CheckpointError

from ...dataset_input import ROOT_HELP, read_dataset, studies_of_split
from ...options import FOLDER, completes, values
from ...terminal.echo import say


@click.command()
@click.argument("name", shell_complete=completes("datasets"))
@click.option("--data-root", "root", type=click.Path(path_type=Path), help=ROOT_HELP)
@values("--data-option", "options", "Of the dataset; rg info NAME lists them.")
@click.option("--model", required=True, type=FOLDER, help="The model's folder; domain.safetensors is written into it.")
@click.option(
    "--name", "word", metavar="TEXT", help="A word for these images in notes; without it, the dataset's name."
)
@click.option("--train-split", default="train", show_default=True, help="The studies that the model learned from.")
@click.option("--val-split", default="val", show_default=True, help="The studies that set the limit.")
@click.option("--cache/--no-cache", default=True, show_default=True, help="Keep resized images on disk.")
def domain(
    name: str,
    root: Path | None,
    options: tuple[str, ...],
    model: Path,
    word: str | None,
    train_split: str,
    val_split: str,
    cache: bool,
) -> None:
    """Tell a saved model which images it learned from, so that its reports say when an image is unlike them.

    \b
    Example: rg data domain phantom --data-root phantom --model runs/best

    rg train does the same at its end. Models of earlier releases say "domain not checked" in the note of every report.
    """
    from reportgen_core.data.images import default_cache
    from reportgen_core.models.format import DOMAIN
    from reportgen_core.models.loading import find_model_folder, load_model
    from reportgen_core.training.domain import write_domain

    folder = find_model_folder(model)
    collection = read_dataset(name, root, parse_options(options))
    learned, held_out = studies_of_split(collection, train_split, name), collection.split(val_split)
    write_domain(folder, learned, held_out, name=word or name, cache=default_cache() if cache else None)
    described = load_model(folder).domain
    if described is None:
        raise CheckpointError(f"{folder}: its encoder takes no images, or {name} has too few of them to describe")
    say(f"{described.images} images of {described.name} described in {folder / DOMAIN}", err=True)
