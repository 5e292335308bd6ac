"""The seam between an index and a store of its vectors, on a store that holds them in a dictionary; and filters."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from reportgen_plugins.retrievers.exact_search import search_exactly
from reportgen_plugins.retrievers.proposals import Proposer
from reportgen_plugins.retrievers.stages import Stages, search_proposed
from reportgen_plugins.stores import milvus
from reportgen_plugins.stores.connection import check_address, connect, need_packages

from reportgen_core import CheckpointError, DataError, Entry, OptionError, PluginError, UnknownName
from reportgen_core.registries import text_stores
from reportgen_core.retrieval import search
from reportgen_core.retrieval.filters import TextFilter, tags_of
from reportgen_core.retrieval.index import KINDS, TextIndex, TextRow, add_texts, open_index, remove_texts, write_index
from reportgen_core.retrieval.index_texts import read_index_texts
from reportgen_core.retrieval.stores import TextStore, allow_store, check_store, open_store

STAGED = [k for k in KINDS if k != "exact"]


class Dictionary(TextStore):
    """A store that scores every vector it holds."""

    held: ClassVar[dict[str, dict[int, np.ndarray]]] = {}
    broken: ClassVar[bool] = False

    def __init__(self, index: TextIndex, address: str = "") -> None:
        self.index, self.address = index, address

    @classmethod
    def check_address(cls, address: str, kind: str) -> str:
        if address == "nowhere":
            raise OptionError("dictionary does not know nowhere")
        return address

    def fill(self) -> int:
        if self.broken:
            raise CheckpointError("the dictionary is shut")
        numbers = [number for number, _ in self.index.texts()]
        vectors = dict(zip(numbers, self.index.vectors(np.array(numbers)), strict=True))
        written = len(set(vectors) - set(self.held.get(self.address, {})))
        self.held[self.address] = vectors
        return written

    def problem(self) -> str:
        return "" if len(self.held.get(self.address, {})) == len(self.index.unfiltered()) else "it is half built"

    def propose(self, queries: Any, count: int, breadth: int = 1) -> Any:
        rows = np.array(sorted(set(self.held[self.address]) - self.index.hidden))
        vectors = np.stack([self.held[self.address][n] for n in rows])
        best = rows[np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :count]]
        return np.pad(best, ((0, 0), (0, count - best.shape[1])), constant_values=-1)


@pytest.fixture(autouse=True)
def dictionary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Register the store for one test, and give the test a cache of its own."""
    monkeypatch.setenv("REPORTGEN_CACHE", str(tmp_path / "cache"))
    if "dictionary" not in text_stores:
        text_stores.add(Entry("dictionary", f"{__name__}:Dictionary", "vectors in a dictionary"))
    Dictionary.held, Dictionary.broken = {}, False
    yield
    assert text_stores._by_name is not None
    del text_stores._by_name["dictionary"]


def vectors(count: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, 16)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def rows(count: int) -> list[TextRow]:
    labels = (("edema:present",), ("edema:absent", "nodule"), ())
    return [TextRow(f"t{n}", f"text {n}", labels=labels[n % 3], dataset=f"D{n % 2}") for n in range(count)]


def build(folder: Path, kind: str = "flat", store: str = "", count: int = 600) -> TextIndex:
    return write_index(folder / kind, rows(count), vectors(count), kind=kind, model="m", sentences={}, store=store)


def test_an_index_without_a_store_has_the_bytes_of_before(tmp_path: Path) -> None:
    index = write_index(tmp_path / "i", [TextRow("a", "x")], vectors(1), kind="flat", model="m", sentences={})
    head = json.loads((index.folder / "index.json").read_text())
    assert set(head) == {"format", "kind", "dim", "model", "sentences", "parts", "removed"} and index.store == ""
    assert (index.folder / "texts-0.jsonl").read_text() == '{"id": "a", "text": "x", "members": []}\n'
    assert isinstance(open_store(index), Proposer)


def test_labels_and_dataset_come_back_from_the_folder(tmp_path: Path) -> None:
    index = open_index(build(tmp_path, count=5).folder)
    assert [row for _, row in index.texts()] == rows(5) and index.row(4) == rows(5)[4]


def test_a_store_gives_the_rows_of_faiss_and_follows_the_folder(tmp_path: Path, query: tuple) -> None:
    module, regions = query
    index = build(tmp_path, store="dictionary")
    with pytest.raises(CheckpointError, match="it is half built"):
        search_proposed(module, regions, Stages(index), 10, 32)
    assert open_store(index).fill() == 600
    by_store, by_faiss = (
        search_proposed(module, regions, Stages(index, first), 10, 32) for first in (None, Proposer(index))
    )
    assert torch.equal(by_store[1], by_faiss[1]) and torch.equal(by_store[0], by_faiss[0])
    best = index.row(int(by_store[1][0, 0])).id
    search.shrink_index(index.folder, [best])
    less = open_index(index.folder)
    assert len(Dictionary.held[""]) == 599
    hits = Stages(less).search(module, regions, 600, 600)
    assert best not in {row.id for study in hits.rows for row in study} and len(hits.rows[0]) == 599


def test_a_store_that_fails_says_that_the_folder_is_written(tmp_path: Path) -> None:
    index = build(tmp_path, store="dictionary")
    Dictionary.broken = True
    with pytest.raises(CheckpointError, match=r"the dictionary is shut; .* is written, rg index rebuild MODEL"):
        search.shrink_index(index.folder, ["t1"])
    Dictionary.broken = False
    assert len(search.rebuild_store(index.folder)) == 599 and len(Dictionary.held[""]) == 599


def test_an_index_moves_to_another_store_and_back(tmp_path: Path) -> None:
    index = build(tmp_path)
    moved = search.rebuild_store(index.folder, "dictionary:there")
    assert moved.store == "dictionary:there" and len(Dictionary.held["there"]) == 600
    assert open_store(open_index(index.folder)).problem() == ""
    back = search.rebuild_store(index.folder, "faiss")
    assert back == index and "store" not in json.loads((index.folder / "index.json").read_text())


def test_the_address_in_a_folder_of_a_stranger_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = build(tmp_path, store="dictionary:far")
    says = "names the store dictionary:far, which nobody wrote on this machine: .* set REPORTGEN_STORE=dictionary:far"
    with pytest.raises(CheckpointError, match=says) as caught:
        open_store(index)
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("REPORTGEN_STORE", "dictionary:far")
    assert isinstance(open_store(index), Dictionary)
    monkeypatch.delenv("REPORTGEN_STORE")
    allow_store("dictionary:far")
    assert isinstance(open_store(index), Dictionary)
    (tmp_path / "cache" / "stores.json").write_text("{")
    with pytest.raises(CheckpointError, match="nobody wrote"):
        open_store(index)


@pytest.mark.parametrize(
    ("store", "kind", "error", "says"),
    [
        ("annoy", "flat", UnknownName, "no text store named 'annoy'"),
        ("faiss:here", "flat", OptionError, "this store has no address, got 'here'"),
        ("dictionary:nowhere", "flat", OptionError, "does not know nowhere"),
        ("dictionary", "exact", OptionError, "--kind exact scores every text of the folder and needs no store"),
        ("milvus:x", "flat", OptionError, r"milvus takes a file that ends with \.db or http://HOST:PORT, got 'x'"),
        ("milvus:ftp://h:1", "flat", OptionError, "milvus takes http://HOST:PORT, .*, got 'ftp://h:1'"),
        ("milvus:http://", "flat", OptionError, "milvus takes http://HOST:PORT"),
        ("milvus:http://h:99999", "flat", OptionError, "milvus takes http://HOST:PORT"),
        ("milvus:http://h:1?x=y", "flat", OptionError, "milvus takes http://HOST:PORT"),
        ("milvus:http://me:secret@h:1", "flat", OptionError, "the address of h has a password in it; .* MILVUS_TOKEN"),
        ("milvus:http://me@h:1", "flat", OptionError, "MILVUS_TOKEN"),
    ],
)
def test_a_store_that_cannot_be_is_refused_in_one_line(store: str, kind: str, error: type, says: str) -> None:
    with pytest.raises(error, match=says) as caught:
        check_store(store, kind)
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value)


def test_the_address_of_a_file_is_saved_as_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert check_address("x.db") == str(tmp_path / "x.db")
    assert check_address("http://h:19530/name") == "http://h:19530/name"


@pytest.mark.parametrize(
    ("missing", "says"),
    [("pymilvus", r"pip install 'reportgen\[milvus\]'"), ("milvus_lite", "pip install --no-deps milvus-lite")],
)
def test_a_missing_package_is_named(missing: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else object())
    with pytest.raises(PluginError, match=says):
        need_packages("/x.db")


def test_a_file_that_is_gone_is_not_made_by_a_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    with pytest.raises(CheckpointError, match=r"x\.db is gone; rg index rebuild MODEL"):
        connect(str(tmp_path / "x.db"))
    assert not list(tmp_path.iterdir())


def test_the_collection_is_that_of_the_vectors_and_not_of_the_folder(tmp_path: Path) -> None:
    index = build(tmp_path)
    name = milvus.collection_name(index)
    assert milvus.collection_name(build(tmp_path / "copy")) == name
    more = add_texts(index, [TextRow("new", "x")], vectors(1, 5))
    assert milvus.collection_name(remove_texts(more, ["t3"])) == name
    assert milvus.collection_name(build(tmp_path, "ivf")) != name != milvus.collection_name(build(tmp_path, count=9))


def test_samples_are_live_rows_with_the_last_of_each_part(tmp_path: Path) -> None:
    index = build(tmp_path, count=40)
    index = add_texts(index, [TextRow(f"n{n}", "x") for n in range(3)], vectors(3, 5))
    index = remove_texts(index, ["t0", "t39", "n2", "t20"])
    live = [number for number, _ in index.texts()]
    samples = milvus._samples(index, len(live)).tolist()
    assert set(samples) <= set(live) and {live[0], 38, 41} <= set(samples) and samples[-1] == live[-1]
    assert milvus._samples(index, 1).tolist() == [live[0]] and milvus._samples(index, 0).tolist() == []
    parts = [f"{p.vectors_sha256[:16]}{p.texts_sha256[:16]}" for p in index.parts]
    assert milvus._parts_of(index, np.array([0, 39, 40, 42])) == [parts[0], parts[0], parts[1], parts[1]]


# Filters


FILTERS = [
    (TextFilter(("Edema",)), lambda n: n % 3 != 2),
    (TextFilter(("edema",), "present"), lambda n: n % 3 == 0),
    (TextFilter((), "absent"), lambda n: n % 3 == 1),
    (TextFilter(("Nodule", "mass")), lambda n: n % 3 == 1),
    (TextFilter(("nodule",), "absent"), lambda n: False),
    (TextFilter((), "", ("d1",)), lambda n: n % 2 == 1),
    (TextFilter(("EDEMA",), "absent", ("D0", "other")), lambda n: n % 3 == 1 and n % 2 == 0),
]


@pytest.mark.parametrize(("where", "passes"), FILTERS, ids=[str(w) for w, _ in FILTERS])
def test_a_filter_leaves_the_rows_that_a_person_would_leave(where: TextFilter, passes: Any, tmp_path: Path) -> None:
    index = remove_texts(build(tmp_path, count=30), ["t4"])
    shown = [number for number, _ in index.filtered(where).texts()]
    assert shown == [n for n in range(30) if passes(n) and n != 4] and len(index.filtered(where)) == len(shown)
    assert len(index) == 29, "the index itself has no filter"


@pytest.mark.parametrize("kind", STAGED)
def test_faiss_finds_the_best_of_the_texts_that_pass(kind: str, query: tuple, tmp_path: Path) -> None:
    module, regions = query
    where = TextFilter(("edema",), "present", ("D1",))
    index = build(tmp_path, kind).filtered(where)
    scores, numbers = search_proposed(module, regions, Stages(index), 10, 200)
    whole = module.scores(regions, torch.from_numpy(vectors(600)))
    whole[:, [n for n in range(600) if n % 3 or n % 2 == 0]] = -torch.inf
    best = whole.sort(dim=1, descending=True, stable=True)
    same = (numbers[:, :, None] == best.indices[:, None, :10]).any(-1)
    assert same.float().mean() >= 0.9 and (numbers % 6 == 3).all()
    if kind == "flat":
        assert torch.equal(numbers, best.indices[:, :10])
        torch.testing.assert_close(scores, best.values[:, :10])
        assert torch.equal(search_exactly(module, regions, index, 10)[1], numbers)


def test_fewer_texts_than_asked_for_are_all_found(query: tuple, tmp_path: Path) -> None:
    module, regions = query
    index = build(tmp_path, count=30).filtered(TextFilter(("nodule",), "", ("D1",)))
    hits = Stages(index).search(module, regions, 10, 32)
    assert [sorted(int(r.id[1:]) for r in study) for study in hits.rows] == [[1, 7, 13, 19, 25]] * 3
    nothing = Stages(build(tmp_path, count=30).filtered(TextFilter(("mass",))))
    assert nothing.search(module, regions, 10, 32).rows == [[], [], []]


def test_labels_are_read_as_rg_label_writes_them_and_from_columns(tmp_path: Path) -> None:
    lines = [
        {"text": "a", "labels": {"Pleural  Effusion": 1, "Edema": 0, "Mass": -1, "Scar": None}, "source": "MIMIC"},
        {"text": "b", "finding": ["Edema", "Mass"], "state": "Absent"},
        {"text": "c"},
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    first, second, third = read_index_texts(tmp_path / "a.jsonl")
    assert first.labels == ("edema:absent", "mass:uncertain", "pleural effusion:present") and first.dataset == "MIMIC"
    assert second.labels == ("edema:absent", "mass:absent") and (third.labels, third.dataset) == ((), "")
    (tmp_path / "a.csv").write_text("id,text,finding,state,dataset\n1,x,Edema|Mass,,iu\n")
    assert read_index_texts(tmp_path / "a.csv") == [TextRow("1", "x", labels=("edema", "mass"), dataset="iu")]
    assert tags_of(["edema:absent", "mass"]) == [":absent", "edema", "edema:absent", "mass"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ({"text": "a", "finding": "edema", "state": "perhaps"}, "line 1: the finding 'edema' is 'perhaps'; a state is"),
        ({"text": "a", "labels": {"edema": 7}}, "'edema' is '7.0'"),
        ({"text": "a", "labels": {"edema": "yes"}}, "label edema is 'yes'"),
        ({"text": "a", "finding": "a:b"}, "the name of a finding has no colon"),
    ],
)
def test_a_label_that_is_none_is_refused_in_one_line(line: dict, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(DataError, match=says) as caught:
        read_index_texts(tmp_path / "a.jsonl")
    assert "\n" not in str(caught.value)


def test_a_state_that_is_none_is_refused() -> None:
    with pytest.raises(OptionError, match="no state 'maybe'; there are: present, absent, uncertain"):
        TextFilter((), "maybe")
    assert (
        not TextFilter() and str(TextFilter(("a",), "absent", ("b",))) == "--finding 'a' --state absent --dataset 'b'"
    )
