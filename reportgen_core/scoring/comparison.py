"""Puts evaluations into one table, tests them against the first, and refuses those that cannot be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..errors import DataError
from ..metric import HasStatistics
from .evaluation_folder import Run
from .score_tables import Table, headlines, number, overview
from .scorecard import System, sentence, unlike, unlike_lines
from .uncertainty import Difference, compare

MARK = "†"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several runs beside the first one."""

    table: Table
    tests: Table | None
    differences: dict[str, dict[str, Difference]]  # run: score: its difference from the first run
    unlike: dict[str, list[str]]  # run: what keeps it from being compared with the first


def compare_runs(runs: Sequence[Run], *, anyway: bool = False, rounds: int = 10_000, seed: int = 0) -> Comparison:
    """Compare runs with the first. Raises DataError for unlike ones, unless `anyway`: then they are marked."""
    if len(runs) < 2:
        raise DataError("a comparison needs two evaluations or more")
    runs = _named_apart(runs)
    odd = {r.name: found for r in runs[1:] if (found := _against(runs[0], r))}
    if odd and not anyway:
        said = "; ".join(f"{name}: {', '.join(why)}" for name, why in odd.items())
        raise DataError(f"these do not belong in one table with {runs[0].name}: {said}. --anyway compares them, marked")
    systems = [replace(r.systems[0], name=r.name + (MARK if r.name in odd else "")) for r in runs]
    differences = {r.name: paired(runs[0], r, rounds, seed) for r in runs[1:] if r.name not in odd}
    foot = [f"{runs[0].name}: {sentence(runs[0].card)}"]
    foot += [f"{name}{MARK} is unlike {runs[0].name}: {', '.join(why)}" for name, why in odd.items()]
    return Comparison(
        overview([*systems, *_baselines(runs)], tuple(foot), "Comparison"),
        _tests(runs, differences, rounds),
        differences,
        odd,
    )


def _named_apart(runs: Sequence[Run]) -> list[Run]:
    names = [r.name for r in runs]
    return [replace(r, name=r.name if names.count(r.name) == 1 else f"{r.name} #{i}") for i, r in enumerate(runs, 1)]


def _against(first: Run, other: Run) -> list[str]:
    return unlike(first.card, other.card) + unlike_lines(first.systems[0].lines, other.systems[0].lines)


def _baselines(runs: Sequence[Run]) -> list[System]:
    """The baselines of the first run: what any of these scores is worth."""
    return [s for s in runs[0].systems[1:] if "best of" not in s.name]


def paired(first: Run, other: Run, rounds: int = 10_000, seed: int = 0) -> dict[str, Difference]:
    """Paired tests for every score whose statistics both runs kept."""
    from ..registries import metrics

    place = {id: i for i, id in enumerate(other.studies)}
    order = [place[id] for id in first.studies]
    found: dict[str, Difference] = {}
    for name in first.statistics:
        if name not in other.statistics or first.metrics.get(name) != other.metrics.get(name):
            continue
        metric = metrics.create(name, **first.metrics.get(name, {}))
        if isinstance(metric, HasStatistics):
            found |= compare(
                first.statistics[name], other.statistics[name][order], metric.scores, rounds=rounds, seed=seed
            )
    return found


def _tests(runs: Sequence[Run], differences: dict[str, dict[str, Difference]], rounds: int) -> Table | None:
    if not any(differences.values()):
        return None
    shown = headlines(runs[0].systems[0].lines)
    rows: list[tuple[str, ...]] = []
    for name, found in differences.items():
        cells = [found.get(line.name) for line in shown]
        rows.append((f"{runs[0].name} - {name}", *(f"{d.value:+.3f}" if d else "" for d in cells)))
        rows.append(("  95 %", *(f"{d.low:+.3f}..{d.high:+.3f}" if d else "" for d in cells)))
        rows.append(("  p", *(_p(d.p) if d else "" for d in cells)))
    foot = (
        f"paired, the same studies: intervals by bootstrap, p two-sided by approximate randomisation, {rounds} rounds"
    )
    return Table("Differences", ("", *(line.name for line in shown)), tuple(rows), (foot,))


def _p(value: float) -> str:
    return "<.001" if value < 0.001 else number(value).removeprefix("0")
