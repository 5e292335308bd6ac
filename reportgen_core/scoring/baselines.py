"""Baselines: reports that need no look at the image, so that a reader sees how much a score is worth.

A constant sentence comes close to published systems on IU X-Ray, so every table has these rows. No baseline is tuned on
the studies that are scored, except the gold-tag oracle, which is named so.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ..errors import lists_only

if TYPE_CHECKING:
    from ..types import Array

CONSTANT, NEAREST = "constant (validation)", "nearest image"  # names of rows that other modules look up
FINDINGS_CONSTANT, FREQUENT = "constant by findings (validation)", "most frequent"
CONSTANTS = (CONSTANT, FINDINGS_CONSTANT, FREQUENT)  # rows that give every study the same report
MAX_CANDIDATES = 150
VERSION = "1"  # of the baselines; it changes whenever the same data would give other reports


@lists_only
@dataclass(frozen=True, slots=True)
class BaselineData:
    """What baselines are built from: reports of the other splits, tags, and image features."""

    training: Mapping[str, str] = field(default_factory=dict)  # reports by study
    validation: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, Sequence[str]] = field(default_factory=dict)  # gold tags of training and scored studies
    normal: Mapping[str, bool] = field(default_factory=dict)  # scored studies: is the reference normal
    features: Mapping[str, Array] = field(default_factory=dict)  # (P,) image features of training and scored studies


@dataclass(frozen=True, slots=True)
class Baseline:
    """One row of the table: reports for each seed, in the order of the scored studies."""

    name: str
    note: str
    reports: tuple[tuple[str, ...], ...]  # one set a seed; one set where nothing is drawn


def repeated(training: Sequence[str], most: int = MAX_CANDIDATES) -> list[str]:
    """Return the commonest training reports that occur at least twice, those of equal count in alphabetical order.

    Return the first reports if none occurs twice. Otherwise the list does not depend on the order of the training set.
    """
    counts = Counter(training)
    again = sorted((t for t, n in counts.items() if n > 1), key=lambda t: (-counts[t], t))
    return (again or list(counts))[:most]


def constant(background: BaselineData, n: int, score: Callable[[str], float], name: str = CONSTANT) -> Baseline:
    """Return the training report with the best `score` on validation, for each of `n` studies."""
    training = list(background.training.values())
    candidates = repeated(training)
    best = max(candidates, key=score)
    studies = _counted(len(background.validation), "validation study", "validation studies")
    again = len(set(training)) < len(training)  # else the candidates are the first reports
    among = _counted(len(candidates), f"{'repeated ' if again else ''}training report")
    note = f"chosen on {studies} among {among}{'' if again else ', none of which occurs twice'}"
    return Baseline(name, note, ((best,) * n,))


def _counted(n: int, one: str, many: str = "") -> str:
    """Return a number with its noun: "1 study", "2 studies"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def most_frequent(background: BaselineData, n: int) -> Baseline:
    """Return the commonest training report, for each of `n` studies."""
    best = repeated(list(background.training.values()), 1)[0]
    times = sum(t == best for t in background.training.values())
    note = (
        f"the training report that occurs {times:,} times"
        if times > 1
        else "the first training report; none is repeated"
    )
    return Baseline(FREQUENT, note, ((best,) * n,))


def drawn(background: BaselineData, n: int, seeds: Sequence[int]) -> Baseline:
    """Return training reports drawn at random for `n` studies, one set for each seed."""
    reports = list(background.training.values())
    sets = tuple(tuple(random.Random(seed).choices(reports, k=n)) for seed in seeds)
    return Baseline("random", f"a training report for each study, mean of {len(seeds)} seeds", sets)


def by_gold_tags(
    background: BaselineData, ids: Sequence[str], seeds: Sequence[int], ties: Literal["random", "first"] = "random"
) -> Baseline:
    """Return for each study the report of the training study with the nearest gold tags (Jaccard): an oracle.

    The tie rule changes the score by a third: `first` takes the first of equally near training studies, and gives all
    normal studies the same report.
    """
    tagged = [(frozenset(background.tags[i]), t) for i, t in background.training.items() if i in background.tags]
    distinct = {tags for tags, _ in tagged}
    nearest: dict[frozenset[str], list[str]] = {}
    for tags in {frozenset(background.tags[i]) for i in ids}:
        likeness = {other: _jaccard(tags, other) for other in distinct}
        best = max(likeness.values())
        equal = {other for other, v in likeness.items() if v == best}
        nearest[tags] = [text for other, text in tagged if other in equal]  # in the order of the training set
    sets = []
    for seed in seeds:
        draw = random.Random(seed)
        pools_of = (nearest[frozenset(background.tags[i])] for i in ids)
        sets.append(tuple(texts[0] if ties == "first" else draw.choice(texts) for texts in pools_of))
    rule = f"ties at random, mean of {len(seeds)} seeds" if ties == "random" else "ties to the first"
    note = f"ORACLE: nearest gold tags by Jaccard, {rule}"
    return Baseline("gold tags (oracle)", note, tuple(sets))


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b) if a or b else 1.0


def by_image(background: BaselineData, ids: Sequence[str]) -> Baseline:
    """Return for each study the report of the training study with the nearest image features (cosine)."""
    import numpy as np

    candidates = [i for i in background.training if i in background.features]
    rows = np.stack([background.features[i] for i in candidates]).astype(np.float32)
    queries = np.stack([background.features[i] for i in ids]).astype(np.float32)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    queries /= np.maximum(np.linalg.norm(queries, axis=1, keepdims=True), 1e-12)
    nearest = (queries @ rows.T).argmax(1)
    note = "the training study with the nearest image features by cosine"
    return Baseline(NEAREST, note, (tuple(background.training[candidates[int(k)]] for k in nearest),))


def verbatim(text: str) -> str:
    """Return a text without differences of case and white space, to look it up among the training reports."""
    return " ".join(text.lower().split())


def build_baselines(
    background: BaselineData,
    ids: Sequence[str],
    seeds: Sequence[int],
    score: Callable[[str], float] | None,
    findings_score: Callable[[str], float] | None = None,
) -> tuple[list[Baseline], list[str]]:
    """Return the baselines that can be built from `background`, and a line for each that cannot.

    `score` chooses the constant by its words, `findings_score` the constant by its findings.
    """
    if not background.training:
        return [], ["no baselines: they need the training reports (--training FILE, or --data NAME)"]
    baselines, missing, n = [], [], len(ids)
    if background.validation and score is not None:
        baselines.append(constant(background, n, score))
    else:
        missing.append("no constant baseline: it is chosen on validation reports (--validation FILE)")
    if background.validation and findings_score is not None:
        baselines.append(constant(background, n, findings_score, FINDINGS_CONSTANT))
    baselines += [most_frequent(background, n), drawn(background, n, seeds)]
    if all(i in background.features for i in ids) and any(i in background.features for i in background.training):
        baselines.append(by_image(background, ids))
    else:
        missing.append("no nearest-image baseline: there are no image features (--features FILE)")
    if all(i in background.tags for i in ids) and any(i in background.tags for i in background.training):
        baselines.append(by_gold_tags(background, ids, seeds))
    else:
        missing.append("no gold-tag oracle: the studies have no gold tags")
    return baselines, missing
