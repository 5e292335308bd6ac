"""`rg zoo`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import click
from reportgen_zoo import manifests
from reportgen_zoo.data import plain
from reportgen_zoo.records import Record, ZooError

from reportgen_core import OptionError, UnknownName

from ..options import FOLDER
from ..render import pairs, table


@click.group()
def zoo() -> None:
    """List, fetch and check trained models.

    \b
    Example: rg zoo list

    Environment: REPORTGEN_CACHE is where models are kept, REPORTGEN_MIRROR a folder or URL to look in first,
    REPORTGEN_MANIFESTS a comma list of further manifests, REPORTGEN_OFFLINE=1 uses only what is on this machine.
    """


@zoo.command("list")
@click.option("--json", "as_json", is_flag=True, help="The records as one JSON array.")
def list_models(as_json: bool) -> None:
    """List the trained models of all manifests.

    \b
    Example: rg zoo list
    """
    from reportgen_zoo.fetch import present

    known = manifests.catalogue()
    if as_json:
        click.echo(json.dumps([plain(r) for r in known.models.values()], indent=2))
    else:
        rows = [
            (r.name, f"{r.bytes / 2**20:.1f} MiB", r.licence, "here" if present(r) else "to pull", r.summary)
            for r in known.models.values()
        ]
        table(("model", "size", "licence", "state", "summary"), rows)
    for problem in known.problems:
        click.echo(f"rg: {problem}", err=True)


@zoo.command("info")
@click.argument("name")
def info(name: str) -> None:
    """Say all about a trained model: parts, licence, terms, training, scores beside a constant report.

    \b
    Example: rg zoo info NAME
    """
    from .info import model

    record = manifests.record(name)
    pairs(list(model(record, manifests.catalogue().origins[record.name])))


@zoo.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--agree", is_flag=True, help="Agree to the models' terms without being asked.")
def pull(names: tuple[str, ...], agree: bool) -> None:
    """Fetch trained models, resumed where an earlier pull broke off, and print their folders.

    NAME@sha256:DIGEST takes the model only with these bytes.

    \b
    Example: rg zoo pull NAME
    """
    from reportgen_zoo import fetch, terms

    for record in [manifests.record(name) for name in names]:
        if not terms.agreed(record):
            click.echo(f"{record.name}: {record.terms}", err=True)
            if not agree and not sys.stdin.isatty():
                raise ZooError(f"{record.name} asks you to agree to the terms above; agree with --agree")
            if not agree:
                click.confirm("Do you agree?", abort=True, err=True)
            terms.agree(record)
        click.echo(str(fetch.pull(record, Bar(record))))


class Bar:
    """Progress on stderr: a line that moves on a terminal, one line a file elsewhere."""

    def __init__(self, record: Record) -> None:
        self.name, self.last = record.name, 0.0

    def __call__(self, file: str, done: int, total: int) -> None:
        live, whole = sys.stderr.isatty(), done == total
        if not whole and (not live or time.monotonic() - self.last < 0.1):
            return
        self.last = time.monotonic()
        share = f"{done / 2**20:.1f} of {total / 2**20:.1f} MiB"
        click.echo(f"{chr(13) if live else ''}{self.name}/{file}  {share}", err=True, nl=whole or not live)


@zoo.command()
@click.argument("model", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--name", required=True, help="COMPOSITION.DATA_VERSION, as densenet121-hier-lstm.iu_v1.")
@click.option("--facts", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), help="JSON file.")
@click.option("--to", "place", required=True, type=FOLDER, help="The zoo's folder; it is made where there is none.")
@click.option("--probe-seed", default=0, show_default=True, help="Of the image whose report is recorded.")
def push(model: Path, name: str, facts: Path, place: Path, probe_seed: int) -> None:
    """Pack the model folder MODEL into a zoo folder that any static server can serve.

    \b
    Example: rg zoo push runs/best --name densenet121-hier-lstm.mine_v1 --facts facts.json --to myzoo

    FACTS is a JSON object with what no folder says: summary and licence, and where known terms, training, scores,
    paper, demonstration. Whoever sets REPORTGEN_MANIFESTS=https://host/myzoo/manifest.json can pull the model.
    """
    from reportgen_zoo import push as packing
    from reportgen_zoo.data import parse

    said = parse(facts.read_bytes(), str(facts))
    if not isinstance(said, dict):
        raise OptionError(f"{facts}: wants a JSON object with summary and licence")
    record = packing.describe(model, name, said, probe_seed)
    place.mkdir(parents=True, exist_ok=True)
    click.echo(str(packing.push(model, record, place)))
    click.echo(f"pin: {record.name}@sha256:{record.digest[:16]}", err=True)


@zoo.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
def verify(names: tuple[str, ...]) -> None:
    """Compute the hashes of models again and run their probes; without NAME, of all that are on this machine.

    A probe is a seeded image and the report that the model wrote for it when it was recorded.

    \b
    Example: rg zoo verify
    """
    from reportgen_zoo.fetch import present
    from reportgen_zoo.verify import verify as problems_of

    known = manifests.catalogue().models
    records = [manifests.record(n) for n in names] or [r for r in known.values() if present(r)]
    failed = False
    for record in records:
        at = present(record)
        if at is None:
            raise UnknownName(f"{record.name} is not on this machine; rg zoo pull {record.name}")
        problems = list(problems_of(record, at))
        failed = failed or bool(problems)
        probed = ", probe" if record.probe else ""
        click.echo(f"{record.name}: " + ("; ".join(problems) or f"ok ({len(record.files)} hashes{probed})"))
    if failed:
        click.get_current_context().exit(1)
