"""The interfaces of sentence encoders, classifiers and groupers, and the values that they exchange."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from .registry import OLD_RECIPE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

OnLine = Callable[[str], None]

_CLOSING = re.compile(r"[\s.!?]+$")


def sentence_key(sentence: str) -> str:
    """What two spellings of one sentence share: lower case, single spaces, no stop at its end."""
    return _CLOSING.sub("", " ".join(sentence.lower().split()))


class SentenceEncoder(ABC):
    """Turns sentences into vectors. The same sentence gets the same vector, alone or in any list."""

    dim: int
    part_config: dict[str, Any]  # name and options; set by the registry
    recipe = OLD_RECIPE

    @abstractmethod
    def encode(self, sentences: Sequence[str]) -> Floats:
        """(n, dim), of length 1; all zeros where a sentence holds nothing that is known."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Changes whenever a sentence would get another vector: a sha256 of weights or file."""


@dataclass(frozen=True, slots=True)
class LabelledSentence:
    """One sentence, whether it is abnormal, and the study it is from, by which data are split."""

    text: str
    abnormal: bool
    study: str = ""


class SentenceClassifier(ABC):
    """Says whether sentences describe something abnormal."""

    name: ClassVar[str]  # the registered one: a saved folder names it
    part_config: dict[str, Any]  # name and options; set by the registry
    recipe = OLD_RECIPE

    @abstractmethod
    def fit(self, train: Sequence[LabelledSentence], watch: OnLine | None = None) -> Mapping[str, Any]:
        """Learn; what was chosen on the way, as JSON values. `watch` gets a line after each step that takes long.

        Raises DataError where only one class is there.
        """

    @abstractmethod
    def probabilities(self, sentences: Sequence[str]) -> Floats:
        """(n,): how probably each sentence is abnormal."""

    @abstractmethod
    def save(self, folder: Path, *, about: Mapping[str, Any] | None = None) -> Path:
        """Write what was learned as JSON and safetensors; `about` is kept with it."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> SentenceClassifier:
        """Read what `save` wrote. Raises CheckpointError for a folder that is none."""

    def abnormal(self, sentences: Sequence[str]) -> list[bool]:
        """Whether each sentence is abnormal: its probability is at least one half."""
        return [bool(p >= 0.5) for p in self.probabilities(sentences)]


@dataclass(frozen=True, slots=True)
class Group:
    """Sentences that say the same finding."""

    sentences: tuple[str, ...]  # the nearest to the centre first; each spelling once
    central: str  # the most central of them, which stands for the group
    terms: tuple[str, ...] = ()  # of the mutually exclusive ones, those that it has: "right", "small"
    counts: tuple[int, ...] = ()  # how often each sentence is in the data; empty where that is not known
    cluster: int = -1  # the cluster it was cut from


@dataclass(frozen=True, slots=True)
class Groups:
    """What a folder of groups holds."""

    groups: tuple[Group, ...]
    vectors: Floats | None = None  # (Σ sentences, dim): those of group 0, those of group 1, ...
    encoder: Mapping[str, Any] = field(default_factory=dict)  # name, options, fingerprint, dim
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sentences(self) -> tuple[str, ...]:
        """All sentences, in the order of the vectors."""
        return tuple(s for g in self.groups for s in g.sentences)

    @property
    def owners(self) -> tuple[int, ...]:
        """The index of the group of each of `sentences`."""
        return tuple(n for n, g in enumerate(self.groups) for _ in g.sentences)

    def by_key(self) -> dict[str, int]:
        """The group of each sentence, by `sentence_key`: which groups a report's abnormal sentences are of."""
        return {sentence_key(s): n for n, g in enumerate(self.groups) for s in g.sentences}


class SentenceGrouper(ABC):
    """Puts sentences that say the same into one group."""

    part_config: dict[str, Any]  # name and options; set by the registry
    recipe = OLD_RECIPE

    @abstractmethod
    def group(self, sentences: Sequence[str], encoder: SentenceEncoder) -> Groups:
        """Groups of these sentences; one that comes twice counts twice. Raises DataError where they are too few."""
