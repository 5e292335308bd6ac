"""Draw calibration: the share of findings that are present, for each predicted probability."""

from __future__ import annotations

import io
from collections.abc import Sequence

from ..terminal.echo import literal_text


@literal_text()
def reliability_svg(name: str, points: Sequence[tuple[float, float, int]]) -> bytes:
    """Return the curve as SVG, over the diagonal. `points` are (probability 0..1, share 0..1, number of cases).

    The area of a dot shows its number of cases. There is no time stamp: the same points give the same bytes.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "reportgen"}):
        figure = Figure(figsize=(4.5, 4.5), layout="constrained")
        axes = figure.subplots()
        most = max(n for _, _, n in points)
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, label="perfect")
        x, y = [p for p, _, _ in points], [share for _, share, _ in points]
        axes.plot(x, y, color="tab:blue", linewidth=1.2)
        axes.scatter(x, y, s=[12 + 150 * n / most for _, _, n in points], color="tab:blue", label=name, zorder=3)
        axes.set(xlabel="predicted probability", ylabel="share that is there", xlim=(0, 1), ylim=(0, 1))
        axes.legend(loc="upper left", frameon=False)
        out = io.BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()
