from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from reportgen_core import Box, Collection, DataError, OptionError, Study, View
from reportgen_core.files.study_json import study_from_json, study_to_json
from reportgen_core.registries import datasets


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).touch()
    return tmp_path


def read(root: Path, **options: object) -> Collection:
    return datasets.create("table", root, **options).read()


def test_columns_are_found_by_their_names(root: Path) -> None:
    (root / "t.csv").write_text(
        "Image,Report,Tags,View,Split,Patient_ID\na.png,Clear lungs.,Edema|edema|Scar,PA,validate,p1\nb.png,,,LL,train,p2\n"
    )
    first, second = read(root).studies
    assert (first.id, first.sections, first.tags) == ("a", {"findings": "Clear lungs."}, ("edema", "scar"))
    assert (first.split, first.patient, first.views) == ("val", "p1", (View(root / "a.png", "frontal"),))
    assert (second.sections, second.views[0].projection) == ({}, "lateral")


def test_columns_named_as_sections_are_sections(root: Path) -> None:
    (root / "t.tsv").write_text("path\tFindings\tImpression\tnotes\na.png\tClear.\tNormal.\tx\n")
    assert read(root).studies[0].sections == {"findings": "Clear.", "impression": "Normal."}


def test_options_name_columns(root: Path) -> None:
    (root / "t.csv").write_text("x,words,sum,side,e,f\na,Clear.,Fine.,ap,1,\n")
    options = {"image": "x", "suffix": ".png", "text": {"findings": "words", "impression": "sum"}, "view": "side"}
    (study,) = read(root, labels=["e", "f"], **options).studies
    assert study.sections == {"findings": "Clear.", "impression": "Fine."}
    assert (study.labels, study.views) == ({"e": 1.0}, (View(root / "a.png", "frontal"),))


def test_an_unknown_column_lists_those_there_are(root: Path) -> None:
    (root / "t.csv").write_text("image,report\na.png,x\n")
    with pytest.raises(
        DataError, match=r"t\.csv has no column 'reprot'; did you mean 'report'\? there are: image, report"
    ):
        read(root, text="reprot")
    with pytest.raises(DataError, match="no column 'views'"):
        read(root, view="views")


def test_a_table_without_images_says_so(root: Path) -> None:
    (root / "t.csv").write_text("name,report\na.png,x\n")
    with pytest.raises(DataError, match="has no column of images; name it with image=, there are: name, report"):
        read(root)


def test_rows_of_one_id_are_one_study(root: Path) -> None:
    (root / "t.csv").write_text("study_id,image,report\n7,a.png,Clear.\n7,b.png,Clear.\n8,c.png,x\n7,a.png,again\n")
    found = read(root)
    assert [(s.id, len(s.views)) for s in found.studies] == [("7", 2), ("8", 1)]
    assert found.audit.dropped == {"another row of this id has another text; the first is kept": ("7",)}


def test_json_lines_may_hold_lists_labels_and_boxes(root: Path) -> None:
    rows = [
        {"image": "a.png", "labels": ["Mass", "Edema"], "bbox": [["Mass", 10, 20, 30, 40]], "orig_size": [100, 200]},
        {"image": ["b.png", "c.png"], "labels": {"Edema": 0}, "text": "x"},
    ]
    (root / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    first, second = read(root).studies
    assert first.labels == {"Mass": 1.0, "Edema": 1.0}
    assert first.boxes == (Box("Mass", 0.1, 0.1, 0.3, 0.2),)
    assert (second.labels, len(second.views), second.sections) == ({"Edema": 0.0}, 2, {"findings": "x"})


def test_missing_images_and_empty_cells_are_dropped_with_their_reason(root: Path) -> None:
    (root / "t.csv").write_text("image,report\na.png,x\nz.png,y\n,z\n")
    found = read(root)
    assert [s.id for s in found.studies] == ["a"]
    assert found.audit.dropped == {"it names no image": ("row 3",), "none of its image files is there": ("z",)}


def test_rows_without_an_image_stay_where_none_is_required(root: Path) -> None:
    (root / "t.csv").write_text("image,report\na.png,x\nz.png,y\n,z\n")
    assert [(s.id, len(s.views)) for s in read(root, require_images=False).studies] == [
        ("a", 1),
        ("z", 1),
        ("row 3", 0),
    ]
    (root / "t.csv").write_text("id,report\n7,x\n")
    (study,) = read(root, require_images=False).studies
    assert (study.id, study.views, study.sections) == ("7", (), {"findings": "x"})


def test_a_complete_list_of_labels_states_what_is_absent(root: Path) -> None:
    rows = [("Mass", "Edema"), (), None, ("Edema",)]
    (root / "t.jsonl").write_text(
        "".join(json.dumps({"id": i, "text": "x", "labels": row}) + "\n" for i, row in enumerate(rows))
    )
    found = read(root, require_images=False, complete=True).studies
    assert [s.labels for s in found] == [{"Edema": 1, "Mass": 1}, {"Edema": 0, "Mass": 0}, {}, {"Edema": 1, "Mass": 0}]
    assert read(root, require_images=False).studies[1].labels == {}
    (root / "t.jsonl").unlink()
    (root / "t.csv").write_text("image,labels\na.png,Mass|Edema\nb.png,\n")
    assert [s.labels for s in read(root, complete=True).studies] == [{"Edema": 1, "Mass": 1}, {"Edema": 0, "Mass": 0}]


@pytest.mark.parametrize("name", ["../x.png", "/etc/passwd", "a/../../x.png", "..\\\\x.png"])
def test_a_path_that_leaves_the_folder_is_refused(root: Path, name: str) -> None:
    (root / "t.csv").write_text(f"image\n{name}\n")
    with pytest.raises(DataError, match="lies outside"):
        read(root)


def test_absolute_paths_are_allowed_below_a_named_folder(root: Path) -> None:
    (root / "t.csv").write_text(f"image\n{root / 'a.png'}\n")
    assert read(root, images=str(root.parent)).audit.images == 1


def test_two_tables_need_a_choice(root: Path) -> None:
    (root / "t.csv").write_text("image\na.png\n")
    (root / "u.csv").write_text("image\nb.png\n")
    with pytest.raises(DataError, match=r"there: t\.csv, u\.csv; name one with file="):
        read(root)
    assert [s.id for s in read(root, file="u.csv").studies] == ["b"]
    assert [s.id for s in read(root / "t.csv").studies] == ["a"]


def test_shares_split_by_patient_where_the_table_does_not(root: Path) -> None:
    rows = [{"id": str(i), "image": "a.png", "patient": str(i // 2)} for i in range(20)]
    (root / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = read(root, val=0.2, test=0.2)
    assert [len(found.split(s)) for s in ("train", "val", "test")] == [12, 4, 4]
    with pytest.raises(OptionError, match="together below 1"):
        read(root, val=0.5, test=0.5)


@pytest.mark.parametrize("text", ["[1]\n", "{\n", "\xff"])
def test_lines_that_are_no_rows_name_the_file(root: Path, text: str) -> None:
    (root / "t.jsonl").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"t\.jsonl"):
        read(root)


def test_a_study_survives_its_line(root: Path) -> None:
    study = Study(
        "x",
        views=(View(root / "a.png", "lateral"), View(Path("/elsewhere/b.png"))),
        sections={"findings": "Clär."},
        tags=("edema",),
        labels={"Edema": -1.0},
        split="val",
        patient="p",
        boxes=(Box("Mass", 0.1, 0.2, 0.3, 0.4, view=1),),
        extra={"age": 3},
    )
    line = json.loads(json.dumps(study_to_json(study, root)))
    assert line["views"][0]["path"] == "a.png"
    assert study_from_json(line, lambda name: root / name) == study


@pytest.mark.parametrize("row", [{}, {"id": 1, "views": [{}]}, {"id": 1, "views": [{"path": "a", "projection": "AP"}]}])
def test_a_line_that_is_no_study_is_named(row: dict[str, object]) -> None:
    with pytest.raises(DataError, match="is not written as a study"):
        study_from_json(row, Path)


def test_nih_and_padchest_are_read_by_their_own_names(root: Path) -> None:
    (root / "nih.csv").write_text(
        "Image Index,Finding Labels,Follow-up #,Patient ID,View Position\na.png,Mass|Edema,0,101,PA\n"
    )
    (study,) = read(root).studies
    assert (study.id, study.patient, study.labels) == ("a", "101", {"Mass": 1.0, "Edema": 1.0})
    (root / "nih.csv").unlink()
    (root / "padchest.csv").write_text(
        ",ImageID,ImageDir,StudyID,PatientID,Projection,Report,Labels\n"
        "0,a.png,0,S1,P1,PA,corazon grande,\"['cardiomegaly', 'pleural effusion']\"\n1,b.png,0,S1,P1,L,,\"['normal', '']\"\n"
    )
    found = read(root)
    (study,) = found.studies
    assert (study.id, study.patient, study.split) == ("S1", "P1", "")
    assert study.labels == {"cardiomegaly": 1.0, "pleural effusion": 1.0}
    assert study.views == (View(root / "a.png", "frontal"), View(root / "b.png", "lateral"))
    assert found.audit.dropped == {"another row of this id has another labels; the first is kept": ("S1",)}


def test_a_number_for_an_image_id_is_no_image(root: Path) -> None:
    (root / "t.csv").write_text("image_id,caption\n391895,Clear lungs.\n")
    (study,) = read(root, require_images=False).studies
    assert (study.id, study.views, study.sections) == ("391895", (), {"findings": "Clear lungs."})


def test_a_study_takes_from_a_later_row_what_the_first_does_not_say(root: Path) -> None:
    (root / "t.csv").write_text("id,image,report,patient\n7,a.png,,p1\n7,b.png,Clear.,p1\n7,c.png,Clear.,p2\n")
    found = read(root)
    (study,) = found.studies
    assert (study.sections, study.patient, len(study.views)) == ({"findings": "Clear."}, "p1", 3)
    assert found.audit.dropped == {"another row of this id has another patient; the first is kept": ("7",)}


def test_a_label_is_a_number_or_nothing(root: Path) -> None:
    (root / "t.jsonl").write_text('{"id": 1, "labels": {"Edema": "-1", "Mass": NaN, "Nodule": true, "Hernia": null}}\n')
    assert read(root, require_images=False).studies[0].labels == {"Edema": -1.0, "Nodule": 1.0}
    (root / "t.jsonl").write_text('{"id": 1}\n{"id": 2, "labels": {"Edema": "yes"}}\n')
    with pytest.raises(DataError, match=r"t\.jsonl: line 2: label Edema is 'yes'"):
        read(root, require_images=False)


def test_a_study_of_nothing_but_its_id_is_as_empty_as_null_says(root: Path) -> None:
    row = {
        "id": 7.0,
        "views": [],
        "patient": None,
        "split": float("nan"),
        "sections": None,
        "tags": None,
        "labels": None,
    }
    study = study_from_json(row, Path)
    assert (study.id, study.patient, study.split, study.sections, study.labels) == ("7", "", "", {}, {})


def test_a_gzipped_table_is_found_in_its_folder(root: Path) -> None:
    (root / "t.csv.gz").write_bytes(gzip.compress(b"image,report\na.png,Clear.\n"))
    (root / "t.csv.bak").write_text("image\nb.png\n")
    assert [s.id for s in read(root).studies] == ["a"]


def test_columns_that_are_not_used_are_named(root: Path) -> None:
    (root / "t.csv").write_text("image;report;scanner;ward;age\na.png;x;1;2;3\n")
    notes = read(root, columns=["age"]).audit.notes
    assert "columns that are not used: scanner, ward; text=, labels= … name columns" in notes
    assert any("the header says that a semicolon separates the cells" in note for note in notes)
    (root / "t.csv").write_text("image,report,split,patient,view,tags,labels,id\na.png,x,,,,,,\n")
    assert not any("not used" in note for note in read(root).audit.notes)


def test_a_table_with_another_delimiter_is_told_so(root: Path) -> None:
    (root / "t.csv").write_text("name|report\na.png|x\n")
    with pytest.raises(DataError, match=r"there are: name\|report; perhaps another sign separates its cells"):
        read(root)


def test_an_excel_table_is_read_as_its_csv(root: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["Image", "Report", "Split"], ["a.png", "Clear.", "train"], ["b.png", "Effusion.", "val"]):
        book.active.append(row)
    book.save(root / "t.xlsx")
    studies = read(root).studies
    assert [(s.id, s.sections["findings"], s.split) for s in studies] == [
        ("a", "Clear.", "train"),
        ("b", "Effusion.", "val"),
    ]
