"""`rg report` on images that are not what a model was made for: notes, the count of images, and `--strict`."""

from __future__ import annotations

import json
from pathlib import Path

from test_report import dicom


def test_a_hand_has_a_note_and_a_chest_has_none(rg, model: Path, tmp_path: Path) -> None:
    dicom(tmp_path / "hand.dcm", "1.2.3.1", StudyInstanceUID="1.2.1", BodyPartExamined="HAND")
    dicom(tmp_path / "chest.dcm", "1.2.3.2", StudyInstanceUID="1.2.2", BodyPartExamined="CHEST", Modality="DX")
    done = rg("report", tmp_path, "--model", model, "--json")
    notes = {v["study"]: v["note"] for v in map(json.loads, done.out.splitlines())}
    assert done.code == 0
    assert "its header says body part HAND: it is no chest" in notes["hand"]
    assert "header" not in notes["chest"]


def test_strict_refuses_a_ct_and_reports_the_others(rg, model: Path, tmp_path: Path) -> None:
    dicom(tmp_path / "ct.dcm", "1.2.3.1", StudyInstanceUID="1.2.1", Modality="CT")
    dicom(tmp_path / "chest.dcm", "1.2.3.2", StudyInstanceUID="1.2.2", Modality="CR")
    done = rg("report", tmp_path, "--model", model, "--json", "--strict")
    texts = {v["study"]: v["text"] for v in map(json.loads, done.out.splitlines())}
    assert done.code == 1
    assert texts["ct"] == ""
    assert texts["chest"]
    assert "rg: study ct is refused: its header says modality CT: it is no radiograph" in done.err
    assert rg("report", tmp_path / "ct.dcm", "--model", model).code == 0


def test_patients_of_one_examination_have_their_own_reports(rg, model: Path, tmp_path: Path) -> None:
    for n in range(3):
        dicom(tmp_path / f"{n}.dcm", f"1.2.3.{n}", PatientID=f"PAT{n}")
    done = rg("report", tmp_path, "--model", model, "--json")
    assert [v["study"] for v in map(json.loads, done.out.splitlines())] == ["0", "1", "2"]
    assert "PAT" not in done.out + done.err


def test_an_image_that_cannot_be_read_is_named_though_the_model_takes_another(rg, model: Path, tmp_path: Path) -> None:
    for n in range(3):
        dicom(tmp_path / f"{n}.dcm", f"1.2.3.{n}")
    whole = (tmp_path / "1.dcm").read_bytes()
    (tmp_path / "1.dcm").write_bytes(whole[:-2000])
    done = rg("report", tmp_path, "--model", model)
    assert "1.dcm" in done.err
    assert "not used: 2.dcm" in done.err
