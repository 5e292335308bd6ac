"""Compare the scores of the readers by source: distributions, differences, agreement, intervals, and a picture.

Intervals are percentile bootstraps over examinations: all answers for one examination, of all readers and sources, are
drawn together. Readers are not resampled, so an interval holds for other images and not for other readers. Agreement
is Cohen's kappa with quadratic weights (scikit-learn's) over the cases that both readers have scored.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reportgen_core import DataError

from ..pages.shared.origin import Origin, today
from ..terminal.echo import literal_text
from .answers import read_answers
from .folder import Key, ReadingStudy
from .rubrics import Rubric

if TYPE_CHECKING:
    from reportgen_core.types import Array

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class SourceScores:
    """The scores of one source."""

    source: str
    counts: Mapping[int, int]  # score: answers
    mean: float
    mean_interval: Interval
    acceptable: float | None  # share 0..1 at the rubric's line or above; None if it has no line
    acceptable_interval: Interval | None
    less_human: float | None  # mean minus the mean of the human reports; None for the human reports
    less_human_interval: Interval | None

    @property
    def n(self) -> int:
        """The number of answers."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class ReaderAgreement:
    """The agreement of two readers. kappa is nan if both gave the same single score to every case."""

    readers: tuple[str, str]
    n: int
    kappa: float
    interval: Interval
    same: float  # share of cases with equal scores


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a reading study."""

    rubric: Rubric
    sources: tuple[SourceScores, ...]
    agreement: tuple[ReaderAgreement, ...]
    answered: Mapping[str, int]  # by reader
    cases: int
    resamples: int
    seed: int
    key_sha256: str = ""  # of the key of the study


def score(study: ReadingStudy, key: Key, *, resamples: int = 2000, seed: int = 0) -> Outcome:
    """Read all answers and compare the sources. Raises DataError if nobody has answered."""
    given = {r: {c: a.score for c, a in read_answers(study.answers_of(r)).items()} for r in study.readers()}
    if not any(given.values()):
        raise DataError(f"{study.root}: nobody has answered yet; rg study serve {study.root}")
    _check(study, key, given)
    rng = np.random.default_rng(seed)
    return Outcome(
        study.rubric,
        _sources(study.rubric, key, given, resamples, rng),
        tuple(_agreement(a, b, given, key, study.rubric, resamples, rng) for a, b in itertools.combinations(given, 2)),
        {reader: len(answers) for reader, answers in given.items()},
        len(study.cases),
        resamples,
        seed,
        study.key_sha256,
    )


def _check(study: ReadingStudy, key: Key, given: Mapping[str, Mapping[str, int]]) -> None:
    """Raise DataError for an answer whose case or score does not belong to the study."""
    for reader, answers in given.items():
        for case, value in answers.items():
            if case not in key.cases or value not in study.rubric.scores:
                raise DataError(f"{study.answers_of(reader)}: case {case!r} with score {value} is not of this study")


def _draws(examinations: int, resamples: int, rng: np.random.Generator) -> Array:
    """Return how often each examination is drawn: (resamples, examinations)."""
    return rng.multinomial(examinations, np.full(examinations, 1 / examinations), size=resamples).astype(float)


def _sources(
    rubric: Rubric, key: Key, given: Mapping[str, Mapping[str, int]], resamples: int, rng: np.random.Generator
) -> tuple[SourceScores, ...]:
    """Return the scores of every source with their intervals, the human reports first."""
    scores, examinations = rubric.scores, sorted({study for study, _ in key.cases.values()})
    place = {study: i for i, study in enumerate(examinations)}
    table = np.zeros((len(key.sources), len(examinations), len(scores)))  # answers by source, examination and score
    for answers in given.values():
        for case, value in answers.items():
            study, source = key.cases[case]
            table[key.sources.index(source), place[study], scores.index(value)] += 1
    draws = _draws(len(examinations), resamples, rng)
    drawn = np.einsum("re,sek->srk", draws, table)  # (sources, resamples, scores)
    whole = table.sum(1)  # (sources, scores)
    points = np.array(scores, float)
    means, drawn_means = _share(whole, points), _share(drawn, points)
    good = np.array([rubric.acceptable is not None and s >= rubric.acceptable for s in scores], float)
    accepted, drawn_accepted = _share(whole, good), _share(drawn, good)
    sources = []
    for i, source in enumerate(key.sources):
        other = i > 0
        sources.append(
            SourceScores(
                source,
                {s: int(n) for s, n in zip(scores, whole[i], strict=True)},
                float(means[i]),
                _interval(drawn_means[i]),
                float(accepted[i]) if rubric.acceptable else None,
                _interval(drawn_accepted[i]) if rubric.acceptable else None,
                float(means[i] - means[0]) if other else None,
                _interval(drawn_means[i] - drawn_means[0]) if other else None,
            )
        )
    return tuple(sources)


def _share(counts: Array, weights: Array) -> Array:
    """Return the mean of `weights` over counts (..., scores); nan where all counts are 0."""
    n = counts.sum(-1)
    share: Array = np.divide(counts @ weights, n, out=np.full(n.shape, math.nan), where=n > 0)
    return share


def _interval(values: Array) -> Interval:
    """Return the middle 95 % of the resamples that have a value; (nan, nan) if none has."""
    real = values[~np.isnan(values)]
    if not len(real):
        return math.nan, math.nan
    low, high = np.percentile(real, [2.5, 97.5])
    return float(low), float(high)


def _agreement(
    a: str,
    b: str,
    given: Mapping[str, Mapping[str, int]],
    key: Key,
    rubric: Rubric,
    resamples: int,
    rng: np.random.Generator,
) -> ReaderAgreement:
    """Return the agreement of readers `a` and `b` on the cases that both have scored."""
    shared = [c for c in given[a] if c in given[b]]
    if not shared:
        return ReaderAgreement((a, b), 0, math.nan, (math.nan, math.nan), math.nan)
    first, second = ([given[r][c] for c in shared] for r in (a, b))
    examinations = sorted({key.cases[c][0] for c in shared})
    size = len(rubric.scores)
    tables = np.zeros((len(examinations), size, size))  # answers of both, by examination
    for c, x, y in zip(shared, first, second, strict=True):
        tables[examinations.index(key.cases[c][0]), rubric.scores.index(x), rubric.scores.index(y)] += 1
    drawn = np.tensordot(_draws(len(examinations), resamples, rng), tables, 1)  # (resamples, size, size)
    same = sum(x == y for x, y in zip(first, second, strict=True)) / len(shared)
    return ReaderAgreement((a, b), len(shared), _kappa(first, second, rubric.scores), _interval(kappas(drawn)), same)


def _kappa(first: Sequence[int], second: Sequence[int], scores: Sequence[int]) -> float:
    """Return the quadratic kappa, -1..1; nan if there is only one score."""
    if len({*first, *second}) == 1:
        return math.nan
    from sklearn.metrics import cohen_kappa_score

    return float(cohen_kappa_score(first, second, labels=list(scores), weights="quadratic"))


def kappas(tables: Array) -> Array:
    """Return the quadratic kappas (n,) of n resampled tables (n, K, K); nan for a table with only one score."""
    size = tables.shape[-1]
    away = (np.arange(size)[:, None] - np.arange(size)) ** 2
    n = tables.sum((1, 2))
    chance = np.einsum("ni,nj->nij", tables.sum(2), tables.sum(1)) / n[:, None, None]
    expected = (chance * away).sum((1, 2))
    seen = (tables * away).sum((1, 2))
    ratio = np.divide(seen, expected, out=np.full(len(tables), math.nan), where=expected > 0)
    return np.asarray(1 - ratio)


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return the result as JSON values; a number that is not defined is None."""
    return {
        "rubric": outcome.rubric.name,
        "cases": outcome.cases,
        "answered": dict(outcome.answered),
        "resamples": outcome.resamples,
        "seed": outcome.seed,
        "sources": [
            {
                "source": s.source,
                "n": s.n,
                "counts": {str(k): v for k, v in s.counts.items()},
                "mean": _real(s.mean),
                "mean_interval": _reals(s.mean_interval),
                "acceptable": _real(s.acceptable),
                "acceptable_interval": _reals(s.acceptable_interval),
                "less_human": _real(s.less_human),
                "less_human_interval": _reals(s.less_human_interval),
            }
            for s in outcome.sources
        ],
        "agreement": [
            {
                "readers": list(a.readers),
                "n": a.n,
                "kappa": _real(a.kappa),
                "interval": _reals(a.interval),
                "same": _real(a.same),
            }
            for a in outcome.agreement
        ],
    }


def _real(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def _reals(interval: Interval | None) -> list[float] | None:
    return None if interval is None or math.isnan(interval[0]) else list(interval)


@literal_text()
def picture(outcome: Outcome, path: Path) -> None:
    """Draw the shares of the scores by source as grouped bars, as Figure 6 of the DenseNet-LSTM paper does.

    The suffix of `path` chooses PNG, PDF or SVG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    scores, shown = outcome.rubric.scores, [s for s in outcome.sources if s.n]
    figure = Figure(figsize=(max(6.0, 0.9 * len(scores) + 2), 3.8), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots()
    width = 0.8 / len(shown)
    for i, source in enumerate(shown):
        shares = [100 * source.counts[s] / source.n for s in scores]
        at = [x + (i - (len(shown) - 1) / 2) * width for x in range(len(scores))]
        low, high = source.mean_interval
        label = f"{source.source}: mean {source.mean:.2f} ({low:.2f} to {high:.2f}), {source.n} answers"
        bars = axes.bar(at, shares, width * 0.92, label=label, color=_COLOURS[i % len(_COLOURS)])
        axes.bar_label(bars, [f"{v:.0f}" if v else "" for v in shares], fontsize=8, color="0.25", padding=1)
    axes.set_xticks(range(len(scores)), [str(s) for s in scores])
    axes.set_xlabel(f"score ({outcome.rubric.name} scale)")
    axes.set_ylabel("% of the answers")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper left", frameon=False, fontsize=9)
    origin = Origin(digest=outcome.key_sha256, date=today())
    figure.supxlabel(f"{origin.text()} (of the key)", fontsize=7, color="0.3", x=0.01, ha="left")
    figure.savefig(path)


_COLOURS = ("#3b6ea8", "#e08a2e", "#4f9e6b", "#9b62a7", "#7a7a7a")
