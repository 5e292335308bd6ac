"""Compares evaluations: one table, paired tests against the first, and an error if they cannot be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from ..metric import HasStatistics
from .evaluation_folder import SavedEvaluation
from .guard.attempt import attempt
from .score_tables import PrintedTable, headlines, number, overview
from .scorecard import System, card_differences, describe_card, version_differences
from .studies.failed import scored_in_both
from .uncertainty import Difference, paired_test

if TYPE_CHECKING:
    from ..types import Array

MARK = "†"
FEW = 30  # pairs: with fewer, a note says what the test can show at best


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several evaluations compared with the first one."""

    table: PrintedTable
    tests: PrintedTable | None  # None if nothing can be tested
    differences: dict[str, dict[str, Difference]]  # run: score: the first run minus this one
    unlike: dict[str, list[str]]  # run: why it cannot be compared with the first
    names: tuple[str, ...] = ()  # of the runs, in order, each once
    caution: str = ""  # a line on too few pairs


def compare_evaluations(
    runs: Sequence[SavedEvaluation], *, anyway: bool = False, rounds: int = 10_000, seed: int = 0
) -> Comparison:
    """Compare evaluations with the first.

    Raises DataError if one cannot be compared with the first; with `anyway` it is marked instead.
    """
    if len(runs) < 2:
        raise DataError("a comparison needs two evaluations or more")
    runs = _named_apart(runs)
    unlike = {r.name: why for r in runs[1:] if (why := _against(runs[0], r))}
    if unlike and not anyway:
        reasons = "; ".join(f"{name}: {', '.join(why)}" for name, why in unlike.items())
        raise DataError(
            f"these do not belong in one table with {runs[0].name}: {reasons}. --anyway compares them, marked"
        )
    systems = [replace(r.systems[0], name=r.name + (MARK if r.name in unlike else "")) for r in runs]
    problems: dict[str, str] = {}
    differences = {r.name: paired_tests(runs[0], r, rounds, seed, problems) for r in runs[1:] if r.name not in unlike}
    foot = [f"{runs[0].name}: {describe_card(runs[0].card)}"]
    foot += [f"{name}{MARK} is unlike {runs[0].name}: {', '.join(why)}" for name, why in unlike.items()]
    foot += [f"no test of {metric}: {why}" for metric, why in problems.items()]
    foot += _left_out(runs)
    return Comparison(
        overview([*systems, *_baselines(runs)], tuple(foot), "Comparison"),
        _tests(runs, differences, rounds),
        differences,
        unlike,
        tuple(r.name for r in runs),
        few_pairs(_pairs(runs), rounds) if any(differences.values()) else "",
    )


def few_pairs(n: int, rounds: int = 10_000) -> str:
    """Return a caution for a paired test of fewer than FEW pairs; "" for more.

    n pairs can be swapped in 2^n ways. Two of them, none and all, give a difference as large as the one that was
    found, so that no p is below 2 / 2^n.
    """
    if n >= FEW:
        return ""
    least = max(2.0 ** (1 - n), 1 / (rounds + 1))
    return (
        f"caution: only {n} pair{'' if n == 1 else 's'}. The test swaps them in {2**n:,} ways, so that p is at best "
        f"{_p(least)}; an interval of so few pairs is too narrow, and one without 0 is no proof"
    )


def _pairs(runs: Sequence[SavedEvaluation]) -> int:
    """Return how many pairs are swapped: patients, or studies if none is named."""
    units = next((r.units for r in runs if r.units), ())
    return len(set(units)) if units else len(runs[0].studies)


def _named_apart(runs: Sequence[SavedEvaluation]) -> list[SavedEvaluation]:
    names = [r.name for r in runs]
    return [replace(r, name=r.name if names.count(r.name) == 1 else f"{r.name} #{i}") for i, r in enumerate(runs, 1)]


def _against(first: SavedEvaluation, other: SavedEvaluation) -> list[str]:
    return card_differences(first.card, other.card) + version_differences(
        first.systems[0].lines, other.systems[0].lines
    )


def _left_out(runs: Sequence[SavedEvaluation]) -> list[str]:
    """Return a line for each metric that could not score some studies of a run: tests leave them out of both runs."""
    counts = {(m, r.name): len(studies) for r in runs for m, studies in r.failed.items()}
    return [
        f"{metric} has no score for {n} of {len(runs[0].studies)} studies of {name}: tests leave these out of both runs"
        for (metric, name), n in counts.items()
    ]


def _baselines(runs: Sequence[SavedEvaluation]) -> list[System]:
    """Return the baselines of the first evaluation, which show how much the scores are worth."""
    return [s for s in runs[0].systems[1:] if "best of" not in s.name]


def paired_tests(
    first: SavedEvaluation,
    other: SavedEvaluation,
    rounds: int = 10_000,
    seed: int = 0,
    problems: dict[str, str] | None = None,
) -> dict[str, Difference]:
    """Return the paired test of every score whose statistics both evaluations have saved.

    A metric that cannot be built here, or fails, has no test, and its reason is written into `problems`.
    """
    import numpy as np

    place = {id: i for i, id in enumerate(other.studies)}
    order = [place[id] for id in first.studies]
    units = np.array(first.units or [other.units[i] for i in order if other.units], np.int64)
    tests: dict[str, Difference] = {}
    untested: dict[str, Difference] = {}
    problems = {} if problems is None else problems
    for name in first.statistics:
        if name not in other.statistics or first.metrics.get(name) != other.metrics.get(name):
            continue
        without = first.failed.get(name, frozenset()) | other.failed.get(name, frozenset())
        places = [i for i, id in enumerate(first.studies) if id in without]
        rows = scored_in_both(first.statistics[name], other.statistics[name][order], places)
        options = first.metrics.get(name, {})
        tests |= attempt(problems, name, untested, _paired_test, name, options, rows, units, rounds=rounds, seed=seed)
    return tests


def _paired_test(
    name: str, options: Mapping[str, Any], rows: tuple[Array, Array], units: Array, *, rounds: int, seed: int
) -> dict[str, Difference]:
    """Return the paired test of the scores of one metric; {} if its scores do not follow from statistics.

    `units` has the number of each study's patient, and is empty if no study names one.
    """
    from ..registries import metrics

    metric = metrics.create(name, **options)
    if not isinstance(metric, HasStatistics):
        return {}
    return paired_test(*rows, metric.scores, units=units if len(units) else None, rounds=rounds, seed=seed)


def _tests(
    runs: Sequence[SavedEvaluation], differences: dict[str, dict[str, Difference]], rounds: int
) -> PrintedTable | None:
    if not any(differences.values()):
        return None
    shown = headlines(runs[0].systems[0].lines)
    rows: list[tuple[str, ...]] = []
    for name, scores in differences.items():
        cells = [scores.get(line.name) for line in shown]
        rows.append((f"{runs[0].name} - {name}", *(f"{d.value:+.3f}" if d else "" for d in cells)))
        rows.append(("  95 %", *(f"{d.low:+.3f}..{d.high:+.3f}" if d else "" for d in cells)))
        rows.append(("  p", *(_p(d.p) if d else "" for d in cells)))
    patients = next((r.card.patients for r in runs if r.units), 0)
    drawn = f"{patients} patients" if patients else f"{len(runs[0].studies)} studies, no patient is named"
    foot = (
        f"paired, the same studies: intervals by bootstrap, p two-sided by approximate randomisation, {rounds:,} "
        "rounds, not corrected for the number of tests; "
        f"both draw {drawn}; version {runs[0].card.intervals}"
    )
    notes = tuple(filter(None, (foot, few_pairs(_pairs(runs), rounds))))
    return PrintedTable("Differences", ("", *(line.name for line in shown)), tuple(rows), notes)


def _p(value: float) -> str:
    return "<.001" if value < 0.001 else number(value).removeprefix("0")
