"""Scores sets of reports by several metrics: every study once; sums, intervals and subsets of studies follow.

A metric that fails at any step has its reason in `problems`, and the other metrics are not touched. One that fails on
single studies keeps the scores of the others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..errors import MetricError
from ..metric import HasLabels, HasStatistics, Metric
from ..protocol import TextProtocol
from ..types import Score, ScoreLine
from .abilities.metrics import HasCaveat, NotesScores, StartsSlowly
from .abilities.outside import NamesFailures, TellsOfRun
from .abilities.protocols import LearnsFromTraining
from .guard.attempt import attempt, failure_reason, printable_line
from .guard.returned import checked_score, checked_statistics, checked_values
from .studies.failed import MetricResult as MetricResult
from .studies.failed import measure_apart, without_missing
from .uncertainty import bootstrap

if TYPE_CHECKING:
    from ..types import Array

References = Sequence[Sequence[str]]


@dataclass(slots=True)
class Scorer:
    """The metrics, the protocol, and the references of the scored studies as the protocol prepares them."""

    metrics: Mapping[str, Metric]
    protocol: TextProtocol
    references: References
    resamples: int = 1000
    seed: int = 0
    problems: dict[str, str] = field(default_factory=dict)  # metric: why it has no score
    units: Array | None = None  # (n,) the number of each study's patient; None: studies are drawn
    prepared: References = ()
    unscored: dict[tuple[str, int], str] = field(default_factory=dict)  # by metric and set: why it has no result
    _words: dict[str, str] = field(default_factory=dict)  # report: as the protocol prepares it

    def prepare(self, training: Sequence[str]) -> None:
        """Start slow metrics, let the protocol learn from the training reports, and prepare the references."""
        self._reject_languages()
        for name, metric in self.metrics.items():
            if isinstance(metric, StartsSlowly):
                attempt(self.problems, name, None, metric.start)
        if any(m.takes == "words" for m in self.metrics.values()):
            try:
                if isinstance(self.protocol, LearnsFromTraining) and training:
                    self.protocol.learn(training)
                self.prepared = self.prepare_references(self.references)
            except (Exception, SystemExit) as e:
                self._blame_protocol(e)

    def _blame_protocol(self, error: BaseException) -> None:
        """Give every metric that takes words the reason why the protocol has none."""
        self.problems |= {name: failure_reason(error) for name, m in self.metrics.items() if m.takes == "words"}

    def _reject_languages(self) -> None:
        language = self.protocol.language
        for name, metric in self.metrics.items():
            if metric.language not in ("", language):
                self.problems[name] = f"{name} knows {metric.language!r} only, and this protocol is for {language!r}"

    def prepare_references(self, references: References) -> References:
        """Return the references of each study as the protocol cuts them. Raises MetricError."""
        texts = [text for texts in references for text in texts]
        words = iter(_same_number(self.protocol.references(texts), texts))
        return [[next(words) for _ in texts] for texts in references]

    def prepare_reports(self, reports: Sequence[str]) -> list[str]:
        """Return reports as the protocol cuts them. A text that was cut before is not cut again. Raises MetricError."""
        new = [t for t in dict.fromkeys(reports) if t not in self._words]
        self._words.update(zip(new, _same_number(self.protocol.reports(new), new), strict=True))
        return [self._words[t] for t in reports]

    @property
    def learns(self) -> bool:
        """Return whether the prepared texts depend on the training reports."""
        return isinstance(self.protocol, LearnsFromTraining) and self.protocol.learns

    @property
    def working(self) -> list[str]:
        """Return the names of the metrics without a problem so far."""
        return [name for name in self.metrics if name not in self.problems]

    def measure(self, sets: Sequence[Sequence[str]], spared: Collection[int] = ()) -> list[dict[str, MetricResult]]:
        """Return for each set of reports the result of each metric. Leave out metrics that fail; see `problems`.

        The reports of a set are in the order of the references. Metrics that are expensive are not run on the sets with
        the numbers `spared`.
        """
        if any(self.metrics[m].takes == "words" for m in self.working):
            try:  # all at once: the tokenizer starts once
                self.prepare_reports([t for reports in sets for t in reports])
            except (Exception, SystemExit) as e:
                self._blame_protocol(e)
        results: list[dict[str, MetricResult]] = [{} for _ in sets]
        with ThreadPoolExecutor(1) as pool:
            waiting = [
                pool.submit(self._measure_sets, name, sets, results, spared)
                for name in self.working
                if self.metrics[name].own_process
            ]
            for name in self.working:
                if not self.metrics[name].own_process:
                    self._measure_sets(name, sets, results, spared)
            for job in waiting:
                job.result()
        return [{name: result[name] for name in self.working if name in result} for result in results]

    def _measure_sets(
        self,
        name: str,
        sets: Sequence[Sequence[str]],
        results: Sequence[dict[str, MetricResult]],
        spared: Collection[int],
    ) -> None:
        """Write the results of one metric into `results`, or its problem with the first set into `problems`.

        A problem with another set is that set's alone, see `unscored`.
        """

        def measure(reports: Sequence[str]) -> MetricResult:
            result = self._measure_studies(name, reports, range(len(reports)))
            self._check_values(name, result)
            return result

        for number, (reports, result) in enumerate(zip(sets, results, strict=True)):
            if self.metrics[name].expensive and number in spared:
                continue
            problems: dict[str, str] = {}
            measured = attempt(problems, name, None, measure, reports)
            if measured is not None:
                result[name] = measured
            elif number == 0:
                self.problems |= problems
                return
            else:
                self.unscored[name, number] = problems[name]

    def _check_values(self, name: str, result: MetricResult) -> None:
        """Raise MetricError if the statistics of the metric have no scores that can be shown."""
        metric = self.metrics[name]
        if result.statistics is not None and isinstance(metric, HasStatistics):
            checked_values(metric.scores(result.statistics.sum(0)))

    def _measure_studies(self, name: str, reports: Sequence[str], which: Sequence[int]) -> MetricResult:
        """Return the result of one metric on the reports of the studies `which`. Raises MetricError."""
        metric = self.metrics[name]
        words = metric.takes == "words"
        texts = self.prepare_reports(reports) if words else list(reports)
        source = self.prepared if words else self.references

        def measure(places: Sequence[int]) -> MetricResult:
            return _measured(metric, [texts[i] for i in places], [source[which[i]] for i in places])

        if metric.expensive:  # it is asked once, and says itself on which studies it failed
            return without_missing(measure(range(len(texts))), len(texts))
        return measure_apart(measure, len(texts))

    def subset_lines(
        self, name: str, result: MetricResult, reports: Sequence[str], which: Sequence[int], *, intervals: bool = True
    ) -> list[ScoreLine]:
        """Return the scores of the studies `which` alone; [] if the metric fails."""
        return attempt(self.problems, name, [], self._subset_lines, name, result, reports, which, intervals=intervals)

    def _subset_lines(
        self, name: str, result: MetricResult, reports: Sequence[str], which: Sequence[int], *, intervals: bool
    ) -> list[ScoreLine]:
        scored = [i for i in which if i not in result.failed]
        if not scored:
            return []
        failed = {i: why for i, why in enumerate(result.failed[i] for i in which if i in result.failed)}
        units = None if self.units is None else self.units[scored]
        subset = replace(self._subset(name, result, reports, scored), failed=failed, studies=len(which))
        return self._score_lines(name, subset, units, intervals=intervals)

    def _subset(self, name: str, result: MetricResult, reports: Sequence[str], which: Sequence[int]) -> MetricResult:
        """Return the result for the studies `which` alone. `result` and `reports` are those of all studies."""
        if result.statistics is not None and self.metrics[name].per_study:
            return MetricResult(statistics=result.statistics[list(which)])
        return self._measure_studies(name, [reports[i] for i in which], which)

    def score_lines(self, name: str, result: MetricResult, *, intervals: bool = True) -> list[ScoreLine]:
        """Return the scores of a result, with 95 % intervals unless `resamples` is 0; [] if the metric fails."""
        return attempt(self.problems, name, [], self._score_lines, name, result, self.units, intervals=intervals)

    def _score_lines(
        self, name: str, result: MetricResult, units: Array | None, *, intervals: bool = True
    ) -> list[ScoreLine]:
        import numpy as np

        metric = self.metrics[name]
        draws = {"resamples": self.resamples, "seed": self.seed} if intervals and self.resamples else None
        if result.score is not None:
            return _lines_of(result.score, name, metric, units, draws, result.note)
        assert result.statistics is not None
        assert isinstance(metric, HasStatistics)
        values = {k: np.asarray(v, float) for k, v in metric.scores(result.statistics.sum(0)).items()}
        ends = bootstrap(result.statistics, metric.scores, units=units, **draws) if draws else {}
        notes = metric.score_notes(result.statistics.sum(0)) if isinstance(metric, NotesScores) else {}
        lines = []
        for part, value in values.items():
            low, high = ends.get(part, (None, None))
            neutral = bool(metric.neutral_suffixes) and part.endswith(metric.neutral_suffixes)
            better = None if neutral else metric.higher_is_better
            note = "; ".join(n for n in (result.note, str(notes.get(part, ""))) if n)
            lines.append(ScoreLine(part, float(value), low, high, better, name, metric.version, note))
        return lines

    def study_scores(self, name: str, result: MetricResult) -> dict[str, list[float]]:
        """Return the scores of each study by name; {} if the metric has none for single studies, or fails."""
        return attempt(self.problems, name, {}, self._study_scores, name, result)

    def _study_scores(self, name: str, result: MetricResult) -> dict[str, list[float]]:
        metric = self.metrics[name]
        if result.statistics is not None and isinstance(metric, HasStatistics):
            each = checked_values(metric.scores(result.statistics), (len(result.statistics),))
            without = list(result.failed)
            return {part: _without(v, without) for part, v in each.items()}
        return {result.score.name: list(result.score.each)} if result.score and result.score.each else {}

    def caveats(self) -> list[str]:
        """Return the warnings of the metrics about scores on these references, and what they say after they ran."""
        caveats = [attempt(self.problems, name, "", self._caveat, name) for name in self.working]
        told = [line for name, m in self.metrics.items() if isinstance(m, TellsOfRun) for line in self._told(name, m)]
        return [caveat for caveat in (*caveats, *told) if caveat]

    def _told(self, name: str, metric: TellsOfRun) -> list[str]:
        """Return what a metric says after it ran, also one that failed: it may have cost something."""
        lines: list[str] = []
        return attempt(self.problems, name, lines, lambda: [printable_line(str(n)) for n in metric.run_notes()])

    def _caveat(self, name: str) -> str:
        metric = self.metrics[name]
        references = self.prepared if metric.takes == "words" else self.references
        return str(metric.caveat(references) or "") if isinstance(metric, HasCaveat) and references else ""

    def text_labels(self, name: str, texts: Sequence[str]) -> list[dict[str, float]]:
        """Return the findings of each text by the metric `name`; [] if it reads none, or fails."""
        metric = self.metrics[name]
        if not isinstance(metric, HasLabels):
            return []
        return attempt(self.problems, name, [], _labels_of, metric, texts)


def _labels_of(metric: HasLabels, texts: Sequence[str]) -> list[dict[str, float]]:
    """Return the findings of each text. Raises MetricError if texts are missing."""
    labels = [dict(row) for row in metric.labels(texts)]
    if len(labels) != len(texts):
        raise MetricError(f"labels returned {len(labels)} rows for {len(texts)} texts")
    return labels


def _same_number(words: Sequence[str], texts: Sequence[str]) -> Sequence[str]:
    """Return what a protocol made of texts. Raises MetricError if texts are missing."""
    if len(words) != len(texts):
        raise MetricError(f"the protocol returned {len(words)} texts for {len(texts)}")
    return words


def _measured(metric: Metric, reports: list[str], references: References) -> MetricResult:
    """Return the result of a metric for these texts, checked. Raises what the metric raises, and MetricError."""
    if isinstance(metric, HasStatistics):
        result = MetricResult(statistics=checked_statistics(metric.statistics(reports, references), len(reports)))
    else:
        result = MetricResult(checked_score(metric.compute(reports, references), len(reports)))
    if not isinstance(metric, NamesFailures):
        return result
    return replace(result, failed={int(i): printable_line(w) for i, w in metric.failures(reports, references).items()})


def _without(values: Array, places: list[int]) -> list[float]:
    """Return the scores of single studies, with NaN for those that have none."""
    import numpy as np

    scores = np.array(values, float)
    scores[places] = np.nan
    return [float(v) for v in scores]


def _lines_of(
    score: Score, name: str, metric: Metric, units: Array | None, draws: Mapping[str, int] | None, note: str
) -> list[ScoreLine]:
    """Return the scores of a metric without statistics. The headline has an interval if it is a mean over studies."""
    import numpy as np

    ends: tuple[float | None, float | None] = (None, None)
    each = np.asarray(score.each, float)
    there = np.isfinite(each)
    if draws and there.any() and abs(float(each[there].mean()) - score.value) < 1e-9:
        rows = np.stack([there.astype(float), np.where(there, each, 0.0)], 1)
        ends = bootstrap(rows, lambda t: {"": _mean_of(t)}, units=units, **draws)[""]
    parts = dict(score.parts) or {score.name: score.value}
    version, better = score.version or metric.version, score.higher_is_better
    headline = score.name if score.name in parts else next((k for k, v in parts.items() if v == score.value), "")
    return [
        ScoreLine(k, v, *(ends if k == headline else (None, None)), better, name, version, note)
        for k, v in parts.items()
    ]


def _mean_of(totals: Array) -> Array:
    """Return sums (..., 2) of counts and scores as means; NaN where nothing was drawn that has a score."""
    import numpy as np

    with np.errstate(invalid="ignore", divide="ignore"):
        return totals[..., 1] / totals[..., 0]
