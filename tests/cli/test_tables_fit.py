"""Every command that prints a table, on a terminal of 80 columns: every name and number of the plain output is whole."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reportgen_cli.terminal.layout import width_of

from reportgen_core.testing.parts import tiny_model

WIDTH = 80
TEXTS = {
    f"study-{i:03d}": t for i, t in enumerate(["The lungs are clear.", "A small left effusion.", "No effusion."] * 4)
}


@pytest.fixture
def files(tmp_path: Path, rg: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Reports, two evaluations and a model in a folder, which is the working folder."""
    monkeypatch.chdir(tmp_path)
    Path("reports.jsonl").write_text("".join(json.dumps({"id": i, "report": t}) + "\n" for i, t in TEXTS.items()))
    for name, text in (
        ("a-system-with-a-long-name.data_v1", "The lungs are clear."),
        ("another-system.data_v12", "x y"),
    ):
        Path("p.json").write_text(json.dumps(dict.fromkeys(TEXTS, text)))
        how = ("--references", "reports.jsonl", "--training", "reports.jsonl", "--protocol", "raw", "--resamples", 20)
        assert rg("eval", "--predictions", "p.json", *how, "--name", name, "--out", name).code == 0
    tiny_model().save(tmp_path / "model")
    return tmp_path


EVAL = "eval --predictions p.json --references reports.jsonl --training reports.jsonl --protocol raw --resamples 20"
COMMANDS = [
    "list", "list metrics", "plugins", "info hier-lstm", "info resnet18-hier-lstm.phantom_v2", "info jing-coattention",
    "zoo list", "zoo info resnet18-hier-lstm.phantom_v2", "zoo du", "doctor", EVAL, "label reports.jsonl",
    "compare a-system-with-a-long-name.data_v1 another-system.data_v12", "compose --encoder resnet18 --decoder hier-lstm",
]  # fmt: skip


def tokens(text: str) -> set[str]:
    """The words of an output without what draws lines."""
    return {word for word in text.split() if not re.fullmatch("─+", word)}


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_cut_and_nothing_is_wider_than_the_terminal(
    command: str, rg: Callable[..., Any], files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = rg(*command.split()).out
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    shown = rg(*command.split()).out
    varying = {word for word in tokens(plain) if re.search(r"GiB|[0-9.]+$", word)} if command == "doctor" else set()
    assert tokens(plain) - tokens(shown) - varying == set()
    assert "…" not in shown or "…" in plain
    wide = [line for line in shown.splitlines() if width_of(line) > WIDTH]
    assert [line for line in wide if max(map(len, line.split())) < 50] == []  # a long path keeps its line to itself
