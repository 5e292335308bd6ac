"""From studies to batches: choose and read the images, put the report into numbers, and stack both.

Pixels stay bytes until they are on the model's device, where `normalise` makes them what the encoder wants. An image
that cannot be read stops training with its name; when reports are written it is told beside the batch, and the rest
goes on.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..errors import ImageError, ShapeError
from ..text.spec import BOS, EOS, PAD, SPECIAL, TextSpec, Vocabulary, report_words, sentence_words
from ..types import Batch, ImageSpec, Study, Targets, TargetSpec, View
from .images import cached, check_spec, with_picture
from .study_files import group_files

if TYPE_CHECKING:
    from ..types import Array

__all__ = [
    "LoadedStudy",
    "StudyReader",
    "batches",
    "check_views",
    "choose_views",
    "group_files",
    "normalise",
    "pad_words",
    "read_batches",
    "read_with",
]

_PREFERENCE = {"frontal": 0, "": 1, "lateral": 2}
MOST_WORKERS = 8


def choose_views(study: Study, spec: ImageSpec) -> tuple[View, ...]:
    """At most `spec.views` images: frontal ones first, then those of which nobody said, then lateral ones."""
    return _by_preference(study)[: spec.views]


def check_views(study: Study, spec: ImageSpec) -> str:
    """One line about images that are not what the model would best see; "" where there is nothing to say."""
    chosen = choose_views(study, spec)
    if not chosen:
        return "the study has no image"
    if all(v.projection == "lateral" for v in chosen):
        return "no frontal view: the report is written from the lateral one" + "s" * (len(chosen) > 1)
    return ""


def _by_preference(study: Study) -> tuple[View, ...]:
    return tuple(sorted(study.views, key=lambda v: _PREFERENCE[v.projection]))


@dataclass(frozen=True)
class StudyReader:
    """How a study becomes numbers: its images by `image`, its report by `text` into the words of `targets`.

    Targets are left out where text or names are not given. `cache` is the folder of prepared images.
    """

    image: ImageSpec
    text: TextSpec | None = None
    targets: TargetSpec | None = None
    cache: Path | None = None
    picture_side: int = 0  # pixels; 0: no picture is kept

    def read(self, study: Study) -> LoadedStudy:
        """Read the images of a study, frontal views first, until `image.views` of them could be read.

        List the others in `problems`; never raise ImageError.
        """
        views: list[View] = []
        images: list[Array] = []
        pictures: list[Array] = []
        problems: list[str] = []
        for view in _by_preference(study):
            if len(views) == self.image.views:
                break
            try:
                if self.picture_side:
                    image, picture = with_picture(view.path, self.image, self.picture_side)
                    pictures.append(picture)
                else:
                    image = cached(view.path, self.image, self.cache)
                images.append(image)
                views.append(view)
            except ImageError as e:
                problems.append(str(e))
        if not study.views and self.image.views:
            problems.append(f"study {study.id} has no image")
        return LoadedStudy(study, tuple(views), tuple(images), tuple(problems), tuple(pictures))


@dataclass(frozen=True, slots=True)
class LoadedStudy:
    """One study as read: the images that could be read, and what is wrong with the others."""

    study: Study
    views: tuple[View, ...]
    images: tuple[Array, ...]  # (H, W) uint8 each
    problems: tuple[str, ...] = ()
    pictures: tuple[Array, ...] = ()  # (h, w) grey 0..1 of each image, if the reader keeps them


@dataclass(frozen=True)
class _Collate:
    """Stacks items: the studies with an image as a batch, and what was wrong by study."""

    reader: StudyReader
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    switches: bool = False  # whether any study of the whole set has sentence labels

    @classmethod
    def of(cls, reader: StudyReader, studies: Sequence[Study]) -> _Collate:
        words = reader.targets.words if reader.targets else SPECIAL
        return cls(reader, Vocabulary(words[len(SPECIAL) :]), any("sentence_abnormal" in s.extra for s in studies))

    def __call__(self, items: Sequence[LoadedStudy]) -> tuple[Batch, dict[str, str]]:
        spec = self.reader.image
        good = [item for item in items if item.images or not spec.views]
        pixels = np.zeros((len(good), max((len(i.images) for i in good), default=1), spec.height, spec.width), np.uint8)
        mask = np.zeros(pixels.shape[:2], bool)
        for b, item in enumerate(good):
            for v, image in enumerate(item.images):
                pixels[b, v], mask[b, v] = image, True
        studies = [item.study for item in good]
        batch = Batch(
            tuple(s.id for s in studies),
            torch.from_numpy(pixels),
            torch.from_numpy(mask),
            self._targets(studies),
            tuple(item.views for item in good),
            tuple(item.pictures for item in good),
        )
        return batch, {item.study.id: _told(item) for item in items if item.problems}

    def _targets(self, studies: Sequence[Study]) -> Targets:
        spec = self.reader.targets
        if spec is None:
            return Targets()
        tags = [[float(tag in s.tags) for tag in spec.tags] for s in studies]
        findings = [[s.labels.get(name, math.nan) for name in spec.findings] for s in studies]
        found = Targets(
            tags=_floats(tags) if spec.tags else None, findings=_floats(findings) if spec.findings else None
        )
        return found if self.reader.text is None else self._written(studies, self.reader.text, found)

    def _written(self, studies: Sequence[Study], text: TextSpec, found: Targets) -> Targets:
        """Add the report to tags and findings: as one row of words, as sentences, and a switch for each sentence."""
        encode, reports = self.vocabulary.encode, [s.text(text.sections) for s in studies]
        words = pad_words([[BOS, *encode(report_words(report, text)), EOS] for report in reports])
        split = [[[*encode(s), EOS] for s in sentence_words(report, text)] for report in reports]
        S = max([1, *map(len, split)])
        rows = pad_words([w for s in split for w in (*s, *[[]] * (S - len(s)))])  # (B × S, W)
        flags = [
            [math.nan if f is None else float(f) for f in (s.extra.get("sentence_abnormal") or ())][: len(k)]
            for s, k in zip(studies, split, strict=True)
        ]
        return Targets(
            words,
            rows.reshape(len(studies), S, rows.shape[1]),
            found.tags,
            found.findings,
            _floats([f + [math.nan] * (S - len(f)) for f in flags]) if self.switches else None,
        )


def _floats(rows: list[list[float]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float32)


def _told(item: LoadedStudy) -> str:
    """What is wrong with a study's images, in one line."""
    what = "; ".join(item.problems)
    return f"{len(item.images)} of its images used; {what}" if item.images else what


class _Studies(Dataset[LoadedStudy]):
    """Studies, read when they are asked for: in the worker that prepares the batch."""

    def __init__(self, studies: Sequence[Study], reader: StudyReader) -> None:
        self.studies, self.reader = studies, reader

    def __len__(self) -> int:
        return len(self.studies)

    def __getitem__(self, index: int) -> LoadedStudy:
        return self.reader.read(self.studies[index])


def batches(
    studies: Sequence[Study], reader: StudyReader, order: Sequence[Sequence[int]], *, workers: int | None = 0
) -> Iterator[Batch]:
    """The batches whose studies `order` names by index, prepared ahead by `workers` processes; None: as many as help.

    What comes does not depend on the number of workers. Raises ImageError at the first image that cannot be read.
    """
    for batch, problems in _loaded(studies, reader, order, workers):
        for problem in problems.values():
            raise ImageError(problem)
        yield batch


def read_batches(
    studies: Sequence[Study],
    spec: ImageSpec,
    batch_size: int = 32,
    *,
    workers: int | None = 0,
    cache: Path | None = None,
) -> Iterator[tuple[Batch, dict[str, str]]]:
    """Read studies in order and yield (batch, problems) for every `batch_size` of them.

    The batch holds the studies with at least one readable image and may be empty. `problems` maps the id of a study to
    one line about its unreadable images. Unreadable images raise nothing.
    """
    return read_with(StudyReader(spec, cache=cache), studies, batch_size, workers=workers)


def read_with(
    reader: StudyReader, studies: Sequence[Study], batch_size: int = 32, *, workers: int | None = 0
) -> Iterator[tuple[Batch, dict[str, str]]]:
    """Yield what `read_batches` yields, read by a reader of one's own."""
    order = [range(i, min(i + batch_size, len(studies))) for i in range(0, len(studies), batch_size)]
    return _loaded(studies, reader, order, workers)


def _loaded(
    studies: Sequence[Study], reader: StudyReader, order: Sequence[Sequence[int]], workers: int | None
) -> Iterator[tuple[Batch, dict[str, str]]]:
    check_spec(reader.image)
    if workers is None:
        workers = min(MOST_WORKERS, _processors() - 1, len(order)) if len(order) > 1 else 0
    loader: DataLoader[Any] = DataLoader(
        _Studies(studies, reader),
        batch_sampler=[list(indices) for indices in order],
        num_workers=workers,
        collate_fn=_Collate.of(reader, studies),
        generator=torch.Generator(),  # else it would draw from the user's
    )
    return iter(loader)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def normalise(pixels: Tensor, spec: ImageSpec, dtype: torch.dtype = torch.float32) -> Tensor:
    """Bytes (B, V, H, W) to what the encoder takes, (B, V, C, H, W): over 255, less the mean, over the deviation.

    It is made where the bytes are, and lies in memory channels last, which convolutions run faster on.
    """
    if pixels.ndim != 4 or pixels.dtype != torch.uint8:
        raise ShapeError(f"pixels are bytes (B, V, H, W), got {pixels.dtype} {tuple(pixels.shape)}")
    for values in (spec.mean, spec.std):
        if len(values) not in (1, spec.channels):
            raise ShapeError(f"{spec.channels} channels have one mean and deviation, or {spec.channels}; got {values}")
    mean, std = (torch.tensor(v, device=pixels.device).expand(spec.channels) for v in (spec.mean, spec.std))  # (C,)
    image = torch.addcmul(-mean / std, pixels[..., None].float(), 1 / (255 * std))  # (B, V, H, W, C)
    return image.to(dtype).permute(0, 1, 4, 2, 3)


def pad_words(rows: Sequence[Sequence[int]]) -> Tensor:
    """Return rows of word ids as one tensor (B, T), with PAD after each row; T is the longest row's, at least 1."""
    words = np.full((len(rows), max([1, *map(len, rows)])), PAD, np.int64)
    for b, row in enumerate(rows):
        words[b, : len(row)] = row
    return torch.from_numpy(words)
