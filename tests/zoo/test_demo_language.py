"""The demonstration model's sentences and the data that it learns from."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from PIL import Image
from reportgen_zoo.recipes.demo import build
from reportgen_zoo.recipes.demo.language import FINDINGS, NOTHING, PHRASES, describe, read_labels

from reportgen_core.registries import datasets, metrics

NIH = Path(__file__).parents[1] / "fixtures" / "nih"


@pytest.mark.parametrize("finding", FINDINGS)
def test_a_stated_finding_reads_back_as_that_finding_alone_and_a_possible_one_as_none(finding: str) -> None:
    stated, possible = PHRASES[finding]
    assert read_labels(stated) == (finding,)
    assert read_labels(possible) == ()


def test_a_text_reads_back_as_the_findings_it_was_made_of() -> None:
    for pair in itertools.combinations(FINDINGS, 2):
        assert read_labels(describe(pair)) == pair
    assert describe([]) == NOTHING
    assert read_labels(NOTHING) == ()


def test_the_labeler_of_the_scores_reads_the_sentences_as_they_are_meant() -> None:
    """chexpert-rules has seven of the findings; none may be read as another, nor a possible one as present."""
    names = {"Effusion": "Pleural Effusion"}
    shared = ("Cardiomegaly", "Pneumonia", "Consolidation", "Edema", "Atelectasis", "Effusion", "Pneumothorax")
    labeler = metrics.create("chexpert-rules")
    for finding in shared:
        stated, possible = labeler.labels(list(PHRASES[finding]))  # type: ignore[attr-defined]
        name = names.get(finding, finding)
        assert stated[name] == 1
        assert possible[name] == -1
    (nothing,) = labeler.labels([NOTHING])  # type: ignore[attr-defined]
    assert nothing == {}


def test_no_sentence_denies_a_finding() -> None:
    for text in itertools.chain(*PHRASES.values()):
        assert not {"no", "not", "without", "free", "normal", "clear"} & set(text.lower().rstrip(".").split())


def folder_of(path: Path, patients: int, boxed: int = -1) -> Path:
    """Make a folder of ChestX-ray14 with two images a patient; one patient has a box."""
    path.mkdir()
    rows = [
        {
            "image": f"{path.name}{n}.png", "labels": ["No Finding"], "view": "PA", "age": 30, "sex": "F",
            "patient": n // 2, "orig_size": [100, 200], "bbox": [["Infiltrate", 10, 20, 30, 40]] if n // 2 == boxed else [],
        }
        for n in range(2 * patients)
    ]  # fmt: skip
    for n in range(2 * patients):
        Image.new("L", (4, 4), n % 256).save(path / f"{path.name}{n}.png")
    (path / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_patient_is_in_one_split_of_all_folders_and_boxes_are_kept_back(tmp_path: Path) -> None:
    train = next(n for n in range(100) if build.split_of(n) == "train")
    for name, boxed in ((build.MAIN, -1), (build.SMALL, train), (build.LARGE, -1)):
        folder_of(tmp_path / name, 100, boxed)
    splits: dict[str, set[str]] = {}
    teaching: dict[str, set[str]] = {}
    for study in build.read_all(tmp_path):
        splits.setdefault(study.patient, set()).add(study.split.split()[-1])
        teaching.setdefault(study.split, set()).add(study.extra["source"])
    assert all(len(found) == 1 for found in splits.values())
    assert splits[f"nih-{train}"] == {"boxes"}
    assert teaching["train"] == {build.MAIN, build.SMALL}
    assert teaching["val"] == teaching["test"] == {build.MAIN}  # the others are "small test", "large test", …


def test_a_box_has_the_findings_name_and_shares_of_the_image(tmp_path: Path) -> None:
    study = next(build.read_nih(folder_of(tmp_path / "a", 1, boxed=0)))
    (box,) = study.boxes
    assert (box.label, box.left, box.top, box.width, box.height) == ("Infiltration", 0.1, 0.1, 0.3, 0.2)


def test_a_built_folder_holds_its_images_and_reads_as_a_table(tmp_path: Path) -> None:
    count = build.write(build.read_nih(NIH), tmp_path / "deep")
    studies = datasets.create("table", tmp_path / "deep").read().studies
    assert sum(count.values()) == len(studies) == 4
    for study in studies:
        assert study.views[0].path.is_relative_to(tmp_path)
        Image.open(study.views[0].path).verify()
        assert read_labels(study.text(["findings"])) == tuple(f for f in FINDINGS if study.labels[f] == 1)
    assert studies[0].extra == {
        "source": "nih", "view": "PA", "sex": "M", "age": 49, "age band": "40 to 59", "patient number": 87
    } | {"patient number": studies[0].extra["patient number"]}  # fmt: skip


def test_a_folder_without_a_list_of_its_images_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"has no metadata\.jsonl"):
        next(build.read_nih(tmp_path))
