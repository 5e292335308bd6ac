"""Run `rg compose`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reportgen_cli.option_values import parse_options
from reportgen_core import OptionError

from ..options import FOLDER, part, values
from ..render import table
from ..terminal.echo import say, say_json

if TYPE_CHECKING:
    from reportgen_core.models.composition import CompositionPlan


@click.command()
@part("--encoder", "encoders", "What looks: see rg list encoders.")
@part("--decoder", "decoders", "What writes: see rg list decoders.")
@part("--retriever", "retrievers", "What finds texts, in place of a decoder.")
@part("--reporter", "reporters", "A whole system, in place of parts: see rg list reporters.")
@part("--preset", "presets", "A published system; other options replace its own.")
@values("--encoder-option", "encoder_options", "Of the encoder; rg info NAME lists them.")
@values("--decoder-option", "decoder_options", "Of the decoder or retriever.")
@values("--reporter-option", "reporter_options", "Of the reporter.")
@values("--text", "text", "How reports become words: recipe, sections, max_vocabulary, max_sentences, max_words.")
@click.option("--seed", default=0, show_default=True, help="Of the random weights.")
@click.option("--out", type=FOLDER, help="The model's folder; without it, ENCODER-DECODER here.")
@click.option("--check", "only_check", is_flag=True, help="Print the table and write nothing.")
@click.option("--force", is_flag=True, help="Replace a model that is there.")
@click.option("--json", "as_json", is_flag=True, help="The table as JSON.")
def compose(
    encoder: str | None,
    decoder: str | None,
    retriever: str | None,
    reporter: str | None,
    preset: str | None,
    encoder_options: tuple[str, ...],
    decoder_options: tuple[str, ...],
    reporter_options: tuple[str, ...],
    text: tuple[str, ...],
    seed: int,
    out: Path | None,
    only_check: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Make a new model: see that its parts fit, print them with shapes and parameters, and write its folder.

    \b
    Example: rg compose --encoder densenet121 --decoder hier-lstm
    Example: rg compose --reporter image-text-to-text --reporter-option model=medgemma/ --out medgemma-reporter

    The check builds the parts without memory, so that a misfit shows before anything is downloaded or allocated. Words,
    tags and findings come with training: rg train FOLDER --data D --data-root DIR.
    """
    parts = {"encoder": encoder, "decoder": decoder, "retriever": retriever}
    if reporter is not None or reporter_options:
        others = [name for name, value in {**parts, "preset": preset}.items() if value is not None]
        _compose_reporter(
            reporter, parse_options(reporter_options), others, free_folder(out or Path(reporter or ""), force)
        )
        return
    options = {"encoder_options": parse_options(encoder_options), "decoder_options": parse_options(decoder_options)}
    composition = compose_arguments(preset, parts, options, parse_options(text))

    from reportgen_core.models.composition import check_composition
    from reportgen_core.models.composition import compose as build

    plan = check_composition(**composition)
    _show(plan, as_json)
    if only_check:
        return
    name = preset or f"{composition['encoder']}-{composition['decoder'] or composition['retriever']}".replace("/", "-")
    folder = free_folder(out or Path(name), force)
    build(**composition, seed=seed).save(folder)
    say(f"wrote {folder}; next: rg train {folder} --data D --data-root DIR", err=True)


def _compose_reporter(name: str | None, options: dict[str, Any], others: list[str], folder: Path) -> None:
    """Build a reporter and write its folder. Raises OptionError if parts are named as well, or no reporter is."""
    from reportgen_core import reporters

    if name is None:
        raise OptionError("--reporter-option needs --reporter NAME; rg list reporters")
    if others:
        raise OptionError(f"--reporter is a whole system, and takes no --{others[0]}")
    made = reporters.create(name, **options)
    made.save(folder)
    for line in made.limits:
        say(f"note: {line}", err=True)
    say(f"wrote {folder}; next: rg report IMAGE --model {folder}", err=True)


def compose_arguments(
    preset: str | None,
    parts: Mapping[str, str | None],
    options: Mapping[str, Mapping[str, Any]],
    text: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the arguments of `compose` from a preset and the options that replace its own.

    Raises OptionError if there is no preset and the encoder or the head is missing.
    """
    from reportgen_core.text.spec import TextSpec

    named: dict[str, Any] = {k: v for k, v in parts.items() if v is not None}
    if preset is None:
        if "encoder" not in named or not {"decoder", "retriever"} & set(named):
            raise OptionError("compose needs --encoder and --decoder (or --retriever), or --preset; see rg list")
        return {**parts, **options, "text": TextSpec.from_json(text)}
    from reportgen_zoo.reproduce.preset import load_preset

    loaded = load_preset(preset)
    own = loaded.compose
    theirs = {"encoder": own.encoder, "decoder": own.decoder, "retriever": own.retriever}
    if {"decoder", "retriever"} & set(named):  # one replaces the other
        theirs |= {"decoder": None, "retriever": None}
    merged: dict[str, Any] = {**theirs, **named}
    same_encoder = own.encoder == merged["encoder"]
    merged["encoder_options"] = _merged(own.encoder_options, same_encoder, options["encoder_options"])
    same_head = (own.decoder, own.retriever) == (merged["decoder"], merged["retriever"])
    merged["decoder_options"] = _merged(own.decoder_options, same_head, options["decoder_options"])
    return {**merged, "text": TextSpec.from_json({**loaded.text, **text})}


def _merged(preset: Mapping[str, Any], same_part: bool, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a part. Those of the preset count only if it names the same part."""
    return {**(preset if same_part else {}), **options}


def free_folder(folder: Path, force: bool) -> Path:
    """Return the folder if it is new or empty, or with `force` holds a model. Raises OptionError if it does not."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return folder
    if not (folder / "config.json").is_file():
        raise OptionError(f"{folder} is there and is no model; choose another place with --out")
    if not force:
        raise OptionError(f"{folder} is a model already; --force replaces it, --out chooses another place")
    return folder


def _show(plan: CompositionPlan, as_json: bool) -> None:
    """Print the table of parts with shapes and numbers of parameters."""
    if as_json:
        say_json(asdict(plan), indent=2)
        return
    rows = [(r.part, r.name, r.takes, r.gives, f"{r.parameters:,}", f"{r.learning:,}") for r in plan.rows]
    total = ("", "", "", "", f"{sum(r.parameters for r in plan.rows):,}", f"{sum(r.learning for r in plan.rows):,}")
    table(("part", "name", "takes", "gives", "parameters", "learning"), [*rows, total])
    for note in plan.notes:
        say(f"note: {note}", err=True)
