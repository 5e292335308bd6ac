"""Run the first stage of a search: FAISS proposes texts whose vectors are near single regions of an image.

flat   every vector (IndexFlatIP): exact for each region
ivf    inverted lists (IndexIVFFlat): only near lists are searched
hnsw   a graph of neighbours (IndexHNSWFlat)
pq     inverted lists of product-quantised vectors (IndexIVFPQ): 64 bytes instead of 2,048

A FAISS file is a cache of this machine. It is in the user's cache folder. Its name is the sha256 of everything from
which it is made (the vectors, the kind and its settings); a second file has its own sha256. If either does not fit, the
FAISS file is built again from the vectors. FAISS's reader is not safe for files of strangers, so no FAISS file is read
from the folder of an index.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reportgen_core import DataError
from reportgen_core.data.images import default_cache
from reportgen_core.files.atomic import atomic_file, atomic_write
from reportgen_core.files.digests import sha256_file
from reportgen_core.retrieval.index import IndexPart, TextIndex, check_vectors
from reportgen_core.retrieval.stores import TextStore

TRAIN_EACH = 64  # vectors from which each list is learned; faiss warns below 39
CODES, BITS = 64, 8  # of a product-quantised vector
LINKS, BUILD = 32, 160  # links of a node of the graph, and nodes that are visited to add one
SETTINGS = {  # by kind: the settings that change the file
    "flat": {},
    "ivf": {"lists": "2 sqrt n"},
    "hnsw": {"links": LINKS, "build": BUILD},
    "pq": {"lists": "2 sqrt n", "codes": CODES, "bits": BITS},
}
PROBES, NODES = 8, 32  # lists, or nodes of the graph, that are searched for the query of a region


class Proposer(TextStore):
    """A FAISS index over the vectors of a TextIndex, read from the cache or built.

    Args:
        kind: flat, ivf, hnsw or pq; None: the kind of the index.
        cache: folder of the files of FAISS; None: `faiss` next to the cache of images.
    """

    def __init__(self, index: TextIndex, *, kind: str | None = None, cache: Path | None = None) -> None:
        self.kind = kind or index.kind
        self.faiss = _open(index, self.kind, cache or default_cache().parent / "faiss")
        self.removed = np.array(sorted(index.removed), np.int64)
        self._shown = None if index.where is None else np.setdiff1d(np.arange(index.rows), sorted(index.hidden))

        if self.kind != "hnsw" and self._shown is None:  # faiss filters on the processor alone
            self._move()

    def _move(self) -> None:
        """Move the FAISS index to the first GPU, if faiss has one."""
        import faiss

        if getattr(faiss, "get_num_gpus", lambda: 0)():
            self._resources = faiss.StandardGpuResources()  # must live as long as the index
            self.faiss = faiss.index_cpu_to_gpu(self._resources, 0, self.faiss)

    def propose(self, queries: NDArray[np.float32], count: int, breadth: int = 1) -> NDArray[np.int64]:
        """Return the row numbers (q, count) nearest to each query (q, d), nearest first; -1 for none or a removed one.

        `breadth` multiplies the number of lists, or of nodes of the graph, that are searched.
        """
        count = min(count, self.faiss.ntotal)
        if self._shown is not None:
            return self._filtered(queries, count, breadth)
        if self.kind in ("ivf", "pq"):
            self.faiss.nprobe = min(PROBES * breadth, self.faiss.nlist)
        elif self.kind == "hnsw":
            self.faiss.hnsw.efSearch = max(NODES * breadth, count)
        _, nearest = self.faiss.search(np.ascontiguousarray(queries, np.float32), count)
        numbers: NDArray[np.int64] = np.asarray(nearest, np.int64)
        return np.where(np.isin(numbers, self.removed), -1, numbers)

    def _filtered(self, queries: NDArray[np.float32], count: int, breadth: int) -> NDArray[np.int64]:
        """Return the row numbers as `propose` does, among the rows that the filter of the index shows."""
        faiss: Any = importlib.import_module("faiss")  # its type hints lack these settings
        selector = faiss.IDSelectorBatch(self._shown)
        if self.kind in ("ivf", "pq"):
            settings = faiss.SearchParametersIVF(sel=selector, nprobe=min(PROBES * breadth, self.faiss.nlist))
        elif self.kind == "hnsw":
            settings = faiss.SearchParametersHNSW(sel=selector, efSearch=max(NODES * breadth, count))
        else:
            settings = faiss.SearchParameters(sel=selector)
        _, nearest = self.faiss.search(np.ascontiguousarray(queries, np.float32), count, params=settings)
        return np.asarray(nearest, np.int64)


def key_of(kind: str, parts: Sequence[IndexPart], dim: int) -> str:
    """Return the name of a FAISS file: a sha256 of the kind, its settings, and the vectors of these parts."""
    sources = [kind, SETTINGS[kind], TRAIN_EACH, dim, [p.vectors_sha256 for p in parts]]
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()


def _open(index: TextIndex, kind: str, cache: Path) -> Any:
    """Return the FAISS index of all parts: the one in the cache with most of the first parts, or a new one.

    Missing parts are added, and the result is saved in the cache.
    """
    for count in range(len(index.parts), 0, -1):
        cached = _cached(cache, key_of(kind, index.parts[:count], index.dim))
        if cached is not None and cached.ntotal == sum(p.rows for p in index.parts[:count]):
            if count < len(index.parts):
                _add(cached, index, cached.ntotal)
                _save(cached, cache, key_of(kind, index.parts, index.dim))
            return cached
    check_vectors(index)  # building reads all vectors anyway
    built = _build(index, kind)
    _save(built, cache, key_of(kind, index.parts, index.dim))
    return built


def _cached(cache: Path, key: str) -> Any:
    """Return the FAISS index of this key, or None if it is missing or not the file that this machine wrote."""
    import faiss

    path, note = cache / f"{key}.faiss", cache / f"{key}.sha256"
    try:
        if sha256_file(path) != note.read_text(encoding="utf-8").strip():
            return None
        return faiss.read_index(str(path))
    except (OSError, RuntimeError, UnicodeDecodeError):  # missing or damaged: it is built again
        return None


def _save(built: Any, cache: Path, key: str) -> None:
    """Write a FAISS index to the cache, then a file with its sha256; each is written completely or not at all."""
    import faiss

    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"{key}.faiss"
    with atomic_file(path, "wb") as file:
        faiss.write_index(built, file.name)
    atomic_write(path.with_suffix(".sha256"), sha256_file(path))


def _build(index: TextIndex, kind: str) -> Any:
    """Build a FAISS index of all vectors. Raises DataError if there are too few for the kind."""
    import faiss

    d, n, by = index.dim, index.rows, faiss.METRIC_INNER_PRODUCT
    lists = max(1, min(round(2 * math.sqrt(n)), n // TRAIN_EACH))
    built: Any
    if kind == "flat":
        built = faiss.IndexFlatIP(d)
    elif kind == "ivf":
        built = faiss.IndexIVFFlat(faiss.IndexFlatIP(d), d, lists, by)
    elif kind == "hnsw":
        built = faiss.IndexHNSWFlat(d, LINKS, by)
        built.hnsw.efConstruction = BUILD
    else:
        codes = next(c for c in range(min(CODES, d), 0, -1) if d % c == 0)
        if n < 2**BITS:
            raise DataError(f"pq learns {2**BITS} codes and needs as many texts, there are {n}; --kind flat suits few")
        built = faiss.IndexIVFPQ(faiss.IndexFlatIP(d), d, lists, codes, BITS, by)
    if kind in ("ivf", "pq"):
        built.cp.seed, built.cp.niter = 1, 10
        if kind == "pq":
            built.pq.cp.seed, built.pq.cp.niter = 1, 8
        built.train(_sample(index, max(lists * TRAIN_EACH, 2**BITS * TRAIN_EACH)))
    _add(built, index, 0)
    return built


def _sample(index: TextIndex, count: int) -> NDArray[np.float32]:
    """Return about `count` vectors (n, d), evenly spaced in the order of the rows."""
    rows = np.unique(np.linspace(0, index.rows - 1, min(count, index.rows)).astype(np.int64))
    return index.vectors(rows)


def _add(built: Any, index: TextIndex, first: int) -> None:
    """Add all vectors from row `first` on, block by block."""
    for start, block in index.blocks(16384):
        if start + len(block) > first:
            built.add(np.ascontiguousarray(block[max(0, first - start) :], np.float32))
