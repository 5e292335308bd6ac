"""Reproductions as tables: one preset beside its paper and its baselines, or all presets in one table."""

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


def one(made: Reproduction) -> PrintedTable:
    """The paper's rows, ours and the baselines, and how they were made."""
    shown = headlines(made.systems[0].lines)
    ours = overview([s for i, s in enumerate(made.systems) if i == 0 or s.name in BASELINES or "best of" in s.name])
    paper = [
        (f"paper: {row.data}, {row.table}", *(number(row.values.get(_theirs(line))) for line in shown))
        for row in made.numbers
        if any(_theirs(line) in row.values for line in shown)
    ]
    return PrintedTable(
        f"{made.preset} on {made.asked.data}", ours.header, (*paper, *ours.rows), tuple(_foot(made, shown))
    )


def _theirs(line: ScoreLine) -> str:
    """What a preset calls this number of its paper."""
    return line.name.replace("tags recall", "tag-recall")


def _foot(made: Reproduction, shown: Sequence[ScoreLine]) -> list[str]:
    said = [
        made.paper,
        describe_card(made.card),
        f"{made.parts}, scale {made.asked.scale}; studies: {_studies(made)}; {_training(made)}",
        f"{made.seconds['train']:.0f} s of training, {made.seconds['evaluate']:.0f} s of evaluation on {made.device}, "
        f"{made.memory} MiB at most",
    ]
    known = set(map(_theirs, shown))
    for row in made.numbers:
        if other := {k: v for k, v in row.values.items() if k not in known}:
            said.append(f"paper: {row.data}, {row.table}: " + ", ".join(f"{k} {v:g}" for k, v in other.items()))
    return [*said, *(f"note: {n}" for n in made.notes)]


def _studies(made: Reproduction) -> str:
    return " / ".join(str(n) for n in made.studies.values()) + " train / val / test"


def _training(made: Reproduction) -> str:
    return f"{_budget(made)}, selected by {made.settings['select']}, seed {made.asked.seed}"


def _budget(made: Reproduction) -> str:
    return f"{made.settings['epochs']} epochs of batch {made.settings['batch_size']}"


def together(all_of: Sequence[Reproduction], failed: Iterable[tuple[str, str]] = ()) -> list[PrintedTable]:
    """All systems in one table, and beside it what a constant sentence and the nearest image score on the same."""
    return (
        [_scores(all_of, failed), _against(all_of)] if all_of else [PrintedTable("Systems", ("",), (), _lost(failed))]
    )


def _scores(all_of: Sequence[Reproduction], failed: Iterable[tuple[str, str]]) -> PrintedTable:
    rows = []
    for made in all_of:
        ours = made.systems[0]
        cells = [_cell(ours.line(name), name in DECIDING) for name in COLUMNS]
        cost = (f"{made.seconds['train'] + made.seconds['evaluate']:.0f}", str(made.memory))
        rows.append((made.preset, " + ".join(made.card.sections), *cells, *_published(made), *cost))
    header = (
        "", "references", *(f"{_short(c)} ↑" for c in COLUMNS), "paper bleu-4", "paper cider", "seconds", "MiB"
    )  # fmt: skip
    first = all_of[0]
    foot = (
        f"{first.asked.data}, options {dict(first.asked.options)}, scale {first.asked.scale}, "
        f"{', '.join(dict.fromkeys(map(_budget, all_of)))}, seed {first.asked.seed}, on {first.device}",
        "rows with unlike references cannot be compared with each other, save by finding F1",
        *dict.fromkeys(f"{' + '.join(m.card.sections)}: {describe_card(m.card)}; {_studies(m)}" for m in all_of),
        *_lost(failed),
    )
    return PrintedTable("Systems", header, tuple(rows), foot)


def _lost(failed: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(f"{name} failed: {why}" for name, why in failed)


def _short(name: str) -> str:
    return {"chexpert-rules micro-14 f1": "finding F1", "pointing hit": "pointing"}.get(name, name)


def _cell(line: ScoreLine | None, with_interval: bool) -> str:
    if line is None:
        return "–"
    ends = interval(line) if with_interval else ""
    return number(line.value) + (f" ({ends})" if ends else "")


def _published(made: Reproduction) -> tuple[str, str]:
    """BLEU-4 and CIDEr of the paper's first row that has them."""
    row = next((r for r in made.numbers if "bleu-4" in r.values), None)
    values = row.values if row else {}
    return number(values.get("bleu-4")), number(values.get("cider"))


def _against(all_of: Sequence[Reproduction]) -> PrintedTable:
    rows = []
    for made in all_of:
        cells = []
        for name in DECIDING:
            lines = [made.systems[0].line(name), *(_named(made, b, name) for b in BASELINES)]
            cells += [*(_cell(line, True) for line in lines), _verdict(lines[0], lines[1:])]
        rows.append((made.preset, *cells))
    header = [""]
    for name in DECIDING:
        header += [f"{_short(name)} ↑", "constant", "nearest image", "intervals"]
    return PrintedTable("Beside what needs no model", tuple(header), tuple(rows))


def _named(made: Reproduction, system: str, line: str) -> ScoreLine | None:
    found: System | None = next((s for s in made.systems if s.name == system), None)
    return found.line(line) if found else None


def _verdict(ours: ScoreLine | None, others: Sequence[ScoreLine | None]) -> str:
    """Whether ours lies above every other with intervals apart."""
    if ours is None or ours.low is None or any(o is None or o.high is None for o in others):
        return "–"
    if all(ours.low > (o.high or 0.0) for o in others if o):
        return "apart, above"
    return "above" if all(ours.value > o.value for o in others if o) else "not above"


def markdown(made: Reproduction) -> str:
    """One reproduction as Markdown."""
    return as_markdown([one(made)])
