"""Pack a trained model into a zoo folder: `manifest.json` and the files under `models/NAME`, for any static server.

The source in the record is relative to the manifest, so the folder works in any place, at any address, and inside a
package. The files of a name in the manifest never change.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reportgen_core.errors import quoted
from reportgen_core.files.atomic import atomic_write
from reportgen_core.files.digests import sha256_file

from ..manifest import signing
from ..manifest.cards import card
from ..manifest.records import ALLOWED, FORMAT, Manifest, Probe, Record, ZooError, check_record, is_file_path
from ..manifest.schema import from_json, parse, plain
from ..pull.catalogue import read_manifest
from ..pull.verify import files_of, probe

# Fields of a record that are read from the model folder; `facts` may not have them.
PARTS = ("encoder", "decoder", "retriever", "reporter")
READ_FROM_FOLDER = ("files", "sources", "parts", "image", "vocabulary_sha256", "requires", "reference", "probe")


def make_record(folder: Path, name: str, facts: Mapping[str, Any], seed: int | None = 0) -> Record:
    """Return the record of a model folder. `facts` are the fields that no folder has: summary, licence, scores, …

    The record has the report that the model writes for the seeded probe image, none if `seed` is None or if the model
    is an endpoint, whose answers nobody can promise. Raises DataFormatError or ZooError.
    """
    for key in READ_FROM_FOLDER:
        if key in facts:
            raise ZooError(f"the facts of {name} give {key!r}, which is read off the folder")
    listed = files_of(folder)
    for file in listed:
        if not is_file_path(file.path):
            raise ZooError(
                f"{folder} has {quoted(file.path)}, which is no file of a model; {ALLOWED}; remove it from the folder"
            )
    config = parse((folder / "config.json").read_bytes(), str(folder / "config.json"))
    parts = {kind: config[kind]["name"] for kind in PARTS if kind in config}
    plugins = sorted({config[kind].get("plugin", "") for kind in parts} - {"", "reportgen"})
    reference = _reference(config.get("reference", {}))
    seed = None if reference.get("kind") == "endpoint" else seed
    fields = {
        "files": [plain(f) for f in listed],
        "sources": [f"models/{name}"],
        "parts": parts,
        "image": config.get("image", {}),
        "vocabulary_sha256": config.get("vocabulary_sha256", ""),
        "requires": plugins,
        "reference": reference,
        "probe": None if seed is None else plain(Probe(seed, probe(folder, seed))),
    }
    record = from_json(Record, {"name": name, **facts, **fields}, f"record of {name}")
    check_record(record, f"record of {name}")
    return record


def _reference(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the reference of a reporter for its record: kind, source, revision, model, and one hash of its files."""
    if not values:
        return {}
    from reportgen_core.models.reporters.reference import reference_from_json

    reference = reference_from_json(values, "config.json")
    texts = {"kind": reference.kind, "source": reference.source, "revision": reference.revision}
    texts |= {"model": reference.model, "sha256": reference.sha256, "promise": " ".join(reference.limits)}
    return {name: text for name, text in texts.items() if text}


def push(folder: Path, record: Record, zoo: Path, key: Path | None = None) -> Path:
    """Copy the files of a model into a zoo folder, add its record to the manifest, and return the copy's folder.

    With `key`, a private key, the manifest is signed. Raises ZooError if the manifest has the name with other bytes, if
    the folder's files are not the record's, and for a signed manifest without a key.
    """
    check_record(record, "the record")
    at = zoo / "manifest.json"
    signature = at.with_name(at.name + signing.SUFFIX)
    check_signed(signature.exists(), key, str(zoo))
    listed = read_manifest(at.read_bytes(), str(at)).models if at.exists() else ()
    text = add_to_manifest(listed, record, str(at)).encode()
    signed = signing.sign(text, key)[0] if key is not None else None
    target = zoo / "models" / record.name
    if target.resolve() != folder.resolve():
        _copy(folder, record, target)
    (zoo / "cards").mkdir(parents=True, exist_ok=True)
    atomic_write(zoo / "cards" / f"{record.name}.md", card(record))
    if signed is not None:
        atomic_write(signature, signed)
    atomic_write(at, text)
    return target


def check_signed(signed: bool, key: Path | None, where: str) -> None:
    """Raise ZooError if a signed manifest would lose its signature."""
    if signed and key is None:
        raise ZooError(f"{where} is signed; a push that changes its manifest needs --sign KEY")


def add_to_manifest(listed: Sequence[Record], record: Record, where: str) -> str:
    """Return the text of a manifest with one more record. Raises ZooError if it has the name with other bytes."""
    for other in listed:
        if other.name == record.name and other.digest != record.digest:
            raise ZooError(f"{record.name} is in {where} with other bytes; a new version is a new name")
    models = sorted([r for r in listed if r.name != record.name] + [record], key=lambda r: r.name)
    return json.dumps(plain(Manifest(FORMAT, tuple(models))), indent=1, ensure_ascii=False) + "\n"


def _copy(folder: Path, record: Record, target: Path) -> None:
    """Copy the files of a record to `target`, whole or not at all. Raises ZooError if a file is not the record's."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".", dir=target.parent))
    try:
        for file in record.files:
            copy = temporary / file.path
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / file.path, copy)
            if sha256_file(copy) != file.sha256:
                raise ZooError(f"{folder / file.path} is not what its record says; rg zoo verify {record.name}")
        temporary.chmod(0o755)  # mkdtemp makes private folders
        if target.exists():  # the same bytes, or the remains of an interrupted push
            shutil.rmtree(target)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
