"""The conformance kit for parts that work on sentences: tests for every sentence encoder and classifier.

Each check raises AssertionError with a sentence. A third party's test builds the part and passes it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..sentences.classifiers import load_classifier
from ..sentences.parts import LabelledSentence, SentenceClassifier, SentenceEncoder

SENTENCES = ("there is opacity in the left lung", "no effusion", "a large nodule is seen again", "the heart is normal")


def check_sentence_encoder(encoder: SentenceEncoder) -> None:
    """Check a sentence encoder: shapes, lengths of vectors, a sentence alone as in a list, its fingerprint."""
    vectors = encoder.encode(SENTENCES)
    assert vectors.shape == (len(SENTENCES), encoder.dim), f"wants ({len(SENTENCES)}, dim), gave {vectors.shape}"
    assert vectors.dtype == np.float32, f"vectors are float32, not {vectors.dtype}"
    lengths = np.linalg.norm(vectors, axis=1)
    assert all(abs(n - 1) < 1e-4 or n == 0 for n in lengths), f"vectors have length 1 or are zeros: {lengths}"
    alone = np.concatenate([encoder.encode([s]) for s in SENTENCES])
    assert np.allclose(alone, vectors, atol=1e-5), "a sentence alone gets another vector than in a list"
    assert encoder.encode([]).shape == (0, encoder.dim), "no sentence gives (0, dim)"
    assert len({encoder.fingerprint, encoder.fingerprint}) == 1, "the fingerprint changes by itself"


def check_sentence_classifier(classifier: SentenceClassifier, tmp_path: Path) -> None:
    """Check a sentence classifier: it learns, gives probabilities, and gives the same after save and load."""
    classifier.fit([LabelledSentence(s, i % 2 == 0, str(i % 4)) for i, s in enumerate(SENTENCES * 4)])
    probabilities = classifier.probabilities(SENTENCES)
    assert probabilities.shape == (len(SENTENCES),), f"wants ({len(SENTENCES)},), gave {probabilities.shape}"
    assert all(0 <= p <= 1 for p in probabilities), f"no probabilities: {probabilities}"
    assert len(classifier.probabilities([])) == 0, "no sentence gives no probability"
    folder = classifier.save(tmp_path / "classifier")
    pickled = [p.name for p in folder.rglob("*") if p.suffix in (".bin", ".pt", ".pth", ".pkl", ".joblib")]
    assert not pickled, f"a saved classifier holds {pickled}; weights are kept as safetensors"
    assert np.allclose(load_classifier(folder).probabilities(SENTENCES), probabilities, atol=1e-5), (
        "the loaded classifier gives other probabilities"
    )
