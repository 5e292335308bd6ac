"""The interface of a store of vectors, which proposes texts near a vector; the default store is FAISS.

A store is named as "NAME" or "NAME:ADDRESS". The folder of an index stays the truth: a store is filled from it and can
be filled again. `index.json` of a stranger may name an address. So an address is used only if somebody wrote it on this
machine, as `--store NAME:ADDRESS` or in REPORTGEN_STORE.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError, OptionError
from ..files.atomic import atomic_write
from ..registries import text_stores
from ..registry import OLD_RECIPE
from .index import TextIndex

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT = "faiss"


class TextStore(ABC):
    """Proposes rows of an index whose vectors are near a vector. A store outside the folder is filled from it."""

    part_config: dict[str, Any]  # name and options; set by the registry
    recipe = OLD_RECIPE

    @classmethod
    def check_address(cls, address: str, kind: str) -> str:
        """Return an address as it is to be saved. Raises OptionError for one, or for a kind, that it does not take.

        A store that has no address refuses every address.
        """
        if address:
            raise OptionError(f"this store has no address, got {address!r}; write its name alone")
        return ""

    @abstractmethod
    def propose(self, queries: NDArray[np.float32], count: int, breadth: int = 1) -> NDArray[np.int64]:
        """Return the row numbers (q, count) nearest to each query (q, d), nearest first; -1 where there is no more.

        Rows that are removed or that the filter of the index leaves out are no result. `breadth` multiplies what is
        searched of an approximate index.
        """

    def fill(self) -> int:
        """Bring the store up to the index and return the number of rows written.

        A store that was filled in part is filled on from there. A store that is made when it is opened has no work.
        """
        return 0

    def problem(self) -> str:
        """Return why the store cannot be searched for the index; "" if it can, as one that is made from the folder."""
        return ""


def split_store(store: str) -> tuple[str, str]:
    """Return the registered name and the address of "NAME" or "NAME:ADDRESS"; the default store for ""."""
    name, _, address = store.partition(":")
    return text_stores.find(name or DEFAULT), address


def check_store(store: str, kind: str) -> str:
    """Return how `index.json` names a store: "" for the default, "milvus", "milvus:http://host:19530".

    Raises UnknownName for an unknown store and OptionError for an address or a kind that it does not take.
    """
    name, address = split_store(store)
    if kind == "exact" and name != DEFAULT:
        raise OptionError(f"--kind exact scores every text of the folder and needs no store {name}; leave one out")
    address = text_stores.get_class(name).check_address(address, kind)
    return f"{name}:{address}" if address else "" if name == DEFAULT else name


def open_store(index: TextIndex) -> TextStore:
    """Open the store that an index names. Raises CheckpointError for an address that nobody wrote on this machine."""
    name, address = split_store(index.store)
    if address and index.store not in _allowed():
        raise CheckpointError(
            f"{index.folder} names the store {index.store}, which nobody wrote on this machine: if you trust it, set "
            f"REPORTGEN_STORE={index.store}"
        )
    store: TextStore = text_stores.create(name, index, *([address] if address else []))
    return store


def searchable_store(index: TextIndex) -> TextStore:
    """Open the store that an index names. Raises CheckpointError unless it holds the rows of the index."""
    store = open_store(index)
    if problem := store.problem():
        raise CheckpointError(problem)
    return store


def allow_store(store: str) -> None:
    """Remember that the user of this machine wrote the address of a store."""
    if ":" in store and store not in _allowed():
        file = _allowed_file()
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(file, json.dumps(sorted({*_remembered(), store}), indent=1) + "\n", private=True)


def _allowed() -> set[str]:
    """Return the stores whose address may be used: those remembered, and the one in REPORTGEN_STORE."""
    return {*_remembered(), os.environ.get("REPORTGEN_STORE", "")}


def _remembered() -> set[str]:
    """Return the stores in the file of allowed ones; a file that is damaged allows none."""
    try:
        values = json.loads(_allowed_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    return {v for v in values if isinstance(v, str)} if isinstance(values, list) else set()


def _allowed_file() -> Path:
    from ..data.images import default_cache

    return default_cache().parent / "stores.json"
