"""Reproductions as tables: one preset with its paper and its baselines, or all presets in one table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reportgen_core.scoring.baselines import CONSTANT, NEAREST
from reportgen_core.scoring.score_tables import PrintedTable, as_markdown, headlines, interval, number, overview
from reportgen_core.scoring.scorecard import System, describe_card
from reportgen_core.types import ScoreLine

from .record import Reproduction

BASELINES = (CONSTANT, NEAREST)
COLUMNS = ("bleu-1", "bleu-4", "rouge-l", "cider", "chexpert-rules micro-14 f1", "pointing hit")
DECIDING = ("cider", "chexpert-rules micro-14 f1")


def preset_table(record: Reproduction) -> PrintedTable:
    """Return the paper's rows, ours and the baselines', and how they were computed."""
    shown = headlines(record.systems[0].lines)
    ours = overview([s for i, s in enumerate(record.systems) if i == 0 or s.name in BASELINES or "best of" in s.name])
    paper = [
        (f"paper: {row.data}, {row.table}", *(number(row.values.get(_theirs(line))) for line in shown))
        for row in record.numbers
        if any(_theirs(line) in row.values for line in shown)
    ]
    return PrintedTable(
        f"{record.preset} on {record.request.data}", ours.header, (*paper, *ours.rows), tuple(_foot(record, shown))
    )


def _theirs(line: ScoreLine) -> str:
    """Return the name that presets have for this number of their papers."""
    return line.name.replace("tags recall", "tag-recall")


def _foot(record: Reproduction, shown: Sequence[ScoreLine]) -> list[str]:
    lines = [
        record.paper,
        describe_card(record.card),
        f"{record.parts}, scale {record.request.scale}; studies: {_studies(record)}; {_training(record)}",
        f"{record.seconds['train']:.0f} s of training, {record.seconds['evaluate']:.0f} s of evaluation "
        f"on {record.device}, {record.memory} MiB at most"
        + (f", {_millions(record)} million parameters" if record.parameters else ""),
    ]
    names = set(map(_theirs, shown))
    for row in record.numbers:
        if other := {k: v for k, v in row.values.items() if k not in names}:
            lines.append(f"paper: {row.data}, {row.table}: " + ", ".join(f"{k} {v:g}" for k, v in other.items()))
    return [*lines, *(f"note: {n}" for n in record.notes)]


def _millions(record: Reproduction) -> str:
    return f"{record.parameters / 1e6:.2f}"


def _studies(record: Reproduction) -> str:
    return " / ".join(str(n) for n in record.studies.values()) + " train / val / test"


def _training(record: Reproduction) -> str:
    return f"{_budget(record)}, selected by {record.settings['select']}, seed {record.request.seed}"


def _budget(record: Reproduction) -> str:
    return f"{record.settings['epochs']} epochs of batch {record.settings['batch_size']}"


def system_tables(reproductions: Sequence[Reproduction], failed: Iterable[tuple[str, str]] = ()) -> list[PrintedTable]:
    """Return a table of all systems, and one of a constant sentence and the nearest image on the same studies."""
    return (
        [_scores(reproductions, failed), _against(reproductions)]
        if reproductions
        else [PrintedTable("Systems", ("",), (), _failures(failed))]
    )


def _scores(reproductions: Sequence[Reproduction], failed: Iterable[tuple[str, str]]) -> PrintedTable:
    rows = []
    for record in reproductions:
        ours = record.systems[0]
        cells = [_cell(ours.line(name), name in DECIDING) for name in COLUMNS]
        cost = (
            f"{record.seconds['train'] + record.seconds['evaluate']:.0f}",
            str(record.memory),
            _millions(record) if record.parameters else "–",
        )
        rows.append((record.preset, " + ".join(record.card.sections), *cells, *_published(record), *cost))
    header = (
        "", "references", *(f"{_short(c)} ↑" for c in COLUMNS), "paper bleu-4", "paper cider", "seconds", "MiB",
        "million parameters",
    )  # fmt: skip
    first = reproductions[0]
    foot = (
        f"{first.request.data}, options {dict(first.request.options)}, scale {first.request.scale}, "
        f"{', '.join(dict.fromkeys(map(_budget, reproductions)))}, seed {first.request.seed}, on {first.device}",
        "rows with unlike references cannot be compared with each other, save by finding F1",
        *dict.fromkeys(f"{' + '.join(m.card.sections)}: {describe_card(m.card)}; {_studies(m)}" for m in reproductions),
        *_failures(failed),
    )
    return PrintedTable("Systems", header, tuple(rows), foot)


def _failures(failed: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(f"{name} failed: {why}" for name, why in failed)


def _short(name: str) -> str:
    return {"chexpert-rules micro-14 f1": "finding F1", "pointing hit": "pointing"}.get(name, name)


def _cell(line: ScoreLine | None, with_interval: bool) -> str:
    if line is None:
        return "–"
    ends = interval(line) if with_interval else ""
    return number(line.value) + (f" ({ends})" if ends else "")


def _published(record: Reproduction) -> tuple[str, str]:
    """Return BLEU-4 and CIDEr of the paper's first row with a BLEU-4."""
    row = next((r for r in record.numbers if "bleu-4" in r.values), None)
    values = row.values if row else {}
    return number(values.get("bleu-4")), number(values.get("cider"))


def _against(reproductions: Sequence[Reproduction]) -> PrintedTable:
    rows = []
    for record in reproductions:
        cells = []
        for name in DECIDING:
            scores = [record.systems[0].line(name), *(_named(record, b, name) for b in BASELINES)]
            cells += [*(_cell(line, True) for line in scores), _verdict(scores[0], scores[1:])]
        rows.append((record.preset, *cells))
    header = [""]
    for name in DECIDING:
        header += [f"{_short(name)} ↑", "constant", "nearest image", "intervals"]
    return PrintedTable("Beside what needs no model", tuple(header), tuple(rows))


def _named(record: Reproduction, system: str, line: str) -> ScoreLine | None:
    scores: System | None = next((s for s in record.systems if s.name == system), None)
    return scores.line(line) if scores else None


def _verdict(ours: ScoreLine | None, others: Sequence[ScoreLine | None]) -> str:
    """Return whether our score is higher than every other, and whether the intervals overlap."""
    if ours is None or ours.low is None or any(o is None or o.high is None for o in others):
        return "–"
    if all(ours.low > (o.high or 0.0) for o in others if o):
        return "apart, above"
    return "above" if all(ours.value > o.value for o in others if o) else "not above"


def markdown(record: Reproduction) -> str:
    """Return one reproduction as Markdown."""
    return as_markdown([preset_table(record)])
