"""List the contents of the cache, remove models, and prune the remains of interrupted pulls."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..manifest.records import ZooError, check_name
from . import cache


@dataclass(frozen=True, slots=True)
class CacheItem:
    """A folder or file of the cache."""

    kind: str  # "model", "partial", "left over" or "manifest"
    name: str
    path: Path
    bytes: int


def items() -> Iterator[CacheItem]:
    """Yield every model, partial pull, left over and manifest in the cache."""
    models = cache.folder() / "models"
    for path in _inside(models):
        if not path.name.startswith("."):
            yield CacheItem("model", path.name, path, size(path))
        elif path.name.startswith((".replaced-", ".removed-")):
            yield CacheItem("left over", path.name.split("-", 1)[1].rpartition("-")[0], path, size(path))
    for path in _inside(models / ".partial"):
        yield CacheItem("partial", path.name.rpartition("-")[0], path, size(path))
    for path in _inside(cache.folder() / "manifests"):
        yield CacheItem("manifest", path.name, path, size(path))


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def size(path: Path) -> int:
    """Return the size in bytes of a file, or of all files in a folder. Links are not followed."""
    if path.is_symlink() or path.is_file():
        return path.lstat().st_size
    return sum((Path(at) / f).lstat().st_size for at, _, files in os.walk(path) for f in files)


def remove(name: str) -> CacheItem | None:
    """Delete the model `name` from the cache and return what was deleted; None if it is not there.

    Raises ZooError if another process pulls the model.
    """
    at = cache.model_folder(name)
    if not at.is_dir():
        return None
    item = CacheItem("model", name, at, size(at))
    if not _delete(item, wait=30.0):
        raise ZooError(f"{name} is being pulled by another process; try again")
    return item


def prune(known: Container[str] | None = None, dry: bool = False) -> list[CacheItem]:
    """Delete partial pulls that no process uses, and left overs; with `known`, also models with other names.

    Return the deleted items. With `dry`, return the items without deleting them.
    """
    old = [i for i in items() if i.kind in ("partial", "left over")]
    old += [i for i in items() if i.kind == "model" and known is not None and i.name not in known]
    return [i for i in old if dry or _delete(i, wait=0.0)]


def _delete(item: CacheItem, wait: float) -> bool:
    """Delete an item under the model's lock. Return False if another process holds the lock for `wait` seconds."""
    from filelock import FileLock, Timeout

    lock = cache.lock_file(check_name(item.name))
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=wait):
            away = item.path
            if item.kind == "model":  # renamed first: the model is gone even if this process is killed here
                away = item.path.with_name(f".removed-{item.name}-{time.time_ns()}")
                item.path.rename(away)
            if away.is_symlink():
                away.unlink()
            else:
                shutil.rmtree(away)
    except Timeout:
        return False
    except OSError as e:
        raise ZooError(f"cannot delete {item.path}: {e.strerror}") from e
    return True
