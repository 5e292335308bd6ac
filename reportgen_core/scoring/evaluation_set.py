"""What is scored: predictions and references, paired by study id; from texts, from studies, or by a model's reports."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypedDict

from ..errors import DataError, lists_only, quoted
from ..types import Collection, GenerationSettings, Report, Study
from .abilities.metrics import ModelOutputs
from .baselines import Baseline, BaselineData
from .compared.others import facts_of, notes_of
from .subgroups.values import group_names, study_columns

METRICS = ("bleu", "meteor", "rouge-l", "cider", "chexpert-rules")
SECTIONS = ("findings",)
MAX_IDS_SHOWN = 5  # in a message
MIN_WORDS = 12  # of a text that has more than one sentence
SENTENCE_END = re.compile(r"[.!?;。]|\n")

Texts = Mapping[str, "str | Sequence[str]"]
Studies = Collection | Sequence[Study]
Named = str | tuple[str, Mapping[str, Any]]  # a registered name, or one with options


class EvaluationOptions(TypedDict, total=False):
    """The keywords of `evaluate`; see `EvaluationRequest`."""

    metrics: Sequence[Named]
    protocol: Named | None
    sections: Sequence[str]
    dataset: str
    split: str
    background: BaselineData | None
    images: Mapping[str, Sequence[str]] | None
    patients: Mapping[str, str] | None
    by: Sequence[str]
    columns: Mapping[str, Mapping[str, object]] | None
    baselines: bool
    partial: bool
    resamples: int
    seed: int
    name: str
    settings: GenerationSettings | None
    batch_size: int
    precision: str
    workers: int
    cache: Path | None
    others: Mapping[str, Texts | WritesReports]
    expensive_baselines: bool
    send_reports: bool


@lists_only
@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRequest:
    """How reports are scored, and how a model that is scored generates them."""

    metrics: Sequence[Named] = METRICS
    protocol: Named | None = None  # how texts become words; None: coco, or raw if Java cannot run
    sections: Sequence[str] = ()  # of the references; (): those that the model was trained on, else the findings
    dataset: str = ""  # its name, for the score card
    split: str = ""  # the studies to score; "": all
    background: BaselineData | None = None  # None: of the other splits of the studies
    images: Mapping[str, Sequence[str]] | None = None  # image files by study; None: those of the studies
    patients: Mapping[str, str] | None = None  # the patient of each study; None: those that the studies name
    by: Sequence[str] = ()  # columns whose values make subgroups: sex, age, view, or any other
    columns: Mapping[str, Mapping[str, object]] | None = None  # values by column and study; None: those of the studies
    baselines: bool = True  # score the baselines too
    partial: bool = False  # score the studies that have a prediction, and mark the scores
    resamples: int = 1000  # of the bootstrap; 0: no intervals
    seed: int = 0
    name: str = "reports"  # what the tables call the reports
    settings: GenerationSettings | None = None  # this and the rest are for a model
    batch_size: int = 32
    precision: str = "auto"
    workers: int = 0  # processes that read images
    cache: Path | None = None  # a folder for resized images
    others: Mapping[str, Texts | WritesReports] = field(default_factory=dict)  # further rows of the table, by name
    expensive_baselines: bool = False  # run expensive metrics on the baselines too
    send_reports: bool = False  # the user allows metrics to send reports and references to other machines


class WritesReports(Protocol):
    """A model, as far as evaluation goes: a `Model` or another `Reporter`, which this wing does not import."""

    def report_studies(self, *arguments: Any, **options: Any) -> list[Report]:
        """Return a report for each study, in order. The arguments are those of `Reporter.report_studies`."""


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """Predictions, references and what else is scored, study by study."""

    ids: tuple[str, ...]
    reports: tuple[tuple[str, ...], ...]  # n-best, best first
    references: tuple[tuple[str, ...], ...]
    of: int  # studies with a reference, including those without a prediction
    background: BaselineData = field(default_factory=BaselineData)
    sections: tuple[str, ...] = ()
    images: Mapping[str, Sequence[str]] = field(default_factory=dict)
    patients: tuple[str, ...] = ()  # of each study, "" where none is named; (): no study names one
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # the subgroup of each study, by column
    notes: tuple[str, ...] = ()
    outputs: ModelOutputs | None = None  # of the scored model, in the order of `ids`; None if texts were given
    others: tuple[Baseline, ...] = ()  # the reports of other models on the same studies
    reporters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # facts of the models, by name


def make_evaluation_set(
    predictions: Texts | WritesReports, references: Texts | Studies, request: EvaluationRequest
) -> EvaluationSet:
    """Pair predictions and references by study id. A model generates its reports here.

    Raises DataError if predictions and references do not fit together.
    """
    for what, value in (("predictions", predictions), ("references", references)):
        if isinstance(value, (str, bytes, Path)):
            raise DataError(f"{what} are texts by study id, or a model and studies; got the text {quoted(value)}")
    if isinstance(references, Mapping):
        if not isinstance(predictions, Mapping):
            raise DataError("a model is evaluated on studies, not on texts: give a Collection or a list of Study")
        pairs = pair_by_id(predictions, references, partial=request.partial)
        pairs = _with_others(pairs, request, [])
        background = request.background or BaselineData()
        pairs = replace(pairs, background=background, sections=tuple(request.sections), images=request.images or {})
        return _with_groups(pairs, request.patients or {}, request.columns or {}, request.by)
    sections = tuple(request.sections) or _sections_of(predictions)
    studies = _of_split(references, request.split)
    texts = {s.id: s.text(sections) for s in studies}
    if isinstance(predictions, Mapping):
        pairs = _with_others(pair_by_id(predictions, texts, partial=request.partial), request, studies)
    else:
        reports = _generate(predictions, [s for s in studies if texts[s.id]], request)
        written = {id: (r.text, *r.alternatives) for id, r in reports.items()}
        pairs = pair_by_id(written, texts, partial=request.partial)
        pairs = _described(pairs, request.name, predictions, [s for s in studies if texts[s.id]])
        pairs = _with_others(pairs, request, studies)
        pairs = replace(pairs, outputs=_outputs(predictions, pairs.ids, reports, references, studies, request))
    pairs = replace(
        pairs,
        background=request.background or background_of(references, studies, sections),
        sections=sections,
        images=request.images or {s.id: [str(v.path) for v in s.views] for s in studies},
    )
    patients = {s.id: s.patient for s in studies} if request.patients is None else request.patients
    return _with_groups(pairs, patients, request.columns or study_columns(studies, request.by), request.by)


def _with_groups(
    pairs: EvaluationSet, patients: Mapping[str, str], columns: Mapping[str, Mapping[str, object]], by: Sequence[str]
) -> EvaluationSet:
    """Return the set with the patient and the subgroups of each study. Raises DataError for a column without values."""
    named = tuple(patients.get(id, "") for id in pairs.ids)
    groups = {}
    for column in dict.fromkeys(by):
        values = columns.get(column, {})
        groups[column] = group_names(column, [values.get(id) for id in pairs.ids])
    return replace(pairs, patients=named if any(named) else (), groups=groups)


def _described(pairs: EvaluationSet, name: str, model: object, studies: Sequence[Study]) -> EvaluationSet:
    """Return the set with the facts of a model, the notes on them, and on what of the studies it does not use."""
    facts = {name: facts} if (facts := facts_of(model)) else {}
    unused: Callable[..., str] = getattr(model, "unused_context", lambda *_: "")
    notes = (*notes_of(name, model), *filter(None, [unused(studies, name)]))
    return replace(pairs, reporters={**pairs.reporters, **facts}, notes=(*pairs.notes, *notes))


def _with_others(pairs: EvaluationSet, request: EvaluationRequest, studies: Sequence[Study]) -> EvaluationSet:
    """Return the set with the reports of the other models; with `partial` the studies that all of them have.

    Raises DataError for a study without a report, unless `partial`.
    """
    texts: dict[str, dict[str, str]] = {}
    for name, other in request.others.items():
        if isinstance(other, Mapping):
            texts[name] = {id: written[0] for id, text in other.items() if (written := _texts(text))}
            continue
        reports = _generate(other, [s for s in studies if s.id in pairs.ids], request)
        texts[name] = {id: report.text for id, report in reports.items()}
        pairs = _described(pairs, name, other, [s for s in studies if s.id in pairs.ids])
    for name, own in texts.items():
        if (missing := [id for id in pairs.ids if id not in own]) and not request.partial:
            raise DataError(
                f"{name}: {_named(missing, 'study', 'studies')} without a prediction; --partial scores the rest, marked"
            )
    kept = [n for n, id in enumerate(pairs.ids) if all(id in own for own in texts.values())]
    if not kept:
        raise DataError(f"nothing to score: no study has a report of {', '.join(texts)} as well")
    ids = tuple(pairs.ids[n] for n in kept)
    lost = (
        f"PARTIAL: {_named([i for i in pairs.ids if i not in ids], 'study', 'studies')} without a report of all models"
    )
    return replace(
        pairs,
        ids=ids,
        reports=tuple(pairs.reports[n] for n in kept),
        references=tuple(pairs.references[n] for n in kept),
        others=tuple(Baseline(name, "", (tuple(own[id] for id in ids),)) for name, own in texts.items()),
        notes=(*pairs.notes, lost) if len(ids) < len(pairs.ids) else pairs.notes,
    )


def _generate(model: WritesReports, studies: Sequence[Study], request: EvaluationRequest) -> dict[str, Report]:
    """Return the model's reports by study. A study without a report is left out with `partial`; else a DataError."""
    reports = model.report_studies(
        studies, settings=request.settings, batch_size=request.batch_size, precision=request.precision,
        workers=request.workers, cache=request.cache,
    )  # fmt: skip
    failed = [r for r in reports if r.problem and not r.text]
    if failed and not request.partial:
        ids = _named([r.study for r in failed], "study", "studies")
        raise DataError(f"{ids} without a prediction: {failed[0].problem}; --partial scores the rest, marked")
    return {r.study: r for r in reports if r.text or not r.problem}


def _outputs(
    model: object,
    ids: Sequence[str],
    reports: Mapping[str, Report],
    source: Studies,
    studies: Sequence[Study],
    request: EvaluationRequest,
) -> ModelOutputs:
    by_id = {s.id: s for s in studies}
    return ModelOutputs(
        tuple(reports[i] for i in ids),
        tuple(by_id[i] for i in ids),
        training=tuple(s for s in _all(source) if s.split == "train" and s.id not in by_id),
        grid=getattr(model, "grid", None),
        resamples=request.resamples,
        seed=request.seed,
    )


def pair_by_id(predictions: Texts, references: Texts, *, partial: bool = False) -> EvaluationSet:
    """Pair predictions and references by study id, in the order of the references. Leave out empty references.

    Raises DataError for predictions without a reference and for missing predictions, unless `partial`.
    """
    refs = {id: texts for id, t in references.items() if (texts := tuple(x for x in _texts(t) if x.strip()))}
    empty = [id for id in references if id not in refs]
    unknown = [id for id in predictions if id not in references]
    missing = [id for id in refs if id not in predictions]
    if unknown and not partial:
        raise DataError(
            f"{_named(unknown, 'prediction')} for studies that have no reference; --partial leaves them out"
        )
    if missing and not partial:
        raise DataError(
            f"{_named(missing, 'study', 'studies')} without a prediction; --partial scores the rest, marked"
        )
    ids = tuple(id for id in refs if id in predictions)
    if not ids:
        raise DataError(f"nothing to score: {len(predictions)} predictions, {len(refs)} references, no id in common")
    reports = tuple(_texts(predictions[id]) or ("",) for id in ids)
    notes = []
    if missing:
        notes.append(f"PARTIAL: {_named(missing, 'study', 'studies')} without a prediction")
    if unknown:
        notes.append(f"{_named(unknown, 'prediction')} for studies that have no reference, left out")
    if empty:
        notes.append(f"{_named(empty, 'study', 'studies')} with an empty reference, left out")
    if all(report[0] in refs[id] for id, report in zip(ids, reports, strict=True)):
        notes.append("every prediction equals a reference of its study: are these the right files?")
    notes += unended_notes("predictions", [report[0] for report in reports])
    notes += unended_notes("references", [text for id in ids for text in refs[id]])
    return EvaluationSet(ids, reports, tuple(refs[id] for id in ids), len(refs), notes=tuple(notes))


def unended_notes(what: str, texts: Sequence[str]) -> list[str]:
    """Return a note if a tenth of the texts or more have no sentence ends: the labeler must guess them."""
    unended = sum(len(text.split()) >= MIN_WORDS and not SENTENCE_END.search(text) for text in texts)
    if not unended or unended * 10 < len(texts):
        return []
    return [
        f"{unended} of {len(texts)} {what} have no sentence ends; chexpert-rules guesses where their sentences begin"
    ]


def background_of(source: Studies, scored: Sequence[Study], sections: Sequence[str]) -> BaselineData:
    """Return what baselines need from the other splits of `source`. Studies in `scored` are no training studies."""
    studies = _all(source)
    texts = {
        name: {s.id: t for s in studies if s.split == name and (t := s.text(sections))} for name in ("train", "val")
    }
    scored_ids = {s.id for s in scored}
    tags = {s.id: tuple(s.extra.get("mesh", s.tags)) for s in studies if s.extra.get("mesh", s.tags)}
    normal = {s.id: bool(s.extra["normal"]) for s in scored if "normal" in s.extra}
    training = {i: t for i, t in texts["train"].items() if i not in scored_ids}
    validation = {i: t for i, t in texts["val"].items() if i not in scored_ids}
    return BaselineData(training, validation, tags, normal)


def _sections_of(model: object) -> tuple[str, ...]:
    """Return the sections that the model was trained to generate; those of SECTIONS for texts."""
    return tuple(getattr(model, "sections", getattr(getattr(model, "text", None), "sections", SECTIONS)))


def _of_split(source: Studies, split: str) -> list[Study]:
    studies = _all(source)
    chosen = [s for s in studies if not split or s.split == split]
    if not chosen:
        splits = sorted({s.split or "(none)" for s in studies})
        raise DataError(f"no study is in split {split!r}; there are: {', '.join(splits) or 'no studies at all'}")
    return chosen


def _all(source: Studies) -> Sequence[Study]:
    return source.studies if isinstance(source, Collection) else source


def _texts(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _named(ids: Sequence[str], one: str, many: str = "") -> str:
    """Return a count with the first ids: `7 studies (a, b, c, d, e and 2 more)`."""
    more = f" and {len(ids) - MAX_IDS_SHOWN} more" if len(ids) > MAX_IDS_SHOWN else ""
    word = one if len(ids) == 1 else many or one + "s"
    return f"{len(ids)} {word} ({', '.join(ids[:MAX_IDS_SHOWN])}{more})"
