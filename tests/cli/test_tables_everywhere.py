"""Every command that reads a table reads it alike: each kind of file through each command, next to a plain file.

docs/reference/tables.md says what is right for a kind. The expected outcome is that of the same texts in plain JSON lines.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reportgen_core import compose
from reportgen_core.registries import sentence_classifiers
from reportgen_core.retrieval.index import open_index
from reportgen_core.testing.parts import tiny_model

A = "The heart is enlarged, with a small effusion."
B = "The lungs are clear; no nodule is seen."
SMALL = {"size": 64, "model_args": {"growth_rate": 4, "block_config": [1, 1, 1, 1]}}
READERS = ["label", "predictions", "references", "data", "study", "index", "annotate", "abnormal", "train", "groups"]
ROW_BY_ROW = {"annotate"}  # it names what it cannot read, and continues


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A retriever, an annotator and a classifier, each so small that a command takes no time."""
    folder = tmp_path_factory.mktemp("parts")
    draw = np.random.default_rng(0)
    words = sorted(set(re.findall(r"\w+", f"{A} {B}".lower())))
    lines = [f"{w} {' '.join(f'{x:.4f}' for x in draw.normal(size=12))}" for w in words]
    (folder / "words.txt").write_text("\n".join(lines) + "\n")
    sentences = {"sentence_encoder": "word-vectors", "sentence_options": {"file": str(folder / "words.txt")}}
    options = {"joint": 16, "units": 8, **sentences}
    compose(encoder="densenet121", encoder_options=SMALL, retriever="cvse", decoder_options=options).save(
        folder / "retriever"
    )
    tiny_model("none", "tienet").save(folder / "annotator")
    sentence_classifiers.create("words").save(folder / "classifier")
    return folder


class Reader:
    """Runs a command on a file and returns what it read of it, in a form that two files can be compared by."""

    def __init__(self, rg: Callable[..., Any], parts: Path, folder: Path) -> None:
        self.rg, self.parts, self.folder, self.runs = rg, parts, folder, 0
        self.done: Any = None
        self.ids: tuple[str, ...] = ("a", "b")

    def read(self, command: str, path: Path) -> Any:
        """None if the command failed; the outcome of the run is in `done`."""
        self.runs += 1
        self.out = self.folder / f"out-{self.runs}"
        result = getattr(self, f"_{command}")(path)
        return None if self.done.code and command not in ROW_BY_ROW else result

    def _run(self, *arguments: object) -> list[Any]:
        self.done = self.rg(*arguments)
        return [json.loads(line) for line in self.done.out.split("\n") if line.startswith("{")]

    def _label(self, path: Path) -> Any:
        return self._run("label", path, "--json")

    def _eval(self, predictions: Path, references: Path) -> Any:
        how = ("--protocol", "raw", "--metrics", "bleu", "--no-baselines", "--resamples", 0, "--format", "json")
        self.done = self.rg("eval", "--predictions", predictions, "--references", references, "--name", "x", *how)
        if self.done.code:
            return None
        values = json.loads(self.done.out)
        return values["studies"], sorted(map(str, numbers(values)))

    def _other(self) -> Path:
        path = self.folder / "other.json"
        path.write_text(json.dumps({i: "The heart is clear." for i in self.ids}))
        return path

    def _predictions(self, path: Path) -> Any:
        return self._eval(path, self._other())

    def _references(self, path: Path) -> Any:
        return self._eval(self._other(), path)

    def _data(self, path: Path) -> Any:
        how = ("table", "--root", path, "--option", "require_images=false")
        rows = self._run("data", "show", *how, "-n", 9, "--json")
        return [(r["id"], r.get("sections", {}).get("findings"), r.get("patient"), r.get("split")) for r in rows]

    def _study(self, path: Path) -> Any:
        data = self.folder / "human.jsonl"
        rows = [{"id": i, "image": "chest.png", "report": "The heart is normal in size."} for i in self.ids]
        data.write_bytes(lines(*rows))
        how = ("--data", data, "--each", 1, "--out", self.out, "--split", "", "--as-written")
        self.done = self.rg("study", "make", "--predictions", f"ours={path}", *how)
        if self.done.code:
            return None
        blocks = json.loads((self.out / "study.json").read_text(encoding="utf-8"))["blocks"]
        return sorted(case["text"] for block in blocks for case in block)

    def _index(self, path: Path) -> Any:
        self.done = self.rg("index", "build", self.parts / "retriever", "--texts", path, "--out", self.out)
        if self.done.code:
            return None
        index = open_index(self.out)
        return [(index.row(n).id, index.row(n).text) for n in range(len(index))]

    def _annotate(self, path: Path) -> Any:
        return self._run("annotate", path, "--model", self.parts / "annotator", "--json")

    def _abnormal(self, path: Path) -> Any:
        out = self.out.with_suffix(".jsonl")
        self.done = self.rg("data", "abnormal", path, "--model", self.parts / "classifier", "--out", out)
        if self.done.code:
            return None
        rows = [json.loads(line) for line in out.read_text(encoding="utf-8").split("\n") if line]
        return [(row["abnormal"], row["sentence_abnormal"]) for row in rows]

    def _train(self, path: Path) -> Any:
        how = ("--train", "--classifier", "tfidf", "--out", self.out)
        self.done = self.rg("data", "abnormal", path, *how)

    def _groups(self, path: Path) -> Any:
        self.done = self.rg("data", "groups", path, "--out", self.out)


def numbers(value: Any) -> Iterator[float]:
    """Every score in a JSON value."""
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from numbers(part)


@pytest.fixture
def reader(rg: Callable[..., Any], parts: Path, chest: Path, tmp_path: Path) -> Reader:
    return Reader(rg, parts, tmp_path)


def lines(*rows: object) -> bytes:
    return "".join((r if isinstance(r, str) else json.dumps(r, ensure_ascii=False)) + "\n" for r in rows).encode()


def plain(folder: Path, texts: dict[str, str]) -> Path:
    path = folder / "plain.jsonl"
    path.write_bytes(lines(*({"id": i, "report": t} for i, t in texts.items())))
    return path


CSV = f'id,report\na,"{A}"\nb,"{B}"\n'
ROWS = [{"id": "a", "report": A}, {"id": "b", "report": B}]
AB = {"a": A, "b": B}
READ = {  # file, its bytes, the texts that it holds
    "pandas' index": ("t.csv", f',id,report\n0,a,"{A}"\n1,b,"{B}"\n'.encode(), AB),
    "columns without a name": ("t.csv", f'id,,report,\na,x,"{A}",y\nb,,"{B}",\n'.encode(), AB),
    "semicolons": ("t.csv", f'id;report\na;{A}\nb;"{B}"\n'.encode(), AB),
    "semicolons, quoted names": ("t.csv", f'"id";"report"\n"a";"{A}"\n"b";"{B}"\n'.encode(), AB),
    "Excel's": ("t.csv", f'\ufeffID ; Report ;n\r\na;{A};1\r\nb;"{B}";2\r\n'.encode(), AB),
    "tabs in a .csv": ("t.csv", f"id\treport\na\t{A}\nb\t{B}\n".encode(), AB),
    "commas in a .tsv": ("t.tsv", CSV.encode(), AB),
    "UTF-16": ("t.tsv", f"id\treport\r\na\t{A}\r\nb\t{B}\r\n".encode("utf-16"), AB),
    "UTF-16, big end first": ("t.csv", b"\xfe\xff" + CSV.encode("utf-16-be"), AB),
    "UTF-16 of JSON lines": ("t.jsonl", lines(*ROWS).decode().encode("utf-16"), AB),
    "a mark before JSON lines": ("t.jsonl", b"\xef\xbb\xbf" + lines(*ROWS), AB),
    ".ndjson": ("t.ndjson", lines(*ROWS), AB),
    ".CSV": ("T.CSV", CSV.encode(), AB),
    ".csv.gz": ("t.csv.gz", gzip.compress(CSV.encode()), AB),
    ".tsv.gz": ("t.tsv.gz", gzip.compress(CSV.replace(",", "\t", 1).replace(',"', '\t"').encode()), AB),
    ".jsonl.gz": ("t.jsonl.gz", gzip.compress(lines(*ROWS)), AB),
    ".gz that is not": ("t.csv.gz", CSV.encode(), AB),
    "capitals": ("t.csv", CSV.replace("id,report", "ID,REPORT").encode(), AB),
    "capitals in JSON": ("t.jsonl", lines({"ID": "a", "Report": A}, {"ID": "b", "Report": B}), AB),
    "spaces in JSON's names": ("t.jsonl", lines({" id ": "a", "report ": A}, {"id": "b", "report": B}), AB),
    "another name of ids": ("t.csv", CSV.replace("id,", "key,").encode(), AB),
    "StudyID": ("t.csv", CSV.replace("id,", "StudyID,").encode(), AB),
    "old Mac": ("t.csv", CSV.replace("\n", "\r").encode(), AB),
    "empty rows": ("t.csv", CSV.replace("\n", "\n\n,\n").encode(), AB),
    "JSON's floats": ("t.jsonl", lines({"id": 50414267.0, "report": A}, {"id": 50414268, "report": B}),
                      {"50414267": A, "50414268": B}),
    "pandas' floats": ("t.csv", f'id,report\n50414267.0,"{A}"\n50414268.0,"{B}"\n'.encode(),
                       {"50414267": A, "50414268": B}),
    "zero": ("t.jsonl", lines({"id": 0, "report": A}, {"id": 1, "report": B}), {"0": A, "1": B}),
    "U+2028": ("t.jsonl", lines({"id": "a", "report": A.replace("with", "\u2028with")}, ROWS[1]),
               {"a": A.replace("with", "\u2028with"), "b": B}),
    "U+0085 in a cell": ("t.csv", CSV.replace("with", "\x85with").encode(), {"a": A.replace("with", "\x85with"), "b": B}),
    "null fields": ("t.jsonl", lines(*({**r, "patient": None, "split": None, "tags": None, "labels": None} for r in ROWS)), AB),
    "NaN fields": ("t.jsonl", lines(*(json.dumps({**r, "subject_id": float("nan"), "split": float("nan")}) for r in ROWS)), AB),
    "nan cells": ("t.csv", f'id,report,split,patient\na,"{A}",NaN,nan\nb,"{B}",null,\n'.encode(), AB),
    "a long cell": ("t.csv", CSV.replace("enlarged", "enlarged" + " " * 150_000).encode(),
                    {"a": A.replace("enlarged", "enlarged" + " " * 150_000), "b": B}),
}  # fmt: skip
REFUSED = {  # file, its bytes, what the message must say
    "a cell too few": ("t.csv", f'id,report,n\na,"{A}",1\nb,"{B}"\n'.encode(), "line 3: 2 cells, the header has 3"),
    "a cell too many": ("t.csv", f"id,report\na,{A}\nb,{B}\n".encode(), "line 2: 3 cells, the header has 2"),
    "an open quote": ("t.csv", f'id,report\na,"{A}"\nb,"{B}\nc,{A}\n'.encode(), "line 3: the quote of a cell is not closed"),
    "a quote that another closes": ("t.csv", f'id,report\na,"{A}\nb,"{B}"\n'.encode(), "line 2: a quote of lines 2 to 3 is not closed"),
    "Latin-1": ("t.csv", CSV.replace("seen", "séen").encode("latin-1"), r"line 3: not UTF-8 \(byte \d+"),
    "Latin-1 in JSON lines": ("t.jsonl", lines(*ROWS).replace(b"seen", b"s\xe9en"), r"line 2: not UTF-8 \(byte \d+"),
    "zero bytes": ("t.csv", CSV.encode("utf-16-le"), "line 1: holds a zero byte"),
    "deep JSON": ("t.jsonl", lines(ROWS[0], "[" * 100_000), "line 2: no JSON: nested too deeply"),
    "no JSON": ("t.jsonl", lines(ROWS[0], "{'id': 1}"), "line 2: no JSON"),
    "no object": ("t.jsonl", lines(ROWS[0], "[1]"), "line 2: wants an object, is a list"),
    "half a character": ("t.jsonl", lines(ROWS[0], r'{"id": "b", "report": "\ud800"}'), "line 2: holds half a character"),
    "a doubled column": ("t.csv", CSV.replace("report\n", "report,report\n").encode(), "line 1: 'report' occurs twice"),
    "doubled but for capitals": ("t.csv", CSV.replace("report\n", "report,Report\n").encode(), "'Report' and 'report' differ only in capitals"),
    "a doubled key": ("t.jsonl", lines(f'{{"id": "a", "report": "{A}", "report": "x"}}'), "line 1: key 'report' occurs twice"),
    "an unknown suffix": ("t.dat", CSV.encode(), r"'.dat' is not read here; known are \.csv, \.tsv, \.xlsx, \.jsonl"),
    "nothing": ("t.csv", b"", r"is empty|holds no (text|prediction|reference)"),
    "half a gzip": ("t.csv.gz", gzip.compress(CSV.encode() * 99)[:90], "cannot be unzipped"),
    "a wrong mark": ("t.csv", b"\xff\xfe" + CSV.encode() + b"x", "not utf-16"),
    "a text that is none": ("t.jsonl", lines(ROWS[0], {"id": "b", "report": True}), "line 2: .*is a bool"),
}  # fmt: skip


@pytest.mark.parametrize("command", [r for r in READERS if r not in ("train", "groups")])
@pytest.mark.parametrize("kind", READ)
def test_each_kind_of_file_is_read_as_the_same_texts_in_a_plain_one(
    kind: str, command: str, reader: Reader, tmp_path: Path
) -> None:
    name, content, texts = READ[kind]
    (tmp_path / name).write_bytes(content)
    reader.ids = tuple(texts)
    want = reader.read(command, plain(tmp_path, texts))
    assert want, reader.done.err
    assert reader.read(command, tmp_path / name) == want, reader.done.err


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_read_is_named_by_file_and_line(kind: str, command: str, reader: Reader, tmp_path: Path) -> None:
    name, content, says = REFUSED[kind]
    if kind == "a text that is none" and command in ("train", "groups"):
        return  # they read labels, and no text
    (tmp_path / name).write_bytes(content)
    reader.read(command, tmp_path / name)
    assert reader.done.code == 1, reader.done.out
    assert re.search(says, reader.done.err), reader.done.err
    assert name in reader.done.err or command in ROW_BY_ROW


@pytest.mark.parametrize("command", ["label", "predictions", "references", "data", "annotate", "abnormal", "index"])
@pytest.mark.parametrize("nothing", ["null", "NaN", '"nan"', '"  "', "csv", "csv NaN"])
def test_no_text_is_an_empty_text_however_it_is_written(
    nothing: str, command: str, reader: Reader, tmp_path: Path
) -> None:
    path = tmp_path / ("t.csv" if nothing.startswith("csv") else "t.jsonl")
    cell = nothing.removeprefix("csv").strip()
    table = f'id,report\na,"{A}"\nb,{cell}\n'.encode()
    path.write_bytes(table if path.suffix == ".csv" else lines(ROWS[0], f'{{"id": "b", "report": {nothing}}}'))
    want = reader.read(command, plain(tmp_path, {"a": A, "b": ""}))
    told = reader.done.err.replace("plain.jsonl", path.name).replace("line 2", "the line")
    assert reader.read(command, path) == want
    assert reader.done.err.replace("line 3" if path.suffix == ".csv" else "line 2", "the line") == told


@pytest.mark.parametrize("command", READERS)
def test_a_delimiter_that_the_suffix_does_not_say_is_told(command: str, reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"id;report\na;{A}\n")
    reader.read(command, tmp_path / "t.csv")
    if command != "data":
        assert "t.csv: the header says that a semicolon separates the cells" in reader.done.err
        return
    audit = reader.rg("data", "audit", "table", "--root", tmp_path / "t.csv", "--option", "require_images=false")
    assert "t.csv: the header says that a semicolon separates the cells" in audit.out
