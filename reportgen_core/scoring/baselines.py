"""What scores are worth: the reports that no look at the image is needed for.

A constant sentence comes close to published systems on IU X-Ray, so every table has these rows. None is tuned on the
studies that are scored, save the gold-tag oracle, which says so in its name.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ..types import Array

CONSTANT, NEAREST = "constant (validation)", "nearest image"  # names of rows that others look up
CANDIDATES = 150


@dataclass(frozen=True, slots=True)
class Background:
    """What is known beside the references: other splits, and what helps to build baselines and columns."""

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


def repeated(training: Sequence[str], most: int = CANDIDATES) -> list[str]:
    """The commonest training reports that occur twice or more, equals by the alphabet; where none does, the first ones.

    Asking for two makes the list independent of the order of the training set.
    """
    counts = Counter(training)
    again = sorted((t for t, n in counts.items() if n > 1), key=lambda t: (-counts[t], t))
    return (again or list(counts))[:most]


def constant(background: Background, n: int, score: Callable[[str], float]) -> Baseline:
    """One training report for every study, the one with the best `score` on validation."""
    candidates = repeated(list(background.training.values()))
    best = max(candidates, key=score)
    note = (
        f"chosen on {len(background.validation)} validation studies among {len(candidates)} repeated training reports"
    )
    return Baseline(CONSTANT, note, ((best,) * n,))


def most_frequent(background: Background, n: int) -> Baseline:
    """The commonest training report for every study."""
    best = repeated(list(background.training.values()), 1)[0]
    times = sum(t == best for t in background.training.values())
    return Baseline("most frequent", f"the training report that occurs {times} times", ((best,) * n,))


def drawn(background: Background, n: int, seeds: Sequence[int]) -> Baseline:
    """A training report drawn for each study."""
    reports = list(background.training.values())
    sets = tuple(tuple(random.Random(seed).choices(reports, k=n)) for seed in seeds)
    return Baseline("random", f"a training report for each study, mean of {len(seeds)} seeds", sets)


def by_gold_tags(
    background: Background, ids: Sequence[str], seeds: Sequence[int], ties: Literal["random", "first"] = "random"
) -> Baseline:
    """The report of the training study with the nearest gold tags (Jaccard): an oracle.

    The tie rule moves the score by a third: `first` takes the first training study of equals, and gives all normal
    studies one and the same report.
    """
    known = [(frozenset(background.tags[i]), t) for i, t in background.training.items() if i in background.tags]
    distinct = {tags for tags, _ in known}
    nearest: dict[frozenset[str], list[str]] = {}
    for tags in {frozenset(background.tags[i]) for i in ids}:
        likeness = {other: _jaccard(tags, other) for other in distinct}
        best = max(likeness.values())
        equal = {other for other, v in likeness.items() if v == best}
        nearest[tags] = [text for other, text in known if other in equal]  # in the order of the training set
    sets = []
    for seed in seeds:
        draw = random.Random(seed)
        pools_of = (nearest[frozenset(background.tags[i])] for i in ids)
        sets.append(tuple(texts[0] if ties == "first" else draw.choice(texts) for texts in pools_of))
    told = f"ties at random, mean of {len(seeds)} seeds" if ties == "random" else "ties to the first"
    note = f"ORACLE: nearest gold tags by Jaccard, {told}"
    return Baseline("gold tags (oracle)", note, tuple(sets))


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b) if a or b else 1.0


def by_image(background: Background, ids: Sequence[str]) -> Baseline:
    """The report of the training study whose image features are nearest (cosine), ties to the first."""
    import numpy as np

    known = [i for i in background.training if i in background.features]
    rows = np.stack([background.features[i] for i in known]).astype(np.float32)
    asked = np.stack([background.features[i] for i in ids]).astype(np.float32)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    asked /= np.maximum(np.linalg.norm(asked, axis=1, keepdims=True), 1e-12)
    nearest = (asked @ rows.T).argmax(1)
    note = "the training study with the nearest image features by cosine"
    return Baseline(NEAREST, note, (tuple(background.training[known[int(k)]] for k in nearest),))


def verbatim(text: str) -> str:
    """A text as it is compared for being seen in training: case and white space aside."""
    return " ".join(text.lower().split())


def build(
    background: Background, ids: Sequence[str], seeds: Sequence[int], score: Callable[[str], float] | None
) -> tuple[list[Baseline], list[str]]:
    """All baselines that the background allows, and a line for each that it does not."""
    if not background.training:
        return [], ["no baselines: they need the training reports (--training FILE, or --data NAME)"]
    made, missing, n = [], [], len(ids)
    if background.validation and score is not None:
        made.append(constant(background, n, score))
    else:
        missing.append("no constant baseline: it is chosen on validation reports (--validation FILE)")
    made += [most_frequent(background, n), drawn(background, n, seeds)]
    if all(i in background.features for i in ids) and any(i in background.features for i in background.training):
        made.append(by_image(background, ids))
    else:
        missing.append("no nearest-image baseline: image features are not at hand (--features FILE)")
    if all(i in background.tags for i in ids) and any(i in background.tags for i in background.training):
        made.append(by_gold_tags(background, ids, seeds))
    else:
        missing.append("no gold-tag oracle: gold tags are not at hand")
    return made, missing
