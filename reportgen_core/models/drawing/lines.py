"""A line, or a small table, for a value that is printed: no tensors, no paths of hundreds of studies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...text.printable import printable

if TYPE_CHECKING:
    from ...scoring.evaluation import Evaluation
    from ...types import Audit, Collection, Report, Score, ScoreLine

MAX_TEXT, MAX_LINES = 400, 40  # characters of a report, and scores of an evaluation


def line(value: object) -> str:
    """Return a value as a line, or as a small table; its class and place in memory if nothing is known of it."""
    for kind in type(value).__mro__:
        if write := _WRITE.get(kind.__name__):
            return write(value)
    return object.__repr__(value)


def _report(report: Report) -> str:
    text = printable(report.text, MAX_TEXT) if report.text else "no text"
    more = "".join(
        f" ({word}: {printable(t, MAX_TEXT)})" for word in ("problem", "note") if (t := getattr(report, word))
    )
    return f"Report of {printable(report.study, MAX_TEXT)}: {text}{more}"


def _collection(collection: Collection) -> str:
    splits = Counter(study.split for study in collection.studies)
    named = ", ".join(f"{split} {count}" for split, count in splits.items() if split)
    return f"Collection of {_counts(collection.audit, len(collection.studies))}{f'; {named}' if named else ''}"


def _audit(audit: Audit) -> str:
    return f"Audit of {_counts(audit, audit.studies)}"


def _counts(audit: Audit, studies: int) -> str:
    """Return how many studies and images a source has, and how many were left out for each reason."""
    left = "; ".join(f"{len(ids)} left out: {reason}" for reason, ids in audit.dropped.items())
    of = f"{studies:,} {'study' if studies == 1 else 'studies'} from {printable(audit.source, MAX_TEXT)}"
    return f"{of}, {audit.images:,} {'image' if audit.images == 1 else 'images'}{f'; {left}' if left else ''}"


def _score(score: Score) -> str:
    parts = ", ".join(f"{name} {value:.4f}" for name, value in score.parts.items())
    return f"Score {score.name} {score.value:.4f}{f' ({parts})' if parts else ''}"


def _evaluation(evaluation: Evaluation) -> str:
    """Return the scores of the reports, a line each, with intervals; then what has no score."""
    own = evaluation.systems[0]
    wide = max((len(score.name) for score in own.lines), default=0)
    count = len(evaluation.studies)
    rows = [f"Evaluation of {own.name}: {count:,} {'study' if count == 1 else 'studies'}"]
    rows += [f"  {score.name:<{wide}}  {_value(score)}" for score in own.lines[:MAX_LINES]]
    if len(own.lines) > MAX_LINES:
        rows.append(f"  and {len(own.lines) - MAX_LINES} more in .scores")
    rows += [f"  {metric}: no score, {printable(why, MAX_TEXT)}" for metric, why in evaluation.problems.items()]
    if evaluation.notes:
        rows.append(f"  {len(evaluation.notes)} {'note' if len(evaluation.notes) == 1 else 'notes'} in .notes")
    return "\n".join(rows)


def _value(score: ScoreLine) -> str:
    interval = "" if score.low is None or score.high is None else f"  [{score.low:.4f}, {score.high:.4f}]"
    return f"{score.value:.4f}{interval}"


_WRITE: dict[str, Callable[[Any], str]] = {
    "Report": _report, "Collection": _collection, "Audit": _audit, "Score": _score, "Evaluation": _evaluation,
}  # fmt: skip
