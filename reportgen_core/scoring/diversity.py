"""How varied a set of reports is, with a warning if a model gives the same report for every image.

Distinct-n after Li et al., A Diversity-Promoting Objective Function for Neural Conversation Models, NAACL 2016.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..text.recipes import split_sentences


@dataclass(frozen=True, slots=True)
class Diversity:
    """How varied a set of reports is, compared with the references. Shares, 0..1, are of the reports."""

    reports: int
    distinct: int  # different outputs, not counting white space and case
    commonest: str
    commonest_share: float
    reference_distinct: int
    reference_commonest_share: float
    distinct_1: float  # different words as a share of all words
    distinct_2: float
    reference_distinct_1: float
    reference_distinct_2: float
    repeating: float  # share of reports with the same sentence twice
    reference_repeating: float
    length: float  # mean words
    reference_length: float
    empty: int

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return warnings for a reader of the scores; () if there is nothing to warn of."""
        warnings = []
        if self.reports > 1 and self.distinct == 1:
            warnings.append(f"the model says the same thing for every image: {_short(self.commonest)}")
        elif self.reports >= 10 and self.commonest_share >= max(0.2, 3 * self.reference_commonest_share):
            warnings.append(
                f"one output makes up {self.commonest_share:.0%} of the reports (in the references the commonest is "
                f"{self.reference_commonest_share:.0%}): {_short(self.commonest)}"
            )
        if 1 < self.distinct < self.reference_distinct / 4:
            warnings.append(
                f"{self.distinct} different outputs for {self.reports} studies ({self.reference_distinct} references)"
            )
        if self.repeating > 0.1 and self.repeating > 2 * self.reference_repeating:
            warnings.append(f"{self.repeating:.0%} of the reports say a sentence twice")
        if self.reference_length and not 0.5 <= self.length / self.reference_length <= 2:
            warnings.append(f"reports have {self.length:.1f} words on average, references {self.reference_length:.1f}")
        if self.empty:
            warnings.append(f"{self.empty} report{' is' if self.empty == 1 else 's are'} empty")
        return tuple(warnings)


def measure_diversity(reports: Sequence[str], references: Sequence[Sequence[str]]) -> Diversity:
    """Return how varied raw texts are. Of several references the first is used."""
    ours, theirs = _count(reports), _count([r[0] for r in references])
    return Diversity(
        len(reports),
        ours.distinct,
        ours.commonest,
        ours.share,
        theirs.distinct,
        theirs.share,
        ours.distinct_1,
        ours.distinct_2,
        theirs.distinct_1,
        theirs.distinct_2,
        ours.repeating,
        theirs.repeating,
        ours.length,
        theirs.length,
        sum(not r.strip() for r in reports),
    )


@dataclass(frozen=True, slots=True)
class _Counts:
    distinct: int
    commonest: str
    share: float
    distinct_1: float
    distinct_2: float
    repeating: float
    length: float


def _count(texts: Sequence[str]) -> _Counts:
    words = [t.lower().split() for t in texts]
    outputs = Counter(" ".join(w) for w in words)
    commonest, times = outputs.most_common(1)[0] if outputs else ("", 0)
    single = [w for ws in words for w in ws]
    pairs = [p for ws in words for p in pairwise(ws)]
    twice = {text: _repeats(text) for text in outputs}
    n = max(len(texts), 1)
    return _Counts(
        len(outputs),
        commonest,
        times / n,
        len(set(single)) / max(len(single), 1),
        len(set(pairs)) / max(len(pairs), 1),
        sum(outputs[t] for t, r in twice.items() if r) / n,
        len(single) / n,
    )


def _repeats(text: str) -> bool:
    sentences = [s.strip(" .") for s in split_sentences(text)]
    return len(set(sentences)) < len(sentences)


def _short(text: str, most: int = 120) -> str:
    return repr(text if len(text) <= most else text[: most - 1] + "…")
