"""`words`: a sentence is abnormal unless it has "no", "normal", "clear" or "stable".

Jing, Xie, Xing: On the Automatic Generation of Medical Imaging Reports, 2018, arXiv:1711.08195, §4.5.1 and Table 2.
Read as whole words in lower case: "abnormal", "nodule", "unstable" do not make a sentence normal. Nothing is learned.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from reportgen_core.sentences.classifiers import read_saved, saving
from reportgen_core.sentences.parts import LabelledSentence, OnLine, SentenceClassifier

NORMAL = re.compile(r"\b(?:no|normal|clear|stable)\b", re.IGNORECASE)


class WordRule(SentenceClassifier):
    """Classify sentences by the rule of words of the co-attention paper."""

    name: ClassVar[str] = "words"

    def fit(self, train: Sequence[LabelledSentence], watch: OnLine | None = None) -> Mapping[str, Any]:
        """Return {}: the rule does not learn."""
        return {}

    def probabilities(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """Return (n,): 1 for an abnormal sentence, 0 for a normal one."""
        return np.array([NORMAL.search(s) is None for s in sentences], np.float32)

    def save(self, folder: Path, *, about: Mapping[str, Any] | None = None) -> Path:
        """Save the name of the rule, and return the folder."""
        with saving(folder, self.name, {}, about):
            return folder

    @classmethod
    def load(cls, folder: Path) -> WordRule:
        """Return the rule, after checking that the folder has it. Raises CheckpointError."""
        read_saved(folder, cls.name)
        return cls()
