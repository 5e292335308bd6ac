"""Choose among trained presets by paired tests of their validation scores. Test is never looked at here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reportgen_core import DataError
from reportgen_core.scoring.comparison import few_pairs, paired_tests
from reportgen_core.scoring.evaluation_folder import SavedEvaluation
from reportgen_core.scoring.scorecard import System
from reportgen_core.scoring.uncertainty import Difference

from .result import Interval, p_value, short_name

LEVEL = 0.05  # p from which two presets are level


@dataclass(frozen=True, slots=True)
class Choice:
    """The preset that was chosen, the best one, those level with the best, and the tests against the best."""

    chosen: str
    best: str
    level: tuple[str, ...]
    tests: Mapping[str, Difference]  # the best minus the other, in the score that decides
    why: str
    cautions: tuple[str, ...] = ()


def choose(
    decide: str, then: str, presets: Mapping[str, SavedEvaluation], baselines: Mapping[str, SavedEvaluation]
) -> Choice:
    """Return the choice by the scores on validation.

    The best in `decide` is chosen, or, of the presets that a paired test cannot tell from it, the best in `then`.
    Raises DataError if no preset has the score.
    """
    scores = {name: line for name, run in presets.items() if (line := score_of(run, decide)) is not None}
    if not scores:
        known = sorted({line.name for run in presets.values() for line in run.systems[0].lines})
        raise DataError(f"no preset has the score {decide!r} on validation; there are: {', '.join(known)}")
    best = max(scores, key=lambda name: scores[name])
    problems: dict[str, str] = {}
    others = {n: run for n, run in {**presets, **baselines}.items() if n != best}
    tests = {n: paired_tests(presets[best], run, problems=problems).get(decide) for n, run in others.items()}
    known_tests = {n: test for n, test in tests.items() if test is not None}
    level = tuple(n for n in scores if n == best or (n in known_tests and known_tests[n].p >= LEVEL))
    chosen = max(level, key=lambda n: (score_of(presets[n], then) or 0.0, scores[n]))
    cautions = [f"no test of {metric}: {why}" for metric, why in problems.items()]
    pairs = presets[best].units or presets[best].studies
    cautions += filter(None, [few_pairs(len(set(pairs)))])
    cautions += [
        _not_above(n, known_tests[n], decide) for n in baselines if n in known_tests and _level(known_tests[n])
    ]
    why = _why(decide, then, chosen, best, level, scores)
    return Choice(chosen, best, level, known_tests, why, tuple(cautions))


def _level(test: Difference) -> bool:
    return test.value <= 0 or test.p >= LEVEL


def _not_above(baseline: str, test: Difference, decide: str) -> str:
    return (
        f"no preset is above the baseline {baseline} on validation ({short_name(decide)} {test.value:+.3f}, "
        f"p {p_value(test.p)})"
    )


def score_of(run: SavedEvaluation, name: str) -> float | None:
    """Return a score of an evaluation; None if it has none of that name."""
    line = run.systems[0].line(name)
    return None if line is None else line.value


def _why(decide: str, then: str, chosen: str, best: str, level: tuple[str, ...], scores: Mapping[str, float]) -> str:
    first = f"{best} is the best of {len(scores)} in {short_name(decide)} on validation"
    if len(scores) == 1:
        return f"{chosen} is chosen: no other preset has a {short_name(decide)} on validation"
    if len(level) == 1:
        return f"{chosen} is chosen: {first}, and a paired test tells it from the others"
    others = ", ".join(n for n in level if n != best)
    if chosen == best:
        return f"{chosen} is chosen: {first}; {others} cannot be told from it, and it is the best in {short_name(then)}"
    second = f"of which {chosen} is the best in {short_name(then)}"
    return f"{chosen} is chosen: {first}, but cannot be told from {others}, {second}"


def intervals_of(system: System) -> dict[str, Interval]:
    """Return the scores of a system with their intervals."""
    return {line.name: (line.value, line.low, line.high) for line in system.lines}
