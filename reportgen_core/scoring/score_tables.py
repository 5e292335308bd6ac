"""Evaluations as tables: plain rows for a terminal, Markdown, LaTeX, CSV and JSON. Retrieval figures use the same code.

A cell never stands alone: the arrow says which way is better, the foot says how the numbers were made.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..types import ScoreLine
from .diversity import Degeneracy
from .evaluation import MOST, Evaluation
from .scorecard import Card, System, flat_lines, sentence

FORMATS = ("table", "json", "csv", "markdown", "latex")


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as they are printed. The first column names the row."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    foot: tuple[str, ...] = ()


def tables(evaluation: Evaluation) -> list[Table]:
    """The scores, the subsets, and the metrics that have many numbers."""
    return [
        overview(evaluation.systems, foot(evaluation)),
        *subsets(evaluation.systems),
        *details(evaluation.systems),
        variety(evaluation.degeneracy),
    ]


def variety(found: Degeneracy) -> Table:
    """Does the model say different things: its reports beside the references."""
    rows = (
        ("different outputs", f"{found.distinct} of {found.reports}", f"{found.reference_distinct} of {found.reports}"),
        ("share of the commonest", f"{found.commonest_share:.1%}", f"{found.reference_commonest_share:.1%}"),
        ("distinct-1", number(found.distinct_1), number(found.reference_distinct_1)),
        ("distinct-2", number(found.distinct_2), number(found.reference_distinct_2)),
        ("say a sentence twice", f"{found.repeating:.1%}", f"{found.reference_repeating:.1%}"),
        ("words", f"{found.length:.1f}", f"{found.reference_length:.1f}"),
        ("empty", str(found.empty), ""),
    )
    return Table("Variety", ("", "reports", "references"), rows)


def foot(evaluation: Evaluation) -> tuple[str, ...]:
    """How the numbers were made, and what must be known about them."""
    versions = {line.metric: line.version for line in evaluation.systems[0].lines}
    said = [sentence(evaluation.card), "metrics: " + ", ".join(f"{m} {v}".strip() for m, v in versions.items())]
    if evaluation.verbatim_share is not None:
        said.append(f"{evaluation.verbatim_share:.1%} of the references stand word for word in training")
    said += [f"{s.name}: {s.note}" for s in evaluation.systems if s.note]
    said += [f"note: {n}" for n in evaluation.notes]
    said += [f"no {metric}: {why}" for metric, why in evaluation.problems.items()]
    return tuple(said)


def overview(systems: Sequence[System], said: tuple[str, ...] = (), title: str = "Scores") -> Table:
    """A row a system, with a row of intervals under it where it has them."""
    shown = headlines(systems[0].lines)
    rows: list[tuple[str, ...]] = []
    for system in systems:
        lines = [system.line(line.name) for line in shown]
        rows.append((system.name, *(number(line.value) if line else "" for line in lines)))
        if any(line and line.low is not None for line in lines):
            word = "  range" if "mean of" in system.note else "  95 %"
            rows.append((word, *(interval(line) if line else "" for line in lines)))
    return Table(title, ("", *(f"{line.name} {line.arrow}" for line in shown)), tuple(rows), said)


def headlines(lines: Sequence[ScoreLine]) -> list[ScoreLine]:
    """The numbers that stand in the first table."""
    found: list[ScoreLine] = []
    for metric in dict.fromkeys(line.metric for line in lines):
        own = [line for line in lines if line.metric == metric]
        found += sorted(own, key=lambda line: line.name) if len(own) <= MOST else own[:2]
    return found


def subsets(systems: Sequence[System]) -> list[Table]:
    """Seen and unseen, normal and abnormal references, for every system; no table where nothing is known."""
    names = list(systems[0].subsets)
    if not names:
        return []
    shown = headlines(systems[0].lines)
    rows = []
    for system in systems:
        for name in names:
            values = {line.name: line.value for line in system.subsets.get(name, ())}
            if values:
                size = (system.size or {}).get(name, 0)
                rows.append((f"{system.name}: {name} ({size})", *(number(values.get(line.name)) for line in shown)))
    return [Table("By reference", ("", *(f"{line.name} {line.arrow}" for line in shown)), tuple(rows))]


WORDS = ("precision", "recall", "f1", "accuracy", "auc", "references")  # ends of names that become columns


def details(systems: Sequence[System]) -> list[Table]:
    """All numbers of each metric that has many: a row a class or average, with the baselines' last column beside."""
    first = systems[0].lines
    found = []
    for metric in dict.fromkeys(line.metric for line in first):
        own = [line for line in first if line.metric == metric]
        if len(own) > MOST:
            found.append(_by_class(metric, own, systems))
    return found


def _by_class(metric: str, own: Sequence[ScoreLine], systems: Sequence[System]) -> Table:
    subjects: dict[str, dict[str, ScoreLine]] = {}
    for line in own:
        subject, _, word = line.name.removeprefix(metric).strip().rpartition(" ")
        subjects.setdefault(subject if word in WORDS else line.name, {})[word if word in WORDS else "value"] = line
    words = [w for w in (*WORDS, "value") if any(w in lines for lines in subjects.values())]
    main = next((w for w in ("f1", "auc", "value") if w in words), words[-1])
    header = ["", *(f"{w} {'' if w == 'references' else '↑'}".strip() for w in words), "95 %"]
    header += [f"{main} of {s.name}" for s in systems[1:]]
    rows = []
    for subject, lines in subjects.items():
        shown = lines.get(main)
        cells = [_count(lines[w]) if w == "references" and w in lines else number(_value(lines.get(w))) for w in words]
        others = [number(_value(s.line(shown.name) if shown else None)) for s in systems[1:]]
        rows.append((subject, *cells, interval(shown) if shown else "", *others))
    return Table(f"{metric} {own[0].version} of {systems[0].name}", tuple(header), tuple(rows))


def _value(line: ScoreLine | None) -> float | None:
    return line.value if line else None


def _count(line: ScoreLine) -> str:
    return f"{line.value:.0f}"


def number(value: float | None) -> str:
    """Three decimals; a dash where there is no number."""
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"


def interval(line: ScoreLine) -> str:
    """`.134-.161`."""
    if line.low is None or line.high is None or math.isnan(line.low):
        return ""
    return f"{_short(line.low)}-{_short(line.high)}"


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0") if value >= 0 else f"{value:.3f}".replace("-0.", "-.")


def as_markdown(shown: Iterable[Table]) -> str:
    """GitHub's tables with the foot under each."""
    parts = []
    for table in shown:
        header = "| " + " | ".join(_bars(c) for c in table.header) + " |"
        ruler = "|---|" + "---:|" * (len(table.header) - 1)
        rows = ["| " + " | ".join(_bars(c.strip()) for c in row) + " |" for row in table.rows]
        parts.append("\n".join([f"### {table.title}", "", header, ruler, *rows]))
        if table.foot:
            parts.append("\n".join(f"- {_bars(line)}" for line in table.foot))
    return "\n\n".join(parts) + "\n"


def _bars(cell: str) -> str:
    return cell.replace("|", "\\|")


_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "–": "--",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "†": r"$\dagger$",
}  # fmt: skip


def as_latex(shown: Iterable[Table]) -> str:
    """tabular environments with booktabs rules; the foot stands in the caption."""
    parts = []
    for table in shown:
        lines = [
            r"\begin{table}",
            r"\centering",
            rf"\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}",
            r"\toprule",
        ]
        lines.append(" & ".join(map(_tex, table.header)) + r" \\")
        lines.append(r"\midrule")
        lines += [" & ".join(_tex(c.strip()) for c in row) + r" \\" for row in table.rows]
        lines += [r"\bottomrule", r"\end{tabular}"]
        lines.append(rf"\caption{{{_tex(table.title)}. {_tex('. '.join(table.foot))}}}")
        lines.append(r"\end{table}")
        parts.append("\n".join(lines))
    return "% needs \\usepackage{booktabs}\n" + "\n\n".join(parts) + "\n"


def _tex(text: str) -> str:
    return "".join(_LATEX.get(c, c) for c in text)


def as_csv(card: Card, systems: Sequence[System]) -> str:
    """One row a number, with everything its card says."""
    rows = flat_lines(card, systems)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]) if rows else ["system"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def as_json(values: object) -> str:
    """Indented JSON; a number that is none (NaN) becomes null."""
    return json.dumps(_finite(values), ensure_ascii=False, indent=1) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value
