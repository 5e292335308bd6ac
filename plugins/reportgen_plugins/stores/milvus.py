"""Search the vectors of an index in Milvus (Wang et al., Milvus: A Purpose-Built Vector Data Management System,
SIGMOD 2021, doi:10.1145/3448016.3457550): a cluster, a server, or milvus-lite in this process.

A collection has a row for each text: its row number as the key, the vector, what filters compare, and the digest of the
part of the index that it comes from. Texts stay in the folder. The name of the collection is made from the first part,
so that a copy of the folder uses the same one. Rows are written in order and a batch at a time: the number of rows says
where a killed command has to go on.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reportgen_core import CheckpointError, OptionError
from reportgen_core.data.images import default_cache
from reportgen_core.retrieval.filters import plain_name, tags_of
from reportgen_core.retrieval.index import TextIndex, TextRow
from reportgen_core.retrieval.stores import TextStore

from .connection import check_address, connect, is_file, need_packages, one_line

BYTES = 2**23  # of the vectors of one request; Milvus takes 64 MB
KEYS = 4096  # row numbers of one request
QUERIES = 1024  # of one request
MAX_HITS = 16384  # of a query, which is as many as Milvus gives
PROBES, NODES = 8, 32  # lists, or nodes of the graph, that are searched for the query of a region
LINKS, VISITED = 32, 160  # of a node of the graph, and nodes that are visited to add one
CODES = 64  # of a product-quantised vector, 8 bits each
MAX_LISTS = 65536
WAIT, LONG = 120.0, 7200.0  # seconds: for a request, and until an index is built or loaded
AGAIN = "rg index rebuild MODEL fills it from the folder"
ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r"})  # in a text of a filter
Numbers = NDArray[np.int64]


class MilvusStore(TextStore):
    """A collection of Milvus with the vectors of an index."""

    def __init__(self, index: TextIndex, address: str = "") -> None:
        self.index, self.collection = index, collection_name(index)
        self.address = address or str(default_cache().parent / "milvus" / f"{self.collection}.db")
        self._client: Any = None

    @classmethod
    def check_address(cls, address: str, kind: str) -> str:
        """Return the address, and connect to a server once: an error comes before the texts are read."""
        address = check_address(address)
        need_packages(address)
        if is_file(address) and kind == "pq":
            raise OptionError("milvus-lite has no --kind pq; it has flat, ivf and hnsw, and a server of Milvus has pq")
        if not is_file(address):
            connect(address).close()
        return address

    @property
    def client(self) -> Any:
        """Return the client, which is connected at its first use."""
        self._client = self._client or connect(self.address)
        return self._client

    def fill(self) -> int:
        """Write the rows that the collection lacks and delete the removed ones; return the number of rows written.

        A collection with other rows is made anew. Raises CheckpointError if Milvus does not hold all rows afterwards.
        """
        self._client = client = self._client or connect(self.address, create=True)
        with one_line(self.address):
            if client.has_collection(self.collection, timeout=WAIT) and self._dim() != self.index.dim:
                client.drop_collection(self.collection, timeout=WAIT)
            if not client.has_collection(self.collection, timeout=WAIT):
                self._create()
            client.load_collection(self.collection, timeout=LONG)
            self._delete_removed()
            stored = self._count()
            if stored > len(self._whole) or not self._same(stored):
                client.drop_collection(self.collection, timeout=WAIT)
                self._create()
                stored = 0
            self._write(stored)
            client.flush(self.collection, timeout=LONG)
            client.load_collection(self.collection, timeout=LONG)
        if problem := self.problem():
            raise CheckpointError(problem)
        return len(self._whole) - stored

    def problem(self) -> str:
        """Return what the collection lacks: it must have the number of rows, the parts and the vectors of the index."""
        client, live, here = self.client, len(self._whole), f"the store milvus at {self.address}"
        with one_line(self.address):
            if not client.has_collection(self.collection, timeout=WAIT):
                return f"{here} has no collection of this index; {AGAIN}"
            if (dim := self._dim()) != self.index.dim:
                return f"{here} holds vectors of {dim}, the index has vectors of {self.index.dim}; {AGAIN}"
            client.load_collection(self.collection, timeout=LONG)
            if (stored := self._count()) != live:
                return (
                    f"{here} holds {stored:,} of {live:,} texts: it is half built, or a copy of the folder was "
                    f"changed; {AGAIN}"
                )
            if not self._same(live):
                return f"{here} holds the vectors of another model or of other texts; {AGAIN}"
        return ""

    def propose(self, queries: NDArray[np.float32], count: int, breadth: int = 1) -> Numbers:
        """Return the row numbers (q, count) nearest to each query (q, d); -1 for none or for a hidden row."""
        limit = min(count, self.index.rows, MAX_HITS)
        numbers = np.full((len(queries), count), -1, np.int64)
        with one_line(self.address):
            for at in range(0, len(queries), QUERIES):
                hits = self.client.search(
                    self.collection, data=np.ascontiguousarray(queries[at : at + QUERIES], np.float32), limit=limit,
                    filter=expression(self.index), anns_field="vector", timeout=WAIT, consistency_level="Strong",
                    search_params={"metric_type": "IP", "params": self._breadth(limit, breadth)},
                )  # fmt: skip
                for n, of_query in enumerate(hits, at):
                    rows = [hit["row"] for hit in of_query]
                    numbers[n, : len(rows)] = rows
        hidden = np.array(sorted(self.index.removed), np.int64)
        return np.where(np.isin(numbers, hidden) | (numbers >= self.index.rows), -1, numbers)

    @property
    def _whole(self) -> TextIndex:
        """Return the index without its filter."""
        return self.index.unfiltered()

    def _create(self) -> None:
        """Create the collection with its index."""
        from pymilvus import DataType, MilvusClient

        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("row", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=self.index.dim)
        schema.add_field("part", DataType.VARCHAR, max_length=32)
        schema.add_field("dataset", DataType.VARCHAR, max_length=1024)
        schema.add_field("tags", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=1024, max_length=1024)
        kind, settings = index_settings(self.index)
        params = MilvusClient.prepare_index_params()
        params.add_index("vector", index_type=kind, metric_type="IP", params={"params": settings})
        self.client.create_collection(
            self.collection, schema=schema, index_params=params, timeout=LONG, consistency_level="Strong"
        )

    def _write(self, stored: int) -> None:
        """Write the live rows after the first `stored` ones, in order."""
        texts = islice(self._whole.texts(), stored, None)
        size = max(1, min(KEYS, BYTES // (4 * self.index.dim)))
        for batch in _batches(texts, size):
            numbers = np.array([number for number, _ in batch], np.int64)
            rows = zip(batch, self.index.vectors(numbers), _parts_of(self.index, numbers), strict=True)
            self.client.upsert(
                self.collection,
                [
                    {
                        "row": number, "vector": vector, "part": part, "dataset": plain_name(text.dataset),
                        "tags": tags_of(text.labels),
                    }
                    for (number, text), vector, part in rows
                ],
                timeout=WAIT,
            )  # fmt: skip

    def _delete_removed(self) -> None:
        """Delete the removed rows that the collection still has."""
        removed = sorted(self.index.removed)
        for at in range(0, len(removed), KEYS):
            rows = self.client.get(
                self.collection, ids=removed[at : at + KEYS], output_fields=["row"], timeout=WAIT,
                consistency_level="Strong",
            )  # fmt: skip
            if rows:
                self.client.delete(self.collection, ids=[row["row"] for row in rows], timeout=WAIT)

    def _count(self) -> int:
        """Return the number of rows in the collection."""
        rows = self.client.query(
            self.collection, filter="", output_fields=["count(*)"], timeout=WAIT, consistency_level="Strong"
        )
        return int(rows[0]["count(*)"])

    def _dim(self) -> int:
        """Return the width of the collection's vectors; 0 if it has none of ours."""
        fields = self.client.describe_collection(self.collection, timeout=WAIT)["fields"]
        return next((int(f["params"].get("dim", 0)) for f in fields if f["name"] == "vector"), 0)

    def _same(self, count: int) -> bool:
        """Return whether some of the first `count` live rows, the last of each part among them, are as in the index."""
        numbers = _samples(self._whole, count)
        if not len(numbers):
            return True
        rows = self.client.get(
            self.collection, ids=numbers.tolist(), output_fields=["row", "part", "vector"], timeout=WAIT,
            consistency_level="Strong",
        )  # fmt: skip
        stored = {int(row["row"]): row for row in rows}
        if set(stored) != set(numbers.tolist()):
            return False
        vectors = np.array([stored[n]["vector"] for n in numbers.tolist()], np.float32)
        parts = [stored[n]["part"] for n in numbers.tolist()]
        return parts == _parts_of(self.index, numbers) and np.allclose(vectors, self.index.vectors(numbers), atol=1e-6)

    def _breadth(self, count: int, breadth: int) -> dict[str, int]:
        """Return how much of the index a search looks at."""
        if self.index.kind in ("ivf", "pq"):
            return {"nprobe": min(PROBES * breadth, lists_of(self.index))}
        return {"ef": max(NODES * breadth, count)} if self.index.kind == "hnsw" else {}


def collection_name(index: TextIndex) -> str:
    """Return the name of the collection of an index: a hash of its kind and its first part, which is never changed."""
    first = index.parts[0]
    source = [index.kind, index.dim, first.rows, first.vectors_sha256, first.texts_sha256]
    return f"reportgen_{hashlib.sha256(json.dumps(source).encode()).hexdigest()[:32]}"


def lists_of(index: TextIndex) -> int:
    """Return the number of inverted lists, by the first part: 2 √n as for FAISS."""
    return max(1, min(round(2 * math.sqrt(index.parts[0].rows)), MAX_LISTS))


def index_settings(index: TextIndex) -> tuple[str, dict[str, int]]:
    """Return the type of Milvus's index for a kind, and its settings."""
    codes = next(c for c in range(min(CODES, index.dim), 0, -1) if index.dim % c == 0)
    settings: dict[str, tuple[str, dict[str, int]]] = {
        "flat": ("FLAT", {}),
        "ivf": ("IVF_FLAT", {"nlist": lists_of(index)}),
        "hnsw": ("HNSW", {"M": LINKS, "efConstruction": VISITED}),
        "pq": ("IVF_PQ", {"nlist": lists_of(index), "m": codes, "nbits": 8}),
    }
    return settings[index.kind]


def expression(index: TextIndex) -> str:
    """Return the filter of an index in the language of Milvus; "" for none."""
    if index.where is None:
        return ""
    tags, datasets = sorted(index.where.wanted_tags()), index.where.datasets
    parts = [f"array_contains_any(tags, {_literals(tags)})"] if tags else []
    parts += [f"dataset in {_literals(datasets)}"] if datasets else []
    return " and ".join(parts)


def _literals(texts: Iterable[str]) -> str:
    """Return texts as a list of Milvus. It knows no escape by number: other signs stand for themselves."""
    return "[" + ", ".join(f'"{text.translate(ESCAPES)}"' for text in texts) + "]"


def _samples(index: TextIndex, count: int) -> Numbers:
    """Return row numbers among the first `count` live rows: nine evenly spaced ones and the last of each part."""
    removed = np.array(sorted(index.removed), np.int64)
    before = removed - np.arange(len(removed))  # live rows before each removed one
    ends = np.cumsum([part.rows for part in index.parts])
    lasts = ends - 1 - np.searchsorted(removed, ends)  # places of the last live rows among all live rows
    places = np.unique(np.concatenate([np.linspace(0, count - 1, 9).round().astype(np.int64), lasts]))
    places = places[(places >= 0) & (places < count)]
    return places + np.searchsorted(before, places, side="right")


def _parts_of(index: TextIndex, numbers: Numbers) -> list[str]:
    """Return a digest of the part of each row."""
    ends = np.cumsum([part.rows for part in index.parts])
    names = [f"{part.vectors_sha256[:16]}{part.texts_sha256[:16]}" for part in index.parts]
    return [names[n] for n in np.searchsorted(ends, numbers, side="right")]


def _batches(texts: Iterator[tuple[int, TextRow]], size: int) -> Iterator[list[tuple[int, TextRow]]]:
    """Yield texts in lists of `size`; the last one may be shorter."""
    while batch := list(islice(texts, size)):
        yield batch
