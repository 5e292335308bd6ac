"""A tree of images is listed on the disk as studies: the same as in memory, in the same order, whatever lies in it."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from reportgen_cli.batch_files import left_out, short_ids
from reportgen_cli.engines.jobs.tree import StudyTree

from reportgen_core import ImageError
from reportgen_core.data.study_files import group_files

NAMES = ["a", "b", "a!", "é", "\U0001f4a9", "z.y", ".hidden", "__MACOSX", "DICOMDIR", "x", "x y", "\udcff"]


def dicom(path: Path, study: str, position: str) -> None:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3"
    ds.PatientID, ds.StudyInstanceUID, ds.ViewPosition = "1", study, position
    ds.save_as(path, enforce_file_format=True)


def grow(folder: Path, draw: random.Random, depth: int = 0) -> None:
    """Put files of all kinds, folders and links into a folder."""
    folder.mkdir(exist_ok=True)
    for n in range(draw.randint(1, 6)):
        name = f"{draw.choice(NAMES)}{draw.choice(['', '', '.png', '.PNG', '.txt', '.dcm'])}"
        path, kind = folder / name, draw.random()
        if os.path.lexists(path):
            continue
        if kind < 0.3 and depth < 3:
            grow(path, draw, depth + 1)
        elif kind < 0.36:
            path.symlink_to(folder.parent / draw.choice(["a", "gone"]))
        elif kind < 0.7:
            dicom(path, f"1.{draw.randint(1, 4) if draw.random() < 0.5 else 50 + n}", draw.choice(["PA", "LL", ""]))
        else:
            path.write_bytes(b"x" * n)


def as_before(given: list[Path], short: bool) -> tuple[list[tuple[str, list[list[object]]]], list[str]]:
    studies = group_files(given)
    studies = short_ids(studies) if short else studies
    return [(s.id, [[str(v.path), v.projection] for v in s.views]) for s in studies], list(
        left_out(given, studies).lines()
    )


def on_the_disk(given: list[Path], short: bool, out: Path) -> tuple[list[tuple[str, list[list[object]]]], list[str]]:
    tree = StudyTree(given, short)
    tree.write(out / "_input.jsonl")
    rows = [json.loads(line) for line in (out / "_input.jsonl").read_text().splitlines()]
    assert tree.studies == len(rows) and tree.images == sum(len(row["views"]) for row in rows)
    assert [path.name for path in out.iterdir()] == ["_input.jsonl"]
    for row in rows:
        for path, _, size, time in row["views"]:
            about = os.stat(path) if os.path.exists(path) else None
            assert (size, time) == ((about.st_size, about.st_mtime_ns) if about else (0, 0))
    return [(row["id"], [view[:2] for view in row["views"]]) for row in rows], list(tree.passed_over.lines())


@pytest.mark.parametrize("seed", range(12))
def test_the_studies_of_a_tree_are_those_of_the_local_run(seed: int, tmp_path: Path, monkeypatch) -> None:
    draw = random.Random(seed)
    monkeypatch.chdir(tmp_path)
    for top in ("one", "two"):
        grow(Path(top), draw)
        Path(top, "q.png").touch()
    (tmp_path / "out").mkdir()
    files = [p for p in Path("one").rglob("*") if p.is_file()]
    given = [Path("one"), Path("gone.png"), Path("two"), Path("one"), draw.choice(files), tmp_path / "two"]
    draw.shuffle(given)
    given = given[: draw.randint(1, len(given))]
    for short in (True, False):
        assert on_the_disk(given, short, tmp_path / "out") == as_before(given, short)


def test_a_folder_without_an_image_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("no image")
    with pytest.raises(ImageError, match="notes has no image"):
        StudyTree([tmp_path / "notes"], True).write(tmp_path / "_input.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads all folders")
def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.png").touch()
    (tmp_path / "a" / "shut").mkdir(mode=0)
    tree = StudyTree([tmp_path / "a"], True)
    tree.write(tmp_path / "_input.jsonl")
    assert list(tree.passed_over.lines()) == list(left_out([tmp_path / "a"], group_files([tmp_path / "a"])).lines())
    (tmp_path / "a" / "shut").chmod(0o700)
