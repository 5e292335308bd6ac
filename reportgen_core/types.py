"""What flows between the parts: frozen values, and nothing flows back.

    Study -ImageSpec-> images -Encoder-> Features -Decoder-> Generated -> Report -Metric-> Score
                                                 -Retriever-> Hit -> Report

Shapes: B studies, V views, C H W image, N image tokens, D token width, P pooled width, S sentences of a report,
W words of a sentence, T words of a report, K tags, L findings, M tags that are attended to.

This module imports no torch; tensors are named for type checkers only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    Array = np.ndarray[Any, np.dtype[Any]]

Projection = Literal["frontal", "lateral", ""]  # "" where nobody said


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """The pixels an encoder wants. It is saved in config.json: preprocessing is data, not code."""

    height: int = 224
    width: int = 224
    channels: int = 3
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)  # after scaling pixels to 0..1
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"  # bilinear | bicubic | nearest, antialiased
    equalize: bool = False  # histogram equalisation before resizing
    views: int = 1  # V: at most so many images of a study are looked at, frontal first; 0: none, reports alone


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """What an encoder promises about its features, known before any image is seen."""

    dim: int  # D
    pooled: int  # P
    grid: tuple[int, int, int] | None = None  # (views, rows, columns) of the tokens; None: they have no place
    count: int = 1  # N where there is no grid
    tag_heads: int = 0  # Q: tag classifiers of the encoder's own, `Features.tags` (B, Q, K)

    @property
    def tokens(self) -> int:
        """N."""
        return self.grid[0] * self.grid[1] * self.grid[2] if self.grid else self.count


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """What a decoder is to write: the names behind its outputs, and the limits its training text had."""

    words: tuple[str, ...]  # V entries, the special ones first (see reportgen_core.text.spec)
    tags: tuple[str, ...] = ()  # K
    findings: tuple[str, ...] = ()  # L
    max_sentences: int = 8  # S
    max_words: int = 30  # W, the end mark not counted
    max_length: int = 248  # T, the words of a whole report, its end mark not counted
    positives: tuple[float, ...] = ()  # (L,) share of the training studies with each finding, where known


@dataclass(frozen=True, slots=True)
class Box:
    """Where a finding is: corner and size as shares (0..1) of the image's width and height."""

    label: str
    left: float
    top: float
    width: float
    height: float
    view: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """One image file of a study."""

    path: Path
    projection: Projection = ""


@dataclass(frozen=True, slots=True)
class Study:
    """One examination of one patient: its images, the sections of its report, and what is known about it."""

    id: str
    views: tuple[View, ...] = ()
    sections: Mapping[str, str] = field(default_factory=dict)  # "findings", "impression", "indication", …
    tags: tuple[str, ...] = ()
    labels: Mapping[str, float] = field(default_factory=dict)  # finding: 1 present, 0 absent, -1 uncertain; else unsaid
    split: str = ""  # "train", "val", "test", or "" where the source has none
    patient: str = ""
    boxes: tuple[Box, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)  # what the source has beside: age, licence, sentence labels

    def text(self, sections: Sequence[str]) -> str:
        """The non-empty ones of these sections, in this order, joined by a space."""
        return " ".join(s for name in sections if (s := self.sections.get(name, "").strip()))


@dataclass(frozen=True, slots=True)
class Audit:
    """What a dataset kept, and what it left out and why: `dropped` maps a reason to the ids it struck."""

    source: str
    studies: int
    images: int
    dropped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # facts about what was kept: "446 studies have one view"


@dataclass(frozen=True, slots=True)
class Collection:
    """The studies of a dataset, in a fixed order, with their audit."""

    studies: tuple[Study, ...]
    audit: Audit

    def split(self, name: str) -> tuple[Study, ...]:
        """The studies of one split, in order."""
        return tuple(s for s in self.studies if s.split == name)


@dataclass(frozen=True, slots=True)
class Features:
    """What an encoder gives, and all that a decoder or retriever sees of the images."""

    tokens: Tensor  # (B, N, D) float
    pooled: Tensor  # (B, P) float
    mask: Tensor  # (B, N) bool, True where real: the tokens of absent views are False
    tags: Tensor | None = None  # (B, Q, K) logits of the encoder's own tag classifiers


@dataclass(frozen=True, slots=True)
class Targets:
    """What the report says, as tensors. A field is None where the data has none of it."""

    words: Tensor | None = None  # (B, T) int64: BOS, the words, EOS, PAD after
    sentences: Tensor | None = None  # (B, S, W) int64: the words, EOS, PAD after; absent sentences all PAD
    tags: Tensor | None = None  # (B, K) float 0/1
    findings: Tensor | None = None  # (B, L) float: 1, 0, -1 uncertain, nan unsaid
    switches: Tensor | None = None  # (B, S) float: 1 abnormal, 0 normal, nan unsaid; of each sentence


@dataclass(frozen=True, slots=True)
class Batch:
    """Studies as tensors. Pixels stay as bytes until they are on the model's device."""

    ids: tuple[str, ...]
    pixels: Tensor  # (B, V, H, W) uint8 grey
    mask: Tensor  # (B, V) bool, True where there is an image
    targets: Targets
    views: tuple[tuple[View, ...], ...] = ()  # of each study those that were read, in the order of the pixels
    pictures: tuple[tuple[Array, ...], ...] = ()  # of each view the grey image (h, w), 0..1, if asked for


@dataclass(frozen=True, slots=True)
class Decoded:
    """One teacher-forced pass."""

    losses: Mapping[str, Tensor]  # () each, unweighted, means over the studies; their weighted sum is minimised
    logits: Tensor  # (rows, V): one row a real target word, in the order of the targets
    log: Mapping[str, Tensor] = field(default_factory=dict)  # () each, for the log only: "nats_per_word" and the like


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """How to write. None: what the model was trained with."""

    beams: int = 1  # 1 is greedy
    n_best: int = 1  # reports a study, best first; at most `beams` per sentence are weighed
    max_sentences: int | None = None
    max_words: int | None = None  # per sentence
    attention: bool = True  # keep the attention weights
    distinct: bool = False  # leave out a sentence that the report has already


@dataclass(frozen=True, slots=True)
class Attention:
    """Where a model looked, as data: one row of weights a sentence or a word. Rows sum to 1 over what is real."""

    per: Literal["sentence", "word"]
    regions: Tensor | None = None  # (rows, N)
    tags: Tensor | None = None  # (rows, M)
    tag_ids: Tensor | None = None  # (M,) which tags the columns of `tags` are
    words: Tensor | None = None  # (rows, T): weights over the words of the report


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a part says about studies whose reports it reads."""

    findings: Tensor  # (B, L) probabilities
    words: Tensor | None = None  # (B, rows, T): where it looked in each report; a row sums to 1, padding has 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """One written report as ids: a tuple of words for each sentence, without special words."""

    sentences: tuple[tuple[int, ...], ...]
    score: float  # mean log-probability a word, the end marks counted
    attention: Attention | None = None


@dataclass(frozen=True, slots=True)
class Generated:
    """What a decoder wrote for one study: the candidates, best first, and what it predicts beside them."""

    candidates: tuple[Candidate, ...]
    tags: Tensor | None = None  # (K,) probabilities
    findings: Tensor | None = None  # (L,) probabilities


@dataclass(frozen=True, slots=True)
class Hit:
    """One retrieved report or sentence."""

    id: str
    text: str
    score: float  # higher is nearer
    attention: Attention | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a model says about one study. `problem` is empty unless the study could not be read."""

    study: str
    text: str
    sentences: tuple[str, ...] = ()
    score: float = 0.0
    tags: Mapping[str, float] = field(default_factory=dict)  # the likeliest first
    findings: Mapping[str, float] = field(default_factory=dict)
    alternatives: tuple[str, ...] = ()  # the rest of the n-best
    attention: Attention | None = None
    attended_tags: tuple[str, ...] = ()  # names of the M columns of attention.tags
    views: tuple[str, ...] = ()  # the files that were looked at, in the order of the grid
    words: tuple[
        str, ...
    ] = ()  # as the model wrote them, sentence marks among them; where it looked by word, one a row
    rows: tuple[tuple[int, int], ...] = ()  # of each sentence its first row of attention, and the one after its last
    images: tuple[Array, ...] = field(default=(), repr=False, compare=False)  # (h, w) grey 0..1 of `views`, if kept
    problem: str = ""
    note: str = ""  # what a reader should know of the images: no frontal view, say

    def looks(self, sentence: int) -> range:
        """The rows of attention that belong to a sentence; a report without `rows` has one a sentence."""
        return range(*self.rows[sentence]) if self.rows else range(sentence, sentence + 1)


@dataclass(frozen=True, slots=True)
class Score:
    """A metric's answer."""

    name: str
    value: float
    each: Sequence[float] = ()  # one per report, when the metric has one; the corpus value need not be their mean
    parts: Mapping[str, float] = field(default_factory=dict)  # "bleu-1": …
    higher_is_better: bool = True
    version: str = ""  # of the scorer


@dataclass(frozen=True, slots=True)
class TextRow:
    """One text that can be found, and the texts that it stands for."""

    id: str
    text: str
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScoreLine:
    """One number. `low` and `high` are the ends of its 95 % interval, None where there is none."""

    name: str  # "bleu-4", "chexpert-rules micro-14 f1"
    value: float
    low: float | None = None
    high: float | None = None
    higher_is_better: bool | None = True  # None: a count, neither way is better
    metric: str = ""  # the registered name it comes from
    version: str = ""  # the metric's

    @property
    def arrow(self) -> str:
        """Which way is better."""
        return "" if self.higher_is_better is None else "↑" if self.higher_is_better else "↓"


Line = ScoreLine  # its name in earlier releases


@dataclass(frozen=True, slots=True)
class Composition:
    """The parts, by registered name, and their options. A preset has a decoder or a retriever."""

    encoder: str
    decoder: str | None = None
    retriever: str | None = None
    encoder_options: Mapping[str, Any] = field(default_factory=dict)
    decoder_options: Mapping[str, Any] = field(default_factory=dict)  # of the decoder or the retriever
