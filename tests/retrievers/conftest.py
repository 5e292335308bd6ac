"""A sentence encoder from a file of word vectors, so that no test reads a transformer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

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
