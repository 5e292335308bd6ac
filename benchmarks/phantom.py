"""Measure how fast the phantom chest is drawn: images a second of one core, with noise, boxes and PNG.

The time is processor time, which other work on the machine disturbs less than clock time. It does not include the
vessel trees, which a process draws only once.
"""

from __future__ import annotations

import time

from reportgen_plugins.datasets.phantom.film.canvas import png
from reportgen_plugins.datasets.phantom.film.drawing import PROJECTIONS, film
from reportgen_plugins.datasets.phantom.film.findings import rates, sample

from .measure import Row, Run, emit, in_turns, per_second

BAR = 100.0  # images a second at 256 pixels
STUDIES = {256: 30, 128: 30, 512: 10}  # by the size in pixels; two views each


def drawing(size: int) -> Run:
    """Return a run that draws both views of so many studies, with findings as often as the dataset has them."""
    cases = [(id, sample(id, 0, rates({}), 0.3)) for id in (f"phantom-{n:06d}" for n in range(STUDIES[size]))]

    def run() -> None:
        for id, findings in cases:
            for projection in PROJECTIONS:
                png(film(id, 0, findings, projection, size).image, "")

    return run


def main() -> None:
    rows = []
    for size, seconds in zip(STUDIES, in_turns(*map(drawing, STUDIES), clock=time.process_time), strict=True):
        speed = per_second(STUDIES[size] * len(PROJECTIONS), seconds)
        bar = BAR if size == 256 else None
        rows.append(Row(f"phantom radiographs drawn at {size} pixels, processor time", speed, "images/s", bar=bar))
    emit(rows)


if __name__ == "__main__":
    main()
