"""Scores that cannot be misread: reports are scored together with baselines that see no image.

`evaluate` takes texts, or a model and the studies that it is to report on. Missing predictions are refused, or the
scores are marked as partial; a prediction for an unknown study is refused; a metric that cannot run is listed with the
reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Unpack

from ..drawn import Drawn
from ..errors import MetricError
from ..protocol import TextProtocol
from ..registry import did_you_mean, match_name
from ..types import ScoreLine
from . import uncertainty
from .abilities.metrics import LabelledP, ModelOutputs, ScoresModelOutputs
from .baselines import VERSION as BASELINES_VERSION
from .baselines import Baseline, BaselineData, build_baselines
from .compared.differences import CHOOSE_ON, differences_of, validation_findings
from .diversity import Diversity, measure_diversity
from .evaluation_set import METRICS as METRICS
from .evaluation_set import (
    EvaluationOptions,
    EvaluationRequest,
    EvaluationSet,
    Named,
    Studies,
    Texts,
    WritesReports,
    make_evaluation_set,
)
from .guard.run import create_metrics, score_model
from .scorecard import ScoreCard, System, card_to_json, fingerprint, flat_lines, system_to_json
from .scorer import MetricResult, Scorer
from .studies.consent import check_consent
from .studies.failed import FailedStudy
from .studies.rows import MAX_HEADLINES as MAX_HEADLINES
from .studies.rows import StudyRow as StudyRow
from .studies.rows import failed_studies, study_rows
from .subgroups.split import Subgroup, gaps, split_studies, subgroups_of, subgroups_to_json
from .uncertainty import unit_numbers

if TYPE_CHECKING:
    from ..registry import Registry
    from ..types import Array

MODEL_METRICS = ("tags", "findings", "pointing")  # computed for every model whose studies have the labels
SEEDS = 5  # sets of reports of a baseline that draws


@dataclass(frozen=True, slots=True, repr=False)
class Evaluation(Drawn):
    """The scores of one set of reports and of its baselines. The first system is the reports themselves."""

    card: ScoreCard
    systems: tuple[System, ...]
    diversity: Diversity
    problems: Mapping[str, str]  # metric: why it has no score
    notes: tuple[str, ...]  # warnings for the reader of the scores
    studies: tuple[StudyRow, ...]
    statistics: Mapping[str, Array]  # metric: (n, k), rows in the order of `studies`
    metrics: Mapping[str, Mapping[str, Any]]  # metric: its options
    verbatim_share: float | None = None  # 0..1: references that are also a training report, word by word
    curves: Mapping[str, tuple[tuple[float, float, int], ...]] = field(default_factory=dict)  # reliability, by metric
    subgroups: tuple[Subgroup, ...] = ()
    units: tuple[int, ...] = ()  # the number of each study's patient; (): no study names one
    reporters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # what the reports depend on, by name
    failed: tuple[FailedStudy, ...] = ()  # studies that a metric could not score, though it scored others
    probabilities: Mapping[str, Mapping[str, Sequence[LabelledP]]] = field(default_factory=dict)  # by metric and class

    @property
    def degeneracy(self) -> Diversity:
        """Return `diversity` under its name in earlier releases."""
        return self.diversity

    @property
    def scores(self) -> dict[str, float]:
        """Return the scores of the reports by name."""
        return {line.name: line.value for line in self.systems[0].lines}

    def __getitem__(self, name: str) -> float:
        """Return a score by its name, also in capitals and without "-": "BLEU4". Raises KeyError with the names."""
        match = match_name(name, self.scores)
        if match is None:
            raise KeyError(f"no score named {name!r}; {did_you_mean(name, self.scores)}")
        return self.scores[match]

    def to_json(self) -> dict[str, Any]:
        """Return JSON values, without texts of single studies."""
        return {
            "format": 1,
            "card": card_to_json(self.card),
            "scores": flat_lines(
                self.card, self.systems, self.problems, gaps(self.systems[0], self.subgroups), self.failed
            ),
            "subgroups": subgroups_to_json(self.systems[0], self.subgroups),
            "units": list(self.units),
            "systems": [system_to_json(s) for s in self.systems],
            "degeneracy": {k: getattr(self.diversity, k) for k in self.diversity.__slots__},
            "problems": dict(self.problems),
            "failed": [asdict(f) for f in self.failed],
            "notes": list(self.notes),
            "verbatim_share": self.verbatim_share,
            "reliability": {k: [list(p) for p in points] for k, points in self.curves.items()},
            "metrics": {k: dict(v) for k, v in self.metrics.items()},
            "studies": [s.id for s in self.studies],
            "reporters": {k: dict(v) for k, v in self.reporters.items()},
        }


def evaluate(
    predictions: Texts | WritesReports,
    references: Texts | Studies,
    request: EvaluationRequest | None = None,
    **options: Unpack[EvaluationOptions],
) -> Evaluation:
    """Score predictions against references: texts by study id (a list is n-best, best first), or a model's reports.

    A model generates a report for each study in `references`. `options` are the fields of `EvaluationRequest`; they
    replace those of `request`. Raises DataError for predictions that do not fit the references.
    """
    request = replace(request or EvaluationRequest(), **options)
    cases = make_evaluation_set(predictions, references, request)
    scorer, notes = _scorer(cases, request)
    baselines, missing = _baselines(scorer, cases) if request.baselines else ([], [])
    baselines = [*cases.others, *baselines]
    card = _card(scorer, cases, request)
    evaluation = _assemble(scorer, cases, card, baselines, request)
    evaluation = replace(evaluation, notes=(*evaluation.notes, *cases.notes, *notes, *missing))
    if cases.outputs is None:
        return evaluation
    return _add_model_metrics(evaluation, cases.outputs, _metrics_named(request))


def _scorer(cases: EvaluationSet, request: EvaluationRequest) -> tuple[Scorer, list[str]]:
    """Return a scorer whose references are prepared, and a note if the usual protocol cannot run."""
    from ..registries import protocols

    named = _metrics_named(request)
    failed: dict[str, str] = {}
    metrics = create_metrics(named, failed)
    check_consent(metrics, request.send_reports)
    if cases.outputs is not None:  # `_add_model_metrics` computes the others
        metrics = {name: m for name, m in metrics.items() if not isinstance(m, ScoresModelOutputs)}
    training = list(cases.background.training.values())

    def prepared(protocol: Named) -> Scorer:
        name, options = _name_and_options(protocol, protocols)
        created = protocols.create(name, **options)
        units = unit_numbers(cases.patients) if cases.patients else None
        scorer = Scorer(metrics, created, cases.references, request.resamples, request.seed, dict(failed), units)
        scorer.prepare(training)
        return scorer

    first = prepared(request.protocol or "coco")
    languages = ("", first.protocol.language)
    lost = [
        m for m in first.problems if m in metrics and metrics[m].takes == "words" and metrics[m].language in languages
    ]
    if request.protocol is None and lost:
        return prepared("raw"), [f"protocol raw in place of coco: {first.problems[lost[0]]}"]
    return first, []


def _add_model_metrics(
    evaluation: Evaluation, outputs: ModelOutputs, requested: Mapping[str, Mapping[str, Any]]
) -> Evaluation:
    """Add the scores of tags, findings and attention, as far as the studies have labels and boxes."""
    from ..registries import metrics as registered

    problems = dict(evaluation.problems)
    added = dict.fromkeys((*requested, *(n for n in MODEL_METRICS if n in registered)))
    metrics = create_metrics({n: requested.get(n, {}) for n in added if n not in problems}, problems)
    scores, first = score_model(metrics, outputs, problems), evaluation.systems[0]
    systems = (replace(first, lines=(*first.lines, *scores.lines)), *evaluation.systems[1:])
    return replace(
        evaluation, systems=systems, curves=scores.curves, probabilities=scores.probabilities, problems=problems
    )


def _name_and_options(named: Named, registry: Registry[Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the registered name that a user means, and its options."""
    name, options = (named, {}) if isinstance(named, str) else (named[0], named[1])
    return registry.find(name), options


def _metrics_named(request: EvaluationRequest) -> dict[str, Mapping[str, Any]]:
    """Return the requested metrics by their registered names, with their options."""
    from ..registries import metrics

    return dict(_name_and_options(named, metrics) for named in request.metrics)


def _baselines(scorer: Scorer, cases: EvaluationSet) -> tuple[list[Baseline], list[str]]:
    seeds = range(scorer.seed, scorer.seed + SEEDS)
    by_words, by_findings = _validation_bleu(scorer, cases.background), validation_findings(scorer, cases.background)
    return build_baselines(cases.background, cases.ids, seeds, by_words, by_findings)


def _validation_bleu(scorer: Scorer, background: BaselineData) -> Callable[[str], float] | None:
    """Return a function that scores one text by BLEU-4 (0..1) as the report of every validation study.

    Use the first 1,000 validation studies. Return None if the protocol cannot prepare the texts on this machine.
    """
    from ..registries import metrics as registered

    bleu, texts = registered.create("bleu"), list(background.validation.values())[:CHOOSE_ON]
    try:
        references = scorer.prepare_references([[t] for t in texts])
    except MetricError:
        return None
    return lambda text: bleu.compute(scorer.prepare_reports([text]) * len(texts), references).value


def _card(scorer: Scorer, cases: EvaluationSet, request: EvaluationRequest) -> ScoreCard:
    return ScoreCard(
        _protocol(scorer.protocol),
        cases.sections or scorer.protocol.sections,
        request.dataset,
        request.split,
        fingerprint(dict(zip(cases.ids, cases.references, strict=True))),
        fingerprint({"": sorted(cases.background.training.values())}) if scorer.learns else "",
        len(cases.ids),
        cases.of,
        scorer.seed,
        scorer.resamples,
        patients=len(set(scorer.units.tolist())) if scorer.units is not None else 0,
        intervals=uncertainty.VERSION,
        baselines=BASELINES_VERSION,
    )


def _protocol(protocol: TextProtocol) -> str:
    """Return the protocol's name and version, and the options that were set."""
    options = "".join(f" {k}={v}" for k, v in sorted(protocol.part_config["options"].items()))
    return f"{protocol.part_config['name']} {protocol.version}{options}"


def _assemble(
    scorer: Scorer, cases: EvaluationSet, card: ScoreCard, baselines: Sequence[Baseline], request: EvaluationRequest
) -> Evaluation:
    """Measure all sets of reports at once and make an evaluation of the results."""
    first = [r[0] for r in cases.reports]
    n_best = max(map(len, cases.reports))
    others = [[r[min(k, len(r) - 1)] for r in cases.reports] for k in range(1, n_best)]
    sets = [first, *others, *(s for b in baselines for s in b.reports)]
    kinds = [False, *(True for _ in others), *(bool(b.note) for b in baselines for _ in b.reports)]
    spared = [] if request.expensive_baselines else [i for i, is_baseline in enumerate(kinds) if is_baseline]
    results = iter(scorer.measure(sets, spared))
    split = split_studies(cases)
    subsets = {name: which for name, (_, which) in split.items()}
    best = next(results)
    ours = Baseline(request.name, "", (tuple(first),))  # one more row of the table
    systems = [_system(scorer, ours, [best], subsets, subset_intervals=True)]
    measured = {request.name: best}
    if others:
        candidates = [best, *(next(results) for _ in others)]
        systems.append(_best_of(scorer, candidates, f"{request.name}, best of {n_best}"))
    for baseline in baselines:
        own = [next(results) for _ in baseline.reports]
        measured[baseline.name] = own[0]
        system = _system(scorer, baseline, own, subsets)
        differences = differences_of(scorer, best, own[0]) if len(own) == 1 else {}
        systems.append(replace(system, differences=differences))
    varied = measure_diversity(first, cases.references)
    owners = [request.name, *(request.name for _ in others), *(b.name for b in baselines for _ in b.reports)]
    notes = (*varied.warnings, *scorer.caveats(), *_spared(scorer, spared), *_unscored(scorer, owners))
    studies = study_rows(scorer, cases, best, subsets)
    return Evaluation(
        card,
        tuple(_without_failed(s, scorer.problems) for s in systems),
        varied,
        scorer.problems,
        notes,
        studies,
        {k: m.statistics for k, m in best.items() if m.statistics is not None and k in scorer.working},
        {k: m.part_config["options"] for k, m in scorer.metrics.items()},
        len(subsets["seen in training"]) / len(first) if "seen in training" in subsets else None,
        subgroups=subgroups_of(cases, split),
        units=tuple(scorer.units.tolist()) if scorer.units is not None else (),
        reporters=cases.reporters,
        failed=tuple(failed_studies(scorer, cases.ids, measured)),
    )


def _unscored(scorer: Scorer, owners: Sequence[str]) -> list[str]:
    """Return a note for each metric that failed on the reports of another row; `owners` has the row of each set."""
    lines = [f"no {name} for {owners[number]}: {why}" for (name, number), why in scorer.unscored.items()]
    return list(dict.fromkeys(lines))


def _spared(scorer: Scorer, spared: Sequence[int]) -> list[str]:
    """Return a note for each expensive metric that was not run on the baselines."""
    names = [name for name in scorer.working if scorer.metrics[name].expensive] if spared else []
    return [f"{name} is expensive and was not run on the baselines; --expensive-baselines runs it" for name in names]


def _system(
    scorer: Scorer,
    row: Baseline,
    results: Sequence[Mapping[str, MetricResult]],
    subsets: Mapping[str, Sequence[int]],
    subset_intervals: bool = False,
) -> System:
    """Return the scores of one row of the table, with one result for each of its sets of reports.

    Of several sets (one a seed) the scores are means, with the range in place of the interval. The subsets have
    intervals if `subset_intervals`.
    """
    alone = len(row.reports) == 1
    lines = [
        line
        for metric in scorer.working
        if all(metric in r for r in results)
        for line in _mean([scorer.score_lines(metric, r[metric], intervals=alone) for r in results])
    ]
    parts = {
        subset: tuple(
            line
            for metric in scorer.working
            if all(metric in r for r in results)
            for line in _mean(
                [
                    scorer.subset_lines(metric, r[metric], texts, which, intervals=subset_intervals)
                    for texts, r in zip(row.reports, results, strict=True)
                ]
            )
        )
        for subset, which in subsets.items()
        if which
    }
    return System(row.name, tuple(lines), parts, row.note, {k: len(w) for k, w in subsets.items()})


def _mean(sets: Sequence[Sequence[ScoreLine]]) -> list[ScoreLine]:
    """Return the lines of one set, or their means over several sets with their ranges."""
    if len(sets) == 1 or not all(sets):
        return list(sets[0]) if all(sets) else []
    means = []
    for same in zip(*sets, strict=True):
        values = [line.value for line in same]
        mean = sum(values) / len(values)
        means.append(replace(same[0], value=mean, low=min(values), high=max(values)))
    return means


def _without_failed(system: System, problems: Mapping[str, str]) -> System:
    """Return a system without the scores of metrics that failed at a later step."""
    subsets = {k: tuple(x for x in lines if x.metric not in problems) for k, lines in system.subsets.items()}
    lines = tuple(x for x in system.lines if x.metric not in problems)
    names = {x.name for x in lines}
    differences = {name: ends for name, ends in system.differences.items() if name in names}
    return replace(system, lines=lines, subsets=subsets, differences=differences)


def _best_of(scorer: Scorer, candidates: Sequence[Mapping[str, MetricResult]], name: str) -> System:
    """Return the scores of the best candidate of each study by each metric's headline: an oracle, no model's score."""
    import numpy as np

    lines = []
    for metric in scorer.working:
        statistics = [c[metric].statistics if metric in c else None for c in candidates]
        if any(s is None for s in statistics):
            continue
        rows = np.stack([s for s in statistics if s is not None])  # (candidates, n, k)
        sign = 1 if scorer.metrics[metric].higher_is_better else -1
        by_candidate = [scorer.study_scores(metric, MetricResult(statistics=r)) for r in rows]
        if not all(by_candidate):
            continue
        headline = np.stack([next(iter(scores.values())) for scores in by_candidate])
        chosen = rows[(sign * headline).argmax(0), np.arange(rows.shape[1])]  # (n, k)
        lines += scorer.score_lines(metric, MetricResult(statistics=chosen))
    note = f"ORACLE: of {len(candidates)} candidates the one that scores best against the reference, for each metric"
    return System(name, tuple(lines), {}, note)
