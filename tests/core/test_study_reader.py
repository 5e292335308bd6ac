"""Notes on the images of a study: those that are used, those that are not, and those that cannot be read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reportgen_core import GenerationSettings, ImageSpec, Report, Study, View
from reportgen_core.data.batches import StudyReader, StudyReading, read_with
from reportgen_core.models.domain import NOT_CHECKED
from reportgen_core.models.study_notes import noted_report
from reportgen_core.testing import tiny_model

SPEC = ImageSpec(height=8, width=6, views=1)


def view(path: Path, projection: str = "frontal", *, cut: bool = False, even: bool = False) -> View:
    pixels = np.random.default_rng(len(path.name)).integers(0, 256, (20, 20)).astype(np.uint8)
    Image.fromarray(np.full_like(pixels, 70) if even else pixels).save(path)
    if cut:
        path.write_bytes(path.read_bytes()[:150])
    return View(path, projection)


def read(*views: View, spec: ImageSpec = SPEC, check_all: bool = True) -> StudyReading:
    ((_, (reading,)),) = read_with(StudyReader(spec, check_all=check_all), [Study("s", views)])
    return reading


def test_images_that_are_not_used_are_named(tmp_path: Path) -> None:
    views = [view(tmp_path / name) for name in ("1.png", "2.png", "3.png")]
    assert read(*views).notes == ("1 of its 3 images used; not used: 2.png, 3.png",)
    assert read(*views, spec=replace(SPEC, views=3)).notes == ()


def test_of_many_images_that_are_not_used_some_are_named_and_all_counted(tmp_path: Path) -> None:
    (note,) = read(*(view(tmp_path / f"{n}.png") for n in range(84))).notes
    assert note.startswith("1 of its 84 images used; not used: 1.png, 2.png")
    assert note.endswith(" and 78 more")


def test_a_lateral_view_that_is_not_used_is_named_as_one(tmp_path: Path) -> None:
    reading = read(view(tmp_path / "side.png", "lateral"), view(tmp_path / "front.png"))
    assert reading.notes == ("1 of its 2 images used; not used: side.png (lateral)",)


def test_a_report_from_lateral_views_alone_says_so(tmp_path: Path) -> None:
    one, two = view(tmp_path / "a.png", "lateral"), view(tmp_path / "b.png", "lateral")
    assert read(one).notes == ("no frontal view: the report is written from the lateral one",)
    assert read(one, two, spec=replace(SPEC, views=2)).notes[0].endswith("the lateral ones")


def test_a_lateral_view_that_stands_in_for_a_bad_frontal_one_is_noted(tmp_path: Path) -> None:
    reading = read(view(tmp_path / "front.png", cut=True), view(tmp_path / "side.png", "lateral"))
    assert "front.png" in reading.problem
    assert reading.notes == ("no frontal view: the report is written from the lateral one",)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_bad_file_is_named_whatever_its_place(tmp_path: Path, place: int) -> None:
    views = [view(tmp_path / f"{n}.png", cut=n == place) for n in range(3)]
    reading = read(*views)
    assert reading.usable
    assert reading.problem.startswith("1 of its images used; cannot read ")
    assert f"{place}.png" in reading.problem
    assert f"{place}.png" not in "".join(reading.notes)


def test_images_that_are_not_used_are_read_on_request_alone(tmp_path: Path) -> None:
    assert read(view(tmp_path / "a.png"), view(tmp_path / "b.png", cut=True), check_all=False).problem == ""


def test_a_note_on_a_picture_names_its_file_if_there_are_several(tmp_path: Path) -> None:
    even = view(tmp_path / "even.png", even=True)
    assert read(even).notes == ("the picture has only 1 different grey value",)
    both = read(even, view(tmp_path / "front.png"), spec=replace(SPEC, views=2))
    assert both.notes == ("even.png: the picture has only 1 different grey value",)


def test_a_name_of_a_file_cannot_break_a_note(tmp_path: Path) -> None:
    odd = tmp_path / ("x\n\x1b[31m" + "y" * 100 + ".png")
    (note,) = read(view(tmp_path / "a.png"), view(odd)).notes
    assert note.isprintable()
    assert len(note) < 200


def test_a_model_without_images_has_no_notes_on_them(tmp_path: Path) -> None:
    reading = read(view(tmp_path / "a.png", "lateral"), spec=replace(SPEC, views=0))
    assert reading == StudyReading("s", True)


def test_two_studies_of_one_id_keep_their_own_reports(tmp_path: Path) -> None:
    model = tiny_model()
    bad, good = Study("s", (view(tmp_path / "cut.png", cut=True),)), Study("s", (view(tmp_path / "good.png"),))
    settings = GenerationSettings(attention=False)
    first, second = model.iter_reports([bad, good], settings, precision="fp32")
    assert (first.text, first.views) == ("", ())
    assert second.views == (str(tmp_path / "good.png"),)
    assert second.problem == ""


HAND = "its header says body part HAND: it is no chest"


def test_a_report_of_what_is_no_chest_has_a_note_that_says_so() -> None:
    reading = StudyReading("s", True, notes=("a", "b"), not_chest=(HAND,))
    report = noted_report(Report("s", "text."), reading, "unlike the images")
    assert report.note == f"{HAND}; unlike the images; a; b"
    assert report.text == "text."


def test_a_strict_report_of_what_is_no_chest_is_refused() -> None:
    report = noted_report(Report("s", "text."), StudyReading("s", True, not_chest=(HAND,)), strict=True)
    assert (report.text, report.problem) == ("", f"study s is refused: {HAND}")
    unusual = noted_report(Report("s", "text."), StudyReading("s", True), "unlike the images", strict=True)
    assert unusual.text == ""


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Posteroanterior view. The lungs are clear.", "Posteroanterior"),
        ("antero-posterior view of a man.", "antero-posterior"),
        ("PA and lateral views.", "PA"),
        ("The paced heart is normal; a map of papules.", ""),
    ],
)
def test_a_report_that_calls_a_lateral_view_frontal_says_that_this_is_wrong(text: str, word: str) -> None:
    report = noted_report(Report("s", text), StudyReading("s", True, lateral=True))
    assert report.note == (f'the report says "{word}", which a lateral view is not' if word else "")
    assert noted_report(Report("s", text), StudyReading("s", True)).note == ""


def test_a_study_of_lateral_views_is_known_as_one(tmp_path: Path) -> None:
    front, side = view(tmp_path / "front.png"), view(tmp_path / "side.png", "lateral")
    assert [read(side).lateral, read(front, side).lateral, read(front).lateral] == [True, False, False]


def test_a_picture_that_was_not_checked_is_not_refused() -> None:
    report = noted_report(Report("s", "text."), StudyReading("s", True), NOT_CHECKED, strict=True)
    assert (report.text, report.note) == ("text.", NOT_CHECKED)
