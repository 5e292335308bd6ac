"""The indication and the earlier study that a user gives with the images of one study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reportgen_core import (
    DataError,
    GenerationSettings,
    ImageError,
    OptionError,
    Report,
    Reporter,
    Study,
    Takes,
    View,
    evaluate,
)
from reportgen_core.data import Context
from reportgen_core.models.reporters.given_context import with_context
from reportgen_core.scoring import EvaluationRequest


class Echo(Reporter):
    """Writes what it was given."""

    def __init__(self, takes: Takes) -> None:
        self.takes = takes

    def iter_reports(self, studies: Sequence[Study], settings: GenerationSettings) -> Iterator[Report]:
        for study in studies:
            context = Context.of(study)
            text = f"{context.indication} | {context.prior_report} | {len(context.prior_images)}"
            yield Report(study.id, text, (text,))


@pytest.fixture
def chest(tmp_path: Path) -> Path:
    return draw(tmp_path / "chest.png", 80)


def draw(path: Path, grey: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((40, 30), grey, np.uint8)).save(path)
    return path


def given(path: Path, chest: Path) -> Study:
    (study,) = with_context([Study("chest", (View(chest),))], "", path)
    assert study.prior is not None
    return study.prior


def test_a_prior_is_an_image_a_text_or_a_folder_of_both(tmp_path: Path, chest: Path) -> None:
    old = draw(tmp_path / "old" / "a.png", 10)
    text = tmp_path / "old" / "report.txt"
    text.write_text("FINDINGS: Small\n effusion.\nIMPRESSION: Effusion.\nINDICATION: Cough.\n")
    sections = {"findings": "Small effusion.", "impression": "Effusion.", "indication": "Cough."}
    assert given(old, chest) == Study("chest-prior", (View(old),))
    assert given(text, chest) == Study("chest-prior", (), sections)
    assert given(tmp_path / "old", chest) == Study("chest-prior", (View(old),), sections)


def test_a_text_needs_no_ending_and_without_headings_all_of_it_is_findings(tmp_path: Path, chest: Path) -> None:
    (tmp_path / "old").write_text("Clear\nlungs.")
    assert given(tmp_path / "old", chest).sections == {"findings": "Clear lungs."}
    other = draw(tmp_path / "x.png", 1).rename(tmp_path / "noending")
    assert given(other, chest).views[0].path == other


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda d, c: d / "nothing", DataError, "does not exist; it is an image, a text file"),
        (lambda d, c: (d / "empty").mkdir() or d / "empty", DataError, "holds neither an image nor a report"),
        (lambda d, c: c, DataError, "of the study itself"),
        (lambda d, c: copy(c, d / "copy.png"), DataError, "of the study itself"),
        (lambda d, c: copy(c, d / "f" / "copy.png").parent, DataError, "of the study itself"),
        (lambda d, c: write(d / "bad.png", b"no image"), ImageError, "the prior cannot be read: "),
        (lambda d, c: write(d / "bad", b"\x89PNG\0\0"), ImageError, "the prior cannot be read: "),
        (lambda d, c: write(d / "b.txt", b"\xff\xfe\xfa"), DataError, "no text in UTF-8"),
        (lambda d, c: write(d / "e.txt", b" \n"), DataError, "has no text"),
        (lambda d, c: write(d / "t" / "a.txt", b"a", b"b"), DataError, "has 2 texts (a.txt, a2.txt)"),
    ],
)
def test_a_prior_that_cannot_be_one_is_one_line(
    tmp_path: Path, chest: Path, make: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as raised:
        given(make(tmp_path, chest), chest)
    assert says in str(raised.value) and "\n" not in str(raised.value)


def copy(source: Path, to: Path) -> Path:
    to.parent.mkdir(exist_ok=True)
    to.write_bytes(source.read_bytes())
    return to


def write(path: Path, content: bytes, second: bytes | None = None) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    if second is None:
        return path
    path.with_name(f"{path.stem}2.txt").write_bytes(second)
    return path.parent


def test_a_context_belongs_to_one_study(tmp_path: Path, chest: Path) -> None:
    with pytest.raises(OptionError, match="an indication belongs to one study, and there are 2 here"):
        with_context([Study("a"), Study("b")], "Cough.")
    assert with_context([Study("a"), Study("b")]) == [Study("a"), Study("b")]


def test_what_is_given_in_python_reaches_the_reporter(tmp_path: Path, chest: Path) -> None:
    old = tmp_path / "old.txt"
    old.write_text("Clear.")
    reporter = Echo(Takes(indication="optional", prior_report="optional", prior_images="optional"))
    assert reporter.report(chest, indication="Cough.", prior=old).text == "Cough. | Clear. | 0"
    prior = Study("p", (View(draw(tmp_path / "p.png", 1)),), {"findings": "Mass."})
    report = reporter.report(chest, prior=prior)
    assert report.text == " | Mass. | 1" and "given" not in report.note


def test_what_is_given_in_python_and_not_used_is_noted(tmp_path: Path, chest: Path) -> None:
    report = Echo(Takes(indication="optional")).report(
        chest, indication="Cough.", prior=Study("p", (), {"findings": "x"})
    )
    assert report.note.endswith("; given and not used by Echo: prior report")


def registered(takes: Takes) -> Echo:
    """Return the reporter as the registry would build it."""
    reporter = Echo(takes)
    reporter.part_config = {"name": "echo", "options": {}}
    return reporter


def test_an_evaluation_names_what_is_required_and_missing_in_one_line(chest: Path) -> None:
    studies = [
        Study("s0", (View(chest),), {"findings": "Clear.", "indication": "x"}),
        Study("s1", (View(chest),), {"findings": "y"}),
    ]
    request = EvaluationRequest(metrics=[("bleu", {})], protocol=("raw", {}), baselines=False, resamples=0)
    with pytest.raises(DataError, match=r"1 study \(s1\) without a prediction: study s1 has no indication, which"):
        evaluate(registered(Takes(indication="required")), studies, request)
    scored = evaluate(registered(Takes()), studies, request)
    assert "given and not used by reports: indication (1 of 2 studies)" in scored.notes


def test_what_is_required_and_missing_is_one_line(chest: Path) -> None:
    report = Echo(Takes(indication="required", prior_report="required")).report(chest)
    assert report.text == ""
    assert report.problem == "study chest has no indication and no prior report, which this reporter requires"
