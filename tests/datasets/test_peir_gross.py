from __future__ import annotations

import json
from pathlib import Path

import pytest

from reportgen_core import Collection, DataError
from reportgen_core.registries import datasets

CAPTIONS = {"1.jpg": "LIVER: Large mass, 3 cm.", "2.jpg": "Liver: small mass", "3.jpg": "Kidney", "4.jpg": " 7 . "}


def read(root: Path, **options: object) -> Collection:
    return datasets.create("peir-gross", root, **options).read()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "peir_gross_captions.json").write_text(json.dumps(CAPTIONS))
    (tmp_path / "peir_gross_images").mkdir()
    for name in CAPTIONS:
        (tmp_path / "peir_gross_images" / name).touch()
    return tmp_path


def test_captions_are_findings_and_common_words_tags(root: Path) -> None:
    found = read(root, tags=2, val=0, test=0)
    # liver 2, mass 2, then cm, kidney, large, small with 1 each
    assert [(s.id, s.sections["findings"], s.tags) for s in found.studies] == [
        ("1.jpg", "LIVER: Large mass, 3 cm.", ("liver", "mass")),
        ("2.jpg", "Liver: small mass", ("liver", "mass")),
        ("3.jpg", "Kidney", ()),
    ]
    assert found.audit.dropped == {"no caption": ("4.jpg",)}
    assert found.audit.notes[0] == "6 different words, 8 in all; 2 are tags"


def test_the_lists_of_a_split_are_followed(root: Path) -> None:
    (root / "train_images.tsv").write_text("1.jpg\tx\n3.jpg\tx\n")
    (root / "test_images.tsv").write_text("2.jpg\tx\n")
    assert {s.id: s.split for s in read(root).studies} == {"1.jpg": "train", "2.jpg": "test", "3.jpg": "train"}


def test_without_lists_images_are_drawn(root: Path) -> None:
    found = read(root, val=1, test=1)
    assert [len(found.split(s)) for s in ("train", "val", "test")] == [1, 1, 1]


@pytest.mark.parametrize(
    ("name", "text"), [("peir_gross.tsv", "1.jpg\tA mass\n"), ("x.csv", "image,caption\n1.jpg,A mass\n")]
)
def test_other_files_of_captions_are_read(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.jpg").touch()
    (study,) = read(tmp_path).studies
    assert (study.sections, study.views[0].path) == ({"findings": "A mass"}, tmp_path / "images" / "1.jpg")


def test_a_folder_without_captions_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no captions: looked for \*captions\.json"):
        read(tmp_path)
