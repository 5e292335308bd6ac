"""The first stage of a search: FAISS proposes texts whose vectors lie near single regions of an image.

flat   every vector (IndexFlatIP): exact for each region
ivf    inverted lists (IndexIVFFlat): near lists alone are looked at
hnsw   a graph of neighbours (IndexHNSWFlat)
pq     inverted lists of product-quantised vectors (IndexIVFPQ): 64 bytes in place of 2,048

A FAISS file is a cache of this machine. It lies in the user's cache folder under the sha256 of all that it is made of
(the vectors, the kind and its settings), beside the sha256 of the file itself; where either does not fit, the index is
built anew from the vectors. FAISS's reader was not made for files of strangers, so none is taken from an index folder.
"""

from __future__ import annotations

import hashlib
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
from reportgen_core.retrieval.index import Part, TextIndex, check_vectors

TRAIN_EACH = 64  # vectors a list is learned from; faiss warns below 39
CODES, BITS = 64, 8  # of a product-quantised vector
LINKS, BUILD = 32, 160  # of a node of the graph, and nodes looked at for each that is added
SETTINGS = {  # by kind: settings that change the file
    "flat": {},
    "ivf": {"lists": "2 sqrt n"},
    "hnsw": {"links": LINKS, "build": BUILD},
    "pq": {"lists": "2 sqrt n", "codes": CODES, "bits": BITS},
}
PROBES, NODES = 8, 32  # lists, and nodes of the graph, that the query of a region looks at


class Proposer:
    """A FAISS index over the vectors of a TextIndex, from the cache or built."""

    def __init__(self, index: TextIndex, *, kind: str | None = None, cache: Path | None = None) -> None:
        self.kind = kind or index.kind
        self.faiss = _open(index, self.kind, cache or default_cache().parent / "faiss")
        self.removed = np.array(sorted(index.removed), np.int64)

        if self.kind != "hnsw":
            self._move()

    def _move(self) -> None:
        """To the first GPU, where faiss finds one."""
        import faiss

        if getattr(faiss, "get_num_gpus", lambda: 0)():
            self._resources = faiss.StandardGpuResources()  # must live as long as the index
            self.faiss = faiss.index_cpu_to_gpu(self._resources, 0, self.faiss)

    def propose(self, queries: NDArray[np.float32], count: int, breadth: int = 1) -> NDArray[np.int64]:
        """(q, count) row numbers near each query, nearest first; -1 where there is none, or a removed one.

        `breadth` times as many lists, or nodes of the graph, are looked at.
        """
        count = min(count, self.faiss.ntotal)
        if self.kind in ("ivf", "pq"):
            self.faiss.nprobe = min(PROBES * breadth, self.faiss.nlist)
        elif self.kind == "hnsw":
            self.faiss.hnsw.efSearch = max(NODES * breadth, count)
        _, found = self.faiss.search(np.ascontiguousarray(queries, np.float32), count)
        numbers: NDArray[np.int64] = np.asarray(found, np.int64)
        return np.where(np.isin(numbers, self.removed), -1, numbers)


def key_of(kind: str, parts: Sequence[Part], dim: int) -> str:
    """What a FAISS file is made of, as a name: the kind with its settings, and the vectors of these parts."""
    made_of = [kind, SETTINGS[kind], TRAIN_EACH, dim, [p.vectors_sha256 for p in parts]]
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()


def _open(index: TextIndex, kind: str, cache: Path) -> Any:
    """The longest run of parts that the cache has, with the later ones added; or one built from nothing."""
    for known in range(len(index.parts), 0, -1):
        found = _cached(cache, key_of(kind, index.parts[:known], index.dim))
        if found is not None and found.ntotal == sum(p.rows for p in index.parts[:known]):
            if known < len(index.parts):
                _add(found, index, found.ntotal)
                _keep(found, cache, key_of(kind, index.parts, index.dim))
            return found
    check_vectors(index)  # all of it is read anyway
    made = _build(index, kind)
    _keep(made, cache, key_of(kind, index.parts, index.dim))
    return made


def _cached(cache: Path, key: str) -> Any:
    """The file of this key, if it is the one that this machine wrote."""
    import faiss

    path, note = cache / f"{key}.faiss", cache / f"{key}.sha256"
    try:
        if sha256_file(path) != note.read_text(encoding="utf-8").strip():
            return None
        return faiss.read_index(str(path))
    except (OSError, RuntimeError, UnicodeDecodeError):  # not there, or not readable: it is built anew
        return None


def _keep(made: Any, cache: Path, key: str) -> None:
    """Write the file, and then the sha256 that it must have; each whole or not at all."""
    import faiss

    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"{key}.faiss"
    with atomic_file(path, "wb") as file:
        faiss.write_index(made, file.name)
    atomic_write(path.with_suffix(".sha256"), sha256_file(path))


def _build(index: TextIndex, kind: str) -> Any:
    import faiss

    d, n, by = index.dim, index.rows, faiss.METRIC_INNER_PRODUCT
    lists = max(1, min(round(2 * math.sqrt(n)), n // TRAIN_EACH))
    made: Any
    if kind == "flat":
        made = faiss.IndexFlatIP(d)
    elif kind == "ivf":
        made = faiss.IndexIVFFlat(faiss.IndexFlatIP(d), d, lists, by)
    elif kind == "hnsw":
        made = faiss.IndexHNSWFlat(d, LINKS, by)
        made.hnsw.efConstruction = BUILD
    else:
        codes = next(c for c in range(min(CODES, d), 0, -1) if d % c == 0)
        if n < 2**BITS:
            raise DataError(f"pq learns {2**BITS} codes and needs as many texts, there are {n}; --kind flat suits few")
        made = faiss.IndexIVFPQ(faiss.IndexFlatIP(d), d, lists, codes, BITS, by)
    if kind in ("ivf", "pq"):
        made.cp.seed, made.cp.niter = 1, 10
        if kind == "pq":
            made.pq.cp.seed, made.pq.cp.niter = 1, 8
        made.train(_sample(index, max(lists * TRAIN_EACH, 2**BITS * TRAIN_EACH)))
    _add(made, index, 0)
    return made


def _sample(index: TextIndex, count: int) -> NDArray[np.float32]:
    """`count` vectors at even distances."""
    rows = np.unique(np.linspace(0, index.rows - 1, min(count, index.rows)).astype(np.int64))
    return index.vectors(rows)


def _add(made: Any, index: TextIndex, first: int) -> None:
    """Add all vectors from row `first` on, block by block."""
    for at, block in index.blocks(16384):
        if at + len(block) > first:
            made.add(np.ascontiguousarray(block[max(0, first - at) :], np.float32))
