"""The default model of `rg report`, and a radiograph to try it on. Both ship inside reportgen."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

MODEL = "tf_efficientnet_lite0-hier-lstm.nih_v1"  # the shipped model that was trained on real radiographs
CREDIT = "Hannover Medical School, COVID-19 Image Repository, image f8335316, CC BY 3.0"


def image() -> Path:
    """Return the file of a real chest radiograph."""
    return Path(str(resources.files("reportgen_zoo") / "images" / "chest.jpg"))
