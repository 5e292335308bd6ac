"""The model that reports are written with where none is named, and a radiograph to try it on, both inside reportgen."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

MODEL = (
    "tf_efficientnet_lite0-hier-lstm.nih_v1"  # of those that ship inside, the one that learned from real radiographs
)
CREDIT = "Hannover Medical School, COVID-19 Image Repository, image f8335316, CC BY 3.0"


def image() -> Path:
    """The file of a real chest radiograph."""
    return Path(str(resources.files("reportgen_zoo") / "images" / "chest.jpg"))
