"""Protocols that clean both sides as a paper cleans its training text, by the text recipe of that name.

r2gen              Chen et al., Generating Radiology Reports via Memory-driven Transformer, EMNLP 2020, on IU X-Ray:
                   cleaned, cut to 59 words (their 60 hold the start mark), words seen under 3 times in training written
                   `<unk>` in the references; the full stop is a word, and nothing is tokenised afterwards
r2gen-mimic        the same on MIMIC-CXR: 99 words, 10 times
r2gen-untruncated  r2gen's cleaning alone
jing               Jing et al., On the Automatic Generation of Medical Imaging Reports, ACL 2018: lower case, only
                   words of letters
ditag              Park et al., Feature Difference Makes Sense, ACL 2020: words and <num>; `<unk>` only in what a model
                   wrote
densenet-lstm      Chinese words; a word seen under 3 times in training is written <nou>

A report is cut like a reference: R2Gen's own cannot be longer. Its `<unk>` stays; its other rare words are left alone,
so that a model gains nothing from a word it does not know.
"""

from __future__ import annotations

from collections.abc import Sequence

from reportgen_core import MetricError, TextProtocol
from reportgen_core.text.recipes import RECIPES
from reportgen_core.text.spec import TextSpec, build_vocabulary, report_words

_KEPT = "\ue000"  # stands for <unk> while the recipe drops its brackets


class Cleaned(TextProtocol):
    """A text recipe on both sides. It keeps every word of the training reports where `min_count` is 1.

    Args:
        recipe_name: text recipe that cleans both sides.
        sections: sections of the reference; none: those of the model, else the findings.
        min_count: a word that the training reports have less often is written <unk> in the references.
        max_words: words after which a text is cut; none: it is not cut.
        language: language of the texts, as "en": metrics of another language are left out.
    """

    version = "1"

    def __init__(
        self,
        *,
        recipe_name: str,
        sections: Sequence[str] = (),
        min_count: int = 1,
        max_words: int | None = None,
        language: str = "en",
    ) -> None:
        self.sections, self.language, self.min_count = tuple(sections), language, min_count
        self.learns = min_count > 1
        self.spec = TextSpec(recipe_name, min_count=min_count, max_length=max_words or 10**9)
        self.unknown = RECIPES[recipe_name].unknown
        self.known: frozenset[str] | None = None if self.learns else frozenset()

    def learn(self, training: Sequence[str]) -> None:
        if self.learns:
            self.known = frozenset(build_vocabulary(training, self.spec).words)

    def reports(self, texts: Sequence[str]) -> list[str]:
        return [" ".join(self._words(t)) for t in texts]

    def references(self, texts: Sequence[str]) -> list[str]:
        if self.known is None:
            raise MetricError(
                f"this protocol writes words seen under {self.min_count} times in training as {self.unknown} and must "
                "see the training reports: evaluate(..., training=texts), rg eval --training FILE or --data NAME"
            )
        if not self.known:
            return self.reports(texts)
        return [" ".join(w if w in self.known else self.unknown for w in self._words(t)) for t in texts]

    def _words(self, text: str) -> list[str]:
        recipe = RECIPES[self.spec.recipe]
        marked = text.replace(self.unknown, _KEPT) if recipe.flat else text
        if recipe.flat:
            return [w.replace(_KEPT, self.unknown) for w in report_words(marked, self.spec)]
        words = [w for sentence in recipe.split(text) for w in sentence if any(c.isalnum() for c in w)]
        return words[: self.spec.max_length]
