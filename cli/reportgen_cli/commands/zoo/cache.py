"""Run `rg zoo verify`, `remove`, `prune` and `du`: check and delete the models on this machine."""

from __future__ import annotations

import click
from reportgen_zoo.manifest.records import ZooError
from reportgen_zoo.pull import catalogue as manifests

from reportgen_core import UnknownName

from ...render import table
from ...terminal.echo import say


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
def verify(names: tuple[str, ...]) -> None:
    """Compute the hashes of models again and run their probes; without NAME, of all that are on this machine.

    A probe is a seeded image and the report that the model wrote for it when it was recorded.

    \b
    Example: rg zoo verify
    """
    from reportgen_zoo.pull.fetch import present, present_names
    from reportgen_zoo.pull.verify import verify as problems_of

    records = [manifests.record(n) for n in names or sorted(present_names(manifests.catalogue().models))]
    failed = False
    for record in records:
        at = present(record)
        if at is None:
            raise UnknownName(f"{record.name} is not on this machine; rg zoo pull {record.name}")
        problems = list(problems_of(record, at))
        failed = failed or bool(problems)
        probed = ", probe" if record.probe else ""
        say(f"{record.name}: " + ("; ".join(problems) or f"ok ({len(record.files)} hashes{probed})"))
    if failed:
        click.get_current_context().exit(1)


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def remove(names: tuple[str, ...]) -> None:
    """Delete models from this machine; they can be pulled again.

    \b
    Example: rg zoo remove NAME
    """
    from reportgen_zoo.pull.fetch import present
    from reportgen_zoo.pull.housekeeping import remove as removed

    for name in names:
        item = removed(name)
        if item is None and (record := manifests.find_record(name)) is not None and (at := present(record)):
            raise ZooError(f"{name} ships inside an installed package, at {at}; it goes with the package")
        if item is None:
            raise ZooError(f"{name} is not on this machine; rg zoo du lists what is")
        say(f"removed {name}, {item.bytes / 2**20:.1f} MiB")


@click.command()
@click.option("--unlisted", is_flag=True, help="Also models that no manifest names any more.")
@click.option("--dry-run", is_flag=True, help="Delete nothing.")
def prune(unlisted: bool, dry_run: bool) -> None:
    """Delete what pulls that broke off have left on this machine.

    \b
    Example: rg zoo prune --dry-run
    """
    from reportgen_zoo.pull.housekeeping import prune as pruned

    catalogue = manifests.catalogue() if unlisted else None
    if catalogue is not None and catalogue.problems:
        raise ZooError(f"a manifest cannot be read, so that it is not known what is listed: {catalogue.problems[0]}")
    gone = pruned(catalogue.models if catalogue is not None else None, dry_run)
    for item in gone:
        say(f"{'would delete' if dry_run else 'deleted'} {item.kind} {item.name}, {item.bytes / 2**20:.1f} MiB")
    total = sum(item.bytes for item in gone) / 2**20
    say(f"{total:.1f} MiB {'would be' if dry_run else 'are'} free", err=True)


@click.command()
def du() -> None:
    """Say what the models on this machine take of its disk.

    \b
    Example: rg zoo du
    """
    from reportgen_zoo.pull import cache
    from reportgen_zoo.pull.housekeeping import items

    largest_first = sorted(items(), key=lambda item: -item.bytes)
    table(("size", "what", "name"), [(f"{i.bytes / 2**20:.1f} MiB", i.kind, i.name) for i in largest_first])
    say(f"{sum(i.bytes for i in largest_first) / 2**20:.1f} MiB in {cache.folder()}", err=True)
