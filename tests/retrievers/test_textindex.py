"""The folder of an index: opened without being read, changed without being written anew, refused where it is damaged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from reportgen_core import CheckpointError, DataError, OptionError
from reportgen_core.retrieval.index import (
    TextIndex,
    TextRow,
    add_texts,
    check_model,
    check_vectors,
    copy_index,
    open_index,
    remove_texts,
    write_index,
)
from reportgen_core.retrieval.index_texts import read_index_texts

ROWS = [TextRow(f"t{n}", f"text {n} – ä", (f"text {n}", "another")) for n in range(6)]
VECTORS = np.arange(24, dtype=np.float32).reshape(6, 4)
READER = {"name": "e", "options": {}, "fingerprint": "f"}


@pytest.fixture
def index(tmp_path: Path) -> TextIndex:
    return write_index(tmp_path / "i", ROWS, VECTORS, kind="flat", model="m1", sentences=READER)


def test_rows_and_vectors_come_back(index: TextIndex) -> None:
    assert len(index) == 6 and [index.row(n) for n in range(6)] == ROWS
    assert [row for _, row in index.texts()] == ROWS
    assert np.array_equal(index.vectors(np.array([5, 0, 5])), VECTORS[[5, 0, 5]])
    assert [(n, b.shape) for n, b in index.blocks(4)] == [(0, (4, 4)), (4, (2, 4))]


def test_the_vectors_are_a_safetensors_file_that_others_read(index: TextIndex) -> None:
    tensors = load_file(index.folder / "vectors-0.safetensors")
    assert (
        np.array_equal(tensors["vectors"], VECTORS)
        and tensors["offsets"][-1] == (index.folder / "texts-0.jsonl").stat().st_size
    )


def test_opening_maps_the_vectors_and_reads_none(index: TextIndex) -> None:
    again = open_index(index.folder)
    assert all(isinstance(block, np.memmap) for _, block in again.blocks())


def test_vectors_that_come_in_blocks_are_the_same_bytes(index: TextIndex, tmp_path: Path) -> None:
    blocks = (VECTORS[at : at + 2] for at in range(0, 6, 2))
    again = write_index(tmp_path / "j", ROWS, blocks, kind="flat", model="m1", sentences=READER)
    for name in ("index.json", "vectors-0.safetensors", "texts-0.jsonl"):
        assert (again.folder / name).read_bytes() == (index.folder / name).read_bytes()


def test_texts_are_added_and_removed_without_writing_the_others_anew(index: TextIndex) -> None:
    before = (index.folder / "vectors-0.safetensors").stat()
    more = add_texts(index, [TextRow("new", "a new text")], np.full((1, 4), 7, np.float32))
    less = remove_texts(more, ["t1", "new"])
    assert (
        len(more) == 7 and more.row(6).text == "a new text" and np.array_equal(more.vectors(np.array([6]))[0], [7] * 4)
    )
    assert [row.id for _, row in less.texts()] == ["t0", "t2", "t3", "t4", "t5"] and less.row(2).id == "t2"
    after = (index.folder / "vectors-0.safetensors").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    back = add_texts(less, [TextRow("t1", "t1 again")], VECTORS[:1])
    assert {row.id for _, row in back.texts()} == {"t0", "t1", "t2", "t3", "t4", "t5"}


def test_a_copy_is_the_same_but_for_its_model(index: TextIndex, tmp_path: Path) -> None:
    removed = remove_texts(index, ["t3"])
    copy_index(removed, tmp_path / "copy", "m2")
    again = open_index(tmp_path / "copy")
    assert again.model == "m2" and list(again.texts()) == list(removed.texts())


@pytest.mark.parametrize(
    ("model", "reader", "says"),
    [
        ("m2", READER, r"is the index of another model \(m1, this one is m2\); rg index build MODEL --texts FILE"),
        (
            "m1",
            READER | {"fingerprint": "g"},
            r"made with another sentence encoder \(fingerprint f, this model's has g\)",
        ),
        ("m1", READER | {"name": "other"}, r"made with another sentence encoder \(name e, this model's has other\)"),
    ],
)
def test_an_index_of_another_model_or_sentence_encoder_is_refused(
    index: TextIndex, model: str, reader: dict, says: str
) -> None:
    with pytest.raises(CheckpointError, match=says) as caught:
        check_model(index, model, reader)
    assert "\n" not in str(caught.value)


def test_touched_vectors_are_noticed_where_all_is_read(index: TextIndex) -> None:
    file = index.folder / "vectors-0.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    open_index(index.folder)
    with pytest.raises(
        CheckpointError, match=r"vectors-0\.safetensors is not the file that index\.json was written with"
    ):
        check_vectors(index)


def shorten(folder: Path, name: str) -> None:
    (folder / name).write_bytes((folder / name).read_bytes()[:-3])


def change(folder: Path, **values: object) -> None:
    file = folder / "index.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


DAMAGE = {
    "short vectors": (lambda f: shorten(f, "vectors-0.safetensors"), "has 221 bytes, and 6 vectors of 4 want"),
    "short texts": (lambda f: shorten(f, "texts-0.jsonl"), "its index says"),
    "no vectors": (lambda f: (f / "vectors-0.safetensors").unlink(), "cannot read .*build the index again"),
    "no json": (lambda f: (f / "index.json").unlink(), r"is no index: it has no index\.json; rg index build"),
    "format": (lambda f: change(f, format=2), "is an index of format 2; this reportgen reads 1"),
    "key": (lambda f: change(f, evil=1), "does not describe an index"),
    "path": (
        lambda f: change(f, parts=[{"vectors": "../x", "texts": "texts-0.jsonl", "rows": 6, "vectors_sha256": "", "texts_sha256": ""}]),
        "does not describe an index",
    ),
    "removed": (lambda f: change(f, removed=[99]), "does not describe an index"),
    "dim": (lambda f: change(f, dim=2**40), "vectors of 1099511627776 want"),
    "kind": (lambda f: change(f, kind="oracle"), "does not describe an index"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_index_is_refused_in_one_line(index: TextIndex, damage: str) -> None:
    harm, says = DAMAGE[damage]
    harm(index.folder)
    with pytest.raises(CheckpointError, match=says.replace("221", r"\d+")) as caught:
        open_index(index.folder)
    assert "\n" not in str(caught.value)


def test_an_id_must_be_new_to_be_added_and_there_to_be_removed(index: TextIndex) -> None:
    with pytest.raises(
        DataError, match="the id 't2' is held already; give the new text another one in a table with the column id"
    ):
        add_texts(index, [TextRow("t2", "x")], VECTORS[:1])
    with pytest.raises(DataError, match="the id 'n' comes twice"):
        add_texts(index, [TextRow("n", "x"), TextRow("n", "y")], VECTORS[:2])
    with pytest.raises(DataError, match="holds no text with id 'zz'; it has 6, as t0, t1, t2"):
        remove_texts(index, ["zz"])
    with pytest.raises(DataError, match="holds vectors of 4, the new ones are of 3"):
        add_texts(index, [TextRow("n", "x")], VECTORS[:1, :3])
    assert open_index(index.folder) == index


def test_an_unknown_kind_and_an_empty_index_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no kind of index 'annoy'; there are: exact, flat, ivf, hnsw, pq"):
        write_index(tmp_path / "i", ROWS, VECTORS, kind="annoy", model="", sentences={})
    with pytest.raises(DataError, match="an index needs texts"):
        write_index(tmp_path / "i", [], VECTORS[:0], model="", sentences={})
    with pytest.raises(DataError, match="6 texts want as many vectors, there are 5"):
        write_index(tmp_path / "i", ROWS, VECTORS[:5], model="", sentences={})
    assert not list(tmp_path.iterdir()), "nothing half-written is left"


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from reportgen_core.retrieval import index as textindex
from reportgen_core.retrieval.index import *
rows = [TextRow(f"k{n}", "text") for n in range(50)]
def blocks():
    for n in range(50):
        if n == int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)
        yield np.ones((1, 4), np.float32)
if sys.argv[2] == "build":
    write_index(Path(sys.argv[1]), rows, blocks(), kind="flat", model="m9", sentences={})
else:
    add_texts(open_index(Path(sys.argv[1])), rows, blocks())
"""


@pytest.mark.parametrize("how", ["build", "add"])
def test_what_a_killed_command_left_is_not_opened(index: TextIndex, how: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(index.folder), how, "25"], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert open_index(index.folder) == index, "the old index stands"
    more = add_texts(open_index(index.folder), [TextRow("new", "x")], VECTORS[:1])
    assert len(more) == 7 and more.row(6).id == "new"


def test_a_killed_first_build_leaves_no_index(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "i"), "build", "25"], capture_output=True)
    assert done.returncode == -signal.SIGKILL and not os.path.exists(tmp_path / "i")
    with pytest.raises(CheckpointError, match=r"is no index: it has no index\.json"):
        open_index(tmp_path / "i")


def test_texts_are_read_from_lines_json_lines_and_groups(tmp_path: Path) -> None:
    from reportgen_core.sentences.groups import save_groups
    from reportgen_core.sentences.parts import Group

    (tmp_path / "a.txt").write_text("\ufefffirst text\n\n second \n", encoding="utf-8")
    (tmp_path / "a.jsonl").write_text('{"text": "one\u2028line", "id": "x"}\n{"text": "two"}\n', encoding="utf-8")
    save_groups(tmp_path / "g", [Group(("a", "b"), "b")])
    assert read_index_texts(tmp_path / "a.txt") == [TextRow("0", "first text"), TextRow("1", "second")]
    assert read_index_texts(tmp_path / "a.jsonl") == [TextRow("x", "one\u2028line"), TextRow("1", "two")]
    assert read_index_texts(tmp_path / "g") == [TextRow("g0", "b", ("a", "b"))]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.txt", b"good\nb\xe9d\n", r"a\.txt: line 2: not UTF-8 \(byte 2 of the line\); save the file as UTF-8"),
        ("a.txt", b"\n \n", "holds no text"),
        ("a.jsonl", b"{}\n", "line 1: no text"),
        ("a.jsonl", b'{"text": "x"}\n{', "line 2: no JSON"),
    ],
)
def test_a_file_that_holds_no_texts_is_refused_in_one_line(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=says) as caught:
        read_index_texts(tmp_path / name)
    assert "\n" not in str(caught.value)
