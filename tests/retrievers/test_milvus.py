"""Milvus against FAISS and brute force: milvus-lite in this process and as a server, and everything that may be wrong."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import torch
from reportgen_plugins.retrievers.proposals import Proposer
from reportgen_plugins.retrievers.stages import Stages, recall_of, search_proposed
from reportgen_plugins.stores.connection import connect
from reportgen_plugins.stores.milvus import collection_name
from test_stores import FILTERS, build, vectors

from reportgen_core import CheckpointError, OptionError
from reportgen_core.retrieval import search
from reportgen_core.retrieval.filters import TextFilter, plain_name
from reportgen_core.retrieval.index import TextRow, add_texts, open_index, remove_texts, write_index
from reportgen_core.retrieval.stores import check_store, open_store

pytestmark = pytest.mark.services
pymilvus = pytest.importorskip("pymilvus")
pytest.importorskip("milvus_lite")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPORTGEN_CACHE", str(tmp_path / "cache"))


def test_flat_gives_the_rows_of_faiss_through_adding_and_removing(query: tuple, tmp_path: Path) -> None:
    module, regions = query
    index = build(tmp_path, store="milvus")
    assert open_store(index).fill() == 600 and open_store(index).fill() == 0
    for _ in range(2):
        by_store, by_faiss = (
            search_proposed(module, regions, Stages(index, first), 10, 32) for first in (None, Proposer(index))
        )
        assert torch.equal(by_store[1], by_faiss[1]) and torch.equal(by_store[0], by_faiss[0])
        best = index.row(int(by_store[1][0, 0])).id
        search.shrink_index(index.folder, [best])
        index = add_texts(open_index(index.folder), [TextRow(f"new {best}", "x")], vectors(1, 7))
        assert open_store(index).fill() == 1
        found = Stages(index).search(module, regions, 60, 60).rows
        assert best not in {row.id for study in found for row in study} and len(found[0]) == 60


@pytest.mark.parametrize("kind", ["flat", "ivf", "hnsw"])
def test_a_filter_of_the_store_finds_what_brute_force_finds(kind: str, query: tuple, tmp_path: Path) -> None:
    module, regions = query
    index = build(tmp_path, kind, store="milvus")
    open_store(index).fill()
    whole = module.scores(regions, torch.from_numpy(vectors(600)))
    for where, passes in FILTERS:
        numbers = search_proposed(module, regions, Stages(index.filtered(where)), 10, 100)[1]
        hidden = whole.clone()
        hidden[:, [n for n in range(600) if not passes(n)]] = -torch.inf
        best = hidden.sort(dim=1, descending=True, stable=True)
        exact = best.indices[:, :10].masked_fill(best.values[:, :10] == -torch.inf, -1)
        if kind == "flat":
            assert torch.equal(numbers, exact), where
        assert all(passes(n) for n in numbers.flatten().tolist() if n >= 0)
        assert not (exact >= 0).any() or recall_of(numbers, exact) >= 0.8, where


KILLED = """
import os, signal, sys
from pathlib import Path
from reportgen_core.retrieval.index import open_index
from reportgen_core.retrieval.stores import open_store
from reportgen_plugins.stores import milvus
milvus.KEYS = 50
store = open_store(open_index(Path(sys.argv[1])))
calls = []
store._client = milvus.connect(store.address, create=True)
write = store._client.upsert
def counted(*args, **options):
    calls.append(1)
    if len(calls) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return write(*args, **options)
store._client.upsert = counted
store.fill()
"""


def test_a_build_that_was_killed_is_refused_and_goes_on_where_it_was(query: tuple, tmp_path: Path) -> None:
    module, regions = query
    index = build(tmp_path, store="milvus")
    done = subprocess.run([sys.executable, "-c", KILLED, index.folder, "6"], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with pytest.raises(CheckpointError, match=r"holds 250 of 600 texts: it is half built, .*rg index rebuild MODEL"):
        Stages(index).first  # noqa: B018
    store = open_store(index)
    assert store.fill() == 350 and store.problem() == ""
    by_store, by_faiss = (
        search_proposed(module, regions, Stages(index, first), 10, 32) for first in (None, Proposer(index))
    )
    assert torch.equal(by_store[1], by_faiss[1])


def test_removing_that_was_killed_before_the_store_is_caught_up(tmp_path: Path) -> None:
    index = build(tmp_path, store="milvus")
    open_store(index).fill()
    less = remove_texts(index, ["t3", "t599"])
    assert "holds 600 of 598 texts" in open_store(less).problem()
    search.rebuild_store(less.folder)
    assert open_store(less).problem() == ""


def test_two_copies_of_a_folder_that_went_apart_are_noticed(tmp_path: Path) -> None:
    one, two = build(tmp_path / "one", store="milvus", count=40), build(tmp_path / "two", store="milvus", count=40)
    one = add_texts(one, [TextRow("x", "of one")], vectors(1, 5))
    two = add_texts(two, [TextRow("x", "of two")], vectors(1, 6))
    open_store(one).fill()
    assert "holds the vectors of another model or of other texts" in open_store(two).problem()
    open_store(two).fill()
    assert open_store(two).problem() == "" and "of other texts" in open_store(one).problem()


def test_other_vectors_and_another_dimension_are_refused_and_replaced(tmp_path: Path) -> None:
    index = build(tmp_path, store="milvus", count=40)
    store = open_store(index)
    store.fill()
    data = [{"row": n, "vector": v, "part": "x", "dataset": "", "tags": []} for n, v in enumerate(vectors(40, 9))]
    store.client.upsert(store.collection, data)
    assert "holds the vectors of another model or of other texts; rg index rebuild MODEL" in store.problem()
    assert store.fill() == 40 and store.problem() == ""
    store.client.drop_collection(store.collection)
    assert "has no collection of this index; rg index rebuild MODEL" in store.problem()
    store.client.create_collection(store.collection, dimension=8, primary_field_name="row")
    assert "holds vectors of 8, the index has vectors of 16" in store.problem()
    assert store.fill() == 40 and store.problem() == ""


def test_a_file_that_is_gone_or_open_elsewhere_is_said_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    index = build(tmp_path, store="milvus", count=40)
    with pytest.raises(CheckpointError, match=r"\.db is gone; rg index rebuild MODEL"):
        Stages(index).first  # noqa: B018
    open_store(index).fill()
    code = (
        "import sys; from pathlib import Path\n"
        "from reportgen_core.retrieval.index import open_index\n"
        "from reportgen_core.retrieval.stores import open_store\n"
        "from reportgen_core import ReportgenError\n"
        "try: print(open_store(open_index(Path(sys.argv[1]))).problem())\n"
        "except ReportgenError as e: print(e)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, index.folder], capture_output=True, text=True, check=True)
    assert "does not answer: another process has it open" in done.stdout and not done.stderr, done.stderr
    assert done.stdout.count("\n") == 1


def test_a_file_is_never_asked_whether_it_is_alive_because_milvus_lite_hangs_up_on_who_asks_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, channel = [], grpc.insecure_channel

    def opened(target: str, options: list[tuple[str, object]]) -> grpc.Channel:
        asked.append(dict(options)["grpc.keepalive_time_ms"])
        return channel(target, options=options)

    monkeypatch.setattr(grpc, "insecure_channel", opened)
    assert open_store(build(tmp_path, store="milvus", count=40)).fill() == 40
    assert asked and min(asked) > 1000 * 3600 * 24 * 7  # milliseconds: pymilvus itself asks every 10 s


def test_a_filter_may_hold_any_sign(tmp_path: Path) -> None:
    names = ['a "quoted" \\ name', "a \x1b[31m\x00 name", "naïve 日本 😀", "a\nb"]
    texts = [TextRow(str(n), f"Text {n}.", labels=(plain_name(name),), dataset=name) for n, name in enumerate(names)]
    folder = tmp_path / "i"
    index = write_index(folder, texts, vectors(4), kind="flat", model="m", sentences={}, store="milvus")
    open_store(index).fill()
    for n, name in enumerate(names):
        for where in (TextFilter(datasets=(name,)), TextFilter(findings=(name,))):
            assert set(open_store(index.filtered(where)).propose(vectors(1), 4)[0]) == {n, -1}


def test_a_file_that_is_no_store_is_one_line_without_the_traceback_that_pymilvus_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "x.db").write_text("garbage")
    with pytest.raises(CheckpointError, match="move it away, and rg index rebuild MODEL fills a new one"):
        connect(str(tmp_path / "x.db"), create=True)
    store = open_store(build(tmp_path / "other", store="milvus", count=40))
    store.fill()
    monkeypatch.setattr("reportgen_plugins.stores.milvus.expression", lambda _: "dataset in [")
    with pytest.raises(CheckpointError, match="does not answer"):
        store.propose(vectors(1), 4)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_codes_need_a_server() -> None:
    with pytest.raises(OptionError, match="milvus-lite has no --kind pq"):
        check_store("milvus", "pq")


def test_a_server_that_does_not_answer_is_said_before_texts_are_read() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = time.monotonic()
    with pytest.raises(CheckpointError, match=f"the store milvus at http://127.0.0.1:{port} does not answer") as caught:
        check_store(f"milvus:http://127.0.0.1:{port}", "flat")
    assert "\n" not in str(caught.value) and time.monotonic() - start < 30


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A server on a port of this machine; it speaks to clients as a cluster does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "milvus_lite", "server", "--data-dir", tmp_path / "data", "--port", str(port)]
    process = subprocess.Popen([*map(str, command), "--host", "127.0.0.1"], env=os.environ | {"OMP_NUM_THREADS": "1"})
    for _ in range(300):
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait()


def test_a_server_is_used_by_the_same_calls(
    server: str,
    query: tuple,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MILVUS_TOKEN", "root:a secret")
    module, regions = query
    index = build(tmp_path)
    index = search.rebuild_store(index.folder, f"milvus:{server}")
    assert index.store == f"milvus:{server}" and collection_name(index) in open_store(index).client.list_collections()
    by_store, by_faiss = (
        search_proposed(module, regions, Stages(index, first), 10, 32) for first in (None, Proposer(index))
    )
    assert torch.equal(by_store[1], by_faiss[1])
    files = [p for folder in (index.folder, tmp_path / "cache") for p in folder.rglob("*") if p.is_file()]
    assert files and not any(b"a secret" in p.read_bytes() for p in files)
    search.shrink_index(index.folder, ["t5"])
    assert open_store(open_index(index.folder)).problem() == ""
