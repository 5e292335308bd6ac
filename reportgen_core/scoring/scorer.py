"""Measures sets of reports with several metrics: once per study, then sums, intervals and subsets of studies follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import MetricError
from ..metric import HasCaveat, HasStatistics, Metric, StartsSlowly
from ..protocol import LearnsFromTraining, TextProtocol
from ..types import Score, ScoreLine
from .uncertainty import bootstrap

if TYPE_CHECKING:
    from ..types import Array

References = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric's answer for one set of reports."""

    score: Score | None = None  # where the metric has no statistics
    statistics: Array | None = None  # (n, k)


@dataclass(slots=True)
class Judge:
    """The metrics, the protocol, and the references of the scored studies as the protocol prepares them."""

    metrics: Mapping[str, Metric]
    protocol: TextProtocol
    references: References
    resamples: int = 1000
    seed: int = 0
    problems: dict[str, str] = field(default_factory=dict)  # metric: why it has no score
    prepared: References = ()
    _words: dict[str, str] = field(default_factory=dict)  # report: as the protocol prepares it

    def learn(self, training: Sequence[str]) -> None:
        """Start what starts slowly, let the protocol learn, and prepare the references."""
        self._reject_languages()
        for metric in self.metrics.values():
            if isinstance(metric, StartsSlowly):
                metric.start()
        if isinstance(self.protocol, LearnsFromTraining) and training:
            self.protocol.learn(training)
        if any(m.takes == "words" for m in self.metrics.values()):
            try:
                self.prepared = self.prepare_references(self.references)
            except MetricError as e:
                self.problems |= {name: str(e) for name, m in self.metrics.items() if m.takes == "words"}

    def _reject_languages(self) -> None:
        spoken = self.protocol.language
        for name, metric in self.metrics.items():
            if metric.language not in ("", spoken):
                self.problems[name] = f"{name} knows {metric.language!r} only, and this protocol is for {spoken!r}"

    def prepare_references(self, references: References) -> References:
        """References of each study as the protocol cuts them. Raises MetricError."""
        words = iter(self.protocol.references([text for texts in references for text in texts]))
        return [[next(words) for _ in texts] for texts in references]

    def prepare_reports(self, reports: Sequence[str]) -> list[str]:
        """Reports as the protocol cuts them; a text seen before is not cut again. Raises MetricError."""
        new = [t for t in dict.fromkeys(reports) if t not in self._words]
        self._words.update(zip(new, self.protocol.reports(new), strict=True))
        return [self._words[t] for t in reports]

    @property
    def learns(self) -> bool:
        """Whether the prepared texts depend on the training reports."""
        return isinstance(self.protocol, LearnsFromTraining) and self.protocol.learns

    @property
    def working(self) -> list[str]:
        """Names of the metrics that have an answer so far."""
        return [name for name in self.metrics if name not in self.problems]

    def measure(self, sets: Sequence[Sequence[str]]) -> list[dict[str, Measured]]:
        """Each set of reports, in the order of the references, by each metric. A metric that fails is left out."""
        if any(self.metrics[m].takes == "words" for m in self.working):
            self.prepare_reports([t for reports in sets for t in reports])  # at one go: the tokenizer starts once
        found: list[dict[str, Measured]] = [{} for _ in sets]
        with ThreadPoolExecutor(1) as beside:
            waiting = [
                beside.submit(self._all, name, sets, found) for name in self.working if self.metrics[name].own_process
            ]
            for name in self.working:
                if not self.metrics[name].own_process:
                    self._all(name, sets, found)
            for done in waiting:
                done.result()
        return [{name: one[name] for name in self.working} for one in found]

    def _all(self, name: str, sets: Sequence[Sequence[str]], found: list[dict[str, Measured]]) -> None:
        try:
            for reports, into in zip(sets, found, strict=True):
                into[name] = self._one(name, reports, range(len(reports)))
        except MetricError as e:
            self.problems[name] = str(e)

    def _one(self, name: str, reports: Sequence[str], which: Sequence[int]) -> Measured:
        """One metric on the reports of the studies `which`."""
        metric = self.metrics[name]
        words = metric.takes == "words"
        texts = self.prepare_reports(reports) if words else list(reports)
        source = self.prepared if words else self.references
        references = [source[i] for i in which]
        if isinstance(metric, HasStatistics):
            return Measured(statistics=metric.statistics(texts, references))
        return Measured(metric.compute(texts, references))

    def subset(self, name: str, measured: Measured, reports: Sequence[str], which: Sequence[int]) -> Measured:
        """What the metric says about the studies `which` alone."""
        if measured.statistics is not None and self.metrics[name].per_study:
            return Measured(statistics=measured.statistics[list(which)])
        return self._one(name, [reports[i] for i in which], which)

    def lines(self, name: str, measured: Measured, *, intervals: bool = True) -> list[ScoreLine]:
        """Numbers with their intervals."""
        metric = self.metrics[name]
        how = {"resamples": self.resamples, "seed": self.seed}
        if measured.score is not None:
            return _lines_of(measured.score, name, metric, how if intervals and self.resamples else None)
        assert measured.statistics is not None
        assert isinstance(metric, HasStatistics)
        values = metric.scores(measured.statistics.sum(0))
        ends = bootstrap(measured.statistics, metric.scores, **how) if intervals and self.resamples else {}
        return [self._line(metric, name, part, float(v), ends.get(part)) for part, v in values.items()]

    def _line(self, metric: Metric, name: str, part: str, value: float, ends: tuple[float, float] | None) -> ScoreLine:
        low, high = ends or (None, None)
        if metric.neutral_suffixes and part.endswith(metric.neutral_suffixes):
            return ScoreLine(part, value, low, high, None, name, metric.version)
        return ScoreLine(part, value, low, high, metric.higher_is_better, name, metric.version)

    def each(self, name: str, measured: Measured) -> dict[str, list[float]]:
        """The scores of single studies."""
        metric = self.metrics[name]
        if measured.statistics is not None and isinstance(metric, HasStatistics):
            return {part: v.tolist() for part, v in metric.scores(measured.statistics).items()}
        return {name: list(measured.score.each)} if measured.score and measured.score.each else {}

    def caveats(self) -> list[str]:
        """What must be known about scores on these references."""
        asked = [(m, self.prepared if m.takes == "words" else self.references) for m in self.metrics.values()]
        return [said for m, refs in asked if isinstance(m, HasCaveat) and refs and (said := m.caveat(refs))]


def _lines_of(score: Score, name: str, metric: Metric, how: Mapping[str, int] | None) -> list[ScoreLine]:
    """Numbers of a metric without statistics; an interval where the value is the mean of the studies' scores."""
    import numpy as np

    ends: tuple[float | None, float | None] = (None, None)
    if how and len(score.each) and abs(float(np.mean(score.each)) - score.value) < 1e-9:
        rows = np.stack([np.ones(len(score.each)), np.asarray(score.each, float)], 1)
        ends = bootstrap(rows, lambda t: {"": t[..., 1] / t[..., 0]}, **how)[""]
    parts = dict(score.parts) or {score.name: score.value}
    version, better = score.version or metric.version, score.higher_is_better
    headline = score.name if score.name in parts else next((k for k, v in parts.items() if v == score.value), "")
    return [
        ScoreLine(k, v, *(ends if k == headline else (None, None)), better, name, version) for k, v in parts.items()
    ]
