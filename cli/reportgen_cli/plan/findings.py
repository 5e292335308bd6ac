"""Count findings: those that a labeler reads off the reports, or the labels that the dataset brings, and languages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from reportgen_core.data.labels import NO_FINDING
from reportgen_core.errors import OptionError
from reportgen_core.metric import HasLabels
from reportgen_core.registries import metrics
from reportgen_core.types import Study

from .numbers import counted
from .texts import Texts

FEW = 10  # training studies: a finding that fewer have is hardly learned
ENGLISH = "English or not known"
Labels = Mapping[str, Mapping[str, float]]  # of each study, by its id
Counting = Callable[[Iterable[str]], Iterable[str]]


@runtime_checkable
class NamesLanguages(Protocol):
    """A labeler that says in which language a text is."""

    def language(self, text: str) -> str:
        """Return the language of a text that is not English; "" for English or an unknown one."""


@dataclass(frozen=True, slots=True)
class FindingCount:
    """How many studies have a finding, leave it in doubt, and deny it. The others do not mention it."""

    name: str
    present: int
    uncertain: int
    absent: int
    in_training: int  # of `present`; all of them if there is no training split


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingFacts:
    """The findings of a dataset, the commonest first."""

    source: str  # the metric that labelled the reports, or "data"
    labelled: int  # studies with a label
    unlabelled: int  # reports or studies without one
    normal: int | None  # studies without a finding; None if the source has no such label
    findings: tuple[FindingCount, ...]

    @property
    def few(self) -> tuple[FindingCount, ...]:
        """Return the findings that some studies have, but less than `FEW` training studies."""
        return tuple(f for f in self.findings if f.present and f.in_training < FEW)


def label_texts(texts: Texts, metric: str, count: Counting = iter) -> tuple[Labels, dict[str, int]]:
    """Return what a metric labels in each report, and how many reports are in which language, the commonest first.

    `count` is called for each text that is read. The languages are {} if the labeler does not name them. Raises
    OptionError for a metric that labels no texts.
    """
    part = metrics.create(metric)
    if not isinstance(part, HasLabels):
        raise OptionError(f"metric {metric!r} labels no texts; chexpert-rules does")
    labeler = getattr(part, "labeler", None)
    language = labeler.language if isinstance(labeler, NamesLanguages) else None
    labels: dict[str, Mapping[str, float]] = {}
    languages: dict[str, str] = {}
    for text in count(dict.fromkeys(texts.values())):
        labels[text] = part.labels([text])[0]
        languages[text] = (language(text) or ENGLISH) if language else ""
    spoken = counted(languages[text] for text in texts.values()) if language else {}
    return {id: labels[text] for id, text in texts.items()}, spoken


def count_findings(studies: Sequence[Study], labels: Labels, source: str) -> FindingFacts | None:
    """Return the findings of the labels; None if no study has one. `labels` has every study that was labelled."""
    labelled = [id for id, values in labels.items() if values]
    if not labelled:
        return None
    trained = {s.id for s in studies if s.split == "train"} or set(labels)
    counts: dict[str, Counter[str]] = {}
    for id, values in labels.items():
        for name, value in values.items():
            state = "present" if value == 1 else "absent" if value == 0 else "uncertain"
            counts.setdefault(name, Counter()).update([state] + ["learn"] * (state == "present" and id in trained))
    normal = counts.pop(NO_FINDING, None)
    rows = [FindingCount(n, c["present"], c["uncertain"], c["absent"], c["learn"]) for n, c in counts.items()]
    return FindingFacts(
        source=source,
        labelled=len(labelled),
        unlabelled=len(labels) - len(labelled),
        normal=None if normal is None else normal["present"],
        findings=tuple(sorted(rows, key=lambda row: (-row.present, row.name))),
    )
