"""IU X-Ray on the real reports; the counts are those of formats that others published, or counted with grep."""

from __future__ import annotations

import csv
import json
import tarfile
from pathlib import Path

import pytest
from reportgen_plugins.datasets.iu.image_files import image_files, key
from reportgen_plugins.datasets.iu.paper_splits import split_ids

from reportgen_core import Collection, DataError, OptionError, Study
from reportgen_core.registries import datasets
from reportgen_core.text.spec import TextSpec, build_vocabulary


def read(root: Path, **options: object) -> Collection:
    return datasets.create("iu-xray", root, **options).read()


def dropped(found: Collection) -> dict[str, int]:
    return {reason: len(ids) for reason, ids in found.audit.dropped.items()}


@pytest.fixture(scope="module")
def everything(openi: Path) -> Collection:
    return read(openi, require_images=False)


@pytest.fixture(scope="module")
def r2gen(openi: Path) -> Collection:
    return read(openi, require_images=False, protocol="r2gen")


def test_all_reports_and_images_of_open_i_are_listed(everything: Collection) -> None:
    assert (everything.audit.studies, everything.audit.images) == (3955, 7470)
    assert "findings empty in 530, impression in 34, both in 28" in everything.audit.notes[0]
    assert "0 in 104, 1 in 446, 2 in 3208, 3 in 181, 4 in 15, 5 in 1" in everything.audit.notes[-1]


def test_a_report_keeps_its_sections_tags_and_mesh(everything: Collection) -> None:
    by_id = {s.id: s for s in everything.studies}
    first, second = by_id["CXR1"], by_id["CXR4"]
    assert [v.path.name for v in first.views] == ["CXR1_1_IM-0001-3001.png", "CXR1_1_IM-0001-4001.png"]
    assert set(first.sections) == {"comparison", "indication", "findings", "impression"}
    assert first.extra == {"mesh": ["normal"], "normal": True, "licence": "byncnd"}
    assert second.tags
    assert all(t == t.lower() for s in everything.studies for t in s.tags)
    assert not second.extra["normal"]


def test_the_studies_come_by_number(everything: Collection) -> None:
    numbers = [int(s.id.removeprefix("CXR")) for s in everything.studies]
    assert numbers == sorted(numbers)


def test_the_r2gen_split_is_rebuilt(r2gen: Collection) -> None:
    assert {k: len(r2gen.split(k)) for k in ("train", "val", "test")} == {"train": 2069, "val": 296, "test": 590}
    assert r2gen.audit.images == 6091
    assert dropped(r2gen) == {"r2gen: no findings": 530, "r2gen: fewer than two images": 470}
    assert len({s.id for s in r2gen.studies}) == 2955
    assert {s.id: s.split for s in r2gen.studies if s.split != "train"} == split_ids()


def test_the_r2gen_vocabulary_has_760_words_with_unk(r2gen: Collection) -> None:
    texts = [s.sections["findings"] for s in r2gen.split("train")]
    special_besides_unk = 3
    assert len(build_vocabulary(texts, TextSpec(recipe="r2gen-iu", min_count=3))) - special_besides_unk == 760


def test_jing_splits_images_without_dividing_a_report(openi: Path) -> None:
    found = read(openi, require_images=False, protocol="jing", seed=3)
    assert found.audit.studies == found.audit.images == 7430  # as many captions as the 2018 code has
    assert (len(found.split("val")), len(found.split("test"))) == (500, 500)
    sides: dict[str, set[str]] = {}
    for s in found.studies:
        sides.setdefault(s.patient, set()).add(s.split)
    assert all(len(side) == 1 for side in sides.values())
    assert dropped(found) == {"neither impression nor findings": 28, "it lists no image": 101}


@pytest.fixture
def small(tmp_path: Path, openi: Path) -> Path:
    """The first reports, unpacked, with pictures for some and Kaggle's table of projections for all."""
    with tarfile.open(openi / "NLMCXR_reports.tgz") as tar:
        for n in (1, 2, 3, 5, 16):
            tar.extract(f"ecgen-radiology/{n}.xml", tmp_path, filter="data")
    pictures = tmp_path / "images" / "png"
    pictures.mkdir(parents=True)
    for name in ("CXR1_1_IM-0001-3001.png", "CXR2_IM-0652-1001.png", "CXR2_IM-0652-2001.png"):
        (pictures / name).touch()
    (pictures / "1_IM-0001-4001.dcm").touch()  # DICOM under its own name
    rows = ["1,1_IM-0001-4001.dcm.png,Frontal", "1,1_IM-0001-3001.dcm.png,Lateral", "2,2_IM-0652-1001.dcm.png,Frontal",
            "2,2_IM-0652-2001.dcm.png,Lateral", "3,3_IM-1384-1001.dcm.png,Frontal", "3,3_IM-1384-2001.dcm.png,Lateral"]  # fmt: skip
    (tmp_path / "indiana_projections.csv").write_text("\n".join(["uid,filename,projection", *rows]))
    return tmp_path


def test_images_are_found_under_the_names_of_any_copy(small: Path) -> None:
    found = read(small)
    assert {s.id: [v.path.name for v in s.views] for s in found.studies} == {
        "CXR1": ["CXR1_1_IM-0001-3001.png", "1_IM-0001-4001.dcm"],
        "CXR2": ["CXR2_IM-0652-1001.png", "CXR2_IM-0652-2001.png"],
    }
    assert [v.projection for v in found.studies[0].views] == ["lateral", "frontal"]
    assert all(v.path.is_absolute() and v.path.is_file() for s in found.studies for v in s.views)
    assert found.audit.dropped["none of its image files is there"] == ("CXR3", "CXR5", "CXR16")


def test_ditag_keeps_frontal_images_and_few_normals(small: Path) -> None:
    found = read(small, protocol="ditag", require_images=False, normals=1)
    normal = [s for s in found.studies if s.extra["normal"]]
    assert [s.tags for s in normal] == [("normal",)]
    assert {v.projection for s in found.studies for v in s.views} == {"frontal"}
    assert "ditag: a lateral image" in found.audit.dropped
    assert "ditag: nobody says that it is frontal" in found.audit.dropped


def test_the_key_of_an_image_is_one_for_all_copies() -> None:
    names = ("CXR1_1_IM-0001-3001.png", "1_IM-0001-3001.dcm", "images/1_IM-0001-3001.dcm.png", "CXR1_1_IM-0001-3001")
    assert {key(n) for n in names} == {"1_IM-0001-3001"}
    assert key("CXR11_IM-0067-1001.png") == "11_IM-0067-1001"


def test_linked_folders_are_searched_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1_IM-0001-3001.png").touch()
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert image_files(tmp_path) == {"1_IM-0001-3001": tmp_path / "a" / "1_IM-0001-3001.png"}


@pytest.fixture
def kaggle(tmp_path: Path) -> Path:
    names = ["uid", "MeSH", "Problems", "image", "indication", "comparison", "findings", "impression"]
    rows = [
        ["1", "normal", "normal", "PA", "", "", "Clear.", "Normal."],
        ["2", "Opacity/lung;Scoliosis", "Opacity;Scoliosis", "PA", "pain", "", "", "Opacity."],
    ]
    with (tmp_path / "indiana_reports.csv").open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    images = tmp_path / "images" / "images_normalized"
    images.mkdir(parents=True)
    shown = ["1_IM-0001-4001.dcm.png,Frontal", "1_IM-0001-3001.dcm.png,Lateral", "2_IM-0652-1001.dcm.png,Frontal"]
    (tmp_path / "indiana_projections.csv").write_text(
        "uid,filename,projection\n" + "\n".join(f"{s[0]},{s}" for s in shown)
    )
    for s in shown:
        (images / s.split(",")[0]).touch()
    return tmp_path


def test_kaggle_tables_give_sections_headings_and_projections(kaggle: Path) -> None:
    first, second = read(kaggle).studies
    assert first.sections == {"findings": "Clear.", "impression": "Normal."}
    assert [(v.path.name, v.projection) for v in first.views] == [
        ("1_IM-0001-3001.dcm.png", "lateral"),
        ("1_IM-0001-4001.dcm.png", "frontal"),
    ]
    assert (first.tags, first.extra["normal"]) == ((), True)
    assert (second.tags, second.extra["mesh"]) == (("opacity", "scoliosis"), ["Opacity/lung", "Scoliosis"])


def test_kaggle_tables_give_r2gens_ids(kaggle: Path) -> None:
    found = read(kaggle, protocol="r2gen")
    assert [s.id for s in found.studies] == ["CXR1_1_IM-0001"]
    assert found.audit.dropped == {"r2gen: no findings": ("CXR2",)}


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    row = {"id": "CXR7_IM-1", "report": "Clear.", "image_path": ["CXR7_IM-1/0.png", "CXR7_IM-1/1.png"], "split": "val"}
    (tmp_path / "annotation.json").write_text(json.dumps({"train": [], "val": [row], "test": []}))
    (tmp_path / "images" / "CXR7_IM-1").mkdir(parents=True)
    (tmp_path / "images" / "CXR7_IM-1" / "1.png").touch()
    return tmp_path


def test_r2gens_annotation_is_read_with_the_files_that_are_there(annotated: Path) -> None:
    found = read(annotated)
    (study,) = found.studies
    assert isinstance(study, Study)
    assert (study.split, study.patient, study.sections) == ("val", "CXR7", {"findings": "Clear."})
    assert [v.path for v in study.views] == [annotated / "images" / "CXR7_IM-1" / "1.png"]
    assert found.audit.dropped == {"this one image file is not there": ("CXR7_IM-1: 0.png",)}


def test_a_path_that_leaves_the_images_is_refused(annotated: Path) -> None:
    text = (annotated / "annotation.json").read_text().replace("CXR7_IM-1/0.png", "../../0.png")
    (annotated / "annotation.json").write_text(text)
    with pytest.raises(DataError, match=r"image '../../0.png' lies outside"):
        read(annotated)


@pytest.mark.parametrize("text", ["[]", '{"train": []}', '{"train": [1], "val": [], "test": []}', "{"])
def test_a_file_that_is_no_annotation_is_named(annotated: Path, text: str) -> None:
    (annotated / "annotation.json").write_text(text)
    with pytest.raises(DataError, match=r"annotation\.json"):
        read(annotated)


def test_an_annotation_has_no_tags_for_jing(annotated: Path) -> None:
    with pytest.raises(OptionError, match="needs impressions and tags"):
        read(annotated, protocol="jing")


@pytest.mark.parametrize("option", [{"layout": "xlm"}, {"protocol": "r2g"}])
def test_an_unknown_choice_lists_what_there_is(small: Path, option: dict[str, str]) -> None:
    with pytest.raises(OptionError, match="is none of"):
        read(small, **option)


def test_an_empty_folder_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"NLMCXR_reports\.tgz \(Open-i\), indiana_reports\.csv \(Kaggle\)"):
        read(tmp_path)
    with pytest.raises(DataError, match="is no folder"):
        read(tmp_path / "none")
