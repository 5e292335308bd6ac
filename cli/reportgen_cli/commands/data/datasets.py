"""Run `rg data`: show what a dataset has, what is dropped and why, and write the whole dataset as one table."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from reportgen_cli.option_values import parse_options
from reportgen_core import Audit, Collection, DataError, Study, datasets
from reportgen_core.files.atomic import atomic_file
from reportgen_core.files.json_files import write_json
from reportgen_core.files.shards.writer import ShardSize
from reportgen_core.files.study_json import study_to_json

from ...dataset_input import ROOT_HELP, dataset_root, meant_dataset, read_dataset
from ...options import FOLDER, completes, values
from ...terminal.echo import say, say_json
from ...terminal.groups import Commands
from .building import SHARD_SIZE, build_shards
from .domain import domain
from .sentences import abnormal, groups

MAX_IDS_SHOWN = 5  # of each reason; --json has all


@click.group(cls=Commands)
def data() -> None:
    """Read, check and build datasets.

    \b
    Example: rg data audit iu-xray --data-root NLMCXR --data-option protocol=r2gen
    """


data.add_command(abnormal)
data.add_command(domain)
data.add_command(groups)


def _of_a_dataset(command: Callable[..., None]) -> Callable[..., None]:
    """Add the arguments that choose a dataset and its options."""
    for add in (
        values("--data-option", "options", "Of the dataset; rg info NAME lists them."),
        click.option("--data-root", "root", type=click.Path(path_type=Path), help=ROOT_HELP),
        click.argument("name", shell_complete=completes("datasets")),
    ):
        command = add(command)
    return command


def _read(name: str, root: Path | None, options: tuple[str, ...]) -> Collection:
    return read_dataset(name, root, parse_options(options))


@data.command()
@_of_a_dataset
@click.option("--json", "as_json", is_flag=True, help="Print JSON with every dropped id.")
def audit(name: str, root: Path | None, options: tuple[str, ...], as_json: bool) -> None:
    """Say how many studies and images are kept, and why the others are dropped.

    \b
    Example: rg data audit iu-xray --data-root NLMCXR --data-option protocol=r2gen
    """
    collection = _read(name, root, options)
    if as_json:
        say_json(_audit_json(collection.audit), indent=1)
        return
    _print_audit(collection.audit)
    given = ["--data-root", str(root)] if root is not None else []
    given += [word for option in options for word in ("--data-option", option)]
    for line in next_steps(name, shlex.join(given), collection):
        say(f"next     {line}")


@data.command()
@_of_a_dataset
@click.option("--out", required=True, type=FOLDER, help="The folder to write into.")
@click.option("--force", is_flag=True, help="Replace a table or shards that are there.")
@click.option("--shards", type=SHARD_SIZE, metavar="SIZE", help="Tar files with images, of so many studies, or 500MB.")
def build(
    name: str, root: Path | None, options: tuple[str, ...], out: Path, force: bool, shards: ShardSize | None
) -> None:
    """Write the dataset as studies.jsonl, one study a line, with audit.json next to it. Images stay where they are.

    \b
    Example: rg data build iu-xray --data-root NLMCXR --data-option protocol=r2gen --out NLMCXR/r2gen
    Example: rg data build iu-xray --data-root NLMCXR --shards 1000 --out NLMCXR/shards
    Read it again with the dataset `table`: --data-root OUT; images that lie outside OUT need --data-option images=/.
    Shards hold the images too, and are read with the dataset `shards`.
    """
    if shards is not None:
        collection = build_shards(_read(name, root, options), out, shards, force)
        write_json(out / "audit.json", _audit_json(collection.audit), sort=False)
        _print_audit(collection.audit, err=True)
        say(out)
        return
    table = out / "studies.jsonl"
    if table.exists() and not force:
        raise DataError(f"{table} is there already; --force replaces it, --out chooses another place")
    collection = _read(name, root, options)
    out.mkdir(parents=True, exist_ok=True)
    folder = out.absolute()
    with atomic_file(table) as file:
        for study in collection.studies:
            file.write(json.dumps(study_to_json(study, folder), ensure_ascii=False) + "\n")
    write_json(out / "audit.json", _audit_json(collection.audit), sort=False)
    _print_audit(collection.audit, err=True)
    say(table)


@data.command()
@_of_a_dataset
@click.option("--limit", "-n", "count", default=3, show_default=True, type=click.IntRange(1), help="How many studies.")
@click.option("--split", default="", help="Only of this split.")
@click.option("--id", "ids", multiple=True, help="This study; may be given several times.")
@click.option("--json", "as_json", is_flag=True, help="Print each study as a line of JSON.")
def show(
    name: str, root: Path | None, options: tuple[str, ...], count: int, split: str, ids: tuple[str, ...], as_json: bool
) -> None:
    """Print a few studies: the first ones, or those named.

    \b
    Example: rg data show covid-chestxray --data-root covid-chestxray-dataset -n 2
    """
    studies = [s for s in _read(name, root, options).studies if split in ("", s.split)]
    if ids:
        by_id = {s.id: s for s in studies}
        for id in ids:
            if id not in by_id:
                raise DataError(f"{name} has no study {id!r} among the {len(studies)} that are kept")
        studies = [by_id[id] for id in ids]
    folder = dataset_root(*meant_dataset(name, root)).absolute()
    for study in studies if ids else studies[:count]:
        if as_json:
            say_json(study_to_json(study, folder))
        else:
            _print_study(study)


def next_steps(name: str, given: str, collection: Collection) -> list[str]:
    """Return what to do next with a dataset, as commands that run. `given` are the options that read it."""
    studies = collection.studies
    data = f"{name} {given}".strip()
    if not studies:
        return [
            "no study is left: each line `dropped` names its option or file; rg info " + name + " lists the options"
        ]
    steps = [f"rg data show {data}  # are the texts and images the right ones?"]
    if not any(study.sections for study in studies):
        steps.append(f"no study has a text: rg info {name} lists the options that name its column")
        return steps
    if not any(study.split for study in studies):
        able = "val" in datasets.options(name)
        draw = (
            "--data-option val=0.1 --data-option test=0.2 draws them by patient" if able else "a column split is needed"
        )
        steps.append(f"no study has a split, and training needs one: {draw}")
        return steps
    if any(study.split == "train" for study in studies):
        start = "--encoder resnet18 --decoder lstm"
        steps.append(f"rg train {start} --data {data} --limit 100 --epochs 2  # a first try, in minutes")
    return steps


def _audit_json(audit: Audit) -> dict[str, Any]:
    return {
        "source": audit.source,
        "studies": audit.studies,
        "images": audit.images,
        "dropped": {reason: list(ids) for reason, ids in audit.dropped.items()},
        "notes": list(audit.notes),
    }


def _print_audit(audit: Audit, err: bool = False) -> None:
    say(audit.source, err=err)
    say(f"kept     {audit.studies} studies, {audit.images} images", err=err)
    for reason, ids in audit.dropped.items():
        more = ", …" if len(ids) > MAX_IDS_SHOWN else ""
        say(f"dropped  {len(ids)}: {reason} ({', '.join(ids[:MAX_IDS_SHOWN])}{more})", err=err)
    for note in audit.notes:
        say(f"note     {note}", err=err)


def _print_study(study: Study) -> None:
    say(f"{study.id}  {study.split or 'no split'}" + (f", patient {study.patient}" if study.patient else ""))
    for view in study.views:
        say(f"  image      {view.path}" + (f" ({view.projection})" if view.projection else ""))
    for name, text in study.sections.items():
        say(f"  {name:<10} {' '.join(text.splitlines())}")
    if study.tags:
        say(f"  tags       {', '.join(study.tags)}")
    if study.labels:
        say("  labels     " + ", ".join(f"{name} {value:g}" for name, value in study.labels.items()))
    say()
