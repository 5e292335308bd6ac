"""Measure what an encoder of 8 bits changes: the findings that the reports state, and their words."""

from __future__ import annotations

import runpy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reportgen_core import DataError

from ..batch_files import counted
from ..labelers import labeler_of

LABELER, SCHEME = "chexpert-rules", "chexpert14"
NOTHING = "No Finding"  # the label of a report without any
BATCH = 32


@dataclass(frozen=True, slots=True)
class EightBitCost:
    """How many images get other findings and other words by 8 bits than by float32."""

    images: int
    with_findings: int  # images of which either report states a finding, or doubts one
    other_findings: int
    other_words: int

    @property
    def percent(self) -> float:
        """The percent of the images that get other findings."""
        return 100 * self.other_findings / self.images

    def line(self) -> str:
        """Return the cost as a line."""
        if not self.with_findings:
            return (
                f"8 bits change the words of {self.other_words} of {counted(self.images, 'image')}; "
                f"{LABELER} reads no finding in these reports, so that it cannot tell what that means"
            )
        return (
            f"8 bits change the findings of {self.other_findings} of {counted(self.images, 'image')} "
            f"({self.percent:.0f} %), and the words of {self.other_words}"
        )

    def check(self, most: float) -> None:
        """Raise DataError if more than `most` percent of the images get other findings."""
        if self.percent > most:
            raise DataError(
                f"{self.line()}; {most:g} % are allowed: calibrate on more images like those that the model will "
                "read, or allow more with --max-changed"
            )


def cost_of(exact: Sequence[str], small: Sequence[str]) -> EightBitCost:
    """Return the cost of 8 bits, by the reports of the same images in float32 and in 8 bits."""
    labeler = labeler_of(LABELER, SCHEME)

    def stated(text: str) -> dict[str, int]:
        """Return the findings that are present or possible: one that is denied is as one that is not mentioned."""
        values = {name: mentions[0].value for name, mentions in labeler.explain(text).items()}
        return {name: value for name, value in values.items() if value != 0 and name != NOTHING}

    pairs = [(stated(a), stated(b)) for a, b in zip(exact, small, strict=True)]
    return EightBitCost(
        images=len(pairs),
        with_findings=sum(bool(a or b) for a, b in pairs),
        other_findings=sum(a != b for a, b in pairs),
        other_words=sum(a != b for a, b in zip(exact, small, strict=True)),
    )


def texts_of(folder: Path, images: Sequence[NDArray[np.float32]]) -> list[str]:
    """Return the reports that the script of an exported folder writes for images (H, W), 0..255."""
    script: dict[str, Any] = runpy.run_path(str(folder / "run.py"))
    files = script["graphs"]()
    written = (
        report
        for at in range(0, len(images), BATCH)
        for report in script["write"](*files, np.stack(images[at : at + BATCH]))
    )
    return [script["text"](report) for report in written]
