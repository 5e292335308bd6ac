"""Scores that nobody can misread: reports beside references and beside what a constant sentence scores.

`evaluate` takes texts, or a model and the studies it is to report on. Missing predictions are refused, or the score is
marked partial; a prediction for an unknown study is refused; scores whose metric cannot run are listed with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..errors import MetricError
from ..metric import DrawsReliability, HasLabels, ModelOutputs, ScoresModelOutputs
from ..protocol import TextProtocol
from ..types import ScoreLine
from . import baselines as imageless
from .baselines import Background, Baseline, verbatim
from .diversity import Degeneracy, degeneracy
from .evaluation_set import Material, Studies, Texts, WritesReports, gather
from .scorecard import Card, System, card_to_json, fingerprint, flat_lines, system_to_json
from .scorer import Judge, Measured

if TYPE_CHECKING:
    from ..types import Array

METRICS = ("bleu", "meteor", "rouge-l", "cider", "chexpert-rules")
BESIDE = ("tags", "findings", "pointing")  # asked of a model without being asked for, where there is gold
SEEDS = 5  # sets of reports of a baseline that draws
MOST = 4  # a metric with more numbers keeps its first two for single studies
CHOOSE_ON = 1000  # validation studies that the constant is chosen on, at most

Named = str | tuple[str, Mapping[str, Any]]  # a registered name, or one with options


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One study of the evaluation."""

    id: str
    prediction: str
    references: tuple[str, ...]
    scores: Mapping[str, float]
    subsets: tuple[str, ...] = ()  # "seen in training", "normal"
    labels: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)  # prediction's, reference's
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that is known about one set of reports. The first system is the reports themselves."""

    card: Card
    systems: tuple[System, ...]
    degeneracy: Degeneracy
    problems: Mapping[str, str]  # metric: why it has no score
    notes: tuple[str, ...]  # what a reader must know, in words
    studies: tuple[StudyRow, ...]
    statistics: Mapping[str, Array]  # metric: (n, k), rows in the order of `studies`
    metrics: Mapping[str, Mapping[str, Any]]  # metric: its options
    verbatim_share: float | None = None  # share of references that stand word for word in training
    curves: Mapping[str, tuple[tuple[float, float, int], ...]] = field(default_factory=dict)  # reliability, by metric

    @property
    def scores(self) -> dict[str, float]:
        """The reports' scores by name."""
        return {line.name: line.value for line in self.systems[0].lines}

    def to_json(self) -> dict[str, Any]:
        """JSON values, without texts of single studies."""
        return {
            "format": 1,
            "card": card_to_json(self.card),
            "scores": flat_lines(self.card, self.systems),
            "systems": [system_to_json(s) for s in self.systems],
            "degeneracy": {k: getattr(self.degeneracy, k) for k in self.degeneracy.__slots__},
            "problems": dict(self.problems),
            "notes": list(self.notes),
            "verbatim_share": self.verbatim_share,
            "reliability": {k: [list(p) for p in points] for k, points in self.curves.items()},
            "metrics": {k: dict(v) for k, v in self.metrics.items()},
            "studies": [s.id for s in self.studies],
        }


def evaluate(
    predictions: Texts | WritesReports,
    references: Texts | Studies,
    *,
    metrics: Sequence[Named] = METRICS,
    protocol: Named | None = None,
    sections: Sequence[str] = (),
    dataset: str = "",
    split: str = "",
    background: Background | None = None,
    images: Mapping[str, Sequence[str]] | None = None,
    baselines: bool = True,
    partial: bool = False,
    resamples: int = 1000,
    seed: int = 0,
    name: str = "reports",
    **how: Any,
) -> Evaluation:
    """Score predictions by study id; a list is n-best, best first. `protocol` None: coco, or raw where Java cannot run.

    With a model in place of predictions, `references` are its studies (those of `split`), and `how` goes to
    `model.report_studies`. Raises DataError for predictions that do not fit the references.
    """
    material = gather(
        predictions, references, split=split, sections=sections, background=background, images=images, partial=partial,
        how=how,
    )  # fmt: skip
    judge, notes = _judge(metrics, protocol, material, resamples, seed)
    made, missing = _baselines(judge, material, seed) if baselines else ([], [])
    card = _card(judge, material, dataset, split)
    found = _assemble(judge, material, card, made, (*material.notes, *notes, *missing), name)
    return _beside(found, material, dict(map(_of, metrics))) if material.written else found


def _judge(
    metrics: Sequence[Named], protocol: Named | None, material: Material, resamples: int, seed: int
) -> tuple[Judge, list[str]]:
    """The metrics with the references prepared, and what was chosen where nobody chose."""
    from ..registries import metrics as registered
    from ..registries import protocols

    made = {_of(m)[0]: registered.create(_of(m)[0], **_of(m)[1]) for m in metrics}
    if material.written:  # those that judge more than the text have their turn in `_beside`
        made = {name: m for name, m in made.items() if not isinstance(m, ScoresModelOutputs)}
    training = list(material.background.training.values())

    def judge(named: Named) -> Judge:
        name, options = _of(named)
        chosen = Judge(made, protocols.create(name, **options), material.references, resamples, seed)
        chosen.learn(training)
        return chosen

    first = judge(protocol or "coco")
    lost = [m for m in first.problems if made[m].takes == "words" and made[m].language in ("", first.protocol.language)]
    if protocol is None and lost:
        return judge("raw"), [f"protocol raw in place of coco: {first.problems[lost[0]]}"]
    return first, []


def _beside(found: Evaluation, material: Material, asked: Mapping[str, Mapping[str, Any]]) -> Evaluation:
    """Add what a model says beside its text: tags, findings, where it looked, as far as the studies have gold."""
    from ..registries import metrics as registered

    lines, curves, first = [], dict(found.curves), found.systems[0]
    outputs = ModelOutputs(
        material.written,
        material.studies,
        material.training,
        material.grid,
        found.card.resamples,
        found.card.seed,
    )
    for name in dict.fromkeys((*asked, *(n for n in BESIDE if n in registered))):
        metric = registered.create(name, **asked.get(name, {}))
        if isinstance(metric, ScoresModelOutputs):
            lines += metric.score_outputs(outputs)
        if isinstance(metric, DrawsReliability) and (points := metric.reliability(material.written, material.studies)):
            curves[name] = tuple(points)
    systems = (replace(first, lines=(*first.lines, *lines)), *found.systems[1:])
    return replace(found, systems=systems, curves=curves)


def _of(named: Named) -> tuple[str, Mapping[str, Any]]:
    return (named, {}) if isinstance(named, str) else (named[0], named[1])


def _baselines(judge: Judge, material: Material, seed: int) -> tuple[list[Baseline], list[str]]:
    seeds = range(seed, seed + SEEDS)
    return imageless.build(material.background, material.ids, seeds, _chooser(judge, material.background))


def _chooser(judge: Judge, background: Background) -> Callable[[str], float] | None:
    """How good one text is as the report of every validation study: by BLEU-4."""
    from ..registries import metrics as registered

    bleu, texts = registered.create("bleu"), list(background.validation.values())[:CHOOSE_ON]
    try:
        references = judge.prepare_references([[t] for t in texts])
    except MetricError:
        return None
    return lambda text: bleu.compute(judge.prepare_reports([text]) * len(texts), references).value


def _card(judge: Judge, material: Material, dataset: str, split: str) -> Card:
    return Card(
        _protocol(judge.protocol),
        material.sections or judge.protocol.sections,
        dataset,
        split,
        fingerprint(dict(zip(material.ids, material.references, strict=True))),
        fingerprint({"": sorted(material.background.training.values())}) if judge.learns else "",
        len(material.ids),
        material.of,
        judge.seed,
        judge.resamples,
    )


def _protocol(protocol: TextProtocol) -> str:
    """Name, version, and the options that somebody set."""
    options = "".join(f" {k}={v}" for k, v in sorted(protocol.part_config["options"].items()))
    return f"{protocol.part_config['name']} {protocol.version}{options}"


def _assemble(
    judge: Judge, material: Material, card: Card, made: Sequence[Baseline], notes: Sequence[str], name: str
) -> Evaluation:
    """Measure everything at one go and put the rows together."""
    first = [r[0] for r in material.reports]
    n_best = max(map(len, material.reports))
    others = [[r[min(k, len(r) - 1)] for r in material.reports] for k in range(1, n_best)]
    measured = iter(judge.measure([first, *others, *(s for b in made for s in b.reports)]))
    subsets = _subsets(material)
    best = next(measured)
    systems = [_system(judge, name, "", [first], [best], subsets)]
    if others:
        candidates = [best, *(next(measured) for _ in others)]
        systems.append(_best_of(judge, candidates, f"{name}, best of {n_best}"))
    for b in made:
        systems.append(_system(judge, b.name, b.note, b.reports, [next(measured) for _ in b.reports], subsets))
    told = degeneracy(first, material.references)
    return Evaluation(
        card,
        tuple(systems),
        told,
        judge.problems,
        (*told.warnings, *judge.caveats(), *notes),
        _rows(judge, material, best, subsets),
        {k: m.statistics for k, m in best.items() if m.statistics is not None},
        {k: m.part_config["options"] for k, m in judge.metrics.items()},
        len(subsets["seen in training"]) / len(first) if "seen in training" in subsets else None,
    )


def _subsets(material: Material) -> dict[str, list[int]]:
    """Studies by what their reference is like; a pair of subsets is there where it is known."""
    background = material.background
    found: dict[str, list[int]] = {}
    if background.training:
        training = {verbatim(t) for t in background.training.values()}
        seen = [verbatim(r[0]) in training for r in material.references]
        found |= _halves(seen, "seen in training", "unseen in training")
    if all(i in background.normal for i in material.ids):
        found |= _halves([background.normal[i] for i in material.ids], "normal", "abnormal")
    return found


def _halves(flags: Sequence[bool], yes: str, no: str) -> dict[str, list[int]]:
    return {yes: [i for i, f in enumerate(flags) if f], no: [i for i, f in enumerate(flags) if not f]}


def _system(
    judge: Judge,
    name: str,
    note: str,
    sets: Sequence[Sequence[str]],
    measured: Sequence[Mapping[str, Measured]],
    subsets: Mapping[str, Sequence[int]],
) -> System:
    """Scores of one system; of several sets (one a seed) the mean, with the range in place of the interval."""
    alone = len(sets) == 1
    lines = [
        line
        for metric in judge.working
        for line in _mean([judge.lines(metric, m[metric], intervals=alone) for m in measured])
    ]
    parts = {
        subset: tuple(
            line
            for metric in judge.working
            for line in _mean(
                [
                    judge.lines(metric, judge.subset(metric, m[metric], s, which), intervals=False)
                    for s, m in zip(sets, measured, strict=True)
                ]
            )
        )
        for subset, which in subsets.items()
        if which
    }
    return System(name, tuple(lines), parts, note, {k: len(w) for k, w in subsets.items()})


def _mean(sets: Sequence[Sequence[ScoreLine]]) -> list[ScoreLine]:
    """The lines of one set, or their means over several with their ranges."""
    if len(sets) == 1:
        return list(sets[0])
    found = []
    for same in zip(*sets, strict=True):
        values = [line.value for line in same]
        one = same[0]
        mean = sum(values) / len(values)
        found.append(ScoreLine(one.name, mean, min(values), max(values), one.higher_is_better, one.metric, one.version))
    return found


def _best_of(judge: Judge, candidates: Sequence[Mapping[str, Measured]], name: str) -> System:
    """The best candidate of each study by each metric's headline score: an oracle, no model's score."""
    import numpy as np

    lines = []
    for metric in judge.working:
        measured = [c[metric].statistics for c in candidates]
        if any(m is None for m in measured):
            continue
        rows = np.stack([m for m in measured if m is not None])  # (candidates, n, k)
        sign = 1 if judge.metrics[metric].higher_is_better else -1
        headline = np.stack([next(iter(judge.each(metric, Measured(statistics=r)).values())) for r in rows])
        chosen = rows[(sign * headline).argmax(0), np.arange(rows.shape[1])]  # (n, k)
        lines += judge.lines(metric, Measured(statistics=chosen))
    note = f"ORACLE: of {len(candidates)} candidates the one that scores best against the reference, for each metric"
    return System(name, tuple(lines), {}, note)


def _rows(
    judge: Judge, material: Material, measured: Mapping[str, Measured], subsets: Mapping[str, Sequence[int]]
) -> tuple[StudyRow, ...]:
    each: dict[str, list[float]] = {}
    for name, m in measured.items():
        parts = judge.each(name, m)
        each |= parts if len(parts) <= MOST else dict(islice(parts.items(), 2))
    belongs = {name: set(which) for name, which in subsets.items()}
    labels = _labels(judge, material)
    return tuple(
        StudyRow(
            id,
            report[0],
            refs,
            {part: values[i] for part, values in each.items()},
            tuple(name for name, which in belongs.items() if i in which),
            labels[i] if labels else {},
            tuple(material.images.get(id, ())),
        )
        for i, (id, report, refs) in enumerate(zip(material.ids, material.reports, material.references, strict=True))
    )


def _labels(judge: Judge, material: Material) -> list[dict[str, tuple[float | None, float | None]]]:
    """What the first metric that reads findings finds in reports and references; nothing where none does."""
    for name in judge.working:
        metric = judge.metrics[name]
        if isinstance(metric, HasLabels):
            ours = metric.labels([r[0] for r in material.reports])
            theirs = metric.labels([r[0] for r in material.references])
            pairs = zip(ours, theirs, strict=True)
            return [{k: (a.get(k), b.get(k)) for k in dict.fromkeys((*b, *a))} for a, b in pairs]
    return []
