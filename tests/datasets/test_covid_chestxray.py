from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from reportgen_plugins.datasets.image_sentences import describing

from reportgen_core import Collection, DataError, OptionError
from reportgen_core.registries import datasets

NOTES = (
    "A 45-year-old man presented with fever. PCR was positive. There is patchy opacity in the right upper lobe. "
    "No pleural effusion (Fig. 2). CT showed ground-glass opacities."
)


def test_only_sentences_about_the_radiograph_stay() -> None:
    expected = "There is patchy opacity in the right upper lobe. No pleural effusion."
    assert describing(NOTES) == expected


@pytest.mark.parametrize(
    ("notes", "kept"),
    [
        ("Presentation: Lungs hurt. Imaging Notes: clear lungs. Discussion: Lungs are organs.", "Clear lungs."),
        ("(a) Bilateral consolidation. (B) Small effusion", "Bilateral consolidation. Small effusion."),
        ("The heart is enlarged; She had a cough.", ""),
        ("Heart rate was normal on physical examination. Normal", ""),
        ("He received oxygen. Lung volumes may be low.", ""),
        ("", ""),
    ],
)
def test_the_rule_on_single_notes(notes: str, kept: str) -> None:
    assert describing(notes) == kept


ROWS = [
    {"patientid": "1", "view": "PA", "finding": "Pneumonia/Viral/COVID-19", "modality": "X-ray", "filename": "a.png",
     "folder": "images", "clinical_notes": NOTES, "license": "CC BY-NC-SA 4.0", "doi": "10.1/x"},
    {"patientid": "1", "view": "L", "finding": "todo", "modality": "X-ray", "filename": "b.png", "folder": "images",
     "clinical_notes": "Clear lungs.", "license": "cc by 3.0"},
    {"patientid": "2", "view": "Axial", "finding": "ARDS", "modality": "CT", "filename": "c.png", "folder": "images",
     "clinical_notes": "Clear lungs.", "license": "CC BY"},
    {"patientid": "3", "view": "AP Supine", "finding": "No Finding", "modality": "X-ray", "filename": "d.png",
     "folder": "images", "clinical_notes": "", "license": ""},
    {"patientid": "4", "view": "AP", "finding": "ARDS", "modality": "X-ray", "filename": "e.png", "folder": "images",
     "clinical_notes": "He had a fever.", "license": "CC BY-NC-ND"},
    {"patientid": "5", "view": "PA", "finding": "ARDS", "modality": "X-ray", "filename": "gone.png", "folder": "images",
     "clinical_notes": "Clear lungs.", "license": "CC BY"},
]  # fmt: skip


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for row in ROWS[:-1]:
        (tmp_path / "images" / row["filename"]).touch()
    with (tmp_path / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(ROWS[0]))
        writer.writeheader()
        writer.writerows(ROWS)
    return tmp_path


def read(root: Path, **options: object) -> Collection:
    return datasets.create("covid-chestxray", root, **options).read()


def test_the_repository_is_read_with_reasons_for_what_is_dropped(repository: Path) -> None:
    found = read(repository, val=0, test=0)
    first, second = found.studies
    assert (first.id, first.tags, first.patient) == ("a", ("pneumonia", "viral", "covid-19"), "1")
    assert first.sections["notes"] == NOTES
    assert first.extra == {"licence": "CC BY-NC-SA 4.0", "doi": "10.1/x"}
    assert (first.views[0].projection, second.views[0].projection, second.tags) == ("frontal", "lateral", ())
    assert found.audit.dropped == {
        "it is no radiograph": ("c",),
        "no notes": ("d",),
        "no sentence describes the image": ("e",),
        "none of its image files is there": ("gone",),
    }


def test_licences_are_kept_by_family(repository: Path) -> None:
    assert [s.id for s in read(repository, licences=["CC BY"]).studies] == ["b"]
    assert {s.id for s in read(repository, licences=["CC BY", "CC BY-NC-SA"]).studies} == {"a", "b"}


def test_all_sentences_are_the_whole_note(repository: Path) -> None:
    studies = read(repository, sentences="all").studies
    assert [s.id for s in studies] == ["a", "b", "e"]
    assert studies[0].sections["findings"] == NOTES


def test_the_copy_with_json_lines_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    rows = [
        {"image": "a.jpg", "patientid": "2", "view": None, "finding": "COVID-19, ARDS", "age": 65.0, "license": None,
         "clinical_notes": "Clear lungs."},
        {"image": "a.jpg", "patientid": "2", "view": "PA", "finding": "SARS", "license": " ", "clinical_notes": "Clear lungs."},
    ]  # fmt: skip
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = read(tmp_path, val=0, test=0)
    (study,) = found.studies
    assert (study.tags, study.labels) == (("covid-19", "ards"), {"COVID-19": 1.0, "ARDS": 1.0})
    assert (study.views[0].projection, study.extra) == ("", {"licence": "", "age": "65"})
    assert found.audit.dropped == {"another row has this image": ("a",)}


def test_a_patient_is_on_one_side(repository: Path) -> None:
    found = read(repository, val=0, test=0.9)
    assert len({s.split for s in found.studies if s.patient == "1"}) == 1


def test_wrong_options_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="sentences 'some' is none of all, describing"):
        read(tmp_path, sentences="some")
    with pytest.raises(DataError, match=r"neither metadata\.csv .* nor metadata\.jsonl"):
        read(tmp_path)
