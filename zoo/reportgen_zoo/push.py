"""Packs a trained model into a zoo folder: `manifest.json`, and the files under `models/NAME`, for any static server.

The record's source is relative to the manifest, so that the folder works where it lies, behind any address, and inside
a package. A name that is there never gets other bytes.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .data import build, parse, plain
from .manifests import read_manifest
from .records import FORMAT, Manifest, Probe, Record, ZooError, check_record
from .verify import files_of, probe

FOUND = ("files", "sources", "parts", "image", "requires", "probe")  # what is read off the folder


def describe(folder: Path, name: str, facts: Mapping[str, Any], seed: int | None = 0) -> Record:
    """The record of a model folder. `facts` are the fields that no folder says: summary, licence, scores and the like.

    The report that the model writes for the seeded probe image is recorded; `seed` None records none. Raises
    DataFormatError or ZooError.
    """
    for key in FOUND:
        if key in facts:
            raise ZooError(f"the facts of {name} give {key!r}, which is read off the folder")
    config = parse((folder / "config.json").read_bytes(), str(folder / "config.json"))
    parts = {kind: config[kind]["name"] for kind in ("encoder", "decoder", "retriever") if kind in config}
    needed = sorted({config[kind].get("plugin", "") for kind in parts} - {"", "reportgen"})
    found = {
        "files": [plain(f) for f in files_of(folder)],
        "sources": [f"models/{name}"],
        "parts": parts,
        "image": config["image"],
        "requires": needed,
        "probe": None if seed is None else plain(Probe(seed, probe(folder, seed))),
    }
    record = build(Record, {"name": name, **facts, **found}, f"record of {name}")
    check_record(record, f"record of {name}")
    return record


def push(folder: Path, record: Record, zoo: Path) -> Path:
    """Copy the files of a model into a zoo folder and enter its record in the manifest. Gives the copy's folder.

    Raises ZooError where the name is taken by other bytes.
    """
    at = zoo / "manifest.json"
    known = read_manifest(at.read_bytes(), str(at)).models if at.exists() else ()
    for other in known:
        if other.name == record.name and other.digest != record.digest:
            raise ZooError(f"{record.name} is in {at} with other bytes; a new version is a new name")
    target = zoo / "models" / record.name
    if target.resolve() != folder.resolve():
        _copy(folder, record, target)
    models = sorted([r for r in known if r.name != record.name] + [record], key=lambda r: r.name)
    _replace(at, json.dumps(plain(Manifest(FORMAT, tuple(models))), indent=1, ensure_ascii=False) + "\n")
    return target


def _copy(folder: Path, record: Record, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=".", dir=target.parent))
    try:
        for file in record.files:
            (beside / file.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / file.path, beside / file.path)
        beside.chmod(0o755)  # mkdtemp's are private
        if target.exists():  # the same bytes, or what an earlier push left half done
            shutil.rmtree(target)
        beside.rename(target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)
