"""The planter of errors: it imports nothing of reportgen, and each edit is where it says."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from planting import PLANTERS, plant  # noqa: E402

TEXT = (
    "Heart size is normal. There is a small left pleural effusion. Mild atelectasis at the right base. "
    "No pneumothorax. There is a granuloma in the left upper lobe."
)


def test_the_planter_imports_nothing_of_reportgen() -> None:
    tree = ast.parse((BENCHMARKS / "planting.py").read_text(encoding="utf-8"))
    names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert not [name for name in names if name.startswith("reportgen")]


def test_every_kind_is_planted_into_a_report_that_allows_it() -> None:
    assert {edit.kind for edit in plant("1", TEXT)} == {*PLANTERS, ""}
    assert plant("1", TEXT) == plant("1", TEXT)


@pytest.mark.parametrize("edit", plant("1", TEXT), ids=lambda edit: edit.kind or edit.how)
def test_an_edit_changes_its_own_sentence_alone(edit) -> None:
    if edit.kind:
        before, after = edit.in_reference, edit.in_report
        kept = TEXT if edit.how in ("add", "repeat", "contradict") else TEXT[: before[0]] + TEXT[before[1] :]
        assert " ".join((edit.report[: after[0]] + edit.report[after[1] :]).split()) == " ".join(kept.split())
    elif edit.how == "order":
        assert sorted(edit.report.split()) == sorted(TEXT.split())
