"""Sentences as radiologists write them, with the answers that CheXpert's labels ask for, by kind of difficulty."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from reportgen_plugins.metrics.labeler.anchors import PhraseIndex, compiled, find_anchors, pieces
from reportgen_plugins.metrics.labeler.labeler import Labeler
from reportgen_plugins.metrics.labeler.phrases import build_tables

SENTENCES = Path(__file__).parents[1] / "fixtures" / "labeler_sentences.csv"


def read_rows() -> list[dict[str, str]]:
    with SENTENCES.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


ROWS = read_rows()
KINDS = list(dict.fromkeys(row["kind"] for row in ROWS))


@pytest.fixture(scope="module")
def labels() -> Mapping[str, Mapping[str, float]]:
    texts = list(dict.fromkeys(row["text"] for row in ROWS))
    return dict(zip(texts, Labeler().labels(t.replace("\\n", "\n") for t in texts), strict=True))


def answer(labels: Mapping[str, float], label: str) -> str:
    return f"{labels[label]:.0f}" if label in labels else "N"


@pytest.mark.parametrize("kind", KINDS)
def test_sentences_of_a_kind_are_read_as_a_radiologist_reads_them(
    kind: str, labels: Mapping[str, Mapping[str, float]]
) -> None:
    wrong = [
        (row["text"], row["label"], row["answer"], given)
        for row in ROWS
        if row["kind"] == kind and (given := answer(labels[row["text"]], row["label"])) not in row["answer"].split("|")
    ]
    assert not wrong


def test_no_text_that_states_a_disease_is_called_no_finding(labels: Mapping[str, Mapping[str, float]]) -> None:
    stated = {r["text"] for r in ROWS if r["answer"] == "1" and r["label"] not in ("No Finding", "Support Devices")}
    assert len(stated) > 300
    assert not [text for text in stated if "No Finding" in labels[text]]


def test_the_table_is_large_and_of_many_kinds() -> None:
    assert len({row["text"] for row in ROWS}) >= 150
    assert len(KINDS) >= 15


@pytest.mark.parametrize("name", ["findings", "cues", "breaks"])
def test_a_phrase_without_an_anchor_in_the_text_matches_nothing_there(name: str) -> None:
    index: PhraseIndex[object] = getattr(build_tables(), name)
    for row in ROWS[::7]:
        flat = row["text"].lower()
        quick = [(value, m.span()) for value, m in index.find(flat, pieces(flat))]
        assert quick == every_match(index, flat), row["text"]


def every_match(index: PhraseIndex[object], flat: str) -> Sequence[tuple[object, tuple[int, int]]]:
    """Return the matches of all phrases, tried one by one."""
    return [(value, m.span()) for value, pattern in index.phrases for m in compiled(pattern).finditer(flat)]


@pytest.mark.parametrize(
    ("pattern", "anchors"),
    [
        ("effusions?", {"effusion"}),
        (r"(?<!\w)(?:no)(?!\w)", {"=no"}),
        (r"(?:hydro|hemo)?pneumothora\w*", {"pneumothora"}),
        ("(?:heart|cardiac)[ /-]size", {"heart", "cardiac"}),
        (r"lungs(?! (?:clear|fine)\b) dark", {"lungs"}),
        (r"(?<!\w)(?:medi[ /-]?ports?)(?!\w)", {"medi"}),
        (r"(?<!\w)(?:heart[ /-]size)(?!\w)", {"=heart"}),
        (r"\?+", {"=?"}),
        ("[;:]", {"=;", "=:"}),
        (r"\w+", set()),
        ("(?:mass|)", set()),
    ],
)
def test_anchors_are_pieces_that_every_match_has(pattern: str, anchors: set[str]) -> None:
    assert find_anchors(pattern) == anchors
