"""MIMIC-CXR in made-up files that have the official names, columns and quirks."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import pytest
from reportgen_plugins.datasets.mimic.mimic_cxr import projection
from reportgen_plugins.datasets.mimic.sections import section_name, sections

from reportgen_core import Collection, DataError, OptionError
from reportgen_core.registries import datasets

FULL = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___F with pain.

 COMPARISON:  None.

 FINDINGS:

 The lungs are
 clear.  No effusion.

 IMPRESSION:

 No acute process.
"""


def test_a_report_is_cut_at_its_headers() -> None:
    assert sections(FULL) == {
        "examination": "CHEST (PA AND LAT)",
        "indication": "___F with pain.",
        "comparison": "None.",
        "findings": "The lungs are clear. No effusion.",
        "impression": "No acute process.",
    }


def test_the_last_section_of_a_name_counts_and_empty_ones_do_not() -> None:
    text = "\n FINDINGS: One.\n IMPRESSION: \n FINDINGS: Two.\n"
    assert sections(text) == {"findings": "Two."}


def test_without_findings_and_impression_the_last_paragraph_is_kept() -> None:
    text = "\n HISTORY: Cough.\n \n AP view of the chest.\n Clear\n lungs.\n"
    found = sections(text)
    assert found["last_paragraph"] == "AP view of the chest. Clear lungs."
    assert sections("No header at all.")["last_paragraph"] == "No header at all."


def test_a_header_needs_capitals_a_colon_and_a_blank_before_it() -> None:
    text = "\n FINDINGS: Clear.\n Comment: small.\nLEFT: no.\n SIZE 3: no.\n"
    assert sections(text) == {"findings": "Clear. Comment: small. LEFT: no. SIZE 3: no."}


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("IMPRESSION", "impression"),
        ("IMPRESSON", "impression"),
        ("IMPRESSIONS", "impression"),
        ("CONCLUSION", "impression"),
        ("FINDINDGS", "findings"),
        ("PORTABLE CHEST", "findings"),
        ("PA AND LATERAL VIEWS OF THE CHEST", "findings"),
        ("COMPARISONS", "comparison"),
        ("REASON FOR EXAM", "indication"),
        ("CT CHEST", "ct chest"),
        ("NOTE", "note"),
    ],
)
def test_headers_are_brought_to_one_spelling(header: str, name: str) -> None:
    assert section_name(header) == name


@pytest.mark.parametrize(
    ("position", "code", "expected"),
    [
        ("PA", "", "frontal"),
        ("AP AXIAL", "", "frontal"),
        ("LL", "", "lateral"),
        ("XTABLE LATERAL", "", "lateral"),
        ("LAO", "", ""),
        ("", "antero-posterior", "frontal"),
        ("", "left lateral", "lateral"),
        ("", "", ""),
    ],
)
def test_projections(position: str, code: str, expected: str) -> None:
    assert projection(position, code) == expected


ROWS = [  # dicom, subject, study, ViewPosition, code, split
    ("aaaaaaaa-1", "10000032", "50414267", "PA", "postero-anterior", "train"),
    ("aaaaaaaa-2", "10000032", "50414267", "LATERAL", "lateral", "train"),
    ("bbbbbbbb-1", "10000764", "57375967", "AP", "", "validate"),
    ("cccccccc-1", "11000011", "51232257", "", "antero-posterior", "test"),
    ("dddddddd-1", "11000011", "51232258", "LL", "lateral", "test"),
    ("eeeeeeee-1", "99", "51232258", "LL", "lateral", "test"),
]
REPORTS = {
    "p10/p10000032/s50414267": FULL,
    "p10/p10000764/s57375967": "\n IMPRESSION: Fine.\n",
    "p11/p11000011/s51232257": "\n HISTORY: x.\n\n Words.\n",
}


@pytest.fixture
def jpg(tmp_path: Path) -> Path:
    root = tmp_path / "mimic-cxr-jpg"
    for dicom, subject, study, *_ in ROWS[:-1]:
        folder = root / "files" / f"p{subject[:2]}" / f"p{subject}" / f"s{study}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{dicom}.jpg").touch()
    lines = ["dicom_id,subject_id,study_id,ViewPosition,ViewCodeSequence_CodeMeaning"]
    lines += [",".join(row[:5]) for row in ROWS]
    with gzip.open(root / "mimic-cxr-2.0.0-metadata.csv.gz", "wt") as file:
        file.write("\n".join(lines))
    lines = ["dicom_id,study_id,subject_id,split"] + [f"{d},{st},{su},{sp}" for d, su, st, *_, sp in ROWS]
    (root / "mimic-cxr-2.0.0-split.csv").write_text("\n".join(lines))
    (root / "mimic-cxr-2.0.0-chexpert.csv").write_text(
        "subject_id,study_id,Edema,No Finding\n10000032,50414267,-1.0,\n10000764,57375967,,1.0\n"
    )
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in REPORTS.items():
        path = tmp_path / "reports" / "files" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "reports"


def read(root: Path, **options: object) -> Collection:
    return datasets.create("mimic-cxr", root, **options).read()


def test_the_official_files_become_studies(jpg: Path, folder: Path) -> None:
    found = read(jpg, reports=str(folder))
    first, second, third = found.studies
    assert (first.id, first.patient, first.split) == ("s50414267", "p10000032", "train")
    assert [(v.path.name, v.projection) for v in first.views] == [
        ("aaaaaaaa-1.jpg", "frontal"),
        ("aaaaaaaa-2.jpg", "lateral"),
    ]
    assert (first.labels, second.labels, third.labels) == ({"Edema": -1.0}, {"No Finding": 1.0}, {})
    assert (second.split, third.split) == ("val", "test")
    assert third.sections["last_paragraph"] == "Words."
    assert found.audit.dropped == {
        "its ids are not formed as MIMIC's are": ("eeeeeeee-1",),
        "no report": ("s51232258",),
    }


def test_a_zip_of_reports_gives_what_the_folder_gives(jpg: Path, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "mimic-cxr-reports.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name, text in REPORTS.items():
            file.writestr(f"files/{name}.txt", text)
    assert read(jpg, reports=str(path)).studies == read(jpg, reports=str(folder)).studies


def test_the_sectioned_table_of_mit_lcp_is_read(jpg: Path) -> None:
    (jpg / "mimic_cxr_sectioned.csv").write_text(
        'study,impression,findings,last_paragraph,comparison\ns50414267,Fine.,"Clear,\ndry.",,\ns57375967,,,,None.\n'
    )
    found = read(jpg)
    assert [s.sections for s in found.studies] == [{"impression": "Fine.", "findings": "Clear,\ndry."}]
    assert found.audit.dropped["the report lacks what require=any asks for"] == ("s57375967",)


@pytest.mark.parametrize(
    ("require", "kept"),
    [
        ("any", ["s50414267", "s57375967", "s51232257"]),
        ("findings", ["s50414267"]),
        ("impression", ["s50414267", "s57375967"]),
        ("both", ["s50414267"]),
    ],
)
def test_required_sections_decide_which_studies_stay(jpg: Path, folder: Path, require: str, kept: list[str]) -> None:
    assert [s.id for s in read(jpg, reports=str(folder), require=require).studies] == kept


@pytest.mark.parametrize(
    ("views", "images"), [("all", 4), ("frontal", 3), ("lateral", 1), (["AP", "LATERAL"], 2), ("PA", 1)]
)
def test_views_are_chosen_by_side_or_by_position(jpg: Path, folder: Path, views: object, images: int) -> None:
    assert read(jpg, reports=str(folder), views=views).audit.images == images


def test_labels_and_images_need_no_reports(jpg: Path) -> None:
    found = read(jpg, require="none")
    assert (found.audit.studies, found.audit.images) == (4, 5)


def test_one_case_an_image_on_request(jpg: Path, folder: Path) -> None:
    found = read(jpg, reports=str(folder), unit="image")
    assert [s.id for s in found.studies] == ["aaaaaaaa-1", "aaaaaaaa-2", "bbbbbbbb-1", "cccccccc-1"]


def test_missing_image_files_are_dropped_by_name(jpg: Path, folder: Path) -> None:
    (jpg / "files/p10/p10000032/s50414267/aaaaaaaa-2.jpg").unlink()
    (jpg / "files/p10/p10000764/s57375967/bbbbbbbb-1.jpg").unlink()
    found = read(jpg, reports=str(folder))
    assert found.audit.dropped["this one image file is not there"] == ("s50414267: aaaaaaaa-2.jpg",)
    assert found.audit.dropped["none of its image files is there"] == ("s57375967",)


def test_r2gens_annotation_of_mimic_is_read(tmp_path: Path) -> None:
    row = {"id": "x-1", "study_id": 50414267, "subject_id": 10000032, "report": "Clear.", "image_path": ["p10/x-1.jpg"]}
    (tmp_path / "annotation.json").write_text(json.dumps({"train": [row], "val": [], "test": []}))
    (study,) = read(tmp_path, require_images=False).studies
    assert (study.patient, study.extra, study.split) == ("p10000032", {"study": "s50414267"}, "train")


def test_what_is_missing_is_said(jpg: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither mimic-cxr-2\.\*-metadata\.csv"):
        read(tmp_path / "mimic-cxr-jpg" / "files")
    with pytest.raises(DataError, match=r"has no reports: .* say where they are with reports=PATH"):
        read(jpg)
    with pytest.raises(DataError, match="does not exist"):
        read(jpg, reports=str(tmp_path / "none"))
    with pytest.raises(OptionError, match="require 'finding' is none of findings, impression"):
        read(jpg, require="finding")


def test_a_missing_column_is_named(jpg: Path, folder: Path) -> None:
    (jpg / "mimic-cxr-2.0.0-split.csv").write_text("study,split\n1,train\n")
    with pytest.raises(DataError, match=r"split\.csv has no column 'study_id'; .*there are: split, study"):
        read(jpg, reports=str(folder))
