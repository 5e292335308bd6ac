"""Every registered sentence encoder and classifier keeps its interface."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from reportgen_plugins.sentences import pretrained

from reportgen_core.registries import sentence_classifiers, sentence_encoders
from reportgen_core.testing.sentences import SENTENCES, check_sentence_classifier, check_sentence_encoder


@pytest.fixture
def needs(tiny_bert: Path, tmp_path: Path) -> dict[str, dict]:
    """What each part wants that has no default here."""
    words = sorted({w for s in SENTENCES for w in s.split()})[2:]  # two words are unknown
    np.savez(tmp_path / "v.npz", words=np.array(words), vectors=np.random.default_rng(0).normal(size=(len(words), 5)))
    model = {"model": str(tiny_bert), "device": "cpu"}
    return {"minilm": model, "word-vectors": {"file": str(tmp_path / "v.npz")}, "bert": model | {"epochs": 1}}


@pytest.mark.parametrize("name", sorted(sentence_encoders))
def test_sentence_encoder_conforms(name: str, needs: dict[str, dict]) -> None:
    check_sentence_encoder(sentence_encoders.create(name, **needs.get(name, {})))


@pytest.mark.parametrize("name", sorted(sentence_classifiers))
def test_sentence_classifier_conforms(name: str, needs: dict[str, dict], tmp_path: Path) -> None:
    check_sentence_classifier(sentence_classifiers.create(name, **needs.get(name, {})), tmp_path)


def test_the_device_decides_how_many_sentences_are_read_at_once() -> None:
    assert [pretrained.batch_size(torch.device(name)) for name in ("cpu", "cuda:1", "mps")] == [32, 128, 128]


def test_vectors_do_not_depend_on_how_many_sentences_are_read_at_once(
    needs: dict[str, dict], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = sentence_encoders.create("minilm", **needs["minilm"])
    words = " ".join(SENTENCES).split()
    sentences = [" ".join(words[i % 7 : i % 7 + 1 + i % 11]) for i in range(150)]
    vectors = encoder.encode(sentences)
    monkeypatch.setattr(pretrained, "CPU_BATCH", pretrained.BATCH)
    # float32 sums run in another order in another batch
    np.testing.assert_allclose(encoder.encode(sentences), vectors, atol=2e-6)
