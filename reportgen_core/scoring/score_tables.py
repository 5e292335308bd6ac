"""Evaluations as tables: plain rows for a terminal, Markdown, LaTeX, CSV and JSON. Retrieval figures use the same code.

The arrow in a header says which way is better, and the foot of a table how its numbers were computed.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..files.table_writer import CellWriter
from ..types import ScoreLine
from .diversity import Diversity
from .evaluation import MAX_HEADLINES, Evaluation
from .printed.source import as_latex as as_latex
from .printed.source import as_markdown as as_markdown
from .printed.table import PrintedTable as PrintedTable
from .printed.table import score_grid
from .scorecard import ScoreCard, System, describe_card, flat_lines
from .studies.failed import FailedStudy, failure_lines
from .subgroups.split import REFERENCE, TRAINING, Subgroup, gaps

MAX_ZEROS = 20  # rows of a long table after which scores that are 0 everywhere are left out
NOTED = "*"  # marks a score that has a note
FORMATS = ("table", "json", "csv", "markdown", "latex")


def tables(evaluation: Evaluation) -> list[PrintedTable]:
    """Return the tables of an evaluation: scores, failed metrics, subsets, metrics with many numbers, and diversity."""
    return [
        overview(evaluation.systems, foot(evaluation)),
        *failures(evaluation.problems, evaluation.failed),
        *subsets(evaluation.systems, evaluation.subgroups),
        *details(evaluation.systems),
        variety(evaluation.diversity),
    ]


def failures(problems: Mapping[str, str], failed: Sequence[FailedStudy] = ()) -> list[PrintedTable]:
    """Return a row for each metric that has no score, and for the studies that a metric could not score; [] if none."""
    rows = (*problems.items(), *failure_lines(failed))
    return [PrintedTable("Without a score", ("metric", "reason"), rows)] if rows else []


def variety(diversity: Diversity) -> PrintedTable:
    """Return how varied the reports are, compared with the references."""
    rows = (
        (
            "different outputs",
            f"{diversity.distinct} of {diversity.reports}",
            f"{diversity.reference_distinct} of {diversity.reports}",
        ),
        ("share of the commonest", f"{diversity.commonest_share:.1%}", f"{diversity.reference_commonest_share:.1%}"),
        ("distinct-1", number(diversity.distinct_1), number(diversity.reference_distinct_1)),
        ("distinct-2", number(diversity.distinct_2), number(diversity.reference_distinct_2)),
        ("say a sentence twice", f"{diversity.repeating:.1%}", f"{diversity.reference_repeating:.1%}"),
        ("words", f"{diversity.length:.1f}", f"{diversity.reference_length:.1f}"),
        ("empty", str(diversity.empty), ""),
    )
    return PrintedTable("Variety", ("", "reports", "references"), rows)


def foot(evaluation: Evaluation) -> tuple[str, ...]:
    """Return how the numbers were computed, and notes."""
    versions = {line.metric: line.version for line in evaluation.systems[0].lines}
    lines = [describe_card(evaluation.card)]
    if versions:
        lines.append("metrics: " + ", ".join(f"{m} {v}".strip() for m, v in versions.items()))
    if len(evaluation.systems) > 1:
        lines.append(f"baselines: version {evaluation.card.baselines}")
    if evaluation.verbatim_share is not None:
        lines.append(f"{evaluation.verbatim_share:.1%} of the references stand word for word in training")
    lines += [f"{s.name}: {s.note}" for s in evaluation.systems if s.note]
    lines += [f"note: {n}" for n in evaluation.notes]
    return tuple(lines)


def overview(systems: Sequence[System], foot: tuple[str, ...] = (), title: str = "Scores") -> PrintedTable:
    """Return a row for each system, followed by a row of intervals if it has them."""
    shown = headlines(systems[0].lines)
    rows: list[tuple[str, ...]] = []
    for system in systems:
        lines = [system.line(line.name) for line in shown]
        rows.append((system.name, *(_cell(line) for line in lines)))
        if any(line and line.low is not None for line in lines):
            word = "  range" if "mean of" in system.note else "  95 %"
            rows.append((word, *(interval(line) if line else "" for line in lines)))
    header = ("", *(f"{line.name} {line.arrow}" for line in shown))
    return PrintedTable(title, header, tuple(rows), (*_notes(shown), *foot), score_grid(systems, shown))


def _cell(line: ScoreLine | None) -> str:
    """Return a score as a cell, with a star if it has a note; "" without a score."""
    return "" if line is None else number(line.value) + (NOTED if line.note else "")


def _notes(lines: Iterable[ScoreLine]) -> list[str]:
    """Return the notes of scores, each once with the names of its scores."""
    names: dict[str, list[str]] = {}
    for line in lines:
        if line.note and line.name not in names.setdefault(line.note, []):
            names[line.note].append(line.name)
    return [f"{NOTED} {', '.join(scores)}: {note}" for note, scores in names.items()]


def headlines(lines: Sequence[ScoreLine]) -> list[ScoreLine]:
    """Return the scores of the first table: all of a metric with few numbers, else its first two."""
    shown: list[ScoreLine] = []
    for metric in dict.fromkeys(line.metric for line in lines):
        own = [line for line in lines if line.metric == metric]
        shown += sorted(own, key=lambda line: line.name) if len(own) <= MAX_HEADLINES else own[:2]
    return shown


def subsets(systems: Sequence[System], subgroups: Sequence[Subgroup]) -> list[PrintedTable]:
    """Return a table for each column of subgroups: score, interval, and gap to the best subgroup.

    Subgroups by the reference and by training, which come by themselves, have the baselines below.
    """
    shown = headlines(systems[0].lines)
    differences = gaps(systems[0], subgroups)
    printed = []
    for column in dict.fromkeys(g.column for g in subgroups):
        groups = [g for g in subgroups if g.column == column]
        rows = [row for group in groups for row in _group_rows(systems[0], group, shown, differences)]
        for system in systems[1:] if column in (TRAINING, REFERENCE) else ():
            for group in groups:
                if lines := _lines_of(system, group):
                    cells = (_cell(lines.get(line.name)) for line in shown)
                    rows.append((f"{system.name}: {group.value}", str(group.studies), *cells))
        noted = _group_notes(systems[0], groups, [line.name for line in shown])
        cautions = [f"{g.value}: {g.caution}, read its scores with caution" for g in groups if g.caution]
        header = (column, "studies", *(f"{line.name} {line.arrow}" for line in shown))
        printed.append(PrintedTable(f"By {column}", header, tuple(rows), (*noted, *cautions)))
    return printed


def _group_rows(
    system: System, group: Subgroup, shown: Sequence[ScoreLine], differences: Mapping[tuple[str, str], float]
) -> Iterator[tuple[str, ...]]:
    """Yield the rows of one subgroup: its scores, their intervals, and their gaps to the best subgroup."""
    lines = _lines_of(system, group)
    own = [lines.get(line.name) for line in shown]
    caution = " (caution)" if group.caution else ""
    yield group.value + caution, str(group.studies), *(_cell(line) for line in own)
    if any(line and line.low is not None for line in own):
        yield "  95 %", "", *(interval(line) if line else "" for line in own)
    yield "  gap", "", *(_gap(differences.get((group.name, line.name))) for line in shown)


def _gap(value: float | None) -> str:
    """Return a gap with its sign, `best` for the best subgroup, "" for a score without a gap."""
    return "" if value is None else "best" if value == 0 else f"{value:+.3f}"


def _group_notes(system: System, groups: Sequence[Subgroup], names: Sequence[str]) -> list[str]:
    """Return the notes of scores in subgroups, once if all subgroups have the same note, else by subgroup."""
    noted = [(g, line) for g in groups for n in names if (line := _lines_of(system, g).get(n)) and line.note]
    same = {line.name: {other.note for _, other in noted if other.name == line.name} for _, line in noted}
    lines = []
    for group, line in noted:
        everywhere = len(same[line.name]) == 1 and sum(n.name == line.name for _, n in noted) == len(groups)
        lines.append(line if everywhere else replace(line, name=f"{group.value}, {line.name}"))
    return _notes(lines)


def _lines_of(system: System, group: Subgroup) -> dict[str, ScoreLine]:
    return {line.name: line for line in system.subsets.get(group.name, ())}


WORDS = ("precision", "recall", "f1", "accuracy", "auc", "references")  # ends of names that become columns


def details(systems: Sequence[System]) -> list[PrintedTable]:
    """Return a table for each metric with many numbers: a row for each class or average, a column for each baseline."""
    first = systems[0].lines
    shown = []
    for metric in dict.fromkeys(line.metric for line in first):
        own = [line for line in first if line.metric == metric]
        if len(own) > MAX_HEADLINES:
            shown.append(_by_class(metric, own, systems))
    return shown


def _by_class(metric: str, own: Sequence[ScoreLine], systems: Sequence[System]) -> PrintedTable:
    subjects: dict[str, dict[str, ScoreLine]] = {}
    for line in own:
        subject, _, word = line.name.removeprefix(metric).strip().rpartition(" ")
        subjects.setdefault(subject if word in WORDS else line.name, {})[word if word in WORDS else "value"] = line
    words = [w for w in (*WORDS, "value") if any(w in lines for lines in subjects.values())]
    main = next((w for w in ("f1", "auc", "value") if w in words), words[-1])
    header = ["", *(f"{w} {'' if w == 'references' else own[0].arrow}".strip() for w in words), "95 %"]
    header += [f"{main} of {s.name}" for s in systems[1:]]
    rows: list[tuple[str, ...]] = []
    zeros: list[str] = []
    for subject, lines in subjects.items():
        shown = lines.get(main)
        if len(rows) >= MAX_ZEROS and words == ["value"] and not any(_value(s.line(subject)) for s in systems):
            zeros.append(subject.removeprefix(metric).strip())
            continue
        cells = [_class_cell(lines.get(w), count=w == "references") for w in words]
        others = [number(_value(s.line(shown.name) if shown else None)) for s in systems[1:]]
        rows.append((subject, *cells, interval(shown) if shown else "", *others))
    title = f"{metric} {own[0].version} of {systems[0].name}"
    left_out = [f"0 in every row and not shown: {', '.join(zeros)}"] if zeros else []
    return PrintedTable(title, tuple(header), tuple(rows), (*_notes(own), *left_out))


def _value(line: ScoreLine | None) -> float | None:
    return line.value if line else None


def _class_cell(line: ScoreLine | None, *, count: bool) -> str:
    """Return a score of one class, a number of references as a whole number; a dash without a score."""
    return f"{line.value:.0f}" if line and count else _cell(line) or number(None)


def number(value: float | None) -> str:
    """Return three decimals; a dash for None and NaN."""
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"


def interval(line: ScoreLine) -> str:
    """Return the interval as `.134-.161`; "" if there is none."""
    if line.low is None or line.high is None or math.isnan(line.low):
        return ""
    return f"{_short(line.low)}-{_short(line.high)}"


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0") if value >= 0 else f"{value:.3f}".replace("-0.", "-.")


def evaluation_csv(evaluation: Evaluation, *, raw_cells: bool = False) -> str:
    """Return an evaluation as `as_csv` does."""
    return as_csv(
        evaluation.card, evaluation.systems, evaluation.problems, evaluation.subgroups, evaluation.failed,
        raw_cells=raw_cells,
    )  # fmt: skip


def as_csv(
    card: ScoreCard,
    systems: Sequence[System],
    problems: Mapping[str, str] | None = None,
    subgroups: Sequence[Subgroup] = (),
    failed: Sequence[FailedStudy] = (),
    *,
    raw_cells: bool = False,
) -> str:
    """Return CSV with a row for each number and the fields of its card, and a row for each metric without a score.

    Texts that a spreadsheet would run are guarded unless `raw_cells`.
    """
    rows = flat_lines(card, systems, problems, gaps(systems[0], subgroups) if systems else None, failed)
    out = io.StringIO()
    writer = CellWriter(out, raw_cells=raw_cells)
    writer.write(rows[0] if rows else ["system"])
    for row in rows:
        writer.write(row.values())
    return out.getvalue()


def as_json(values: object) -> str:
    """Return indented JSON. NaN and infinity become null."""
    return json.dumps(finite(values), ensure_ascii=False, indent=1) + "\n"


def finite(value: Any) -> Any:
    """Return JSON values with null in place of NaN and infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return value
