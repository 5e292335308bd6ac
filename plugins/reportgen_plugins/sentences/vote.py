"""`vote`: classify sentences as normal or abnormal by the mean probability of several classifiers.

A transformer and a linear model on word pairs are wrong on different sentences. The first has seen words that the
training reports lack; the second is certain of the pairs in them. These two are the default. All classifiers have the
same weight, and no other parameters are fitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from reportgen_core import CheckpointError, OptionError
from reportgen_core.registries import sentence_classifiers
from reportgen_core.sentences.classifiers import read_saved, saving
from reportgen_core.sentences.parts import LabelledSentence, OnLine, SentenceClassifier

Floats = NDArray[np.float32]


class VoteClassifier(SentenceClassifier):
    """Classify sentences by the mean of several classifiers.

    Args:
        of: names of the classifiers, joined by commas.
        options: options of each classifier by its name, for example {"bert": {"epochs": 3}}.
    """

    name: ClassVar[str] = "vote"

    def __init__(self, *, of: str = "bert,tfidf", options: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        names = [n.strip() for n in of.split(",") if n.strip()]
        if len(names) < 2 or len(set(names)) < len(names) or self.name in names:
            raise OptionError(f"vote wants the names of two classifiers or more, others than itself, got {of!r}")
        options = dict(options or {})
        if unknown := set(options) - set(names):
            raise OptionError(f"options of {sorted(unknown)[0]!r}, which does not vote: {of}")
        self.members = {n: sentence_classifiers.create(n, **options.get(n, {})) for n in names}

    def fit(self, train: Sequence[LabelledSentence], watch: OnLine | None = None) -> Mapping[str, Any]:
        """Fit every classifier, and return the result of each by its name."""
        return {name: dict(member.fit(train, watch)) for name, member in self.members.items()}

    def probabilities(self, sentences: Sequence[str]) -> Floats:
        """Return the probability (n,) of abnormal of each sentence, the mean over the classifiers."""
        mean: Floats = np.mean([m.probabilities(sentences) for m in self.members.values()], 0, dtype=np.float32)
        return mean

    def save(self, folder: Path, *, about: Mapping[str, Any] | None = None) -> Path:
        """Save each classifier in a subfolder of its name, and return the folder."""
        with saving(folder, self.name, {"of": list(self.members)}, about) as temporary:
            for name, member in self.members.items():
                member.save(temporary / name)
        return folder

    @classmethod
    def load(cls, folder: Path) -> VoteClassifier:
        """Load a saved vote. Raises CheckpointError if it does not name known classifiers."""
        names = read_saved(folder, cls.name).get("of")
        if not isinstance(names, list) or not all(isinstance(n, str) and n in sentence_classifiers for n in names):
            raise CheckpointError(f"{folder} names no classifiers that vote: {str(names)[:80]}")
        vote = cls(of=",".join(names))
        vote.members = {name: sentence_classifiers.get_class(name).load(folder / name) for name in vote.members}
        return vote
