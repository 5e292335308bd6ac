"""The audit of pairs of made texts: each pair has the kinds of differences that a reader names."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from reportgen_plugins.metrics.audit.audit import audit
from reportgen_plugins.metrics.audit.kinds import KINDS
from reportgen_plugins.metrics.audit.statements import StatementReader

FIXTURES = Path(__file__).parents[2] / "fixtures"
TABLES = tuple(f"audit_pairs{name}.tsv" for name in ("", "_blind", "_third", "_fourth"))
READER = StatementReader()


def rows(name: str) -> list[dict[str, str]]:
    with (FIXTURES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


PAIRS = [(row["reference"], row["prediction"] or "", row["kinds"]) for name in TABLES for row in rows(name)]


@pytest.mark.parametrize(("reference", "report", "kinds"), PAIRS)
def test_a_pair_has_the_differences_that_a_reader_names(reference: str, report: str, kinds: str) -> None:
    found = sorted(d.kind for d in audit(READER, reference, report).differences)
    assert found == ([] if kinds == "-" else sorted(kinds.split(",")))


def test_the_pairs_have_every_kind_several_times() -> None:
    counted = ",".join(kinds for _, _, kinds in PAIRS).split(",")
    assert {kind: counted.count(kind) >= 2 for kind in KINDS} == dict.fromkeys(KINDS, True)


@pytest.mark.parametrize("text", [reference for reference, _, _ in PAIRS])
def test_a_text_has_no_difference_from_itself(text: str) -> None:
    assert audit(READER, text, text).differences == ()


@pytest.mark.parametrize(("reference", "report", "kinds"), PAIRS)
def test_the_words_of_a_difference_are_where_it_says(reference: str, report: str, kinds: str) -> None:
    values = audit(READER, reference, report).to_json()
    for d in values["differences"]:
        for key, text in (("reference", reference), ("prediction", report), ("other", report)):
            if d[key]:
                assert " ".join(text[slice(*d[key]["span"])].split()) == d[key]["words"]


@pytest.mark.parametrize(("reference", "report", "kinds"), PAIRS)
def test_an_empty_report_misses_every_statement(reference: str, report: str, kinds: str) -> None:
    result = audit(READER, reference, "")
    assert result.kinds == {"missed": len(result.reference.statements)}


def examples() -> list[list[str]]:
    """Return the rows of the table of kinds in the page on the audit."""
    page = Path(__file__).parents[3] / "docs" / "explanation" / "audit.md"
    lines = page.read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [row for row in rows if row[0] in KINDS and len(row) == 5]


@pytest.mark.parametrize(("kind", "reference", "report", "says", "weight"), examples())
def test_the_examples_of_the_page_are_what_the_audit_says(
    kind: str, reference: str, report: str, says: str, weight: str
) -> None:
    (found,) = audit(READER, reference, report).differences
    assert (found.kind, f"{found.finding}: {found.says}") == (kind, says)
    assert found.significant is (weight == "significant")


def test_the_page_has_an_example_of_every_kind() -> None:
    assert {row[0] for row in examples()} == set(KINDS)
