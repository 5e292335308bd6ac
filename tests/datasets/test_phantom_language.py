"""The phantom's reports can be read back, by its own parser and by the rules that judge real ones."""

from __future__ import annotations

import itertools

import pytest
from reportgen_plugins.datasets.phantom.film.findings import KINDS, Finding, rates, sample
from reportgen_plugins.datasets.phantom.language import HEALTHY, NOTHING, SAID, agreement, read_findings, write_report
from reportgen_plugins.metrics.labeler.labeler import LABELS, Labeler

STUDIES = [(str(i), sample(str(i), 5, rates({}), 0.3)) for i in range(150)]


def test_what_is_written_is_read_back() -> None:
    for id, findings in STUDIES:
        sections = write_report(id, 5, findings).sections()
        assert set(read_findings(sections["findings"])) == set(findings), sections
        assert set(read_findings(sections["impression"])) <= set(findings)
        flat = " ".join(sections.values()).lower().replace(".", " .")  # as a model writes it
        assert set(read_findings(flat)) == set(findings)


@pytest.mark.parametrize("kind", KINDS)
def test_every_wording_of_every_finding_is_read(kind: str) -> None:
    for wording, place, degree in itertools.product(SAID[kind], KINDS[kind].places, KINDS[kind].degrees):
        assert read_findings(wording.format(p=place, d=degree)) == (Finding(kind, place, degree),)


def test_what_is_healthy_states_nothing() -> None:
    for wording in (*NOTHING, *(w for _, wordings in HEALTHY.values() for w in wordings)):
        assert read_findings(wording) == ()


def test_every_sentence_is_traced_to_its_findings() -> None:
    for id, findings in STUDIES:
        text = write_report(id, 5, findings)
        assert {f for s in text.findings for f in s.findings} == set(findings)
        for sentence in (*text.findings, *text.impression):
            assert set(read_findings(sentence.text)) == set(sentence.findings)


def test_the_rules_for_real_reports_agree_with_what_was_drawn() -> None:
    labeler, told = Labeler(scheme="chestxray14"), {k.label for k in KINDS.values()} & set(LABELS["chestxray14"])
    assert len(told) >= 9
    for id, findings in STUDIES:
        read = labeler.labels([" ".join(write_report(id, 5, findings).sections().values())])[0]
        assert {k for k, v in read.items() if v == 1 and k in told} == {f.label for f in findings} & told


def test_the_same_findings_are_worded_in_many_ways() -> None:
    findings = (Finding("effusion", "left", "small"),)
    texts = {write_report(str(i), 0, findings).sections()["findings"] for i in range(50)}
    assert len(texts) > 30 and all(read_findings(t) == findings for t in texts)
    assert write_report("1", 0, findings) == write_report("1", 0, findings)


def test_both_sides_are_said_in_one_sentence() -> None:
    findings = tuple(Finding("effusion", side, "large") for side in ("right", "left"))
    for i in range(30):
        text = write_report(str(i), 0, findings)
        assert sum(bool(s.findings) for s in text.findings) == 1
        assert set(read_findings(text.sections()["findings"])) == set(findings)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("no pleural effusion or pneumothorax", ()),
        ("heart is enlarged . effusion", (Finding("cardiomegaly"), Finding("effusion"))),
        (
            "nodule in the right upper lobe and the lingula",
            (Finding("nodule", "lingula"), Finding("nodule", "right upper lobe")),
        ),
        ("", ()),
    ],
)
def test_what_a_model_may_write_is_read_as_far_as_it_goes(text: str, read: tuple[Finding, ...]) -> None:
    assert read_findings(text) == read


def test_agreement_counts_kind_side_and_all() -> None:
    drawn = [(Finding("effusion", "left", "small"), Finding("mass", "lingula")), ()]
    scores = agreement(["Small right pleural effusion. Mass in the lingula.", "Tortuous aorta."], drawn)
    assert scores["kind precision"] == pytest.approx(2 / 3) and scores["kind recall"] == 1
    assert scores["side f1"] == scores["exact f1"] == pytest.approx(2 * 1 / (3 + 2))
    assert agreement([""], [()])["exact f1"] == 0
