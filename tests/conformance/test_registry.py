"""Every registered encoder, decoder and retriever keeps the conformance checks, at its tiny size."""

from __future__ import annotations

import pytest

from reportgen_core.registries import decoders, encoders, retrievers
from reportgen_core.testing.parts import check_decoder, check_encoder, check_retriever

PATTERNS = {
    "timm/*": "timm/test_resnet",
    "vit/*": "vit/test_vit",
    "xrv/*": "xrv/densenet121-res224-all",
    "transformers/*": "transformers/gpt2",
}
SMALL = {"transformers/*": {"config": {"n_layer": 2, "n_head": 2, "n_embd": 16}}}  # a family has no tiny size


@pytest.mark.parametrize("name", sorted(encoders))
def test_encoder_conforms(name, tmp_path):
    check_encoder(PATTERNS.get(name, name), tmp_path)


@pytest.mark.parametrize("name", sorted(decoders))
def test_decoder_conforms(name, tmp_path):
    check_decoder(PATTERNS.get(name, name), tmp_path, SMALL.get(name))


@pytest.mark.parametrize("name", sorted(retrievers))
def test_retriever_conforms(name, tmp_path):
    check_retriever(name, tmp_path)
