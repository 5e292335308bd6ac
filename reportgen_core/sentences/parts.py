"""The interfaces of sentence encoders, classifiers and groupers, and the values that they exchange."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..registry import OLD_RECIPE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

OnLine = Callable[[str], None]

_CLOSING = re.compile(r"[\s.!?]+$")


def sentence_key(sentence: str) -> str:
    """Return the sentence in lower case, with single spaces and no stop at its end, to compare spellings."""
    return _CLOSING.sub("", " ".join(sentence.lower().split()))


class SentenceEncoder(ABC):
    """Turns sentences into vectors. The same sentence gets the same vector, alone or in any list."""

    dim: int
    part_config: dict[str, Any]  # name and options; set by the registry
    recipe = OLD_RECIPE

    @abstractmethod
    def encode(self, sentences: Sequence[str]) -> Floats:
        """Return the vectors (n, dim), each of length 1; a sentence without a known word gets zeros."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Return a sha256 of the weights or the file. It changes whenever a sentence would get another vector."""


@dataclass(frozen=True, slots=True)
class LabelledSentence:
    """One sentence, whether it is abnormal, and its study. Data are split by study."""

    text: str
    abnormal: bool
    study: str = ""


class SentenceClassifier(ABC):
    """Tells whether sentences describe something abnormal."""

    name: ClassVar[str]  # its registered name, which a saved folder contains
    part_config: dict[str, Any]  # name and options; set by the registry
    recipe = OLD_RECIPE

    @abstractmethod
    def fit(self, train: Sequence[LabelledSentence], watch: OnLine | None = None) -> Mapping[str, Any]:
        """Learn from sentences and return the settings that were chosen, as JSON values.

        `watch` gets a line after each long step. Raises DataError if all sentences are of one class.
        """

    @abstractmethod
    def probabilities(self, sentences: Sequence[str]) -> Floats:
        """Return for each sentence the probability (n,) that it is abnormal, 0..1."""

    @abstractmethod
    def save(self, folder: Path, *, about: Mapping[str, Any] | None = None) -> Path:
        """Write the classifier as JSON and safetensors, with the facts `about` it, and return the folder."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> SentenceClassifier:
        """Read a classifier that `save` wrote. Raises CheckpointError for a folder without a classifier."""

    def abnormal(self, sentences: Sequence[str]) -> list[bool]:
        """Return whether each sentence is abnormal: its probability is at least 0.5."""
        return [bool(p >= 0.5) for p in self.probabilities(sentences)]


@dataclass(frozen=True, slots=True)
class Group:
    """Sentences that state the same finding."""

    sentences: tuple[str, ...]  # the sentence nearest to the centre first; each spelling once
    central: str  # the most central sentence, which represents the group
    terms: tuple[str, ...] = ()  # the mutually exclusive terms in its sentences: "right", "small"
    counts: tuple[int, ...] = ()  # how often each sentence is in the data; () if that is not known
    cluster: int = -1  # the cluster that the group is a part of


@dataclass(frozen=True, slots=True)
class Groups:
    """The contents of a folder of groups."""

    groups: tuple[Group, ...]
    vectors: Floats | None = None  # (Σ sentences, dim): the sentences of group 0, then those of group 1, ...
    encoder: Mapping[str, Any] = field(default_factory=dict)  # name, options, fingerprint, dim
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sentences(self) -> tuple[str, ...]:
        """Return all sentences, in the order of the vectors."""
        return tuple(s for g in self.groups for s in g.sentences)

    @property
    def owners(self) -> tuple[int, ...]:
        """Return the index of the group of each of `sentences`."""
        return tuple(n for n, g in enumerate(self.groups) for _ in g.sentences)

    def by_key(self) -> dict[str, int]:
        """Return the index of the group of each sentence, by `sentence_key`."""
        return {sentence_key(s): n for n, g in enumerate(self.groups) for s in g.sentences}


class SentenceGrouper(ABC):
    """Puts sentences with the same meaning into one group."""

    part_config: dict[str, Any]  # name and options; set by the registry
    recipe = OLD_RECIPE

    @abstractmethod
    def group(self, sentences: Sequence[str], encoder: SentenceEncoder) -> Groups:
        """Return groups of these sentences; a sentence that occurs twice counts twice. Raises DataError for too few."""
