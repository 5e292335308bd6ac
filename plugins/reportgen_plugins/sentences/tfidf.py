"""`tfidf`: classify sentences as normal or abnormal by logistic regression on TF-IDF of words and word pairs.

This is the simple method with which the others are compared. It learns thousands of sentences in a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from reportgen_core import CheckpointError, DataError, OptionError
from reportgen_core.sentences.classifiers import read_saved, saving
from reportgen_core.sentences.parts import LabelledSentence, OnLine, SentenceClassifier, sentence_key

Floats = NDArray[np.float32]
WEIGHTS = "tfidf.safetensors"


class TfidfClassifier(SentenceClassifier):
    """Classify sentences by logistic regression on TF-IDF.

    Args:
        ngrams: largest number of words of one feature.
        c: inverse strength of the L2 penalty.
    """

    name: ClassVar[str] = "tfidf"

    def __init__(self, *, ngrams: int = 2, c: float = 1.0) -> None:
        if ngrams < 1 or c <= 0:
            raise OptionError(f"tfidf wants ngrams of at least 1 and c above 0, got {ngrams} and {c}")
        self.ngrams, self.c = ngrams, c
        self._words: list[str] = []
        self._numbers: dict[str, NDArray[np.float64]] = {}

    def fit(self, train: Sequence[LabelledSentence], watch: OnLine | None = None) -> Mapping[str, Any]:
        """Fit the model, and return its number of features. Raises DataError for sentences of one class."""
        from sklearn.linear_model import LogisticRegression

        if len({s.abnormal for s in train}) < 2:
            raise DataError(f"{len(train)} sentences to learn from, all of one class; normal and abnormal are wanted")
        vectorizer = self._vectorizer()
        vectors = vectorizer.fit_transform([sentence_key(s.text) for s in train])
        model = LogisticRegression(C=self.c, max_iter=1000).fit(vectors, [s.abnormal for s in train])
        self._words = list(vectorizer.get_feature_names_out())
        self._numbers = {"idf": vectorizer.idf_, "coefficients": model.coef_[0], "intercept": model.intercept_}
        return {"features": len(self._words)}

    def _vectorizer(self, words: Sequence[str] | None = None) -> Any:
        """Build scikit-learn's vectorizer, with a fixed vocabulary if `words` are given."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        vocabulary = None if words is None else {w: i for i, w in enumerate(words)}
        return TfidfVectorizer(ngram_range=(1, self.ngrams), vocabulary=vocabulary)

    def probabilities(self, sentences: Sequence[str]) -> Floats:
        """Return the probability (n,) of abnormal of each sentence. Raises OptionError before training."""
        if not self._words:
            raise OptionError("this classifier has learned nothing; fit it, or load a folder")
        if not sentences:
            return np.zeros(0, np.float32)
        vectorizer = self._vectorizer(self._words)
        vectorizer.idf_ = self._numbers["idf"]
        scores = vectorizer.transform([sentence_key(s) for s in sentences]) @ self._numbers["coefficients"]
        probabilities: Floats = (1 / (1 + np.exp(-scores - self._numbers["intercept"]))).astype(np.float32)
        return probabilities

    def save(self, folder: Path, *, about: Mapping[str, Any] | None = None) -> Path:
        """Save words and numbers, and return the folder."""
        from safetensors.numpy import save_file

        settings = {"ngrams": self.ngrams, "c": self.c, "words": self._words}
        with saving(folder, self.name, settings, about) as temporary:
            save_file({k: np.ascontiguousarray(v) for k, v in self._numbers.items()}, temporary / WEIGHTS)
        return folder

    @classmethod
    def load(cls, folder: Path) -> TfidfClassifier:
        """Load a saved classifier. Raises CheckpointError if its files do not fit together."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        settings = read_saved(folder, cls.name)
        try:
            classifier = cls(ngrams=int(settings["ngrams"]), c=float(settings["c"]))
            classifier._words = [str(w) for w in settings["words"]]
            classifier._numbers = load_file(folder / WEIGHTS)
            sizes = {k: classifier._numbers[k].shape for k in ("idf", "coefficients", "intercept")}
        except (OSError, KeyError, TypeError, ValueError, SafetensorError) as e:
            raise CheckpointError(f"{folder} cannot be read as a tfidf classifier: {e}") from e
        wanted = (len(classifier._words),)
        if sizes != {"idf": wanted, "coefficients": wanted, "intercept": (1,)}:
            raise CheckpointError(f"{folder}: {WEIGHTS} holds {sizes}, its words are {wanted[0]}")
        return classifier
