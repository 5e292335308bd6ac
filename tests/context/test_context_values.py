"""What is known of a study besides its images, as one value."""

from __future__ import annotations

import json
from pathlib import Path

from reportgen_core import Study, View
from reportgen_core.data import Context
from reportgen_core.files.study_json import study_from_json, study_to_json
from reportgen_core.models import Takes
from reportgen_core.models.reporters.context import unused_context
from reportgen_core.text import TextSpec, Vocabulary

PRIOR = Study("a-prior", (View(Path("old.png"), "frontal"),), {"findings": "Clear.", "impression": "Fine."})
FULL = Study("a", (), {"indication": " Pain. ", "findings": "Secret."}, extra={"age": 61, "sex": "F"}, prior=PRIOR)


def test_the_context_of_a_study_has_every_text_but_its_report() -> None:
    context = Context.of(FULL)
    assert context.texts() == {"indication": "Pain.", "age": "61", "sex": "F", "prior_report": "Clear. Fine."}
    assert context.prior_images == PRIOR.views
    assert context.given == ("indication", "age", "sex", "prior_report", "prior_images")
    assert Context.of(Study("b")) == Context()


def test_a_prior_without_findings_and_impression_has_its_last_paragraph() -> None:
    prior = Study("p", (), {"last_paragraph": "Words.", "indication": "Pain."})
    assert Context.of(Study("a", prior=prior)).prior_report == "Words."


def test_fields_that_are_not_taken_are_as_if_they_were_not_given() -> None:
    context = Context.of(FULL).only(["indication"])
    assert context == Context(indication="Pain.")
    assert Context.of(FULL).only([]) == Context()


def test_texts_become_ids_as_reports_do_and_without_a_limit() -> None:
    words = Vocabulary([".", "pain", "clear"])
    spec = TextSpec(max_sentences=1, max_words=2)
    context = Context(indication="Pain pain pain. Clear.", prior_report="Other.").encoded(spec, words)
    pain, clear, stop, unknown = (words.encode([w])[0] for w in ("pain", "clear", ".", "<unk>"))
    assert context.words["indication"] == (pain, pain, pain, stop, clear, stop)
    assert context.words["prior_report"] == (unknown, stop)
    assert context.only(["prior_report"]).words == {"prior_report": (unknown, stop)}


def test_what_is_given_and_not_used_is_one_line_with_the_fields_and_the_model() -> None:
    takes = Takes(indication="optional", age="required")
    line = "given and not used by old: sex, prior report, prior image"
    assert unused_context([FULL], takes, "old") == line
    several = unused_context([FULL, Study("b"), Study("c", extra={"sex": "M"})], takes, "old")
    assert several == (
        "given and not used by old: sex (2 of 3 studies), prior report (1 of 3 studies), prior image (1 of 3 studies)"
    )
    assert unused_context([Study("b"), Study("c", (), {"indication": "x"})], takes, "old") == ""


def test_a_prior_is_kept_in_the_lines_of_studies(tmp_path: Path) -> None:
    prior = Study("a-prior", (View(tmp_path / "old.png", "frontal"),), {"findings": "Clear."})
    study = Study("a", (View(tmp_path / "new.png"),), {"findings": "x"}, prior=prior)
    line = json.loads(json.dumps(study_to_json(study, tmp_path)))
    assert line["prior"]["views"][0]["path"] == "old.png"
    assert study_from_json(line, lambda name: tmp_path / name) == study
    assert "prior" not in study_to_json(Study("b"), tmp_path)
