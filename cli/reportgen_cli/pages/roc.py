"""Draw ROC curves as one picture: a panel for each finding, with its band, its area and the interval of the area."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

from reportgen_core.text.printable import printable

from ..terminal.echo import literal_text
from .shared.drawing import write_foot
from .shared.origin import Origin

if TYPE_CHECKING:
    from reportgen_core.annotation.roc import Curve, FindingCurves

COLUMNS = 5
SIZE = 2.3  # inches of a panel
BLUE, GREY = "#15529b", "#4c5866"


@literal_text()
def roc_picture(
    scores: FindingCurves, title: str = "", kind: str = "svg", dpi: int = 300, *, origin: Origin | None = None
) -> bytes:
    """Return the picture as svg or png, with its origin below. It has no time stamp: equal curves give equal bytes."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    columns = min(COLUMNS, max(len(scores.curves), 1))
    rows = math.ceil(len(scores.curves) / columns)
    with rc_context({"svg.hashsalt": "reportgen", "font.size": 8}):
        figure = Figure(figsize=(columns * SIZE, rows * (SIZE + 0.25) + 0.6), layout="constrained", facecolor="white")
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for axes, curve in zip(panels.flat, scores.curves, strict=False):
            _panel(axes, curve)
        for axes in panels.flat[len(scores.curves) :]:
            axes.set_axis_off()
        figure.suptitle("\n".join(_heading(scores, title)), fontsize=9, x=0.01, ha="left")
        for axes in panels[-1]:  # not one label of the figure: that would lie on the origin below
            axes.set_xlabel("false positive rate", fontsize=8)
        figure.supylabel("true positive rate", fontsize=8)
        facts = write_foot(figure, origin)
        out, unset = io.BytesIO(), {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(out, format=kind, dpi=dpi, metadata={**unset, **facts})
    return out.getvalue()


def _panel(axes: Any, curve: Curve) -> None:
    """Draw the panel of one finding; only its counts if it has no area."""
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    axes.set_aspect("equal")
    axes.plot([0, 1], [0, 1], color="0.8", linewidth=0.8)
    axes.set_title(printable(curve.name, 60), fontsize=8, loc="left", pad=3)
    count = f"{curve.positives} of {curve.positives + curve.negatives}"
    if curve.area is None:
        lacks = "no positive" if not curve.positives else "no negative"
        axes.text(0.5, 0.5, f"{lacks} ({count}):\nleft out of the means", ha="center", va="center", color=GREY)
        return
    if curve.band and min(curve.positives, curve.negatives) > 1:  # one case cannot say how far the curve may move
        x, low, high = zip(*curve.band, strict=True)
        axes.fill_between(x, low, high, color=BLUE, alpha=0.18, linewidth=0)
    axes.plot(*zip(*curve.points, strict=True), color=BLUE, linewidth=1.2)
    known = curve.low is not None and curve.high is not None and min(curve.positives, curve.negatives) > 1
    ends = f" ({curve.low:.3f}–{curve.high:.3f})" if known else ""
    axes.set_title(f"{printable(curve.name, 60)}\nAUC {curve.area:.3f}{ends}, {count}", fontsize=7, loc="left", pad=3)


def _heading(scores: FindingCurves, title: str) -> list[str]:
    """Return the lines above the panels: the title and the mean areas."""
    lines = [title] if title else []
    for name, label in (("findings mean auc", "mean AUC"), ("findings weighted-mean auc", "weighted by positives")):
        for line in scores.lines:
            if line.name == name:
                ends = "" if line.low is None else f" ({line.low:.3f}–{line.high:.3f})"
                lines.append(f"{label} {line.value:.3f}{ends}")
    return [*lines[:1], ", ".join(lines[1:])] if title else [", ".join(lines)]
