"""Tables in blocks: the rows of all pieces are the rows of the table, with their lines."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from reportgen_cli.engines.tables import plan_table

from reportgen_core import DataError, OptionError
from reportgen_core.files.reports import iter_texts, read_texts
from reportgen_core.files.tables import scan_rows
from reportgen_core.files.text_lines import only_piece


def pieces(table: Path, rows: int, read=scan_rows, **options) -> list:
    """Return what a reader reads of all blocks of a table, one after another."""
    plan = plan_table(table, table.with_name("_copy"), rows, **options)
    read_rows = []
    for block in plan.blocks:
        with only_piece(plan.source.piece(block)):
            read_rows += list(read(plan.source.table))
    return read_rows


CELLS = st.text(alphabet='ab ,"\n\r;é', max_size=6)


@settings(max_examples=60)
@example(rows=[("\r", ";")], size=1, end="\n")
@given(rows=st.lists(st.tuples(CELLS, CELLS), max_size=12), size=st.integers(1, 5), end=st.sampled_from(["\n", "\r\n"]))
def test_the_pieces_of_a_csv_are_the_csv(rows, size, end, tmp_path_factory) -> None:
    import csv

    table = tmp_path_factory.mktemp("t") / "t.csv"
    with table.open("w", newline="") as file:
        csv.writer(file, lineterminator=end).writerows([("id", "text"), *rows])
    assert pieces(table, size) == list(scan_rows(table))


BROKEN = [
    ("t.csv", b'id,text\na,1\nb,"2\n2"\nc,3,3\nd,"x"y\ne,\xff\n\n\nf,6\n'),
    ("t.csv", b'\n\nsep=;\n"id";"te\nxt"\na;1\nb;2\nc;"3'),
    ("t.csv", b"id,text\r\na,1\r\nb,2\rc,3\r\nd,4\r\n"),
    ("t.csv", b"id,text\ra,1\rb,2\r"),
    ("t.csv", b"id,text\ra,1\nb,2\nc,3\n"),
    ("t.csv", b"id,text\n\ra,1\nb,2\nc,3\n"),
    ("t.csv", b"\xef\xbb\xbfid,text\na,1\nb,2\n"),
    ("t.csv", "id,text\na,1\nb,ü\nc,3\n".encode("utf-16")),
    ("t.csv", b"id,text\n"),
    ("t.tsv", b"id\ttext\na\t1\nb\t2\nc\t3\n"),
    ("t.jsonl", b'{"id": "a"}\n\n{"id": \n[1]\n{"id": "b"}\r\n{"id": "\xff"}'),
    ("t.jsonl", b"\xef\xbb\xbf" + b'{"id": "a"}\n{"id": "b"}\n'),
    ("t.txt", b"a\n\n\nb\nc\n \n"),
]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize(("name", "body"), BROKEN)
def test_rows_that_cannot_be_read_keep_their_lines_and_reasons(name, body, size, tmp_path) -> None:
    (tmp_path / name).write_bytes(body)
    rows = list(scan_rows(tmp_path / name, kinds=("csv", "tsv", "jsonl", "txt")))
    read = lambda path: scan_rows(path, kinds=("csv", "tsv", "jsonl", "txt"))  # noqa: E731
    assert pieces(tmp_path / name, size, read) == rows


@pytest.mark.parametrize("body", [b"a\n\n\nb\nc\n\n", b"a\n\n\nb\nc\n\n\n", b"a\nb", b"\n\na\n"])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_lines_of_a_text_are_those_of_the_whole_text_empty_ones_too(body, size, tmp_path) -> None:
    table = tmp_path / "t.txt"
    table.write_bytes(body)
    assert dict(pieces(table, size, iter_texts, empty=True)) == read_texts(table, lines=True)


def test_a_gzipped_table_is_unpacked_once_and_known_by_its_own_digest(tmp_path) -> None:
    table = tmp_path / "t.csv.gz"
    table.write_bytes(gzip.compress(b"id,text\na,1\nb,2\n"))
    plan = plan_table(table, tmp_path / "_input.csv", 1)
    assert len(plan.blocks) == 2 and plan.source.bytes == tmp_path / "_input.csv"
    assert plan.sha256 == hashlib.sha256(table.read_bytes()).hexdigest()
    assert pieces(table, 1) == list(scan_rows(table))


def test_blocks_are_filled_with_the_rows_that_count(tmp_path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("id,split\n" + "".join(f"{n},{'test' if n % 3 else 'train'}\n" for n in range(9)))
    plan = plan_table(table, tmp_path / "c", 2, lambda cells: cells["split"] == "train")
    assert [(b.rows, b.line) for b in plan.blocks] == [(2, 2), (1, 8)]
    assert plan.sha256 == hashlib.sha256(table.read_bytes()).hexdigest()
    assert len(pieces(table, 2, keep=lambda cells: cells["split"] == "train")) == 9


def test_a_table_that_became_shorter_is_an_error(tmp_path) -> None:
    table = tmp_path / "t.jsonl"
    table.write_text('{"id": "a"}\n{"id": "b"}\n')
    plan = plan_table(table, tmp_path / "c", 1)
    table.write_text('{"id": "a"}\n')
    with pytest.raises(DataError, match="shorter than it was"), only_piece(plan.source.piece(plan.blocks[1])):
        list(scan_rows(table))


def test_a_kind_that_cannot_be_cut_is_refused(tmp_path) -> None:
    for name in ("t.xlsx", "t.json"):
        (tmp_path / name).touch()
        with pytest.raises(OptionError, match="--engine ray reads"):
            plan_table(tmp_path / name, tmp_path / "c", 1)


def test_texts_of_rows_that_cannot_be_used_are_bad_rows(tmp_path) -> None:
    table = tmp_path / "t.jsonl"
    table.write_text('{"id": "a", "text": "x"}\n{"text": "y"}\n{"id": "c", "text": {}}\n')
    first, *bad = iter_texts(table)
    assert first == ("a", "x") and [row.line for row in bad] == [2, 3]
    assert bad[0].why.startswith("no column of ids")
