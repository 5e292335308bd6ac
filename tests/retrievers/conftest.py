"""A sentence encoder from a file of word vectors, so that no test reads a transformer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from reportgen_plugins.retrievers.conditional import Conditional, Regions

from reportgen_core import Features

WORDS = [
    "heart",
    "large",
    "the",
    "is",
    "normal",
    "there",
    "a",
    "right",
    "left",
    "effusion",
    "nodule",
    "small",
    "lung",
    "opacity",
    "clear",
    "lungs",
    "are",
    "no",
    "in",
    "basal",
    "pleural",
    "enlarged",
    "silhouette",
    "cardiac",
    "granuloma",
    "calcified",
    "scar",
] + [f"word{i}" for i in range(20)]


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Options of a retriever that reads sentences by vectors of 12 numbers."""
    path: Path = tmp_path_factory.mktemp("vectors") / "words.txt"
    draw = np.random.default_rng(0)
    path.write_text("".join(f"{w} {' '.join(f'{x:.4f}' for x in draw.normal(size=12))}\n" for w in WORDS))
    return {
        "joint": 16,
        "units": 8,
        "sentence_encoder": "word-vectors",
        "sentence_options": {"file": str(path)},
    }


@pytest.fixture
def query() -> tuple[Conditional, Regions]:
    """A conditional score in a space of 16, and the regions of three studies, one of which has one view."""
    torch.manual_seed(0)
    module = Conditional(8, 5, joint=16, units=4, form="tanh", views=2)
    mask = torch.ones(3, 18, dtype=torch.bool)
    mask[1, 9:] = False
    with torch.no_grad():
        return module, module.regions(Features(torch.randn(3, 18, 8), torch.zeros(3, 8), mask))
