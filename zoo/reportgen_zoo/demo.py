"""The default model of `rg report`, and a radiograph to try it on. Both ship inside reportgen."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

MODEL = "tf_efficientnet_lite2-templates.nih_v2"  # the shipped model that was trained on real radiographs
CREDIT = "Hannover Medical School, COVID-19 Image Repository, image f8335316, CC BY 3.0"


def image() -> Path:
    """Return the file of a real chest radiograph."""
    return Path(str(resources.files("reportgen_zoo") / "images" / "chest.jpg"))


def trust() -> tuple[str, str]:
    """Return two sentences on how far to trust the model that ships, with the figures of its record."""
    from .pull.catalogue import record

    scores = next(scores for scores in record(MODEL).scores if "precision" in scores.values)
    right, stated = (f"{scores.values[name]:.0%}" for name in ("precision", "recall"))
    return (
        f"How far to trust it, on {scores.data}: of the findings that it stated, {right} were in the labels; of the "
        f"findings in the labels, it stated {stated}.",
        "A finding that the report does not name may be there all the same. For research, not a medical device.",
    )
