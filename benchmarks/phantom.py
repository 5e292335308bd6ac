"""How quickly the phantom chest is drawn: images a second of one core, noise, boxes and PNG included.

The time is that of the processor, of each image the quickest of several rounds: other work on the machine only adds.
Without the stock of vessel trees, which a process draws once.
"""

from __future__ import annotations

import time

from reportgen_plugins.datasets.phantom.canvas import png
from reportgen_plugins.datasets.phantom.drawing import PROJECTIONS, film
from reportgen_plugins.datasets.phantom.findings import rates, sample

from .measure import Row, emit

BAR = 100.0  # images a second at 256 pixels


def rate(size: int, studies: int, rounds: int) -> float:
    """Images a second: both views of so many studies, with findings as often as the data set has them."""
    cases = [(id, sample(id, 0, rates({}), 0.3)) for id in (f"phantom-{n:06d}" for n in range(studies))]
    jobs = [(id, findings, projection) for id, findings in cases for projection in PROJECTIONS]
    quickest = [float("inf")] * len(jobs)
    for _ in range(rounds):
        for number, (id, findings, projection) in enumerate(jobs):
            start = time.process_time()
            png(film(id, 0, findings, projection, size).image, "")
            quickest[number] = min(quickest[number], time.process_time() - start)
    return len(jobs) / sum(quickest)


def main() -> None:
    found = rate(256, studies=60, rounds=6)
    emit([
        Row("drawing at 256 px", found, "images/s", found / BAR, f"{BAR:.0f} images/s", 1.0),
        Row("drawing at 128 px", rate(128, studies=60, rounds=3), "images/s"),
        Row("drawing at 512 px", rate(512, studies=30, rounds=3), "images/s"),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
