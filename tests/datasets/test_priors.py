"""The earlier study of a patient in MIMIC-CXR, and in the columns of a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from reportgen_core import Collection, Study, View
from reportgen_core.registries import datasets

HEAD = "dicom_id,subject_id,study_id,ViewPosition,ViewCodeSequence_CodeMeaning,StudyDate,StudyTime"
ROWS = [  # subject, study, date, time, split, report
    ("10000001", "50000005", "21800101", "93000.5", "train", "One."),
    ("10000001", "50000001", "21800102", "81500", "train", "Two."),  # 08:15, before 13:00 of the same day
    ("10000001", "50000003", "21800102", "130000", "train", "Three."),
    ("10000001", "50000004", "", "", "train", "No date."),
    ("10000002", "50000006", "21700101", "0", "train", "Another patient, earlier than all."),
    ("10000003", "50000007", "21800101", "1", "test", "Of the other split."),
    ("10000003", "50000008", "21800201", "1", "train", "Of train."),
    ("10000004", "50000009", "21800101", "1", "train", ""),
    ("10000004", "50000010", "21800201", "1", "train", "Its prior has no report."),
]


@pytest.fixture
def mimic(tmp_path: Path) -> Path:
    metadata, splits = [HEAD], ["dicom_id,study_id,subject_id,split"]
    for number, (subject, study, date, time, split, report) in enumerate(ROWS):
        folder = tmp_path / "files" / "p10" / f"p{subject}"
        (folder / f"s{study}").mkdir(parents=True, exist_ok=True)
        dicom = f"{number:08x}-1"
        (folder / f"s{study}" / f"{dicom}.jpg").touch()
        if report:
            (folder / f"s{study}.txt").write_text(f"\n FINDINGS: {report}\n")
        metadata.append(f"{dicom},{subject},{study},PA,,{date},{time}")
        splits.append(f"{dicom},{study},{subject},{split}")
    (tmp_path / "mimic-cxr-2.0.0-metadata.csv").write_text("\n".join(metadata))
    (tmp_path / "mimic-cxr-2.0.0-split.csv").write_text("\n".join(splits))
    return tmp_path


def read(root: Path, name: str = "mimic-cxr", **options: object) -> Collection:
    return datasets.create(name, root, **options).read()


def priors(collection: Collection) -> dict[str, str]:
    return {s.id: s.prior.id if s.prior else "" for s in collection.studies}


def test_the_prior_is_the_latest_earlier_study_of_the_same_patient_and_split(mimic: Path) -> None:
    collection = read(mimic)
    assert priors(collection) == {
        "s50000005": "", "s50000001": "s50000005", "s50000003": "s50000001", "s50000004": "",
        "s50000006": "", "s50000007": "", "s50000008": "", "s50000010": "s50000009",
    }  # fmt: skip
    for study in collection.studies:
        if study.prior is not None:
            assert (study.prior.patient, study.prior.split) == (study.patient, study.split)
            assert study.prior.prior is None
    assert collection.audit.dropped["its prior is in another split and is left out"] == ("s50000008",)
    assert "prior: 3 studies have an earlier study of their patient; 1 studies have no date" in collection.audit.notes


def test_a_prior_has_the_images_and_the_report_of_its_study(mimic: Path) -> None:
    by_id = {s.id: s for s in read(mimic).studies}
    prior = by_id["s50000003"].prior
    assert prior is not None
    assert prior.sections == {"findings": "Two."}
    assert prior.views == by_id["s50000001"].views
    without_report = by_id["s50000010"].prior
    assert without_report is not None and without_report.sections == {} and without_report.views


def test_priors_can_be_left_out_and_need_no_date(mimic: Path) -> None:
    assert set(priors(read(mimic, prior=False)).values()) == {""}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in "abcd":
        (tmp_path / f"{name}.png").touch()
    return tmp_path


def test_columns_of_a_table_are_the_context_of_a_study(root: Path) -> None:
    (root / "t.csv").write_text(
        "image,report,indication,technique,comparison,Patient Age,Sex,prior_images,prior_report,patient\n"
        "a.png,Clear.,Pain.,PA.,None.,61,F,b.png|c.png,Old text.,p\n"
        "d.png,Clear.,,,,,,,,q\n"
    )
    first, second = read(root, "table").studies
    assert {k: first.sections[k] for k in ("indication", "technique", "comparison")} == {
        "indication": "Pain.", "technique": "PA.", "comparison": "None.",
    }  # fmt: skip
    assert (first.extra["age"], first.extra["sex"]) == ("61", "F")
    assert first.prior == Study(
        "a-prior", (View(root / "b.png"), View(root / "c.png")), {"findings": "Old text."}, patient="p"
    )
    assert second.prior is None and second.extra == {}


def test_options_name_the_columns_of_the_context(root: Path) -> None:
    (root / "t.csv").write_text("image,words,why,old,oldtext,years,mf\na.png,Clear.,Pain.,b.png,Old.,50,M\n")
    options = {"text": {"findings": "words", "indication": "why"}, "prior_images": "old", "prior_report": "oldtext"}
    (study,) = read(root, "table", age="years", sex="mf", **options).studies
    assert study.sections == {"findings": "Clear.", "indication": "Pain."}
    assert (study.extra["age"], study.extra["sex"]) == ("50", "M")
    assert study.prior is not None and study.prior.sections == {"findings": "Old."}


def test_a_prior_of_the_wrong_patient_image_or_split_is_left_out_and_told(root: Path) -> None:
    (root / "t.csv").write_text(
        "id,image,report,patient,split,prior_image\n"
        "own,a.png,x,p,train,a.png\n"
        "other,b.png,x,p,train,c.png\n"
        "source,c.png,x,q,test,\n"
        "crossed,d.png,x,q,train,c.png\n"
    )
    collection = read(root, "table")
    assert priors(collection) == {"own": "", "other": "", "source": "", "crossed": ""}
    assert collection.audit.dropped == {
        "its prior image is its own image, and is left out": ("own",),
        "its prior image is of another patient, and is left out": ("other",),
        "its prior image is in another split, and is left out": ("crossed",),
    }


def test_a_prior_image_that_is_not_there_is_told_and_its_report_is_kept(root: Path) -> None:
    (root / "t.csv").write_text("image,report,prior_image,prior_report\na.png,x,gone.png,Old.\nb.png,x,gone.png,\n")
    first, second = read(root, "table").studies
    assert first.prior is not None and first.prior.views == () and first.prior.sections == {"findings": "Old."}
    assert second.prior is None
    dropped = read(root, "table").audit.dropped["this one image file of its prior is not there"]
    assert dropped == ("a: gone.png", "b: gone.png")


def test_the_rows_of_one_study_share_its_prior(root: Path) -> None:
    (root / "t.csv").write_text("id,image,report,prior_image,prior_report\ns,a.png,x,c.png,\ns,b.png,x,d.png,Old.\n")
    (study,) = read(root, "table").studies
    assert study.prior is not None
    assert [v.path.name for v in study.prior.views] == ["c.png", "d.png"]
    assert study.prior.sections == {"findings": "Old."}
