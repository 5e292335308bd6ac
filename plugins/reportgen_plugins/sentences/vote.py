"""`vote`: several classifiers say whether a sentence is abnormal, and the mean of their probabilities counts.

A transformer and a linear model on word pairs err on other sentences: one knows words that the training reports lack,
the other is sure of the pairs that they have. By default these two; none has a larger say, and nothing is fitted beside
them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from reportgen_core import CheckpointError, OptionError
from reportgen_core.registries import sentence_classifiers
from reportgen_core.sentence_parts import LabelledSentence, OnLine, SentenceClassifier
from reportgen_core.sentences.classifiers import read_saved, saving

Floats = NDArray[np.float32]


class VoteClassifier(SentenceClassifier):
    """Mean of several classifiers.

    Args:
        of: their names, joined by commas.
        options: of each by its name, as {"bert": {"epochs": 3}}.
    """

    name: ClassVar[str] = "vote"

    def __init__(self, *, of: str = "bert,tfidf", options: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        names = [n.strip() for n in of.split(",") if n.strip()]
        if len(names) < 2 or len(set(names)) < len(names) or self.name in names:
            raise OptionError(f"vote wants the names of two classifiers or more, others than itself, got {of!r}")
        given = dict(options or {})
        if unknown := set(given) - set(names):
            raise OptionError(f"options of {sorted(unknown)[0]!r}, which does not vote: {of}")
        self.members = {n: sentence_classifiers.create(n, **given.get(n, {})) for n in names}

    def fit(self, train: Sequence[LabelledSentence], watch: OnLine | None = None) -> Mapping[str, Any]:
        return {name: dict(member.fit(train, watch)) for name, member in self.members.items()}

    def probabilities(self, sentences: Sequence[str]) -> Floats:
        found: Floats = np.mean([m.probabilities(sentences) for m in self.members.values()], 0, dtype=np.float32)
        return found

    def save(self, folder: Path, *, about: Mapping[str, Any] | None = None) -> Path:
        with saving(folder, self.name, {"of": list(self.members)}, about) as beside:
            for name, member in self.members.items():
                member.save(beside / name)
        return folder

    @classmethod
    def load(cls, folder: Path) -> VoteClassifier:
        names = read_saved(folder, cls.name).get("of")
        if not isinstance(names, list) or not all(isinstance(n, str) and n in sentence_classifiers for n in names):
            raise CheckpointError(f"{folder} names no classifiers that vote: {str(names)[:80]}")
        made = cls(of=",".join(names))
        made.members = {name: sentence_classifiers.get_class(name).load(folder / name) for name in made.members}
        return made
