"""Run `rg plugins`."""

from __future__ import annotations

import warnings
from dataclasses import asdict

import click

from reportgen_core import hookspecs
from reportgen_core.discovery import entries, implementations, load_plugins, names
from reportgen_core.registries import metrics

from ...registry_names import KINDS
from ...render import table
from ...terminal.echo import say, say_json


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def plugins(as_json: bool) -> None:
    """List the installed plugins, and for each that is left out, why.

    \b
    Example: rg plugins

    REPORTGEN_PLUGINS=builtin,zoo in the environment keeps reportgen to the named plugins.
    """
    left_out = ask_plugins()
    records = list(load_plugins()[1].values())
    if as_json:
        say_json({"plugins": [asdict(p) for p in records], "left_out": left_out}, indent=2)
        return
    rows = [(p.name, p.distribution, p.version, p.problem or p.note or "ok") for p in records]
    table(("plugin", "distribution", "version", "state"), rows)
    for problem in left_out:
        say(problem)
    say(f"plugin API {hookspecs.API_VERSION}, entry-point group 'reportgen'", err=True)


def ask_plugins() -> list[str]:
    """Ask all plugins for everything they may have, so that their problems are known.

    Return a line for every part and command that is left out because its name was taken.
    """
    left_out = commands_left_out()
    for registry in KINDS.values():
        list(registry)  # asks the plugins
        left_out += registry.problems
    for hook in ("known_models", "register_manifests", "register_phrases"):
        list(names(hook))
    if any(implementations("register_phrases")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the table below has the problem
            metrics.create("chexpert-rules")  # reads the phrases
    return left_out


def commands_left_out() -> list[str]:
    """Return a line for every command of a plugin that is left out because its name was taken."""
    from ...main import BUILTIN

    owners = {e.name: "reportgen" for e in BUILTIN}
    lines = []
    for owner, entry in entries("register_commands"):
        if entry.name in owners:
            lines.append(f"command {entry.name!r} of {owner} is left out: {owners[entry.name]} has that name")
        owners.setdefault(entry.name, owner)
    return lines
