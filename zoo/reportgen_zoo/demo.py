"""The radiograph that comes with reportgen, for `rg demo` and for trying things out."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

CREDIT = "Hannover Medical School, COVID-19 Image Repository, image f8335316, CC BY 3.0"


def image() -> Path:
    """The file of a real chest radiograph."""
    return Path(str(resources.files("reportgen_zoo") / "images" / "chest.jpg"))
