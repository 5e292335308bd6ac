"""Settle how a preset cuts reports: limits that leave about 99 of 100 training reports whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from reportgen_zoo.reproduce.preset import Preset

from reportgen_core.text.recipes import RECIPES
from reportgen_core.text.spec import TextSpec, count_cut_words, recipe, report_words

CUT = 0.01  # share of the training reports that the limits may cut
MOST = {"max_sentences": 60, "max_words": 100, "max_length": 600}  # no report is trained on further than that
CHINESE = "chinese"


@dataclass(frozen=True, slots=True)
class Limited:
    """The text settings of a preset, and the share of the training reports that they cut, 0..1."""

    spec: TextSpec
    cut: float


def settle_text(preset: Preset, texts: Sequence[str], sections: Sequence[str]) -> Limited:
    """Return the text settings of a preset for these training reports.

    The recipe is the preset's own where it suits the language. A recipe that is learned keeps the preset's limits.
    """
    own = preset.text_spec()
    name = own.recipe
    if is_chinese(texts):
        name = CHINESE
    elif name == CHINESE:
        name = "plain"
    spec = TextSpec(recipe=name, sections=tuple(sections), min_count=rare_count(len(texts)))
    if name not in RECIPES:
        spec = replace(own, sections=tuple(sections))
    elif recipe(spec).flat:
        lengths = [sum(len(s) + 1 for s in recipe(spec).split(t)) for t in texts]
        spec = replace(spec, max_length=min(_covering(lengths, CUT), MOST["max_length"]))
    else:
        spec = _sentence_limits(spec, texts)
    if name not in RECIPES:
        return Limited(spec, 0.0)
    cut = sum(count_cut_words(t, report_words(t, spec), spec) > 0 for t in texts)
    return Limited(spec, cut / max(len(texts), 1))


def _sentence_limits(spec: TextSpec, texts: Sequence[str]) -> TextSpec:
    rows = [[len(s) for s in recipe(spec).split(t) if any(c.isalnum() for w in s for c in w)] for t in texts]
    rows = [row for row in rows if row]
    sentences = _covering([len(row) for row in rows], CUT / 2)
    words = _covering([max(row) for row in rows], CUT / 2)
    return replace(spec, max_sentences=min(sentences, MOST["max_sentences"]), max_words=min(words, MOST["max_words"]))


def _covering(numbers: Sequence[int], cut: float) -> int:
    """Return the least number that at most a share `cut` of the numbers exceeds, at least 1."""
    ranked = sorted(numbers, reverse=True)
    return max(ranked[int(cut * len(ranked))], 1) if ranked else 1


def rare_count(reports: int) -> int:
    """Return how often a word must occur in so many training reports to be a word of the model."""
    return 1 if reports < 500 else 2 if reports < 5000 else 3


def is_chinese(texts: Sequence[str]) -> bool:
    """Return whether most of the reports have Chinese characters."""
    return sum(any("\u4e00" <= c <= "\u9fff" for c in t) for t in texts) > len(texts) / 2


def text_values(spec: TextSpec) -> dict[str, Any]:
    """Return text settings as a plan has them: without those that are not set."""
    return {k: v for k, v in spec.to_json().items() if v is not None}
