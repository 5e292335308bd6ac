"""`rg info`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click
from reportgen_zoo.manifest.records import Record, Scores
from reportgen_zoo.pull import catalogue as manifests
from reportgen_zoo.reproduce.preset import Preset, load_preset

from reportgen_core import Entry, UnknownName
from reportgen_core.discovery import load_plugins
from reportgen_core.registry import did_you_mean

from ... import describe
from ...registry_names import KINDS, found
from ...render import pairs


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="One JSON array of [word, value] pairs a thing of that name.")
def info(name: str, as_json: bool) -> None:
    """Say all about NAME: a part (its options with defaults, paper, file, needs), a preset or a trained model.

    \b
    Example: rg info hier-lstm
    """
    things = list(_things(name))
    if not things:
        raise UnknownName(f"nothing is named {name!r}; {did_you_mean(name, _names())}")
    if as_json:
        click.echo(json.dumps([lines for lines, _ in things], indent=2))
        return
    for i, (lines, text) in enumerate(things):
        if i:
            click.echo()
        pairs(lines)
        if text:
            click.echo(f"\n{text}")


def _things(name: str) -> Iterator[tuple[list[tuple[str, str]], str]]:
    """Lines and a text about everything that has this name."""
    for registry, entry in found(name):
        if registry.kind == "preset":
            yield list(preset(entry, load_preset(entry.name))), ""
        else:
            yield list(describe.part(registry, name, entry)), describe.about(registry, name)
    known = manifests.catalogue()
    if name.partition("@")[0] in known.models:
        record = manifests.record(name)
        yield list(model(record, known.models.origin(record.name))), ""
    elif name in _models():
        yield [("model", name), ("from", "a plugin's find_model")], ""


def _models() -> set[str]:
    return {n for names in load_plugins()[0].hook.known_models() for n in names}


def _names() -> set[str]:
    return {n for registry in KINDS.values() for n in registry} | _models()


def preset(entry: Entry, found: Preset) -> Iterator[tuple[str, str]]:
    """Lines about a preset."""
    yield "preset", found.name
    yield "summary", found.summary
    yield "paper", found.paper
    yield "file", describe.data_file(entry.target)
    made = found.compose
    yield "encoder", _with_options(made.encoder, dict(made.encoder_options))
    head = ("decoder", made.decoder) if made.decoder else ("retriever", made.retriever or "")
    yield head[0], _with_options(head[1], dict(made.decoder_options))
    if found.text:
        yield "text", _options(dict(found.text))
    if found.train:
        yield "training", _options(dict(found.train))
    yield "data", f"{_with_options(found.data.dataset, dict(found.data.options))}; {found.data.split}"
    for row in found.numbers:
        yield "printed", f"{row.data}, {row.table}: {_options(dict(row.values))}"
    for note in found.notes:
        yield "note", note


def model(found: Record, origin: str) -> Iterator[tuple[str, str]]:
    """Lines about a trained model."""
    yield "model", found.name + ("  (a demonstration, not for clinical use)" if found.demonstration else "")
    yield "summary", found.summary
    yield from found.parts.items()
    yield "licence", found.licence
    if found.terms:
        yield "terms", found.terms
    yield "size", f"{found.bytes / 2**20:.1f} MiB in {len(found.files)} files"
    yield "pin", f"{found.name}@sha256:{found.digest[:16]}"
    yield "manifest", origin
    for source in found.sources:
        yield "source", source
    for distribution in found.requires:
        yield "needs", f"pip install {distribution}"
    if found.paper:
        yield "paper", found.paper
    if found.training:
        yield "trained on", f"{found.training.data}; {found.training.split}".rstrip("; ")
        yield "trained by", found.training.command
    for scores in found.scores:
        yield from _scores(scores)


def _scores(found: Scores) -> Iterator[tuple[str, str]]:
    yield "scores on", f"{found.data}, {found.studies} studies, protocol {found.protocol}"
    for metric, value in found.values.items():
        low_high = found.intervals.get(metric)
        interval = f" ({low_high[0]:.3f} to {low_high[1]:.3f})" if low_high else ""
        constant = f", a constant report {found.constant[metric]:.3f}" if metric in found.constant else ""
        yield "", f"{metric} {value:.3f}{interval}{constant}"


def _options(options: dict[str, object]) -> str:
    return " ".join(f"{k}={v}" if isinstance(v, str) else f"{k}={json.dumps(v)}" for k, v in options.items())


def _with_options(name: str, options: dict[str, object]) -> str:
    return f"{name} {_options(options)}".rstrip()
