"""Cells of CSV and TSV that a spreadsheet would run are guarded, and read back as they were."""

import ast
import csv
import io
from pathlib import Path

import pytest

from reportgen_core import evaluate
from reportgen_core.files.cells import guard_cell, unguard_cell
from reportgen_core.files.table_writer import CellWriter, write_table
from reportgen_core.files.tables import table_rows
from reportgen_core.scoring.evaluation_folder import save_evaluation
from reportgen_core.scoring.score_tables import as_csv

ROOT = Path(__file__).parents[2]
RUN = ["=1+1", "+cmd|' /C calc'!A0", "-2+3+cmd", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=", "-", "- no effusion", "＝1+1"]
NUMBERS = ["-0.5", "+1", "-1e-3", "-.5", "-12,5", "+3 %", "-7."]
HARMLESS = ["", "No effusion.", "a=b", " =1", "0", "'", "it's", "’-5"]


@pytest.mark.parametrize("text", RUN)
def test_a_text_that_begins_like_a_formula_is_guarded(text: str) -> None:
    assert guard_cell(text) == "'" + text


@pytest.mark.parametrize("text", [*NUMBERS, *HARMLESS])
def test_numbers_and_other_texts_stay_as_they_are(text: str) -> None:
    assert guard_cell(text) == text
    assert unguard_cell(text) == text


@pytest.mark.parametrize("text", [*RUN, *NUMBERS, *HARMLESS, "'=1", "''-x", "'-0.5"])
def test_a_guarded_text_is_read_back_as_it_was(text: str) -> None:
    assert unguard_cell(guard_cell(text)) == text


@pytest.mark.parametrize("value", [-0.5, -3, float("-inf"), None, True])
def test_a_number_is_no_text(value: object) -> None:
    assert guard_cell(value) is value


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
@pytest.mark.parametrize("raw", [False, True])
def test_a_table_is_read_back_as_it_was_written(tmp_path: Path, suffix: str, raw: bool) -> None:
    path = tmp_path / f"table{suffix}"
    with write_table(path, raw_cells=raw) as table:
        for i, text in enumerate(RUN):
            table.write({"id": f"s{i}", "=text": text, "tags": ["=a", "b"], "score": -0.5})
    content = path.read_text()
    assert ("'=1+1" in content, "'=text" in content, "'=a|b" in content) == (not raw,) * 3
    assert "'-0.5" not in content
    rows = [row for _, row in table_rows(path)]
    assert [row["=text"] for row in rows] == RUN
    assert {row["tags"] for row in rows} == {"=a|b"}


def test_scores_are_written_with_guarded_names_and_plain_numbers(tmp_path: Path) -> None:
    evaluation = evaluate(
        {"a": "x y"},
        {"a": "x z"},
        protocol="raw",
        metrics=("rouge-l",),
        name="=HYPERLINK(1)",
        dataset="@x",
        resamples=0,
    )
    (row,) = csv.DictReader(io.StringIO(as_csv(evaluation.card, evaluation.systems)))
    assert (row["system"], row["dataset"]) == ("'=HYPERLINK(1)", "'@x")
    assert float(row["value"]) == 0.5
    (row,) = csv.DictReader(io.StringIO(as_csv(evaluation.card, evaluation.systems, raw_cells=True)))
    assert (row["system"], row["dataset"]) == ("=HYPERLINK(1)", "@x")
    for raw, start in ((False, "'=HYPER"), (True, "=HYPER")):
        save_evaluation(evaluation, tmp_path, raw_cells=raw)
        assert (tmp_path / "scores.csv").read_text().splitlines()[1].startswith(start)


def test_every_csv_is_written_by_the_one_writer() -> None:
    writers = set()
    for package in ("reportgen_core", "cli", "plugins", "zoo"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and ast.unparse(node) in ("csv.writer", "csv.DictWriter"):
                    writers.add(file.name)
    assert writers == {"table_writer.py"}


def test_the_writer_of_cells_ends_lines_alike_everywhere() -> None:
    file = io.StringIO()
    CellWriter(file).write(("id", -0.25, "=x"))
    assert file.getvalue() == "id,-0.25,'=x\n"
