"""Check what a metric returns before anything is computed from it. Every function raises MetricError."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...errors import MetricError
from ...types import Score, ScoreLine

if TYPE_CHECKING:
    from ...types import Array
    from ..abilities.metrics import LabelledP


def checked_score(score: object, n: int) -> Score:
    """Return the score of `n` reports with plain numbers. Its value must be finite, and so must one part, if any."""
    if not isinstance(score, Score):
        raise MetricError(f"compute returned a {type(score).__name__}, and a Score is due")
    _check_names("the name of its score", [score.name])
    _check_names("the name of a part", list(_mapping(score.parts, "the parts of its score")))
    value = _number(score.value, "its score")
    if not math.isfinite(value):
        raise MetricError(f"its score is {value}")
    each = tuple(_number(v, "a score of a single report") for v in _list(score.each, "the scores of single reports"))
    if len(each) not in (0, n):
        raise MetricError(f"it returned {len(each)} scores of single reports for {n} reports")
    parts = {name: _number(v, f"its score {name!r}") for name, v in score.parts.items()}
    _check_headline({score.name: parts[score.name]} if score.name in parts else parts)
    better = bool(score.higher_is_better)
    return replace(score, value=value, each=each, parts=parts, higher_is_better=better, version=str(score.version))


def checked_statistics(statistics: object, n: int) -> Array:
    """Return the statistics of `n` reports as an array (n, k) of floats."""
    import numpy as np

    try:
        rows = np.asarray(statistics, float)
    except (TypeError, ValueError) as e:
        raise MetricError(f"statistics returned a {type(statistics).__name__} that is no array of numbers") from e
    if rows.ndim != 2 or len(rows) != n or not rows.shape[1]:
        raise MetricError(f"statistics returned an array {rows.shape} for {n} reports, and ({n}, k) is due")
    return rows


def checked_values(scores: object, shape: tuple[int, ...] = ()) -> dict[str, Array]:
    """Return scores by name as arrays of the given shape. The first score of a whole set, shape (), must be finite."""
    import numpy as np

    values: dict[str, Array] = {}
    for name, value in _mapping(scores, "the scores of its statistics").items():
        _check_names("the name of a score", [name])
        try:
            values[name] = np.asarray(value, float)
        except (TypeError, ValueError) as e:
            raise MetricError(f"its score {name!r} is a {type(value).__name__}, and numbers are due") from e
        if values[name].shape != shape:
            raise MetricError(f"its score {name!r} has the shape {values[name].shape}, and {shape} is due")
    if not values:
        raise MetricError("its statistics have no score")
    if not shape:
        _check_headline({k: float(v) for k, v in values.items()})
    return values


def checked_lines(lines: object, name: str) -> list[ScoreLine]:
    """Return score lines under the registered `name` of their metric. The first must be finite."""
    checked = []
    for line in _list(lines, "score_outputs"):
        if not isinstance(line, ScoreLine):
            raise MetricError(f"score_outputs returned a {type(line).__name__}, and every entry must be a ScoreLine")
        _check_names("the name of a score", [line.name])
        ends = [None if v is None else _number(v, f"an end of {line.name!r}") for v in (line.low, line.high)]
        value = _number(line.value, f"its score {line.name!r}")
        checked.append(replace(line, value=value, low=ends[0], high=ends[1], metric=name, version=str(line.version)))
    _check_headline({line.name: line.value for line in checked})
    return checked


def checked_points(points: object) -> tuple[tuple[float, float, int], ...]:
    """Return the points of a reliability curve: mean probability, share that came true, number of predictions."""
    rows = [tuple(_list(p, "a point of reliability")) for p in _list(points, "reliability")]
    if any(len(row) != 3 for row in rows):
        raise MetricError("reliability returned points that have no three numbers")
    return tuple((_number(p, "a probability"), _number(s, "a share"), int(_number(n, "a count"))) for p, s, n in rows)


def checked_probabilities(values: object, n: int) -> dict[str, tuple[LabelledP, ...]]:
    """Return the probability (0..1) and the label (1 or 0) of each of `n` studies, by class; None where unknown."""
    checked = {}
    for name, pairs in _mapping(values, "probabilities").items():
        _check_names("the name of a class", [name])
        rows = [tuple(_list(pair, f"a pair of {name!r}")) for pair in _list(pairs, f"the probabilities of {name!r}")]
        if len(rows) != n or any(len(row) != 2 for row in rows):
            raise MetricError(f"probabilities returned {len(rows)} pairs of {name!r} for {n} studies, or no pairs")
        checked[name] = tuple((_share(p, name), _share(label, name)) for p, label in rows)
    return checked


def _share(value: Any, name: str) -> float | None:
    """Return a number from 0 to 1; None for None and for a number that is not finite."""
    number = None if value is None else _number(value, f"a probability of {name!r}")
    if number is None or not math.isfinite(number):
        return None
    if not -1e-6 <= number <= 1 + 1e-6:  # single precision may round beyond an end
        raise MetricError(f"a probability or label of {name!r} is {number}, and 0 to 1 is due")
    return min(max(number, 0.0), 1.0)


def _check_headline(values: Mapping[str, float]) -> None:
    for name, value in list(values.items())[:1]:
        if not math.isfinite(value):
            raise MetricError(f"its score {name!r} is {value}")


def _check_names(what: str, names: Sequence[object]) -> None:
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise MetricError(f"{what} is {name!r}, and a text is due")


def _number(value: Any, what: str) -> float:
    """Return a number of Python or numpy as a float; a text, a truth value and an array are none."""
    from numbers import Real

    if isinstance(value, bool) or not isinstance(value, Real):
        raise MetricError(f"{what} is a {type(value).__name__}, and a number is due")
    return float(value)


def _mapping(value: object, what: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise MetricError(f"{what} is a {type(value).__name__}, and a mapping from names to numbers is due")
    return value


def _list(value: Any, what: str) -> list[Any]:
    """Return the entries of a list, a tuple or an array."""
    if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__len__") or not hasattr(value, "__iter__"):
        raise MetricError(f"{what} is a {type(value).__name__}, and a list is due")
    return list(value)
