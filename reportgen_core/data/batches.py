"""Make batches of studies: choose and read the images, turn the report into word ids, and stack both.

Pixels stay bytes until they are on the model's device, where `normalise` scales them for the encoder. An image that
cannot be read stops training, and the error names it. When reports are generated, its problem is returned with the
batch, and the other images are used.
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
MAX_WORKERS = 8


def choose_views(study: Study, spec: ImageSpec) -> tuple[View, ...]:
    """Return at most `spec.views` images: frontal ones first, then those of unknown projection, then lateral ones."""
    return _by_preference(study)[: spec.views]


def check_views(study: Study, spec: ImageSpec) -> str:
    """Return one line if the study has no image, or none but lateral ones; "" otherwise."""
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
    """Turns a study into numbers: its images by `image`, its report by `text` into ids of the words of `targets`.

    Targets are left out if text or names are not given. `cache` is the folder of prepared images.
    """

    image: ImageSpec
    text: TextSpec | None = None
    targets: TargetSpec | None = None
    cache: Path | None = None
    picture_side: int = 0  # pixels of the longer side; 0: no pictures

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
    """A study with the images that could be read, and the problems of the others."""

    study: Study
    views: tuple[View, ...]
    images: tuple[Array, ...]  # (H, W) uint8 each
    problems: tuple[str, ...] = ()
    pictures: tuple[Array, ...] = ()  # (h, w) grey 0..1 of each image, if `picture_side` is not 0


@dataclass(frozen=True)
class _Collate:
    """Stacks the studies that have an image into a batch, and collects the problems by study id."""

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
        return batch, {item.study.id: _problem_line(item) for item in items if item.problems}

    def _targets(self, studies: Sequence[Study]) -> Targets:
        spec = self.reader.targets
        if spec is None:
            return Targets()
        tags = [[float(tag in s.tags) for tag in spec.tags] for s in studies]
        findings = [[s.labels.get(name, math.nan) for name in spec.findings] for s in studies]
        targets = Targets(
            tags=_floats(tags) if spec.tags else None, findings=_floats(findings) if spec.findings else None
        )
        return targets if self.reader.text is None else self._with_words(studies, self.reader.text, targets)

    def _with_words(self, studies: Sequence[Study], text: TextSpec, targets: Targets) -> Targets:
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
            targets.tags,
            targets.findings,
            _floats([f + [math.nan] * (S - len(f)) for f in flags]) if self.switches else None,
        )


def _floats(rows: list[list[float]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float32)


def _problem_line(item: LoadedStudy) -> str:
    """Return the problems of a study's images in one line."""
    problems = "; ".join(item.problems)
    return f"{len(item.images)} of its images used; {problems}" if item.images else problems


class _Studies(Dataset[LoadedStudy]):
    """Studies that are read on access, in the worker process that prepares the batch."""

    def __init__(self, studies: Sequence[Study], reader: StudyReader) -> None:
        self.studies, self.reader = studies, reader

    def __len__(self) -> int:
        return len(self.studies)

    def __getitem__(self, index: int) -> LoadedStudy:
        return self.reader.read(self.studies[index])


def batches(
    studies: Sequence[Study], reader: StudyReader, order: Sequence[Sequence[int]], *, workers: int | None = 0
) -> Iterator[Batch]:
    """Yield one batch for each list of study indices in `order`, prepared ahead by `workers` processes.

    `workers` None means as many as help, at most MAX_WORKERS. The batches do not depend on the number of workers.
    Raises ImageError at the first image that cannot be read.
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
    """Yield (batch, problems) as `read_batches` does, with a given reader."""
    order = [range(i, min(i + batch_size, len(studies))) for i in range(0, len(studies), batch_size)]
    return _loaded(studies, reader, order, workers)


def _loaded(
    studies: Sequence[Study], reader: StudyReader, order: Sequence[Sequence[int]], workers: int | None
) -> Iterator[tuple[Batch, dict[str, str]]]:
    check_spec(reader.image)
    if workers is None:
        workers = min(MAX_WORKERS, _processors() - 1, len(order)) if len(order) > 1 else 0
    loader: DataLoader[Any] = DataLoader(
        _Studies(studies, reader),
        batch_sampler=[list(indices) for indices in order],
        num_workers=workers,
        collate_fn=_Collate.of(reader, studies),
        generator=torch.Generator(),  # without it, the loader would draw from the user's generator
    )
    return iter(loader)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def normalise(pixels: Tensor, spec: ImageSpec, dtype: torch.dtype = torch.float32) -> Tensor:
    """Scale bytes (B, V, H, W) for the encoder: (x / 255 - mean) / std, as (B, V, C, H, W).

    The result is on the device of the bytes, and its memory format is channels last, which makes convolutions faster.
    Raises ShapeError for other pixels, and for a mean or deviation of another number of channels.
    """
    if pixels.ndim != 4 or pixels.dtype != torch.uint8:
        raise ShapeError(f"pixels are bytes (B, V, H, W), got {pixels.dtype} {tuple(pixels.shape)}")
    for values in (spec.mean, spec.std):
        if len(values) not in (1, spec.channels):
            raise ShapeError(f"{spec.channels} channels need one mean and deviation, or {spec.channels}; got {values}")
    mean, std = (torch.tensor(v, device=pixels.device).expand(spec.channels) for v in (spec.mean, spec.std))  # (C,)
    image = torch.addcmul(-mean / std, pixels[..., None].float(), 1 / (255 * std))  # (B, V, H, W, C)
    return image.to(dtype).permute(0, 1, 4, 2, 3)


def pad_words(rows: Sequence[Sequence[int]]) -> Tensor:
    """Return rows of word ids as one tensor (B, T), with PAD after each row; T is the longest length, at least 1."""
    words = np.full((len(rows), max([1, *map(len, rows)])), PAD, np.int64)
    for b, row in enumerate(rows):
        words[b, : len(row)] = row
    return torch.from_numpy(words)
