"""Draw ROC curves and reliability inside the page of an evaluation, as SVG in the colours of the page.

No number is on a curve: names, areas, intervals and counts are text around a panel. A curve of one positive or one
negative study has neither a band nor an interval, since one study cannot say how far the curve may move.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reportgen_core.types import ScoreLine

from .reliability import Points, calibration_error, wilson
from .score_sections import interval_text
from .shared.frame import escape_text

if TYPE_CHECKING:
    from reportgen_core.annotation.roc import Curve
    from reportgen_core.scoring.abilities.metrics import LabelledP

MAX_PANELS = 20  # of one metric: those with the most positive studies
MAX_NAMES = 12  # of classes without a curve that are named
STYLES = 4  # colours and dashes of systems; a fifth system begins again
SIDE, LEFT, TOP = 200, 42, 8  # of the square of a panel, and the room at its left and its top, in units of the SVG
WIDTH, HEIGHT = LEFT + SIDE + 10, TOP + SIDE + 38


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemCurves:
    """What curves of one system are drawn from: probabilities by metric and class, and reliability by metric."""

    name: str
    probabilities: Mapping[str, Mapping[str, Sequence[LabelledP]]]
    reliability: Mapping[str, Points]
    lines: Sequence[ScoreLine]
    units: Sequence[int] = ()  # the number of each study's patient; () if no study names one
    resamples: int = 500
    seed: int = 0

    def curves(self, metric: str, names: Iterable[str]) -> dict[str, Curve]:
        """Return the ROC curve of each class that this system has probabilities of."""
        from reportgen_core.annotation.roc import RESAMPLES, curve

        lines = {line.name: line for line in self.lines if line.metric == metric}
        classes, count = self.probabilities.get(metric, {}), min(self.resamples, RESAMPLES)
        curves = {}
        for name in names:
            if name in classes:
                values, labels = [p for p, _ in classes[name]], [y for _, y in classes[name]]
                curves[name] = curve(name, values, labels, lines, count, self.seed, units=self.units)
        return curves

    def error(self, metric: str) -> tuple[float, str]:
        """Return the calibration error of a metric, and its 95 % interval as text; "" if it has none."""
        for line in self.lines:
            if line.name == f"{metric} ece":
                return line.value, "" if line.low is None or line.high is None else interval_text(line.low, line.high)
        return calibration_error(self.reliability[metric]), ""


@dataclass(frozen=True, slots=True)
class Number:
    """A line under a panel: a number with its interval, and the system that it is of, if there are several."""

    text: str
    who: str = ""
    style: str = ""

    def html(self) -> str:
        """Return the line as HTML. The sign of its system stands for its name, which the legend has."""
        if not self.who:
            return escape_text(self.text)
        return f'{_sign(self.style)}<span class="aside">{escape_text(self.who)}: </span>{escape_text(self.text)}'


def curve_section(systems: Sequence[SystemCurves]) -> str:
    """Return the ROC curves and the reliability of all systems as HTML; "" if none of them has probabilities."""
    metrics = dict.fromkeys(m for s in systems for m in (*s.probabilities, *s.reliability))
    parts = [f"{_roc(metric, systems)}{_reliability(metric, systems)}" for metric in metrics]
    return f'<h2 id="curves">Curves</h2>{"".join(parts)}' if any(parts) else ""


def chosen_classes(classes: Mapping[str, Sequence[LabelledP]]) -> tuple[list[str], list[str]]:
    """Return the classes that have a curve, those with the most positive studies first, and those that have none."""
    labels = {name: [y for p, y in pairs if p is not None and y is not None] for name, pairs in classes.items()}
    drawn = sorted((n for n, ys in labels.items() if {*ys} >= {0.0, 1.0}), key=lambda n: -sum(labels[n]))
    return drawn, [name for name in classes if name not in drawn]


def _roc(metric: str, systems: Sequence[SystemCurves]) -> str:
    own = [s for s in systems if metric in s.probabilities]
    if not own:
        return ""
    drawn, without = chosen_classes(own[0].probabilities[metric])
    shown = drawn[:MAX_PANELS]
    curves = {s.name: s.curves(metric, shown) for s in own}
    notes = ["Each step takes one more study as positive, the most probable first. The broken line is chance."]
    notes += ["The band holds 95 % of the resampled curves."] if len(own) == 1 and own[0].resamples else []
    if len(drawn) > len(shown):
        notes.append(f"Shown are the {len(shown)} of {len(drawn)} classes with the most positive studies.")
    if without:
        more = f" and {len(without) - MAX_NAMES} more" if len(without) > MAX_NAMES else ""
        named = ", ".join(without[:MAX_NAMES])
        notes.append(f"No curve, since no study or every study has it: {named}{more}.")
    panels = "".join(_roc_panel(name, [(s, curves[s.name].get(name)) for s in own], systems) for name in shown)
    return (
        f"<h3>ROC curves of {escape_text(metric)}</h3><p>{escape_text(' '.join(notes))}</p>{_legend(own, systems)}"
        f'<div class="plots">{panels}</div>'
    )


def _roc_panel(name: str, own: Sequence[tuple[SystemCurves, Curve | None]], systems: Sequence[SystemCurves]) -> str:
    drawn, numbers = [], []
    alone = len(own) == 1
    for system, curve in own:
        style, who = _style(system, systems), "" if len(systems) == 1 else system.name
        if curve is None or curve.area is None:
            numbers.append(Number("no curve", who, style))
            continue
        single = min(curve.positives, curve.negatives) == 1
        if alone and curve.band and not single:
            edge = [*((x, high) for x, _, high in curve.band), *((x, low) for x, low, _ in reversed(curve.band))]
            drawn.append(f'<path class="area" d="{_path(edge)}Z"/>')
        drawn.append(f'<path class="curve {style}" d="{_path(curve.points)}"/>')
        ends = ""
        if curve.low is not None and curve.high is not None and not single:
            ends = f" ({interval_text(curve.low, curve.high)})"
        words = f"AUC {curve.area:.3f}{ends}" + (": one study, no interval" if single else "")
        numbers.append(Number(words, who, style))
    first = next(c for _, c in own if c is not None)
    count = f"{first.positives} of {first.positives + first.negatives} studies"
    axes = _axes("false positive rate", "true positive rate")
    label = f"ROC curve of {name}, {count}: {'; '.join(f'{n.who} {n.text}'.strip() for n in numbers)}"
    return _figure(name, count, label, axes + "".join(drawn), numbers)


def _reliability(metric: str, systems: Sequence[SystemCurves]) -> str:
    own = [s for s in systems if s.reliability.get(metric)]
    if not own:
        return ""
    panels = "".join(_reliability_panel(metric, system, _style(system, systems)) for system in own)
    note = (
        "How often a finding is there, for each predicted probability: on the broken line the two agree. The area of a "
        "dot shows its number of predictions, its bar the 95 % interval of the share."
    )
    return f'<h3>Reliability of {escape_text(metric)}</h3><p>{note}</p><div class="plots">{panels}</div>'


def _reliability_panel(metric: str, system: SystemCurves, style: str) -> str:
    points = system.reliability[metric]
    most, total = max(n for _, _, n in points), sum(n for _, _, n in points)
    bars, dots = [], []
    for p, share, n in points:
        low, high = wilson(share, n)
        (x, bottom), (_, top) = _place(p, low), _place(p, high)
        bars.append(f'<path class="bar" d="M{x:.1f} {bottom:.1f}V{top:.1f}"/>')
        dots.append(
            f'<circle class="dot" cx="{x:.1f}" cy="{_place(p, share)[1]:.1f}" r="{2 + 5 * (n / most) ** 0.5:.1f}"/>'
        )
    line = f'<path class="curve {style}" d="{_path([(p, share) for p, share, _ in points])}"/>'
    error, ends = system.error(metric)
    words = f"ECE {error:.3f}" + (f" ({ends})" if ends else "")
    count = f"n = {total:,} predictions"
    label = f"Reliability of {metric}, {system.name}, {count}: {words}"
    axes = _axes("predicted probability", "share that is present")
    figure = f'{axes}<g class="{style}">{"".join(bars)}{line}{"".join(dots)}</g>'
    return _figure(system.name, count, label, figure, [Number(words)], _bins(metric, system.name, points))


def _bins(metric: str, name: str, points: Points) -> str:
    """Return the points as a table for those who cannot see them."""
    rows = "".join(f"<tr><td>{p:.3f}</td><td>{share:.3f}</td><td>{n:,}</td></tr>" for p, share, n in points)
    caption = escape_text(f"Reliability of {metric}, {name}")
    head = '<th scope="col">probability</th><th scope="col">share present</th><th scope="col">n</th>'
    return (
        f'<details><summary>the points as a table</summary><table class="bins">'
        f'<caption class="aside">{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></details>"
    )


def _figure(title: str, count: str, label: str, drawn: str, numbers: Sequence[Number], more: str = "") -> str:
    """Return a panel: title and count, the drawing, and below it lines of numbers, each with the sign of its system."""
    items = "".join(f"<li>{number.html()}</li>" for number in numbers)
    caption = f"<figcaption><strong>{escape_text(title)}</strong> <span>{escape_text(count)}</span></figcaption>"
    picture = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape_text(label)}">{drawn}</svg>'
    return f'<figure class="plot">{caption}{picture}<div><ul class="numbers">{items}</ul>{more}</div></figure>'


def _legend(own: Sequence[SystemCurves], systems: Sequence[SystemCurves]) -> str:
    if len(systems) == 1:
        return ""
    items = "".join(f"<li>{_sign(_style(s, systems))}{escape_text(s.name)}</li>" for s in own)
    return f'<ul class="numbers legend" aria-label="Lines of the systems">{items}</ul>'


def _style(system: SystemCurves, systems: Sequence[SystemCurves]) -> str:
    return f"s{[s.name for s in systems].index(system.name) % STYLES}"


def _sign(style: str) -> str:
    """Return a short line in the colour and the dashes of a system; "" without a style."""
    if not style:
        return ""
    return f'<svg class="sign" viewBox="0 0 34 10" aria-hidden="true"><path class="curve {style}" d="M1 5H33"/></svg>'


def _axes(across: str, up: str) -> str:
    """Return the frame of a panel with the diagonal, ticks at 0, a half and 1, and the names of both axes."""
    right, bottom = LEFT + SIDE, TOP + SIDE
    parts = [f'<path class="frame" d="M{LEFT} {TOP}V{bottom}H{right}V{TOP}Z"/>']
    parts.append(f'<path class="chance" d="M{LEFT} {bottom}L{right} {TOP}"/>')
    for value, text in ((0.0, "0"), (0.5, "0.5"), (1.0, "1")):
        x, y = _place(value, value)
        parts.append(f'<text x="{x:.0f}" y="{bottom + 14}" text-anchor="middle">{text}</text>')
        parts.append(f'<text x="{LEFT - 5}" y="{y + 4:.0f}" text-anchor="end">{text}</text>')
    middle = TOP + SIDE / 2
    parts.append(f'<text x="{LEFT + SIDE / 2:.0f}" y="{HEIGHT - 5}" text-anchor="middle">{across}</text>')
    parts.append(f'<text transform="rotate(-90)" x="{-middle:.0f}" y="12" text-anchor="middle">{up}</text>')
    return "".join(parts)


def _place(x: float, y: float) -> tuple[float, float]:
    """Return where a point of the unit square is in the SVG."""
    return LEFT + SIDE * x, TOP + SIDE * (1 - y)


def _path(points: Sequence[tuple[float, float]]) -> str:
    """Return a path through points of the unit square, without those that lie on a straight line of others."""
    kept: list[tuple[float, float]] = []
    for x, y in (tuple(round(v, 1) for v in _place(*point)) for point in points):
        if len(kept) > 1:
            (ax, ay), (bx, by) = kept[-2], kept[-1]
            ahead = (bx - ax) * (x - bx) + (by - ay) * (y - by) >= 0
            if ahead and abs((bx - ax) * (y - by) - (by - ay) * (x - bx)) < 1e-6:
                kept.pop()
        if not kept or kept[-1] != (x, y):
            kept.append((x, y))
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in kept)
