"""Word vectors from word2vec's own formats, written here as the formats say."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import torch

from reportgen_core import FeatureSpec, OptionError, TargetSpec
from reportgen_core.registries import decoders
from reportgen_core.text.spec import SPECIAL

WORDS = (*SPECIAL, "heart", "lung", "unseen")
VECTORS = {"heart": [1.0, 2.0, 3.0], "Lung": [-1.0, 0.5, 0.25], "other": [9.0, 9.0, 9.0]}


def text(path, head=True):
    lines = ["3 3"] * head + [f"{w} {' '.join(map(str, v))}" for w, v in VECTORS.items()]
    path.write_text("\n".join(lines) + "\n")


def binary(path):
    rows = b"".join(w.encode() + b" " + struct.pack("<3f", *v) + b"\n" for w, v in VECTORS.items())
    path.write_bytes(b"3 3\n" + rows)


def npz(path):
    np.savez(path, words=np.array(list(VECTORS)), vectors=np.array(list(VECTORS.values()), np.float16))


WRITERS = {"a.txt": text, "b.vec": lambda p: text(p, head=False), "c.bin": binary, "d.npz": npz}


def make(**options):
    targets = TargetSpec(WORDS, findings=("Effusion",))
    return decoders.create("tienet", FeatureSpec(1, 1, count=0), targets, hidden=4, attention_units=4, **options)


@pytest.mark.parametrize("name", WRITERS)
def test_words_of_the_file_start_with_their_vectors_and_the_others_at_random(name, tmp_path):
    WRITERS[name](tmp_path / name)
    weight = make(embedding=3, vectors=str(tmp_path / name)).embedding.weight
    torch.testing.assert_close(weight[4], torch.tensor([1.0, 2.0, 3.0]))
    torch.testing.assert_close(weight[5], torch.tensor([-1.0, 0.5, 0.25]))
    assert weight[6].abs().min() > 0 and weight.requires_grad


def test_a_checkpoint_brings_its_own_weights_and_does_not_read_the_file(tmp_path):
    with torch.device("meta"):
        assert make(embedding=3, vectors=str(tmp_path / "gone.txt")).embedding.weight.is_meta


def test_another_width_says_which_option_to_set(tmp_path):
    text(tmp_path / "a.txt")
    with pytest.raises(OptionError, match=r"vectors of 3, the embedding 200; set embedding=3"):
        make(vectors=str(tmp_path / "a.txt"))


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a.txt", b"heart one two\n"), ("a.bin", b"heart\n"), ("a.bin", b"1 3\nheart \0\0"),
        ("a.bin", b"1 3\n" + b"x" * 5000), ("a.bin", b"9 99999999\n"), ("a.npz", b"PK no zip"),
    ],
)  # fmt: skip
def test_a_file_of_something_else_is_named(name, body, tmp_path):
    (tmp_path / name).write_bytes(body)
    with pytest.raises(OptionError, match=f"{name} is no file of word vectors"):
        make(embedding=3, vectors=str(tmp_path / name))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(OptionError, match=r"gone\.txt cannot be read: No such file"):
        make(embedding=3, vectors=str(tmp_path / "gone.txt"))
