"""Folders may name patients: no path of an image is in a file that a command writes, except with an option."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SECRET = "DOE_JANE-19500101"


@pytest.fixture
def folder(tmp_path: Path, chest: Path) -> Path:
    """A patient's folder: two radiographs, one that cannot be read, and a table of their reports."""
    patient = tmp_path / SECRET
    for name in ("one.png", "two.png", "three.png"):
        (patient / "images").mkdir(parents=True, exist_ok=True)
        shutil.copy(chest, patient / "images" / name)
    (patient / "images" / "cut.png").write_bytes(chest.read_bytes()[:200])
    rows = [
        f"{n},images/{n}.png,the heart is large and number {i},test,p{i}" for i, n in enumerate(("one", "two", "three"))
    ]
    (patient / "table.csv").write_text("id,image,findings,split,patient\n" + "\n".join(rows) + "\n")
    return patient


def leaks(folder: Path) -> list[str]:
    """Return the files whose names or contents have the name of the patient's folder."""
    files = [p for p in folder.rglob("*") if p.is_file()]
    assert files
    return [str(p) for p in files if SECRET in str(p.relative_to(folder)) or SECRET.encode() in p.read_bytes()]


def test_reports_and_pages_name_images_without_their_folders(rg, model: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for images in ([folder], sorted((folder / "images").iterdir())):
        done = rg("report", *images, "--model", model, "--json", "--out", out, "--explain", "--all-pictures")
        assert done.code == 1 and str(folder / "images" / "cut.png") in done.err, "a user must find the file"
        assert leaks(out) == [] and SECRET not in done.out
        rows = [json.loads(line) for line in (out / "reports.jsonl").read_text().splitlines()]
        assert sorted(Path(v).name for r in rows for v in r["views"]) == ["one.png", "three.png", "two.png"]
        assert any("cut.png" in r["problem"] for r in rows)


def test_a_study_of_several_files_and_one_image_leak_nothing(rg, model: Path, folder: Path, tmp_path: Path) -> None:
    images = [folder / "images" / name for name in ("one.png", "cut.png")]
    rg("report", "--study", *images, "--model", model, "--out", tmp_path / "out")
    rg("explain", images[0], "--model", model, "--out", tmp_path / "out" / "explained")
    assert leaks(tmp_path / "out") == []


def test_whole_paths_are_written_on_request(rg, model: Path, folder: Path, tmp_path: Path) -> None:
    done = rg("report", folder, "--model", model, "--json", "--paths", "--out", tmp_path / "out")
    rows = [json.loads(line) for line in (tmp_path / "out" / "reports.jsonl").read_text().splitlines()]
    assert str(folder / "images" / "one.png") in [v for r in rows for v in r["views"]]
    assert SECRET in done.out


def test_an_evaluation_and_a_reading_study_name_no_folder(rg, model: Path, folder: Path, tmp_path: Path) -> None:
    (folder / "images" / "one.png").write_bytes(b"no image")
    done = rg("eval", "--model", model, "--data", "table", "--data-root", folder, "--split", "test", "--partial",
              "--metrics", "rouge-l", "--protocol", "raw", "--out", tmp_path / "evaluated")  # fmt: skip
    assert done.code in (0, 1) and leaks(tmp_path / "evaluated") == []


def test_the_pictures_of_an_evaluation_are_found_by_the_names_that_reports_have(
    rg, model: Path, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (folder / "images" / "cut.png").unlink()
    rg("report", folder, "--model", model, "--out", out)
    rows = [json.loads(line) for line in (out / "reports.jsonl").read_text().splitlines()]
    references = tmp_path / "references.jsonl"
    references.write_text("".join(json.dumps({"id": r["study"], "text": "the heart is large"}) + "\n" for r in rows))
    common = ["--metrics", "rouge-l", "--protocol", "raw", "--partial"]
    done = rg("eval", "--predictions", out / "reports.jsonl", "--references", references, *common,
       "--images", folder, "--out", tmp_path / "scored")  # fmt: skip
    assert done.code == 0, done.err
    page = (tmp_path / "scored" / "report.html").read_text()
    assert page.count("data:image/jpeg") == 3
    assert leaks(tmp_path / "scored") == []


def test_two_files_of_one_name_are_never_taken_for_each_other(tmp_path: Path) -> None:
    from reportgen_cli.pages.study_rows import ImageFolder, picture

    for i, name in enumerate(("a/x.png", "b/x.png", "b/y.png")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((20, 20), 50 * i + 20, np.uint8)).save(tmp_path / name)
    folder = ImageFolder(tmp_path)
    assert picture(["x.png"], folder) == ""
    assert picture(["y.png"], folder).startswith("data:image/jpeg")
    assert picture(["a/x.png"], folder).startswith("data:image/jpeg")
    assert picture(["../x.png"], ImageFolder(tmp_path / "a")) == ""
