"""Run `rg zoo push`, `mirror` and `convert`: publish models, copy them, and take over weights of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from reportgen_zoo.manifest.records import Record
from reportgen_zoo.pull import catalogue as manifests

from reportgen_core import OptionError

from ...options import FOLDER
from ...terminal.echo import say

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
SIGN = click.option("--sign", "key", type=FILE, help="Sign the manifest with this Ed25519 key (PEM).")


@click.command()
@click.argument("model", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--name", required=True, help="COMPOSITION.DATA_VERSION, as densenet121-hier-lstm.iu_v1.")
@click.option("--facts", type=FILE, help="JSON file; a reproduction needs none.")
@click.option("--licence", help="Of the weights, where FACTS does not say it.")
@click.option(
    "--out", "place", required=True, metavar="DIR|hf://OWNER/REPO", help="A folder, or a repository of the hub."
)
@click.option("--probe-seed", default=0, show_default=True, help="Of the image whose report is recorded.")
@SIGN
def push(
    model: Path, name: str, facts: Path | None, licence: str | None, place: str, probe_seed: int, key: Path | None
) -> None:
    """Pack the model folder MODEL into a zoo folder that any static server can serve, or into a hub's repository.

    \b
    Example: rg zoo push runs/best --name densenet121-hier-lstm.mine_v1 --facts facts.json --out myzoo

    FACTS is a JSON object with what no folder says: summary and licence, and where known terms, training, scores,
    paper, demonstration. Whoever sets REPORTGEN_MANIFESTS=https://host/myzoo/manifest.json, or hf://owner/repo, can
    pull the model. A card, a Markdown page made from the record, is written to cards/.

    MODEL may be a preset's folder of rg reproduce: summary, paper, training and scores are then read off it.
    """
    from reportgen_zoo.publish import facts as reproduced
    from reportgen_zoo.publish import push as packing

    stated = _facts(facts) | ({"licence": licence} if licence else {})
    if reproduced.is_reproduction(model):
        stated = reproduced.facts_of(model) | stated
        model = model / reproduced.BEST
    if missing := [key for key in ("summary", "licence") if key not in stated]:
        raise OptionError(f"{name} needs {' and '.join(missing)}: --facts FILE is a JSON object that says them")
    record = packing.make_record(model, name, stated, probe_seed)
    if place.startswith("hf://"):
        from reportgen_zoo.publish.hub import push_to_hub

        say(push_to_hub(model, record, place, key))
    else:
        say(str(packing.push(model, record, _new_folder(Path(place)), key)))
    say(f"pin: {record.name}@sha256:{record.digest[:16]}", err=True)
    _print_public_key(key)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--out", "place", required=True, type=FOLDER, help="The zoo's folder; it is made where there is none.")
@SIGN
def mirror(names: tuple[str, ...], place: Path, key: Path | None) -> None:
    """Copy models with their records into a zoo folder, for a place without a network; without NAME, all.

    \b
    Example: rg zoo mirror --out /media/usb/zoo NAME

    There, REPORTGEN_MANIFESTS=/media/usb/zoo/manifest.json and REPORTGEN_OFFLINE=1 use just what is in the folder.
    """
    from reportgen_zoo.publish.mirror import mirror as mirrored
    from reportgen_zoo.pull import fetch

    records = [manifests.record(name) for name in names] or _every_record()
    for _, folder in mirrored(records, _new_folder(place), fetch.quiet, key):
        say(str(folder))
    _print_public_key(key)


def _every_record() -> list[Record]:
    """Return the records of all manifests, and name those that are broken on stderr."""
    catalogue = manifests.catalogue()
    records = [record for name in catalogue.models if (record := catalogue.models.find(name)) is not None]
    for problem in (*catalogue.problems, *catalogue.models.faults.values()):
        say(f"rg: {problem}", err=True)
    return records


def _facts(path: Path | None) -> dict[str, Any]:
    """Read the facts of a model; {} without a file. Raises OptionError if the file is no JSON object."""
    from reportgen_zoo.manifest.schema import parse

    stated = {} if path is None else parse(path.read_bytes(), str(path))
    if not isinstance(stated, dict):
        raise OptionError(f"{path}: wants a JSON object with summary and licence")
    return stated


def _new_folder(zoo: Path) -> Path:
    """Make the folder if it is missing, and return it."""
    zoo.mkdir(parents=True, exist_ok=True)
    return zoo


def _print_public_key(key: Path | None) -> None:
    """Print the public key that readers of the manifest should pin; nothing without a key."""
    if key is not None:
        from reportgen_zoo.manifest.signing import public_key

        say(f"signed; a reader who pins {public_key(key)} accepts no other signature of this manifest", err=True)


@click.command()
@click.argument("file", type=FILE)
@click.option(
    "--format", "kind", required=True, type=click.Choice(["timm", "torchvision", "r2gen", "coattention-2018"])
)
@click.option(
    "--into", "model", required=True, type=FOLDER, help="A model folder of the parts that FILE is of, or a preset."
)
@click.option("--out", required=True, type=FOLDER, help="The new model's folder.")
@click.option("--vocabulary", type=FILE, help="The words of FILE by id, a JSON list; r2gen: annotation.json.")
@click.option("--tags", type=FILE, help="The tags of FILE in the order of their ids, a JSON list.")
def convert(file: Path, kind: str, model: Path, out: Path, vocabulary: Path | None, tags: Path | None) -> None:
    """Put the weights of a legacy checkpoint into a model: what has a place there; the rest is named.

    \b
    Example: rg zoo convert resnet50.pth --format torchvision --into mymodel --out converted
    Example: rg zoo convert model_best.pth --format r2gen --into r2gen --vocabulary annotation.json --out converted

    Pickles are read with weights_only=True: tensors and plain containers, no code. timm and torchvision fill the
    encoder. r2gen fills a whole model of the decoder r2gen, r2gen-cmn or transformer, whose words are those of
    annotation.json; any other model gets the ResNet alone. coattention-2018 fills a ResNet encoder and those layers
    of hier-lstm that are the same; the result is where training starts, not the model of 2018.
    """
    from reportgen_zoo.publish.convert import convert as converted

    done = converted(file, kind, model, out, vocabulary, tags)
    say(str(out))
    for word, names in (
        ("filled", done.filled),
        ("kept as they were in the model", done.kept),
        ("left out", done.left),
    ):
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        say(f"{len(names)} tensors {word}{': ' + shown if names else ''}", err=True)
