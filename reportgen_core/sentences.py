"""Sentences of reports: vectors of them, which of them are abnormal, groups of them and the folder they are kept in.

Ni, Hsu, Gentili, McAuley: Learning Visual-Semantic Embeddings for Reporting Abnormal Findings on Chest X-rays, 2020,
arXiv:2010.02467, finds abnormal sentences with a classifier (`SentenceClassifier`), and groups them (`SentenceGrouper`)
by their vectors (`SentenceEncoder`). The retrievers learn against the groups.

A folder of groups, format 1:

    groups.json          {"format": 1, "groups": [{"central", "terms", "sentences", "counts", "cluster"}, ...],
                          "encoder": {"name", "options", "fingerprint", "dim"}, "settings": {...}, "vectors_sha256"}
    vectors.safetensors  "vectors" (Σ sentences, dim) float32: the sentences of group 0, those of group 1, ...

It is written beside and renamed; vectors whose sha256 is another than the JSON says are refused. This module needs no
torch.
"""

from __future__ import annotations

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from .errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

Watch = Callable[[str], None]
FORMAT = 1
GROUPS, VECTORS = "groups.json", "vectors.safetensors"
_WORD = re.compile(r"[^\W\d_]{2,}(?:-[^\W\d_]+)*")
_LITTLE = (
    "an and are as at be been by for from has have in is it its may no not of on or that the there these this to was "
    "were which with again appear appears compatible consistent identified likely noted present representing seen xxxx"
)
_FUNCTION = frozenset(_LITTLE.split())
_CLOSING = re.compile(r"[\s.!?]+$")


def sentence_key(sentence: str) -> str:
    """What two spellings of one sentence share: lower case, single spaces, no stop at its end."""
    return _CLOSING.sub("", " ".join(sentence.lower().split()))


class SentenceEncoder(ABC):
    """Turns sentences into vectors. The same sentence gets the same vector, alone or in any list."""

    dim: int
    recipe: dict[str, Any]  # set by the registry

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
    recipe: dict[str, Any]  # set by the registry

    @abstractmethod
    def fit(self, train: Sequence[LabelledSentence], watch: Watch | None = None) -> Mapping[str, Any]:
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


def common_words(group: Group, most: int = 4) -> tuple[str, ...]:
    """The words that most sentences of a group have, the most frequent first; those without meaning left out."""
    counts = group.counts or (1,) * len(group.sentences)
    found: Counter[str] = Counter()
    for sentence, count in zip(group.sentences, counts, strict=True):
        found.update({w: count for w in {*_WORD.findall(sentence.lower())} - _FUNCTION})
    return tuple(sorted(found, key=lambda w: (-found[w], w))[:most])


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

    recipe: dict[str, Any]  # set by the registry

    @abstractmethod
    def group(self, sentences: Sequence[str], encoder: SentenceEncoder) -> Groups:
        """Groups of these sentences; one that comes twice counts twice. Raises DataError where they are too few."""


def save_groups(
    path: Path,
    groups: Sequence[Group],
    vectors: Floats | None = None,
    *,
    encoder: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Write a folder of groups; one that is there is replaced as a whole. `vectors`: rows as in `Groups.vectors`."""
    import numpy as np
    from safetensors.numpy import save_file

    from .checkpoint import write_json
    from .replacing import replacing

    wanted = sum(len(g.sentences) for g in groups)
    if vectors is not None and (vectors.ndim != 2 or len(vectors) != wanted):
        raise DataError(f"groups of {wanted} sentences want vectors ({wanted}, dim), got {tuple(vectors.shape)}")
    config: dict[str, Any] = {
        "format": FORMAT,
        "groups": [asdict(g) for g in groups],
        "encoder": dict(encoder or {}),
        "settings": dict(settings or {}),
        "vectors_sha256": "",
    }
    with replacing(path, holds=GROUPS) as beside:
        if vectors is not None:
            save_file({"vectors": np.ascontiguousarray(vectors, np.float32)}, beside / VECTORS)
            config["vectors_sha256"] = _sha256(beside / VECTORS)
        write_json(beside / GROUPS, config)
    return path


def load_groups(path: Path) -> Groups:
    """Read a folder of groups. Raises DataError where it is none, of another format, or not whole."""
    config = _config(path)
    try:
        groups = tuple(_group(row) for row in config["groups"])
        encoder, settings, digest = dict(config["encoder"]), dict(config["settings"]), str(config["vectors_sha256"])
    except (KeyError, TypeError, ValueError) as e:
        raise DataError(f"{path / GROUPS} is no list of groups: {type(e).__name__}: {e}") from e
    return Groups(groups, _vectors(path, digest, groups), encoder, settings)


def _config(path: Path) -> dict[str, Any]:
    file = path / GROUPS
    try:
        config = json.loads(file.read_bytes().decode("utf-8"))
    except FileNotFoundError as e:
        raise DataError(f"{path} holds no groups: it has no {GROUPS}; rg data groups --out {path} makes them") from e
    except UnicodeDecodeError as e:
        raise DataError(f"{file}: byte {e.start} is not UTF-8") from e
    except (OSError, ValueError, RecursionError) as e:
        raise DataError(f"{file} cannot be read as JSON: {e}") from e
    if not isinstance(config, dict) or "groups" not in config:
        raise DataError(f"{file} is no list of groups; rg data groups --out {path} makes one")
    if config.get("format") != FORMAT:
        raise DataError(f"{file} is of format {config.get('format')}; this reportgen reads format {FORMAT}")
    return config


def _group(row: Mapping[str, Any]) -> Group:
    sentences, counts = _texts(row["sentences"]), tuple(int(n) for n in row["counts"])
    if not sentences or row["central"] not in sentences or len(counts) not in (0, len(sentences)):
        raise ValueError(f"a group wants sentences, its central one among them, and as many counts: {row['central']!r}")
    return Group(sentences, str(row["central"]), _texts(row["terms"]), counts, int(row["cluster"]))


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise TypeError(f"a list of texts is wanted, there is {values!r:.60}")
    return tuple(values)


def _vectors(path: Path, digest: str, groups: Sequence[Group]) -> Floats | None:
    if not digest:
        return None
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    file = path / VECTORS
    try:
        if _sha256(file) != digest:
            raise DataError(f"{file} is not the file that {GROUPS} was written with; make the groups again")
        vectors: Floats = load_file(file)["vectors"]
    except (OSError, SafetensorError, KeyError) as e:
        raise DataError(f"{file} cannot be read: {e}") from e
    wanted = sum(len(g.sentences) for g in groups)
    if vectors.ndim != 2 or len(vectors) != wanted or vectors.dtype != "float32":
        raise DataError(
            f"{file} has vectors {tuple(vectors.shape)} {vectors.dtype}, wanted are ({wanted}, dim) float32"
        )
    return vectors


def _sha256(file: Path) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()
