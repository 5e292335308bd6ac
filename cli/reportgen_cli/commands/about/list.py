"""Run `rg list`."""

from __future__ import annotations

from dataclasses import asdict

import click

from ...options import Words
from ...registry_names import KINDS
from ...render import table
from ...terminal.echo import say, say_json


@click.command("list")
@click.argument("kind", type=Words([*KINDS, "all"]), default="all")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for programs.")
def list_command(kind: str, as_json: bool) -> None:
    """List what is registered: the parts of models, metrics, datasets, text recipes, presets.

    \b
    Example: rg list encoders
    """
    chosen = KINDS if kind == "all" else {kind: KINDS[kind]}
    rows = [(r.kind, name, r.owner(name), entry) for r in chosen.values() for name, entry in r.items()]
    if as_json:
        say_json([asdict(e) | {"kind": k, "from": owner} for k, _, owner, e in rows], indent=2)
    else:
        table(("kind", "name", "summary", "from"), [(k, name, e.summary, owner) for k, name, owner, e in rows])
    for problem in (p for r in chosen.values() for p in r.problems):
        say(f"rg: {problem}", err=True)
