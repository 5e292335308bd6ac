"""Every command that prints a table, on a terminal of 80 columns: every name and number of the plain output is whole."""

import csv
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reportgen_cli
from click.testing import CliRunner
from PIL import Image
from reading import reading
from reportgen_cli.main import rg as group
from reportgen_cli.terminal.layout import width_of
from test_study_score import answer

from reportgen_core import compose
from reportgen_core.testing.parts import FINDINGS, tiny_model

WIDTH = 80
TEXTS = {
    f"study-{i:03d}": t for i, t in enumerate(["The lungs are clear.", "A small left effusion.", "No effusion."] * 4)
}
WORDS = ("lungs", "clear", "small", "left", "effusion", "no", "the", "are", "a")


def write_csv(path: Path, head: tuple[str, ...], rows: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])


def evaluations(folder: Path) -> None:
    """Write reports, and evaluations of two systems with long names."""
    (folder / "reports.jsonl").write_text("".join(json.dumps({"id": i, "report": t}) + "\n" for i, t in TEXTS.items()))
    for name, text in (
        ("a-system-with-a-long-name.data_v1", "The lungs are clear."),
        ("another-system.data_v12", "x y"),
    ):
        (folder / "p.json").write_text(json.dumps(dict.fromkeys(TEXTS, text)))
        files = ["--predictions", "p.json", "--references", "reports.jsonl", "--training", "reports.jsonl"]
        run("eval", *files, "--protocol", "raw", "--resamples", "20", "--name", name, "--out", name)


def run(*arguments: str) -> None:
    done = CliRunner().invoke(group, list(arguments))
    assert done.exit_code == 0, (arguments, done.output)


def retriever(folder: Path) -> None:
    """Write a retriever with an index, and images to search with and to score."""
    draw = np.random.default_rng(0)
    lines = [f"{w} {' '.join(f'{x:.4f}' for x in draw.normal(size=12))}" for w in WORDS]
    (folder / "words.txt").write_text("\n".join(lines) + "\n")
    sentences = {"sentence_encoder": "word-vectors", "sentence_options": {"file": str(folder / "words.txt")}}
    small = {"size": 64, "model_args": {"growth_rate": 4, "block_config": [1, 1, 1, 1]}}
    options = {"joint": 16, "units": 8, **sentences}
    compose(encoder="densenet121", encoder_options=small, retriever="cvse", decoder_options=options).save(
        folder / "retriever"
    )
    texts = [
        {"id": f"the-text-of-a-long-name-{i:02d}", "text": f"The lungs are clear, and {t}"}
        for i, t in enumerate(TEXTS.values())
    ]
    (folder / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in texts))
    rows: list[list[object]] = []
    for n, text in enumerate(list(TEXTS.values())[:3]):
        Image.fromarray(draw.integers(0, 256, (70, 60)).astype(np.uint8)).save(folder / f"{n}.png")
        rows.append([n, f"{n}.png", text, "test"])
    write_csv(folder / "images.csv", ("id", "image", "findings", "split"), rows)
    run("index", "build", "retriever", "--texts", "texts.jsonl", "--kind", "exact")


def annotator(folder: Path) -> None:
    """Write a model that reads reports, labelled reports, and sentences to classify."""
    tiny_model("none", "tienet").save(folder / "annotator")
    rows: list[list[object]] = [
        [i, f"word{i % 20} word{i * 7 % 20} word{i * 3 % 20}.", int(i % 3 == 0), int(i % 4 == 0), int(i % 5 == 0)]
        for i in range(24)
    ]
    write_csv(folder / "gold.csv", ("id", "text", *FINDINGS), rows)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the commands below read."""
    folder = tmp_path_factory.mktemp("tables")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("REPORTGEN_CACHE", str(folder / "cache"))
        evaluations(folder)
        retriever(folder)
        annotator(folder)
        tiny_model().save(folder / "model")
        study, key = reading(folder, count=4)
        for reader in ("anna-with-a-long-name", "ben"):
            answer(study, key, reader, [5, 5, 4, 3], [5, 4, 2, 1])
    return folder


EVAL = "eval --predictions p.json --references reports.jsonl --training reports.jsonl --protocol raw --resamples 20"
COMPARE = "compare a-system-with-a-long-name.data_v1 another-system.data_v12"
COMMANDS = {  # command: the module that prints
    "list": "about/list", "list metrics": "about/list", "plugins": "about/plugins", "doctor": "about/doctor",
    "info hier-lstm": "about/info", "info resnet10t-cvse.phantom_v3": "about/info",
    "info jing-coattention": "about/info", "zoo list": "zoo/pull", "zoo info resnet10t-cvse.phantom_v3": "zoo/pull",
    "zoo du": "zoo/cache", EVAL: "eval", COMPARE: "compare", "label reports.jsonl": "label",
    "compose --encoder resnet18 --decoder hier-lstm": "compose",
    "study score reading --key reading.key.json": "study",
    "index search retriever 0.png 1.png --k 5": "index",
    "index eval retriever --data table --data-root images.csv --resamples 20": "index",
    "annotate gold.csv --model annotator --tune": "annotate",
    "annotate gold.csv --model annotator --evaluate scores --resamples 20": "annotate",
}  # fmt: skip
ELSEWHERE = {  # module: why it needs no run of its own
    "reproduce": "prints by print_tables, as eval and compare do",
    "data/sentences": "prints short names and numbers by table, as zoo du does; tests/sentences/test_label_table.py runs it",
    "plan/make": "prints by print_tables, as eval and compare do; it would train",
    "plan/run": "prints by print_tables, as eval and compare do; it would train",
    "train": "prints progress, and no table",
}


def tokens(text: str) -> set[str]:
    """The words of an output without what draws lines."""
    return {word for word in text.split() if not re.fullmatch("─+", word)}


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_cut_and_nothing_is_wider_than_the_terminal(
    command: str, rg: Callable[..., Any], made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made)
    done = rg(*command.split())
    assert done.code == 0, done.err
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    shown = rg(*command.split()).out
    varying = {word for word in tokens(done.out) if re.search(r"GiB|[0-9.]+$", word)} if command == "doctor" else set()
    assert tokens(done.out) - tokens(shown) - varying == set()
    assert "…" not in shown or "…" in done.out
    wide = [line for line in shown.splitlines() if width_of(line) > WIDTH]
    assert [line for line in wide if max(map(len, line.split())) < 50] == []  # a long path keeps its line to itself


def test_every_command_that_prints_a_table_is_tested_here() -> None:
    room = Path(reportgen_cli.__file__).parent / "commands"
    printers = {
        file.relative_to(room).with_suffix("").as_posix().removeprefix("scores/")
        for file in room.rglob("*.py")
        if re.search(
            r"from \.+render import .*\b(table|pairs|print_tables|TrainingProgress)\b", file.read_text("utf-8")
        )
    }
    assert printers == {*COMMANDS.values(), *ELSEWHERE}
