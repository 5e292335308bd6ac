"""Write the scores of an evaluation or a comparison as HTML: the table of systems, differences, and findings."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from reportgen_core.scoring.printed.table import KINDS, ScoreCell, ScoreColumn, ScoreGrid, ScoreRow, label_of
from reportgen_core.scoring.score_tables import PrintedTable
from reportgen_core.scoring.scorecard import System
from reportgen_core.scoring.uncertainty import Difference

from .shared.frame import escape_text

WORDS, OUTPUTS, CLINICAL = "Words", "Tags, findings and places", "Clinical"
LEVEL = 0.05
VALUES = ("f1", "auc")  # the score of a finding in the strip, the first that a metric has


@dataclass(frozen=True, slots=True)
class Gap:
    """The difference of two rows in one score: the first minus the other. `p` is None if nothing was tested."""

    other: str
    value: float
    low: float
    high: float
    p: float | None = None


def group_of(metric: str) -> str:
    """Return the group of a metric: words, the model's own outputs, or clinical for one that reads whole texts."""
    from reportgen_core.registries import metrics
    from reportgen_core.scoring.abilities.metrics import ScoresModelOutputs

    if metric not in metrics:
        return CLINICAL
    kind = metrics.get_class(metric)
    if hasattr(kind, "score_outputs"):
        assert issubclass(kind, ScoresModelOutputs)
        return OUTPUTS
    return WORDS if kind.takes == "words" else CLINICAL


def column_groups(grid: ScoreGrid) -> list[tuple[str, list[int]]]:
    """Return the groups of columns, each with the numbers of its columns; columns are brought into their order."""
    groups: dict[str, list[int]] = {WORDS: [], CLINICAL: [], OUTPUTS: []}
    for i, column in enumerate(grid.columns):
        groups[group_of(column.metric)].append(i)
    return [(name, numbers) for name, numbers in groups.items() if numbers]


def score_table(grid: ScoreGrid, caption: str) -> str:
    """Return the table of systems as HTML, with the boxes that choose its columns."""
    groups = column_groups(grid)
    order = [i for _, numbers in groups for i in numbers]
    boxes = "".join(
        f"<fieldset><legend>{escape_text(name)}</legend>"
        + "".join(_box(grid.columns[i], i) for i in numbers)
        + "</fieldset>"
        for name, numbers in groups
    )
    heads = "".join(_group_head(name, numbers) for name, numbers in groups)
    columns = "".join(f'<th scope="col" data-column="{i}">{column_head(grid.columns[i])}</th>' for i in order)
    bodies = "".join(_body(KINDS[kind], kind, rows, order) for kind, rows in grid.groups())
    return (
        f'<details class="picker no-print"><summary>Choose the columns</summary>{boxes}</details>'
        f'<div class="scroll tall" id="scores"><table class="scores">{_caption(caption)}'
        f'<thead><tr><th scope="col" rowspan="2">system</th>{heads}</tr><tr>{columns}</tr></thead>'
        f"{bodies}</table></div>"
    )


def _group_head(name: str, numbers: Sequence[int]) -> str:
    own = " ".join(map(str, numbers))
    shown = f"<span>{escape_text(name)}</span>"
    return f'<th scope="colgroup" colspan="{len(numbers)}" data-group="{own}">{shown}</th>'


def _box(column: ScoreColumn, number: int) -> str:
    return f'<label><input type="checkbox" checked data-shows="{number}">{escape_text(column.label)}</label>'


def column_head(column: ScoreColumn) -> str:
    """Return the name of a column as HTML, with an arrow that says which way is better."""
    way = {"↑": "higher is better", "↓": "lower is better", "": ""}[column.arrow]
    arrow = f'&nbsp;<span aria-hidden="true">{column.arrow}</span><span class="aside"> {way}</span>' if way else ""
    *before, last = column.label.split(" ")
    start = escape_text(" ".join(before)) + " " if before else ""
    return f'{start}<span class="whole">{escape_text(last)}{arrow}</span>'


def _body(title: str, kind: str, rows: Sequence[ScoreRow], order: Sequence[int]) -> str:
    head = (
        f'<tr class="kind"><th scope="rowgroup" colspan="{len(order) + 1}"><span>{escape_text(title)}</span></th></tr>'
    )
    lines = [
        f'<tr><th scope="row">{breakable(row.name)}</th>'
        + "".join(f'<td data-column="{i}">{_cell(row.cells[i], row.spread)}</td>' for i in order)
        + "</tr>"
        for row in rows
    ]
    return f'<tbody class="{kind}">{head}{"".join(lines)}</tbody>'


def _cell(cell: ScoreCell, spread: str) -> str:
    if cell.value is None:
        return '<span class="dim">–</span>'
    value = f"{cell.value:.3f}" + ("*" if cell.noted else "")
    shown = f'<strong>{value}<span class="aside"> best</span></strong>' if cell.best else value
    if cell.low is None or cell.high is None:
        return shown
    return f'{shown}<small><span class="aside">{spread} interval </span>{interval_text(cell.low, cell.high)}</small>'


def interval_text(low: float, high: float) -> str:
    """Return the ends of an interval as text: 0.200–0.400, or with signs if one end is negative."""
    return f"{low:.3f}–{high:.3f}" if low >= 0 else f"{_signed(low)} to {_signed(high)}"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _caption(text: str) -> str:
    """Return a caption that stays in sight while its table moves sideways."""
    return f"<caption><span>{escape_text(text)}</span></caption>"


def breakable(name: str) -> str:
    """Return a name as HTML that may break after a hyphen, a dot, a slash or an underscore, and nowhere else."""
    return re.sub(r"(?<=\w)([-._/])(?=\w)", r"\1<wbr>", escape_text(name))


def baseline_gaps(systems: Sequence[System]) -> dict[str, list[Gap]]:
    """Return by score how far the reports are from each baseline."""
    gaps: dict[str, list[Gap]] = {}
    for system in systems[1:]:
        for name, (value, low, high) in system.differences.items():
            gaps.setdefault(name, []).append(Gap(system.name, value, low, high))
    return gaps


def run_gaps(differences: Mapping[str, Mapping[str, Difference]]) -> dict[str, list[Gap]]:
    """Return by score how far the first run is from each other run, with the p of the paired test."""
    gaps: dict[str, list[Gap]] = {}
    for run, scores in differences.items():
        for name, d in scores.items():
            gaps.setdefault(name, []).append(Gap(run, d.value, d.low, d.high, d.p))
    return gaps


def difference_section(first: str, gaps: Mapping[str, Sequence[Gap]], shown: Sequence[ScoreColumn]) -> str:
    """Return the differences as dots with whiskers, a panel for each score with its own scale; "" without any."""
    columns = [column for column in shown if gaps.get(column.name)]
    if not columns:
        return ""
    panels = "".join(_panel(first, column, gaps[column.name]) for column in columns)
    tested = [gap.p for column in columns for gap in gaps[column.name] if gap.p is not None]
    note = _multiplicity(tested) if tested else "No test was made here: rg compare tests two runs on the same studies."
    return (
        '<h2 id="differences">Differences</h2>'
        f"<p>{escape_text(first)} minus each other row: the dot is the difference, the whisker its 95 % interval. "
        f'Each score has a scale of its own.</p><p id="multiplicity">{escape_text(note)}</p>'
        f'<div class="panels">{panels}</div>'
    )


def _multiplicity(p: Sequence[float]) -> str:
    """Return how many tests there are, how many are expected below the level by chance, and how many Holm keeps."""
    n, below = len(p), sum(x < LEVEL for x in p)
    if n == 1:
        return f"One paired test, two-sided: p below {LEVEL} is the usual limit."
    kept = 0
    for rank, value in enumerate(sorted(p)):
        if value * (n - rank) >= LEVEL:
            break
        kept += 1
    return (
        f"{n} paired tests, two-sided and not corrected: where nothing differs, about {n * LEVEL:.1f} of them are "
        f"below {LEVEL} by chance. {below} {'is' if below == 1 else 'are'}; after Holm's correction {kept}."
    )


def _panel(first: str, column: ScoreColumn, gaps: Sequence[Gap]) -> str:
    ends = [abs(x) for gap in gaps for x in (gap.value, gap.low, gap.high) if math.isfinite(x)]
    most = max(ends, default=0.0) or 1.0
    rows = "".join(
        f'<li><span class="who">{escape_text(gap.other)}</span>{_whisker(gap, most)}'
        f'<span class="what">{escape_text(_words(gap))}</span></li>'
        for gap in gaps
    )
    scale = f'<p class="scale" aria-hidden="true"><span>−{most:.3f}</span><span>0</span><span>+{most:.3f}</span></p>'
    return f'<section class="panel"><h3>{column_head(column)}</h3><ul>{rows}</ul>{scale}</section>'


def _words(gap: Gap) -> str:
    p = "" if gap.p is None else ", p < 0.001" if gap.p < 0.001 else f", p = {gap.p:.3f}"
    return f"{_signed(gap.value)} ({_signed(gap.low)} to {_signed(gap.high)}){p}"


def _whisker(gap: Gap, most: float) -> str:
    """Return the dot and its whisker on a line from -most to most; the words next to it say the same."""
    at = {
        name: 50 + 48 * max(-1.0, min(1.0, x / most)) for name, x in (("v", gap.value), ("l", gap.low), ("h", gap.high))
    }
    clear = "clear" if gap.low > 0 or gap.high < 0 else "open"
    return (
        f'<span class="whisker {clear}" aria-hidden="true"><i class="zero"></i>'
        f'<i class="line" style="left:{at["l"]:.1f}%;width:{max(at["h"] - at["l"], 0.3):.1f}%"></i>'
        f'<i class="dot" style="left:{at["v"]:.1f}%"></i></span>'
    )


def finding_section(systems: Sequence[System]) -> str:
    """Return how well each finding is written, a row for each finding and a column for each system; "" without any."""
    metrics = dict.fromkeys(line.metric for line in systems[0].lines if line.name.endswith(" references"))
    return "".join(_strip(metric, systems) for metric in metrics)


def _strip(metric: str, systems: Sequence[System]) -> str:
    scores = [{line.name: line.value for line in system.lines if line.metric == metric} for system in systems]
    counts = {n.removesuffix(" references"): v for n, v in scores[0].items() if n.endswith(" references")}
    word = next((w for w in VALUES if any(f"{name} {w}" in scores[0] for name in counts)), "")
    if not word:
        return ""
    shown = [(s, values) for s, values in zip(systems, scores, strict=True) if values]
    heads = "".join(f'<th scope="col">{breakable(s.name)}</th>' for s, _ in shown)
    rows = []
    for name, n in sorted(counts.items(), key=lambda pair: -pair[1]):
        label = escape_text(name.removeprefix(metric).strip())
        cells = "".join(_heat(values.get(f"{name} {word}"), n) for _, values in shown)
        rows.append(f'<tr><th scope="row">{label}</th><td class="count">{n:.0f}</td>{cells}</tr>')
    caption = f"{label_of(word)} of {metric} for each finding; n is the number of references that state it."
    return (
        '<h2 id="findings">Findings</h2><div class="scroll tall"><table class="strip">'
        f"{_caption(caption + ' The darker the cell, the higher the score.')}"
        f'<thead><tr><th scope="col">finding</th><th scope="col">n</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _heat(value: float | None, n: float) -> str:
    if not n or value is None or math.isnan(value):
        return '<td class="none"><span class="dim">–</span></td>'
    share = round(45 * max(0.0, min(1.0, value)))
    return f'<td style="background:color-mix(in srgb, var(--key) {share}%, var(--paper))">{value:.2f}</td>'


def plain_tables(tables: Iterable[PrintedTable]) -> str:
    """Return further tables, each behind its title."""
    return "".join(_plain(table) for table in tables)


def _plain(table: PrintedTable) -> str:
    header = "".join(f'<th scope="col">{escape_text(label_of(c)) or "&#8203;"}</th>' for c in table.header)
    rows = "".join(
        f'<tr><th scope="row">{escape_text(row[0].strip())}</th>'
        + "".join(f"<td>{escape_text(c.strip())}</td>" for c in row[1:])
        + "</tr>"
        for row in table.rows
    )
    foot = "".join(f'<p class="dim">{escape_text(line)}</p>' for line in table.foot)
    title = escape_text(table.title)
    return (
        f'<details><summary>{title}</summary><div class="scroll tall"><table class="plain">{_caption(table.title)}'
        f"<thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table></div>{foot}</details>"
    )
