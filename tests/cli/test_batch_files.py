"""The files of a batch: names that are unique and short, faults that stay with one study, and what became of each file."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reportgen_cli.batch_files import MAX_BYTES, left_out, output_name, output_names

from reportgen_core.data.study_files import group_files
from reportgen_core.types import Report, Study, View

IDS = [
    "a b", "a_b", "a:b", "a/b", "A", "a", "é", "e\u0301", "../../etc/passwd", "..", "", " ", "_", "-rf", ".hidden", "con",
    "COM1.x", "x" * 250, "y/" + "x" * 250, "b\udcff", "b\udcfe", "a.png", "a.words", "a\nb", "a\x00b", "心影" * 60,
    "a_b~6783a31eabf6", "CXR1_1_IM-0001-3001", "550e8400-e29b-41d4-a716-446655440000", "chest 1", "ſ", "s", "ß", "ss",
]  # fmt: skip


def test_no_two_ids_share_a_name_also_where_capitals_do_not_count() -> None:
    names = output_names([*IDS, *IDS])
    assert list(names) == IDS
    assert len({name.casefold() for name in names.values()}) == len(IDS)
    assert {name: output_names([name])[name] for name in names.values() if "~" not in name} == {
        name: name for name in names.values() if "~" not in name
    }


def test_a_usual_id_is_its_own_name() -> None:
    for id in ("CXR1_1_IM-0001-3001", "550e8400-e29b-41d4-a716-446655440000", "chest 1", "心影", "é", "1.2.840.1"):
        assert output_name(id) == id


@pytest.mark.parametrize("id", IDS, ids=ascii)
def test_a_name_can_be_written_and_stays_in_its_folder(tmp_path: Path, id: str) -> None:
    name = output_name(id)
    assert len(name.encode()) <= MAX_BYTES + 13
    for ending in (".txt", ".words.png"):
        (tmp_path / f"{name}{ending}").write_text(id, errors="replace")
    (tmp_path / name).mkdir()
    assert {p.parent for p in tmp_path.rglob("*")} == {tmp_path}
    assert not name.startswith((".", "-", "~"))


def test_names_do_not_depend_on_the_order_or_on_what_else_is_there() -> None:
    assert output_names(["a:b", "a_b", "x"]) == output_names(["x", "a_b", "a:b"])
    assert output_name("a:b") == output_names(["a_b", "a:b"])["a:b"]


def copies(source: Path, *names: str | bytes) -> None:
    for name in names:
        target = os.fsencode(source.parent / "in") + b"/" + os.fsencode(name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(source, target)


def texts(out: Path) -> list[str]:
    return sorted(p.name for p in out.glob("*.txt"))


def test_three_names_that_look_alike_are_three_texts_and_pages(rg, model: Path, chest: Path, tmp_path: Path) -> None:
    copies(chest, "a b.png", "a_b.png", "a:b.png")
    done = rg("report", tmp_path / "in", "--model", model, "--out", tmp_path / "out", "--explain")
    assert done.code == 0, done.err
    assert len(texts(tmp_path / "out")) == 3
    pages = {p.stem for p in (tmp_path / "out").glob("*.html")}
    assert pages - {"index"} == {p.stem for p in (tmp_path / "out").glob("*.png")} and len(pages) == 4


def test_long_names_in_two_folders_are_two_short_names(rg, model: Path, chest: Path, tmp_path: Path) -> None:
    copies(chest, f"one/{'x' * 240}.png", f"two/{'x' * 240}.png")
    done = rg("report", tmp_path / "in", "--model", model, "--out", tmp_path / "out", "--explain", "--all-pictures")
    assert done.code == 0, done.err
    assert len(texts(tmp_path / "out")) == 2


def test_a_name_that_is_no_utf_8_is_printed_and_the_others_go_on(rg, model: Path, chest: Path, tmp_path: Path) -> None:
    copies(chest, b"a.png", b"b\xff\x1b[31m.png", b"c.png")
    place = tmp_path / "out"
    done = rg("report", tmp_path / "in", "--model", model, "--out", place, "--explain")
    assert done.code == 0, done.err
    assert "# b\\xff\\x1b[31m" in done.out.splitlines()
    assert len(texts(place)) == 3
    rows = [json.loads(line) for line in (place / "reports.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["study"] for row in rows] == ["a", "b\udcff\x1b[31m", "c"]
    lines = rg("report", tmp_path / "in", "--model", model, "--json").out.splitlines()
    assert [json.loads(line)["study"] for line in lines] == ["a", "b\udcff\x1b[31m", "c"]


def test_files_that_cannot_be_written_are_that_studys_fault_alone(rg, model: Path, chest: Path, tmp_path: Path) -> None:
    copies(chest, "a.png", "b.png", "c.png")
    (tmp_path / "out" / "b.html").mkdir(parents=True)
    done = rg("report", tmp_path / "in", "--model", model, "--out", tmp_path / "out", "--explain")
    assert done.code == 1
    assert "rg: b: its files could not be written: " in done.err and "b.html: Is a directory" in done.err
    assert texts(tmp_path / "out") == ["a.txt", "b.txt", "c.txt"]
    assert (tmp_path / "out" / "c.html").is_file()
    assert done.err.splitlines()[-1].startswith("3 studies: 3 reports, ")
    assert "1 could not be written" in done.err.splitlines()[-1]


def test_every_file_of_a_mixed_folder_is_accounted_for(rg, model: Path, chest: Path, tmp_path: Path) -> None:
    copies(chest, "a.png", "deep/b.png")
    place = tmp_path / "in"
    (place / "cut.png").write_bytes(chest.read_bytes()[:80])
    Image.fromarray(np.full((40, 40), 7, np.uint8)).save(place / "grey.png")
    for name in ("notes.txt", "scan.nii.gz", ".DS_Store", "deep/list.csv"):
        (place / name).write_text("no image")
    (place / "linked").symlink_to(tmp_path, target_is_directory=True)
    done = rg("report", place, "--model", model)
    assert done.code == 1
    for name in ("a", "b", "grey"):
        assert f"# {name}" in done.out.splitlines()
    assert any(line.startswith("rg: ") and "cut.png" in line for line in done.err.splitlines())
    assert "note: 3 other files without an image, not read: notes.txt, scan.nii.gz, list.csv" in done.err.splitlines()
    assert any("1 linked folder not searched" in line and line.endswith("linked") for line in done.err.splitlines())
    assert done.err.splitlines()[-1].startswith("4 studies: 3 reports")
    assert done.err.splitlines()[-1].endswith("1 could not be read; 3 of 4 images used")


def test_one_image_with_one_report_needs_no_count(rg, model: Path, chest: Path) -> None:
    done = rg("report", chest, "--model", model)
    assert "studies" not in done.err and "used" not in done.err


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def walk(top: Path, onerror) -> list[tuple[str, list[str], list[str]]]:
        onerror(PermissionError(13, "Permission denied", f"{top}/closed"))
        return [(str(top), ["closed"], ["a.png"])]

    monkeypatch.setattr(os, "walk", walk)
    found = left_out([tmp_path], [Study("a", (View(tmp_path / "a.png"),))])
    assert list(found.lines()) == [f"folder not read: {tmp_path}/closed: Permission denied"]


def test_files_that_a_user_names_are_never_left_out(chest: Path) -> None:
    assert not list(left_out([chest], group_files([chest])).lines())


def test_what_is_refused_is_counted_apart_from_what_cannot_be_read(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from dataclasses import fields

    from reportgen_cli.commands.report import ReportOptions, ReportWriter

    studies = [Study(name, (View(tmp_path / f"{name}.png"),)) for name in ("a", "b", "c", "d")]
    unset = dict.fromkeys((f.name for f in fields(ReportOptions)), None)
    options = ReportOptions(**{**unset, "picture_format": "png"})  # type: ignore[arg-type]
    writer = ReportWriter(studies, options, None)
    views = ("x.png",)
    good = writer.write_all(
        [
            Report("a", "clear.", views=views, problem="1 of its images used; b.dcm is cut short"),
            Report("b", "", views=views, problem="study b is refused: modality CT"),
            Report("c", "", problem="cannot read c.png"),
            Report("d", "clear.", views=views, note="no frontal view"),
        ]
    )
    assert not good
    assert writer.summary() == "4 studies: 2 reports, 2 with a note, 1 could not be read, 1 refused; 2 of 4 images used"
    assert "rg: a: 1 of its images used; b.dcm is cut short" in capsys.readouterr().err.splitlines()
