"""Run `rg zoo`: list trained models and pull them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import click
from reportgen_zoo.manifest.records import Record, ZooError
from reportgen_zoo.manifest.schema import plain
from reportgen_zoo.pull import catalogue as manifests

from reportgen_core import OptionError

from ...registry_names import entries_named
from ...render import pairs, table
from ...terminal.echo import say, say_json, say_text
from ...terminal.groups import Commands
from ...terminal.progress import Heartbeat
from .cache import du, prune, remove, verify
from .publish import convert, mirror, push


@click.group(cls=Commands)
def zoo() -> None:
    """List, fetch and check trained models.

    \b
    Example: rg zoo list

    Environment: REPORTGEN_CACHE is where models are kept, REPORTGEN_MIRROR a folder or URL to look in first,
    REPORTGEN_MANIFESTS a comma list of further manifests, REPORTGEN_OFFLINE=1 uses only what is on this machine,
    REPORTGEN_CONFIG the settings file, without it ~/.config/reportgen/config.toml. HF_TOKEN, http_proxy, https_proxy
    and no_proxy are honoured.
    """


for command in (convert, du, mirror, prune, push, remove, verify):
    zoo.add_command(command)


def _listed(names: Sequence[str], as_json: bool) -> None:
    """Print the models of these names, and what is wrong with manifests."""
    from reportgen_zoo.pull.fetch import present_names

    catalogue = manifests.catalogue()
    if as_json:
        records = [record for name in names if (record := catalogue.models.find(name)) is not None]
        say_json([plain(record) for record in records], indent=2)
    else:
        with manifests.no_collection():
            here = present_names(catalogue.models)
            rows = []
            for name in names:
                size, licence, summary = catalogue.models.brief(name)
                rows.append((name, f"{size / 2**20:.1f} MiB", licence, "here" if name in here else "to pull", summary))
            table(("model", "size", "licence", "state", "summary"), rows)
    for problem in (*catalogue.problems, *catalogue.models.faults.values()):
        say(f"rg: {problem}", err=True)


@zoo.command("list")
@click.option("--json", "as_json", is_flag=True, help="The records as one JSON array.")
def list_models(as_json: bool) -> None:
    """List the trained models of all manifests.

    \b
    Example: rg zoo list
    """
    _listed(list(manifests.catalogue().models), as_json)


@zoo.command()
@click.argument("words", nargs=-1, required=True, metavar="WORD...")
@click.option("--json", "as_json", is_flag=True, help="The records as one JSON array.")
def search(words: tuple[str, ...], as_json: bool) -> None:
    """List the trained models whose records have every WORD: in name, summary, parts, data, paper or licence.

    \b
    Example: rg zoo search hier-lstm nih
    """
    wanted = [word.lower() for word in words]
    models = manifests.catalogue().models
    _listed([name for name in models if all(word in models.text(name) for word in wanted)], as_json)


@zoo.command("info")
@click.argument("name")
@click.option("--card", "as_card", is_flag=True, help="The model's card, a Markdown page.")
def info(name: str, as_card: bool) -> None:
    """Say all about a trained model: parts, licence, terms, training, scores compared with a constant report.

    \b
    Example: rg zoo info NAME
    """
    from ..about.info import model

    record = manifests.record(name)
    if as_card:
        from reportgen_zoo.manifest.cards import card

        say_text(card(record), nl=False)
        return
    pairs(list(model(record, manifests.origin(record.name))))


@zoo.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--agree", is_flag=True, help="Agree to the models' terms without being asked.")
def pull(names: tuple[str, ...], agree: bool) -> None:
    """Fetch trained models, resumed where an earlier pull broke off, and print their folders.

    NAME@sha256:DIGEST takes the model only with these bytes.

    \b
    Example: rg zoo pull NAME
    """
    from reportgen_zoo.pull import fetch
    from reportgen_zoo.pull.progress import ProgressBar

    for record in agreed([_record(name) for name in names], agree):
        with Heartbeat("zoo pull", live=False) as heartbeat:
            heartbeat.say(record.name)
            bar = ProgressBar(record)

            def show(file: str, done: int, total: int, bar: ProgressBar = bar, beat: Heartbeat = heartbeat) -> None:
                bar(file, done, total)
                whole = bar.record.bytes / 2**20
                beat.say(f"{bar.record.name}, {sum(bar.done.values()) / 2**20:.1f} of {whole:.1f} MiB")

            folder = fetch.pull(record, show)
        say(str(folder))


def _record(name: str) -> Record:
    """Return the record of a model. Raises OptionError for a part or a dataset, which no manifest has."""
    base = name.partition("@")[0]
    kinds = {} if manifests.find_record(base) is not None else {r.kind: (r, e) for r, e in entries_named(base)}
    if "dataset" in kinds:
        datasets, entry = kinds["dataset"]
        if datasets.get_class(entry.name).makes_files:
            raise OptionError(f"{base} is a dataset that makes its own files: --data {entry.name} is enough")
        raise OptionError(
            f"{base} is a dataset, and datasets are not downloaded: get it from its owners and name its folder with "
            f"--data-root; rg info {entry.name} says which copies are read, docs/tutorials/your-data.md how"
        )
    for kind in kinds:
        raise OptionError(
            f"{base} is no trained model but of the kind {kind}, of which nothing is downloaded; rg zoo list"
        )
    return manifests.record(name)


def agreed(records: Iterable[Record], without_asking: bool) -> Iterable[Record]:
    """Yield the records, each after the user has agreed to its terms. Raises ZooError if nobody can be asked."""
    from reportgen_zoo.pull import terms

    for record in records:
        if not terms.agreed(record):
            say_text(f"{record.name}: {record.terms}", err=True)
            if not without_asking and not sys.stdin.isatty():
                raise ZooError(f"{record.name} asks you to agree to the terms above; agree with --agree")
            if not without_asking:
                click.confirm("Do you agree?", abort=True, err=True)
            terms.agree(record)
        yield record
