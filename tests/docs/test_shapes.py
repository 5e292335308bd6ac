"""The page of shapes names every tensor of the types, and its letters hold for a model."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import torch

from reportgen_core import GenerationSettings, types
from reportgen_core.testing import sample_batch, tiny_model

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "shapes.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+)\.(\w+)` \| \(([^)]*)\) \| ([^|]+) \|", PAGE, re.MULTILINE)
KINDS = {"float": torch.float32, "bool": torch.bool, "int64": torch.int64, "uint8": torch.uint8}


def test_every_tensor_of_a_type_is_on_the_page_and_nothing_else_is() -> None:
    classes = [c for c in vars(types).values() if is_dataclass(c)]
    tensors = {(c.__name__, f.name) for c in classes for f in fields(c) if re.match(r"Tensor\b", str(f.type))}
    assert {(kind, name) for kind, name, _, _ in ROWS} == tensors


def test_the_letters_of_the_page_hold_for_a_model() -> None:
    model = tiny_model()
    batch = sample_batch(model)
    model.eval()
    with torch.inference_mode():
        features, decoded = model.encode(batch), model(batch)
        generated = model.decoder.generate(features, GenerationSettings())[0]
    given = {"Batch": batch, "Features": features, "Targets": batch.targets, "Decoded": decoded, "Generated": generated}
    given["Attention"] = generated.candidates[0].attention
    spec = model.encoder
    sizes = {
        "B": 3, "N": spec.features.tokens, "D": spec.features.dim, "P": spec.features.pooled, "H": spec.image.height,
        "K": len(model.tags), "L": len(model.findings), "S": 3, "M": 2,
    }  # fmt: skip
    checked = 0
    for kind, name, letters, dtype in ROWS:
        value = getattr(given.get(kind), name, None)
        if value is None:
            continue
        shape = [s for s in letters.replace(" ", "").split(",") if s]
        assert value.ndim == len(shape), (kind, name)
        assert all(sizes.get(letter, size) == size for letter, size in zip(shape, value.shape, strict=True)), (
            kind,
            name,
        )
        assert value.dtype == KINDS[re.match(r"\w+", dtype)[0]], (kind, name)
        checked += 1
    assert checked >= 13
