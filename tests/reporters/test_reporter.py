"""A reporter of one's own: what an author writes, and what the base class does with it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

import reportgen_core
from reportgen_core import (
    CheckpointError,
    DataError,
    Entry,
    GenerationSettings,
    OptionError,
    PluginError,
    Report,
    Reporter,
    Study,
    Takes,
    View,
    load,
)  # fmt: skip
from reportgen_core.models.reporters.reference import Reference
from reportgen_core.testing.parts import tiny_model


class Own(Reporter):
    """Writes the mean grey of a study's images."""

    files: ClassVar[Mapping[str, str]] = {"words": "words.txt"}
    takes = Takes(most_views=2, indication="optional")

    def __init__(
        self, *, words: str = "", shift: int = 0, fails: Sequence[str] = (), error: str = "ValueError"
    ) -> None:
        self.words = Path(words).read_text().strip() if words else "grey"
        self.shift, self.fails, self.asked = shift, tuple(fails), []
        self.error = {"ValueError": ValueError, "DataError": DataError, "OptionError": OptionError}[error]

    def iter_reports(self, studies: Sequence[Study], settings: GenerationSettings) -> Iterator[Report]:
        self.asked.append([s.id for s in studies])
        for study in studies:
            if study.id in self.fails:
                raise self.error("no luck\nwith this one")
            pixels = np.concatenate([np.asarray(Image.open(v.path)).ravel() for v in study.views])
            text = f"{self.words} {pixels.mean() + self.shift:.0f}."
            yield Report(study.id, text, (text,))


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {**reportgen_core.reporters._entries()}
    monkeypatch.setattr(reportgen_core.reporters, "_by_name", names)
    reportgen_core.reporters.add(Entry("own", f"{__name__}:Own", "a reporter of this test"))


def make(**options: Any) -> Any:
    return reportgen_core.reporters.create("own", **options)


def images(folder: Path, count: int) -> list[Study]:
    studies = []
    for n in range(count):
        Image.fromarray(np.full((40, 30), 10 * n, np.uint8)).save(folder / f"{n}.png")
        studies.append(Study(f"s{n}", (View(folder / f"{n}.png"),)))
    return studies


def test_a_reporter_of_thirty_lines_reports_images_arrays_and_studies(tmp_path: Path) -> None:
    studies = images(tmp_path, 3)
    assert [r.text for r in make().report_studies(studies)] == ["grey 0.", "grey 10.", "grey 20."]
    assert make().report(tmp_path / "2.png")[0].text == "grey 20."
    (report,) = make().report(np.full((20, 20), 51, np.uint8))
    assert (report.text, report.study) == ("grey 51.", "image")


def test_a_study_that_cannot_be_read_or_that_fails_takes_no_other_with_it(tmp_path: Path) -> None:
    studies = images(tmp_path, 4)
    (tmp_path / "1.png").write_text("no image")
    reporter = make(fails=["s2"])
    reports = reporter.report_studies(studies)
    assert [r.text for r in reports] == ["grey 0.", "", "", "grey 30."]
    assert "1.png: it is no PNG" in reports[1].problem
    assert reports[2].problem == "study s2: ValueError: no luck with this one"
    assert reporter.asked == [["s0", "s2", "s3"], ["s2"], ["s3"]]  # the rest one by one


def test_an_error_of_data_is_of_one_study_and_any_other_of_ours_ends_the_run(tmp_path: Path) -> None:
    studies = images(tmp_path, 2)
    reports = make(fails=["s0"], error="DataError").report_studies(studies)
    assert [r.problem for r in reports] == ["study s0: no luck with this one", ""]
    with pytest.raises(OptionError, match="no luck"):
        make(fails=["s0"], error="OptionError").report_studies(studies)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (lambda s: iter([Report(s[0].id, "a")]), "gave 1 reports for 2 studies"),
        (lambda s: (Report("other", "a") for _ in s), "gave the report of 'other', and 's0' was next"),
        (lambda s: iter([Report(x.id, "a") for x in [*s, *s]]), "gave more than the 2 reports"),
        (lambda s: iter(["text"]), "gave 'text', which is no Report"),
    ],
)
def test_reports_that_are_not_one_a_study_in_order_are_refused(tmp_path: Path, given: Any, says: str) -> None:
    class Wrong(Own):
        def iter_reports(self, studies: Sequence[Study], settings: GenerationSettings) -> Iterator[Report]:
            return given(studies)

    with pytest.raises(PluginError, match=says):
        Wrong().report_studies(images(tmp_path, 2))


def test_a_required_input_that_a_study_lacks_is_one_line_and_the_others_are_written(tmp_path: Path) -> None:
    first, second = images(tmp_path, 2)
    second = Study("s1", second.views, {"indication": "cough"})
    reporter = make()
    reporter.takes = Takes(indication="required", prior_report="no")
    reports = reporter.report_studies([first, second])
    assert reports[0].problem == "study s0 has no indication, which this reporter requires"
    assert reports[1].text == "grey 10."


def test_images_beyond_those_it_takes_are_noted_and_frontal_ones_come_first(tmp_path: Path) -> None:
    a, b, c = images(tmp_path, 3)
    study = Study("x", (View(a.views[0].path, "lateral"), View(b.views[0].path, "frontal"), View(c.views[0].path)))
    (report,) = make().report_studies([study])
    assert [Path(v).name for v in report.views] == ["1.png", "2.png"]
    assert "not used: 0.png (lateral)" in report.note


def test_images_leave_the_machine_only_if_the_user_has_said_so(tmp_path: Path) -> None:
    reporter = make()
    reporter.sends_to = "https://elsewhere/v1"
    with pytest.raises(OptionError, match="own sends the images to https://elsewhere/v1"):
        reporter.report(images(tmp_path, 1)[0].views[0].path)
    reporter.may_send = True
    assert reporter.report(tmp_path / "0.png")[0].text == "grey 0."


def test_a_folder_has_the_files_that_options_name_and_is_the_same_reporter(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("level")
    images(tmp_path, 1)
    make(words=str(tmp_path / "mine.txt"), shift=3).save(tmp_path / "folder")
    (tmp_path / "mine.txt").unlink()
    config = json.loads((tmp_path / "folder" / "config.json").read_text())
    assert config["reporter"]["options"] == {"words": "words.txt", "shift": 3}
    again = load(tmp_path / "folder")
    assert again.report(tmp_path / "0.png")[0].text == "level 3."
    again.save(tmp_path / "second")
    for name in ("config.json", "words.txt", "card.md"):
        assert (tmp_path / "second" / name).read_bytes() == (tmp_path / "folder" / name).read_bytes()


def test_weights_that_changed_behind_a_reference_are_refused(tmp_path: Path) -> None:
    reporter = make()
    reporter.reference = Reference("files", "somewhere", files={"model.safetensors": "a" * 64})
    reporter.save(tmp_path / "folder")
    assert "REFERENCE: the weights are those of somewhere" in (tmp_path / "folder" / "card.md").read_text()
    config = json.loads((tmp_path / "folder" / "config.json").read_text())
    assert config["reference"] == {"kind": "files", "source": "somewhere", "files": {"model.safetensors": "a" * 64}}
    Own.reference = Reference("files", "somewhere", files={"model.safetensors": "b" * 64})
    try:
        with pytest.raises(CheckpointError, match=r"somewhere is not what was saved: model.safetensors changed"):
            load(tmp_path / "folder")
    finally:
        Own.reference = None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c | {"format": 2}, "is a reporter of format 2"),
        (lambda c: c | {"reporters": 1}, "unknown key 'reporters'; did you mean 'reporter'"),
        (lambda c: c | {"reporter": {"options": {}}}, "reporter lacks name"),
        (lambda c: c | {"reporter": c["reporter"] | {"name": "gone"}}, "no reporter named 'gone'"),
        (lambda c: c | {"reporter": c["reporter"] | {"options": {"words": "../words.txt"}}}, "lacks words.txt"),
        (lambda c: c | {"reference": {"kind": "x"}}, "reference is no object with kind"),
    ],
)
def test_a_damaged_folder_is_one_line(tmp_path: Path, change: Any, says: str) -> None:
    reporter = make()
    reporter.reference = Reference("endpoint", "http://x", model="m")
    reporter.save(tmp_path / "folder")
    at = tmp_path / "folder" / "config.json"
    at.write_text(json.dumps(change(json.loads(at.read_text()))))
    Own.reference = Reference("endpoint", "http://x", model="m")
    try:
        with pytest.raises(CheckpointError, match=says):
            load(tmp_path / "folder")
    finally:
        Own.reference = None


def test_a_model_of_parts_is_a_reporter(tmp_path: Path) -> None:
    model = tiny_model()
    assert isinstance(model, Reporter)
    assert (model.takes.views, model.takes.most_views, model.sections) == ("required", 1, ("findings",))
    assert model.grid == model.encoder.features.grid
    studies = images(tmp_path, 2)
    streamed = list(model.stream_reports(studies, precision="fp32"))
    assert [r.text for r in streamed] == [r.text for r in model.report_studies(studies, precision="fp32")]


def test_what_needs_parts_names_the_reporter(tmp_path: Path) -> None:
    from reportgen_core.models.loading import load_model

    make().save(tmp_path / "folder")
    with pytest.raises(CheckpointError, match="folder is the reporter 'own', which has no encoder and decoder"):
        load_model(tmp_path / "folder")


def test_the_attention_of_a_reporter_is_scored_on_its_own_grid(tmp_path: Path) -> None:
    from reportgen_core.scoring.evaluation_set import EvaluationRequest, make_evaluation_set

    studies = [Study(s.id, s.views, {"findings": "The lungs are clear."}) for s in images(tmp_path, 2)]
    reporter = make()
    reporter.grid = (1, 2, 2)
    made = make_evaluation_set(reporter, studies, EvaluationRequest())
    assert made.outputs is not None and made.outputs.grid == (1, 2, 2)
    assert made.reports == (("grey 0.",), ("grey 10.",))
