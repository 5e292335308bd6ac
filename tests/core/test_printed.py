"""Tables as source text: names of the literature, intervals in the cell, groups, bold best values, and LaTeX that compiles."""

import math
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from reportgen_core.scoring.printed.source import as_latex, as_markdown
from reportgen_core.scoring.printed.table import PrintedTable, kind_of, label_of
from reportgen_core.scoring.score_tables import overview
from reportgen_core.scoring.scorecard import System
from reportgen_core.types import ScoreLine


def system(name: str, bleu: float, rouge: float, note: str = "", low: float | None = None) -> System:
    ends = (low, low + 0.1) if low is not None else (None, None)
    lines = (
        ScoreLine("bleu-4", bleu, *ends, metric="bleu"),
        ScoreLine("rouge-l", rouge, metric="rouge-l", note="a note" if note else ""),
        ScoreLine("tokens", 7.0, higher_is_better=None, metric="length"),
    )
    return System(name, lines, {}, note)


SYSTEMS = [
    system("ours_50%", 0.25, 0.4, low=0.2),
    system("theirs & more", 0.3, 0.35),
    system("constant", 0.2, 0.45, "chosen on validation"),
    system("gold tags", 0.9, 0.9, "ORACLE: of 5"),
]
TABLE = overview(SYSTEMS, ("a foot with 50 % of a_b",), "Scores of ours")


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("bleu-1", "BLEU-1"), ("rouge-l", "ROUGE-L"), ("meteor", "METEOR"), ("cider", "CIDEr"),
        ("chexpert-rules macro-14 f1", "CheXpert-rules macro-14 F1"), ("findings Edema auc", "findings Edema AUC"),
        ("tags recall@5", "tags recall@5"), ("seen in training", "seen in training"), ("l", "l"),
    ],
)  # fmt: skip
def test_scores_are_written_as_in_the_literature(name: str, label: str) -> None:
    assert label_of(name) == label


def test_a_note_makes_a_row_a_baseline_or_an_oracle() -> None:
    assert [kind_of(s) for s in SYSTEMS] == ["system", "system", "baseline", "oracle"]


def test_markdown_has_the_interval_in_the_cell_the_best_in_bold_and_groups() -> None:
    lines = as_markdown([TABLE]).splitlines()
    assert lines[2] == "|  | BLEU-4 ↑ | ROUGE-L ↑ | tokens |"
    assert lines[4:12] == [
        "| *Systems* |  |  |  |",
        "| ours_50% | 0.250 (0.200–0.300) | 0.400 | 7.000 |",
        "| theirs & more | **0.300** | 0.350 | 7.000 |",
        "| *Baselines, which see no image* |  |  |  |",
        "| constant | 0.200 | **0.450\\*** | 7.000 |",
        "| *Oracles* |  |  |  |",
        "| gold tags | 0.900 | 0.900\\* | 7.000 |",
        "",
    ]


def test_no_value_is_best_where_nothing_is_compared() -> None:
    assert "**" not in as_markdown([overview([SYSTEMS[0], SYSTEMS[3]])])


def test_a_score_that_is_not_a_number_is_an_empty_cell() -> None:
    rows = as_markdown([overview([system("a", math.nan, 0.1), system("b", 0.1, 0.2)])]).splitlines()
    assert rows[4] == "| a |  | 0.100 | 7.000 |"
    assert rows[5] == "| b | 0.100 | **0.200** | 7.000 |"


@pytest.mark.parametrize(
    ("cell", "printed"),
    [
        (".134-.161", "0.134–0.161"), ("-.02-.1", "-0.020 to 0.100"), ("-0.021", "−0.021"), ("+0.02", "+0.02"),
        ("-0.077..+0.019", "−0.077 to +0.019"), ("<.001", "<0.001"), (".034", "0.034"), ("12", "12"), ("a-b", "a-b"),
        ("ours - theirs", "ours − theirs"), ("resnet18-x.v2", "resnet18-x.v2"), ("", ""), ("–", "–"),
    ],
)  # fmt: skip
def test_plain_cells_get_leading_zeros_and_dashes(cell: str, printed: str) -> None:
    assert f"| {printed} |" in as_markdown([PrintedTable("T", ("", "x"), (("row", cell),))])


def test_latex_has_rules_between_groups_a_short_caption_a_label_and_the_notes_below() -> None:
    text = as_latex([TABLE, TABLE])
    first, second = text.split(r"\begin{table}")[1:]
    assert first.count(r"\midrule") == 3  # under the header, and before baselines and oracles
    assert r"\caption{Scores of ours}" in first
    assert r"\label{tab:scores-of-ours}" in first and r"\label{tab:scores-of-ours-2}" in second
    assert r"\shortstack{0.250\\{\scriptsize 0.200--0.300}}" in first
    assert r"\textbf{0.300}" in first
    assert first.index(r"\end{tabular}") < first.index("a foot with 50 \\% of a\\_b")


def test_latex_says_when_pdflatex_lacks_its_signs() -> None:
    assert "xelatex" not in as_latex([TABLE])
    assert "xelatex" in as_latex([PrintedTable("胸部", ("", "x"), (("行", "1"),))])


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex: apt-get install texlive-latex-recommended")
def test_the_source_compiles(tmp_path: Path) -> None:
    nasty = PrintedTable("All of #1 & 50% {x} ~ ^ \\ _ $", ("", "a<b>|"), (("É ü × ± ≥ †", "-0.1..+0.2"),), ("§ µ …",))
    body = as_latex([TABLE, nasty])
    needed = "".join(re.findall(r"\\usepackage(?:\[\w+\])?\{\w+\}", body.splitlines()[0]))
    source = f"\\documentclass{{article}}{needed}\\begin{{document}}\n{body}\\end{{document}}\n"
    (tmp_path / "t.tex").write_text(source, encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "t.pdf").stat().st_size > 1000
