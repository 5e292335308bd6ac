"""Keep a picture as a drawing, which becomes pixels of any density, or a file as PNG or SVG.

matplotlib draws, without pyplot and without a display. A file has no time stamp: the same drawing gives the same bytes.
"""

from __future__ import annotations

import io
import math
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from reportgen_core.files.atomic import atomic_write
from reportgen_core.text.printable import printable

from .origin import Origin

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 640  # pixels of the longer side of a radiograph at the usual density
LONGEST = 4.8  # inches: the longer side of the largest radiograph in a picture
SVG_DPI = 300  # of the radiographs inside an SVG


@dataclass(frozen=True, slots=True)
class PictureForm:
    """How pictures are written: "png" or "svg", and the dots per inch; 0 is the usual density of each picture."""

    kind: str = "png"
    dpi: int = 0

    @property
    def density(self) -> int:
        """Dots per inch of the radiographs in a picture; 0: the usual density."""
        return self.dpi or (SVG_DPI if self.kind == "svg" else 0)

    @property
    def side(self) -> int:
        """Pixels of the longer side of a radiograph that has enough of them for every picture."""
        return max(SIDE, math.ceil(LONGEST * self.density))


PNG = PictureForm()


def write_foot(figure: Any, origin: Origin | None) -> dict[str, str]:
    """Write where a picture comes from under a figure with the layout "constrained". Return the same for its file."""
    if origin is None:
        return {}
    wide, tall = figure.get_size_inches()
    lines = textwrap.wrap(printable(origin.text()), max(30, round(19 * wide)))
    share = (0.11 * len(lines) + 0.08) / tall
    figure.get_layout_engine().set(rect=(0, share, 1, 1 - share))
    figure.text(0.01, 0.04 / tall, "\n".join(lines), fontsize=6.5, color="0.3", va="bottom", linespacing=1.2)
    return {"Description": origin.text()}


class Drawing:
    """A picture that matplotlib has laid out, and its usual density in dots per inch."""

    def __init__(self, figure: Figure, dpi: int) -> None:
        self.figure, self.dpi = figure, dpi

    def image(self, dpi: int = 0) -> Image.Image:
        """Return the picture as pixels."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        self.figure.set_dpi(dpi or self.dpi)
        canvas: Any = FigureCanvasAgg(self.figure)  # matplotlib's methods have no types
        canvas.draw()
        return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")

    def save(self, path: Path, origin: Origin, form: PictureForm = PNG) -> None:
        """Write the picture with its origin as a text inside the file; the suffix of `path` chooses PNG or SVG."""
        out = io.BytesIO()
        if path.suffix == ".svg":
            from matplotlib import rc_context

            facts = {"Date": None, "Creator": None, "Description": origin.text()}
            with rc_context({"svg.hashsalt": "reportgen"}):
                self.figure.savefig(out, format="svg", dpi=form.density or self.dpi, metadata=facts)
        else:
            info, dpi = PngInfo(), form.density or self.dpi
            info.add_itxt("Description", origin.text())
            self.image(dpi).save(out, "png", pnginfo=info, dpi=(dpi, dpi))
        atomic_write(path, out.getvalue())
