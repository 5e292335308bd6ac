"""The frozen values that one part gives to the next; no part changes them.

    Study -ImageSpec-> images -Encoder-> Features -Decoder-> Generated -> Report -Metric-> Score
                                                 -Retriever-> Hit -> Report

Shapes: B studies, V views, C H W image, N image tokens, D token width, P pooled width, S sentences of a report,
W words of a sentence, T words of a report, K tags, L findings, M tags with attention weights.

This module imports no torch; tensors are imported for type checkers only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .drawn import Attention as Attention
from .drawn import Drawn
from .errors import lists_only

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    Array = np.ndarray[Any, np.dtype[Any]]

Projection = Literal["frontal", "lateral", ""]  # "" if it is not known
# The settings that a decoder may or may not follow, see `Decoder.follows`. Every decoder follows the others.
SEARCH_SETTINGS = frozenset({"sample", "temperature", "top_k", "top_p", "length_penalty", "repetition_penalty", "seed"})
_ADDED = {"fit": "stretch", "crop": 1.0, "bits": 8}  # fields that config.json has only if they are not the default


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """The pixels that an encoder takes. It is saved in config.json: preprocessing is data, not code."""

    height: int = 224
    width: int = 224
    channels: int = 3
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)  # after scaling pixels to 0..1
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"  # bilinear | bicubic | nearest, antialiased
    equalize: bool = False  # histogram equalisation before resizing
    views: int = 1  # V: the most images of a study that are used, frontal first; 0: no images, reports alone
    fit: str = "stretch"  # how an image comes to height and width, see `reportgen_core.data.fitting`
    crop: float = 1.0  # of fit "crop", 0..1: the share of the resized image's shorter side that is kept
    bits: int = 8  # 8 or 16: the grey levels that reach the encoder; DICOM and PNG may have 16

    def to_json(self) -> dict[str, Any]:
        """Return the spec as JSON values. Fields that an earlier release does not know are left out if default."""
        values = asdict(self)
        return {k: v for k, v in values.items() if k not in _ADDED or v != _ADDED[k]}


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """The shapes of an encoder's features, known before any image is read."""

    dim: int  # D
    pooled: int  # P
    grid: tuple[int, int, int] | None = None  # (views, rows, columns) of the tokens; None: tokens have no position
    count: int = 1  # N if there is no grid
    tag_heads: int = 0  # Q: number of the encoder's own tag classifiers, `Features.tags` (B, Q, K)

    @property
    def tokens(self) -> int:
        """Return N, the number of tokens of a study."""
        return self.grid[0] * self.grid[1] * self.grid[2] if self.grid else self.count


@lists_only
@dataclass(frozen=True, slots=True)
class TargetSpec:
    """The outputs of a decoder: the names behind them, and the limits of its training text."""

    words: tuple[str, ...]  # V entries, the special ones first (see reportgen_core.text.spec)
    tags: tuple[str, ...] = ()  # K
    findings: tuple[str, ...] = ()  # L
    max_sentences: int = 8  # S
    max_words: int = 30  # W, without the end mark
    max_length: int = 248  # T, the words of a whole report, without its end mark
    positives: tuple[float, ...] = ()  # (L,) share of the training studies with each finding, 0..1; () if not known


@dataclass(frozen=True, slots=True)
class Box:
    """The place of a finding: corner and size as shares (0..1) of the image's width and height."""

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


@lists_only
@dataclass(frozen=True, slots=True)
class Study:
    """One examination of one patient: its images, the sections of its report, its labels."""

    id: str
    views: tuple[View, ...] = ()
    sections: Mapping[str, str] = field(default_factory=dict)  # "findings", "impression", "indication", …
    tags: tuple[str, ...] = ()
    labels: Mapping[str, float] = field(default_factory=dict)  # 1 present, 0 absent, -1 uncertain; others not mentioned
    split: str = ""  # "train", "val", "test"; "" if the source has no split
    patient: str = ""
    boxes: tuple[Box, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)  # further facts: age, licence, sentence labels
    prior: Study | None = None  # the patient's earlier examination, with its report in `sections`

    @lists_only
    def text(self, sections: Sequence[str]) -> str:
        """Return the sections of these names that are not empty, in this order, joined by a space."""
        return " ".join(s for name in sections if (s := self.sections.get(name, "").strip()))


@dataclass(frozen=True, slots=True, repr=False)
class Audit(Drawn):
    """The numbers of studies and images of a dataset, and the studies that it left out."""

    source: str
    studies: int
    images: int
    dropped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # the ids left out, by reason
    notes: tuple[str, ...] = ()  # facts about the studies: "446 studies have one view"


@lists_only
@dataclass(frozen=True, slots=True, repr=False)
class Collection(Drawn):
    """The studies of a dataset, in a fixed order, with their audit."""

    studies: tuple[Study, ...]
    audit: Audit

    def __len__(self) -> int:
        return len(self.studies)

    def __iter__(self) -> Iterator[Study]:
        return iter(self.studies)

    def __getitem__(self, place: Any) -> Any:
        return self.studies[place]

    def split(self, name: str) -> tuple[Study, ...]:
        """Return the studies of one split, in order."""
        return tuple(s for s in self.studies if s.split == name)


@dataclass(frozen=True, slots=True)
class Features:
    """The output of an encoder, which is the whole image input of a decoder or retriever."""

    tokens: Tensor  # (B, N, D) float
    pooled: Tensor  # (B, P) float
    mask: Tensor  # (B, N) bool, True where real: the tokens of absent views are False
    tags: Tensor | None = None  # (B, Q, K) logits of the encoder's own tag classifiers; None if it has none


@dataclass(frozen=True, slots=True)
class Targets:
    """The reports and labels of studies, as tensors. A field is None if the data does not have it."""

    words: Tensor | None = None  # (B, T) int64: BOS, the words, EOS, then PAD
    sentences: Tensor | None = None  # (B, S, W) int64: the words, EOS, then PAD; absent sentences are all PAD
    tags: Tensor | None = None  # (B, K) float 0/1
    findings: Tensor | None = None  # (B, L) float: 1 present, 0 absent, -1 uncertain, nan not mentioned
    switches: Tensor | None = None  # (B, S) float, for each sentence: 1 abnormal, 0 normal, nan not known


@dataclass(frozen=True, slots=True)
class Batch:
    """Studies as tensors. Pixels are bytes until they are on the model's device."""

    ids: tuple[str, ...]
    pixels: Tensor  # (B, V, H, W) grey: uint8, or int32 of 16 bits (`ImageSpec.bits`)
    mask: Tensor  # (B, V) bool, True where there is an image
    targets: Targets
    views: tuple[tuple[View, ...], ...] = ()  # the views that were read, for each study, in the order of the pixels
    pictures: tuple[tuple[Array, ...], ...] = ()  # the grey image (h, w), 0..1, of each of `views`, if requested
    studies: tuple[Study, ...] = ()  # as they were read; (): a batch that was made without studies


@dataclass(frozen=True, slots=True)
class Decoded:
    """The result of one teacher-forced pass."""

    losses: Mapping[str, Tensor]  # () each, unweighted, means over the studies; their weighted sum is minimised
    logits: Tensor  # (rows, V): a row for each real target word, in the order of the targets
    log: Mapping[str, Tensor] = field(default_factory=dict)  # () each, for the log only, such as "nats_per_word"


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """How to generate a report. None: the limit that the model was trained with.

    A score is made of the model's own log-probabilities, whatever the temperature and the repetition penalty are.
    """

    beams: int = 1  # 1: greedy search; with `sample`: how many reports, or versions of a sentence, are drawn
    n_best: int = 1  # reports for each study, best first; at most `beams` per sentence are compared
    max_sentences: int | None = None
    max_words: int | None = None  # per sentence
    attention: bool = True  # return the attention weights
    distinct: bool = False  # leave out a sentence that the report has already
    sample: bool = False  # draw each word by its probability, in place of the likeliest; equal seeds draw equal words
    temperature: float = 1.0  # of `sample`, above 0: below 1 likely words become likelier
    top_k: int | None = None  # of `sample`: draw from so many of the likeliest words
    top_p: float = 1.0  # of `sample`, 0..1: draw from the likeliest words that have this probability together
    length_penalty: float = 1.0  # a score is Σ log p / words ** length_penalty: 1 is the mean, 0 the sum
    repetition_penalty: float = 1.0  # above 1: a word that the row has already becomes less likely
    seed: int = 0  # of `sample`
    options: Mapping[str, Any] = field(default_factory=dict)  # the decoder's own, see `Decoder.generation_options`

    def with_values(self, values: Mapping[str, Any]) -> GenerationSettings:
        """Return the settings with other values. A name that is no setting is an option of the decoder's own."""
        names = {f.name for f in fields(self)} - {"options"}
        own = {k: v for k, v in values.items() if k not in names}
        return replace(self, **{k: values[k] for k in names & set(values)}, options={**self.options, **own})


@dataclass(frozen=True, slots=True)
class Annotation:
    """The findings that a part predicts for studies with their reports."""

    findings: Tensor  # (B, L) probabilities
    words: Tensor | None = None  # (B, rows, T): attention over the words of a report; a row sums to 1, padding has 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """One generated report as ids: a tuple of words for each sentence, without special words."""

    sentences: tuple[tuple[int, ...], ...]
    score: float  # mean log-probability of a word, in nats, end marks too; see GenerationSettings.length_penalty
    attention: Attention | None = None


@dataclass(frozen=True, slots=True)
class Generated:
    """The output of a decoder for one study: candidates, best first, and predicted tags and findings."""

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


@lists_only
@dataclass(frozen=True, slots=True, repr=False)
class Report(Drawn):
    """The report of a model on one study. `problem` says why the study could not be read; "" if it could."""

    study: str
    text: str
    sentences: tuple[str, ...] = ()
    score: float = 0.0
    tags: Mapping[str, float] = field(default_factory=dict)  # probabilities, the likeliest tag first
    findings: Mapping[str, float] = field(default_factory=dict)
    alternatives: tuple[str, ...] = ()  # the texts of the other candidates, best first
    attention: Attention | None = None
    attended_tags: tuple[str, ...] = ()  # names of the M columns of attention.tags
    views: tuple[str, ...] = ()  # the image files that were used, in the order of the grid
    words: tuple[str, ...] = ()  # the generated words with the marks between sentences: rows of attention by word
    rows: tuple[tuple[int, int], ...] = ()  # for each sentence its first row of attention and the row after its last
    images: tuple[Array, ...] = field(default=(), repr=False, compare=False)  # (h, w) grey 0..1 of `views`, if stored
    problem: str = ""
    note: str = ""  # a remark on the images for the reader, for example that there is no frontal view
    boxes: tuple[tuple[Box, ...], ...] = ()  # for each sentence its places in the images; (): there are none
    windows: tuple[tuple[float, float, float, float], ...] = ()  # seen of each view: left, top, width, height; (): all
    answer: str = ""  # what a model that was trained to chat answered, before it was cleaned; "" for other models

    def attention_rows(self, sentence: int) -> range:
        """Return the rows of attention of a sentence; a report without `rows` has one row for each sentence."""
        return range(*self.rows[sentence]) if self.rows else range(sentence, sentence + 1)

    looks = attention_rows  # the old name, for one release


@dataclass(frozen=True, slots=True, repr=False)
class Score(Drawn):
    """The score of a set of reports by one metric."""

    name: str
    value: float
    each: Sequence[float] = ()  # a score for each report, if the metric has one; `value` need not be their mean
    parts: Mapping[str, float] = field(default_factory=dict)  # "bleu-1": …
    higher_is_better: bool = True
    version: str = ""  # of the metric


@dataclass(frozen=True, slots=True)
class ScoreLine:
    """One number. `low` and `high` are the ends of its 95 % interval, None if it has no interval."""

    name: str  # "bleu-4", "chexpert-rules micro-14 f1"
    value: float
    low: float | None = None
    high: float | None = None
    higher_is_better: bool | None = True  # None: a count, which has no better direction
    metric: str = ""  # the registered name of its metric
    version: str = ""  # of the metric
    note: str = ""  # what a reader must know of this number: classes that no reference has, counted 0

    @property
    def arrow(self) -> str:
        """Return an arrow in the better direction; "" if there is none."""
        return "" if self.higher_is_better is None else "↑" if self.higher_is_better else "↓"


Line = ScoreLine  # its name in earlier releases
