"""Brings predictions and references together by study id: from texts, from studies, or from a model and its studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from ..errors import DataError
from ..types import Collection, GenerationSettings, Report, Study
from .baselines import Background

SHOWN = 5  # ids named in a message
SECTIONS = ("findings",)

Texts = Mapping[str, "str | Sequence[str]"]
Studies = Collection | Sequence[Study]


class WritesReports(Protocol):
    """A model, as far as evaluation goes."""

    def report_studies(
        self,
        studies: Sequence[Study],
        settings: GenerationSettings | None = None,
        *,
        batch_size: int = 32,
        precision: str = "auto",
        workers: int = 0,
        cache: Path | None = None,
    ) -> list[Report]:
        """Return a report for each study, in order."""


@dataclass(frozen=True, slots=True)
class Material:
    """What is to be scored, study by study."""

    ids: tuple[str, ...]
    reports: tuple[tuple[str, ...], ...]  # n-best, best first
    references: tuple[tuple[str, ...], ...]
    of: int  # studies with a reference, those without a prediction counted
    background: Background = field(default_factory=Background)
    sections: tuple[str, ...] = ()
    images: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    written: tuple[Report, ...] = ()  # all that a model said, in the order of `ids`; empty where texts were given
    studies: tuple[Study, ...] = ()  # likewise
    training: tuple[Study, ...] = ()
    grid: tuple[int, int, int] | None = None  # of the model's attention


def gather(
    predictions: Texts | WritesReports,
    references: Texts | Studies,
    *,
    split: str = "",
    sections: Sequence[str] = (),
    background: Background | None = None,
    images: Mapping[str, Sequence[str]] | None = None,
    partial: bool = False,
    how: Mapping[str, Any] | None = None,
) -> Material:
    """The material of an evaluation; a model writes its reports here. `how` is for `report_studies`."""
    if isinstance(references, Mapping):
        if not isinstance(predictions, Mapping):
            raise DataError("a model is evaluated on studies, not on texts: give a Collection or a list of Study")
        found = align(predictions, references, partial=partial)
        return replace(found, background=background or Background(), sections=tuple(sections), images=images or {})
    chosen = tuple(sections) or _sections_of(predictions)
    studies = _of_split(references, split)
    texts = {s.id: s.text(chosen) for s in studies}
    reports: dict[str, Report] = {}
    grid = None
    if not isinstance(predictions, Mapping):
        model, predictions = predictions, {}
        reports = _write(model, [s for s in studies if texts[s.id]], how or {})
        predictions = {id: (r.text, *r.alternatives) for id, r in reports.items()}
        grid = getattr(getattr(getattr(model, "encoder", None), "features", None), "grid", None)
    found = align(predictions, texts, partial=partial)
    by_id = {s.id: s for s in studies}
    return replace(
        found,
        background=background or background_of(references, studies, chosen),
        sections=chosen,
        images=images or {s.id: [str(v.path) for v in s.views] for s in studies},
        written=tuple(reports[i] for i in found.ids) if reports else (),
        studies=tuple(by_id[i] for i in found.ids) if reports else (),
        training=tuple(s for s in _all(references) if s.split == "train" and s.id not in by_id),
        grid=grid,
    )


def align(predictions: Texts, references: Texts, *, partial: bool = False) -> Material:
    """Predictions beside references, in the order of the references. Studies with an empty reference are left out.

    Raises DataError for predictions without a reference, and for missing ones unless `partial`.
    """
    refs = {id: kept for id, t in references.items() if (kept := tuple(x for x in _texts(t) if x.strip()))}
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
    return Material(ids, reports, tuple(refs[id] for id in ids), len(refs), notes=tuple(notes))


def background_of(source: Studies, scored: Sequence[Study], sections: Sequence[str]) -> Background:
    """What the other splits of a collection say."""
    studies = source.studies if isinstance(source, Collection) else source
    texts = {
        name: {s.id: t for s in studies if s.split == name and (t := s.text(sections))} for name in ("train", "val")
    }
    here = {s.id for s in scored}
    tags = {s.id: tuple(s.extra.get("mesh", s.tags)) for s in studies if s.extra.get("mesh", s.tags)}
    normal = {s.id: bool(s.extra["normal"]) for s in scored if "normal" in s.extra}
    training = {i: t for i, t in texts["train"].items() if i not in here}
    validation = {i: t for i, t in texts["val"].items() if i not in here}
    return Background(training, validation, tags, normal)


def _sections_of(model: object) -> tuple[str, ...]:
    """What the model was trained to write."""
    return tuple(getattr(getattr(model, "text", None), "sections", SECTIONS))


def _of_split(source: Studies, split: str) -> list[Study]:
    studies = _all(source)
    chosen = [s for s in studies if not split or s.split == split]
    if not chosen:
        there = sorted({s.split or "(none)" for s in studies})
        raise DataError(f"no study is in split {split!r}; there are: {', '.join(there) or 'no studies at all'}")
    return chosen


def _all(source: Studies) -> Sequence[Study]:
    return source.studies if isinstance(source, Collection) else source


def _write(model: WritesReports, studies: Sequence[Study], how: Mapping[str, Any]) -> dict[str, Report]:
    """The model's reports by study; one that could not be read is missing."""
    return {r.study: r for r in model.report_studies(studies, **how) if r.text or not r.problem}


def _texts(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _named(ids: Sequence[str], one: str, many: str = "") -> str:
    """`7 studies (a, b, c, d, e and 2 more)`."""
    more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    word = one if len(ids) == 1 else many or one + "s"
    return f"{len(ids)} {word} ({', '.join(ids[:SHOWN])}{more})"
