"""Run `rg info`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click
from reportgen_zoo.manifest.records import Record, Scores
from reportgen_zoo.pull import catalogue as manifests
from reportgen_zoo.reproduce.preset import Preset, load_preset

from reportgen_core import Entry, UnknownName
from reportgen_core.discovery import names
from reportgen_core.registry import did_you_mean, resolve

from ...registry_names import KINDS, entries_named
from ...render import pairs, say_prose
from ...terminal.echo import say, say_json, say_text
from . import describe


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="One JSON array of [word, value] pairs a thing of that name.")
@click.option("--cite", "as_bibtex", is_flag=True, help="BibTeX of the part, or of the parts and data of a model.")
def info(name: str, as_json: bool, as_bibtex: bool) -> None:
    """Say all about NAME: a part (its options with defaults, paper, file, needs), a preset or a trained model.

    \b
    Example: rg info hier-lstm
    Example: rg info jing-coattention --cite
    """
    if as_bibtex:
        from .cite import citations

        say_text("\n\n".join(citations(name)))
        return
    things = list(_things(name))
    if not things:
        raise UnknownName(f"nothing is named {name!r}; {did_you_mean(name, _names())}")
    if as_json:
        say_json([lines for lines, _ in things], indent=2)
        return
    for i, (lines, text) in enumerate(things):
        if i:
            say()
        pairs(lines)
        if text:
            say()
            say_prose(text)


def _things(name: str) -> Iterator[tuple[list[tuple[str, str]], str]]:
    """Yield the lines and a text about every part, preset and model of this name."""
    entries = list(entries_named(name))
    for registry, entry in entries:
        if registry.kind == "preset":
            yield list(preset(entry, load_preset(entry.name))), ""
        elif registry.kind == "text recipe" and not isinstance(resolve(entry.target), type):
            yield list(describe.recipe(registry, entry.name, entry)), ""
        else:
            own = entry.name if "*" not in entry.name else name
            yield list(describe.part(registry, own, entry)), describe.about(registry, own)
    if entries:  # the network is asked only about a name that is no part
        return
    if manifests.find_record(name.partition("@")[0]) is not None:
        record = manifests.record(name)
        yield list(model(record, manifests.origin(record.name))), ""
    elif name in _models():
        yield [("model", name), ("from", "a plugin's find_model")], ""


def _models() -> set[str]:
    return set(names("known_models"))


def _names() -> set[str]:
    return {n for registry in KINDS.values() for n in registry} | _models()


def preset(entry: Entry, loaded: Preset) -> Iterator[tuple[str, str]]:
    """Yield the lines about a preset as pairs (word, value)."""
    yield "preset", loaded.name
    yield "summary", loaded.summary
    yield "paper", loaded.paper
    yield "file", describe.data_file(entry.target)
    parts = loaded.compose
    yield "encoder", _with_options(parts.encoder, dict(parts.encoder_options))
    head = ("decoder", parts.decoder) if parts.decoder else ("retriever", parts.retriever or "")
    yield head[0], _with_options(head[1], dict(parts.decoder_options))
    if loaded.text:
        yield "text", _options(dict(loaded.text))
    if loaded.train:
        yield "training", _options(dict(loaded.train))
    yield "data", f"{_with_options(loaded.data.dataset, dict(loaded.data.options))}; {loaded.data.split}"
    for row in loaded.numbers:
        yield "printed", f"{row.data}, {row.table}: {_options(dict(row.values))}"
    for note in loaded.notes:
        yield "note", note


def model(record: Record, origin: str) -> Iterator[tuple[str, str]]:
    """Yield the lines about a trained model as pairs (word, value)."""
    yield "model", record.name + ("  (a demonstration, not for clinical use)" if record.demonstration else "")
    yield "summary", record.summary
    yield from record.parts.items()
    for word, text in record.reference.items():
        yield f"reference: {word}", text
    yield "licence", record.licence
    if record.terms:
        yield "terms", record.terms
    yield "size", f"{record.bytes / 2**20:.1f} MiB in {len(record.files)} files"
    yield "pin", f"{record.name}@sha256:{record.digest[:16]}"
    yield "manifest", origin
    for source in record.sources:
        yield "source", source
    for distribution in record.requires:
        yield "needs", f"pip install {distribution}"
    if record.paper:
        yield "paper", record.paper
    if record.training:
        yield "trained on", f"{record.training.data}; {record.training.split}".rstrip("; ")
        yield "trained by", record.training.command
    for scores in record.scores:
        yield from _scores(scores)


def _scores(scores: Scores) -> Iterator[tuple[str, str]]:
    yield "scores on", f"{scores.data}, {scores.studies} studies, protocol {scores.protocol}"
    for metric, value in scores.values.items():
        low_high = scores.intervals.get(metric)
        interval = f" ({low_high[0]:.3f} to {low_high[1]:.3f})" if low_high else ""
        constant = f", a constant report {scores.constant[metric]:.3f}" if metric in scores.constant else ""
        yield "", f"{metric} {value:.3f}{interval}{constant}"


def _options(options: dict[str, object]) -> str:
    return " ".join(f"{k}={v}" if isinstance(v, str) else f"{k}={json.dumps(v)}" for k, v in options.items())


def _with_options(name: str, options: dict[str, object]) -> str:
    return f"{name} {_options(options)}".rstrip()
