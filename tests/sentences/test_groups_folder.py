"""The folder of groups: what is written comes back, and what was touched is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reportgen_core import CheckpointError, DataError
from reportgen_core.sentences.groups import common_words, load_groups, save_groups
from reportgen_core.sentences.parts import Group, sentence_key

LEFT = Group(("left effusion.", "effusion on the left."), "left effusion.", ("left",), (3, 1), 0)
RIGHT = Group(("right effusion.",), "right effusion.", ("right",), (2,), 0)
VECTORS = np.eye(3, 4, dtype=np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_groups(tmp_path / "g", [LEFT, RIGHT], VECTORS, encoder={"name": "e"}, settings={"k": 2})


def test_groups_and_vectors_come_back_as_they_were(folder: Path) -> None:
    loaded = load_groups(folder)
    assert loaded.groups == (LEFT, RIGHT)
    assert np.array_equal(loaded.vectors, VECTORS)
    assert (loaded.encoder, loaded.settings) == ({"name": "e"}, {"k": 2})
    assert loaded.sentences[2] == "right effusion." and loaded.owners == (0, 0, 1)


def test_a_sentence_finds_its_group_in_another_spelling(folder: Path) -> None:
    assert load_groups(folder).by_key()[sentence_key("  Right  Effusion")] == 1


def test_the_words_of_a_group_are_those_its_sentences_share() -> None:
    assert common_words(LEFT, 2) == ("effusion", "left")
    assert common_words(Group(("a scar is seen.", "scar of the lung"), "scar of the lung")) == ("scar", "lung")


def test_groups_without_vectors_have_none(tmp_path: Path) -> None:
    assert load_groups(save_groups(tmp_path / "g", [LEFT])).vectors is None


def test_the_same_groups_are_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = save_groups(tmp_path / "h", [LEFT, RIGHT], VECTORS, encoder={"name": "e"}, settings={"k": 2})
    for name in ("groups.json", "vectors.safetensors"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()


def test_vectors_must_be_as_many_as_the_sentences(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"need vectors \(3, dim\), got \(2, 4\)"):
        save_groups(tmp_path / "g", [LEFT, RIGHT], VECTORS[:2])
    assert not list(tmp_path.iterdir())


def test_a_folder_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(CheckpointError, match=r"but no groups\.json, so it was not overwritten"):
        save_groups(tmp_path, [LEFT])


def test_touched_vectors_are_refused(folder: Path) -> None:
    file = folder / "vectors.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x07")
    with pytest.raises(DataError, match=r"is not the file that groups\.json was written with"):
        load_groups(folder)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"format": 9}, "is of format 9; this reportgen reads format 1"),
        ({"groups": 3}, "is no list of groups"),
        ({"groups": [{"sentences": "abc"}]}, "is no list of groups"),
        ({"groups": [{"sentences": ["a"], "central": "b", "terms": [], "counts": [], "cluster": 0}]}, "central"),
    ],
)
def test_another_json_is_refused_in_one_line(folder: Path, change: dict, why: str) -> None:
    file = folder / "groups.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(DataError, match=why) as caught:
        load_groups(folder)
    assert "\n" not in str(caught.value)


def test_groups_that_are_not_utf8_name_the_file_and_the_byte(folder: Path) -> None:
    (folder / "groups.json").write_bytes(b'{"groups": "\xff"}')
    with pytest.raises(DataError, match=r"groups\.json: byte 12 is not UTF-8"):
        load_groups(folder)


def test_a_folder_without_groups_says_what_makes_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="rg data groups --out"):
        load_groups(tmp_path)
