"""Draw calibration: the share of findings that are present, for each predicted probability."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence

from reportgen_core.text.printable import printable

from ..terminal.echo import literal_text
from .shared.drawing import write_foot
from .shared.origin import Origin

BLUE, GREY = "#15529b", "#4c5866"
MAX_LINE = 58  # characters of a line above the curve
Z = 1.96  # standard deviations of a 95 % interval
Points = Sequence[tuple[float, float, int]]  # (probability 0..1, share present 0..1, number of cases) of each bin


@literal_text()
def reliability_svg(
    name: str,
    points: Points,
    title: str = "",
    kind: str = "svg",
    dpi: int = 300,
    *,
    error: tuple[float, str] | None = None,
    origin: Origin | None = None,
) -> bytes:
    """Return the curve over the diagonal as svg or png, with counts, calibration error, intervals and its origin.

    `error` is the calibration error with its interval as text; without it, that of the points is computed.
    The area of a dot shows its number of cases, its bar the 95 % interval of the share (Wilson, 1927). There is no time
    stamp: the same points give the same bytes.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "reportgen", "font.size": 9}):
        figure = Figure(figsize=(4.8, 5.2), layout="constrained", facecolor="white")
        axes = figure.subplots()
        most, total = max((n for _, _, n in points), default=1), sum(n for _, _, n in points)
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="perfect")
        x, y = [p for p, _, _ in points], [share for _, share, _ in points]
        ends = [wilson(share, n) for _, share, n in points]
        below, above = (
            [s - low for s, (low, _) in zip(y, ends, strict=True)],
            [h - s for s, (_, h) in zip(y, ends, strict=True)],
        )
        axes.errorbar(x, y, yerr=[below, above], color=BLUE, linewidth=1.2, elinewidth=0.9, capsize=2)
        axes.scatter(
            x, y, s=[12 + 150 * n / most for _, _, n in points], color=BLUE, label=printable(name, 60), zorder=3
        )
        axes.set(xlabel="predicted probability", ylabel="share that is present", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.set_aspect("equal")
        axes.legend(loc="upper left", frameon=False)
        value, interval = error or (calibration_error(points), "")
        ece = f"ECE {value:.3f}" + (f" ({interval})" if interval else "")
        words = f"n = {total:,} predictions, {ece}, bars: 95 % intervals"
        lines = [part for long in (printable(title, 80), words) for part in textwrap.wrap(long, MAX_LINE)]
        figure.suptitle("\n".join(lines), fontsize=9, x=0.02, ha="left")
        facts = write_foot(figure, origin)
        out, unset = io.BytesIO(), {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(out, format=kind, dpi=dpi, metadata={**unset, **facts})
    return out.getvalue()


def calibration_error(points: Points) -> float:
    """Return the expected calibration error: the mean distance of share and probability, weighted by cases; 0..1.

    Naeini, Cooper, Hauskrecht: Obtaining Well Calibrated Probabilities Using Bayesian Binning, AAAI 2015.
    """
    total = sum(n for _, _, n in points)
    return sum(n * abs(share - p) for p, share, n in points) / total if total else 0.0


def wilson(share: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of n cases by Wilson's score."""
    centre, wide = share + Z * Z / (2 * n), Z * (share * (1 - share) / n + Z * Z / (4 * n * n)) ** 0.5
    return max(0.0, (centre - wide) / (1 + Z * Z / n)), min(1.0, (centre + wide) / (1 + Z * Z / n))
