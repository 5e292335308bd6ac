"""The paired tests of single scores of a metric that has many, such as the kinds of errors: a row for each score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..abilities.metrics import ComparesParts
from ..evaluation_folder import SavedEvaluation
from ..printed.table import PrintedTable
from ..uncertainty import Difference


def part_tests(
    runs: Sequence[SavedEvaluation], differences: Mapping[str, Mapping[str, Difference]]
) -> list[PrintedTable]:
    """Return a table for each run and metric with such scores: the difference of the first run, its interval and p."""
    return [
        PrintedTable(f"{metric}: {runs[0].name} - {name}", ("", "difference", "95 %", "p"), rows)
        for metric, parts in _parts(runs[0])
        for name, tests in differences.items()
        if (rows := tuple(_row(metric, part, tests[part]) for part in parts if part in tests))
    ]


def _parts(run: SavedEvaluation) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the metrics of a run whose scores are tested one by one, with the names of these scores."""
    from ...registries import metrics

    for name, options in run.metrics.items():
        if name in run.statistics and name in metrics:
            metric = metrics.create(name, **options)
            if isinstance(metric, ComparesParts):
                yield name, metric.compared_parts


def _row(metric: str, part: str, test: Difference) -> tuple[str, ...]:
    p = "<.001" if test.p < 0.001 else f"{test.p:.3f}"
    return part.removeprefix(f"{metric} "), f"{test.value:+.3f}", f"{test.low:+.3f}..{test.high:+.3f}", p
