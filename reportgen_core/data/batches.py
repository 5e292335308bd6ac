"""Make batches of studies: read the images, turn the report into word ids, and stack both.

Pixels stay bytes until they are on the model's device, where `normalise` scales them for the encoder. An image that
cannot be read stops training, and the error names it. When reports are generated, its problem is returned with the
batch, and the other images are used.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from ..errors import ImageError, ShapeError
from ..text.spec import BOS, EOS, PAD, SPECIAL, TextSpec, Vocabulary, report_words, sentence_words
from ..types import Batch, ImageSpec, Study, Targets
from .images import check_spec
from .study_files import group_files
from .study_reader import LoadedStudy, StudyReader, check_views, choose_views

__all__ = [
    "LoadedStudy",
    "ReadBatch",
    "StudyReader",
    "StudyReading",
    "batches",
    "check_views",
    "choose_views",
    "group_files",
    "normalise",
    "pad_words",
    "read_batches",
    "read_with",
]

MAX_WORKERS = 8


@dataclass(frozen=True, slots=True)
class StudyReading:
    """What is known of a study once its images were read: whether it is in the batch, and words for people."""

    id: str
    usable: bool  # the batch has it: one of its images could be read, or none is needed
    problem: str = ""  # one line on images that cannot be read
    notes: tuple[str, ...] = ()  # for the reader of a report
    not_chest: tuple[str, ...] = ()  # why a header says that this is no chest radiograph
    lateral: bool = False  # all images in the batch are lateral views


class ReadBatch(NamedTuple):
    """A batch of the usable studies, and what is known of each study that was read, in order."""

    batch: Batch
    readings: tuple[StudyReading, ...]

    @property
    def problems(self) -> dict[str, str]:
        """Return one line on unreadable images by the id of the study."""
        return {reading.id: reading.problem for reading in self.readings if reading.problem}


@dataclass(frozen=True)
class _Collate:
    """Stacks the studies that have an image into a batch, and collects what is known of each study."""

    reader: StudyReader
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    switches: bool = False  # whether any study of the whole set has sentence labels

    @classmethod
    def of(cls, reader: StudyReader, studies: Sequence[Study]) -> _Collate:
        words = reader.targets.words if reader.targets else SPECIAL
        return cls(reader, Vocabulary(words[len(SPECIAL) :]), any("sentence_abnormal" in s.extra for s in studies))

    def __call__(self, items: Sequence[LoadedStudy]) -> ReadBatch:
        spec = self.reader.image
        good = [item for item in items if item.images or not spec.views]
        V, dtype = max((len(i.images) for i in good), default=1), np.uint8 if spec.bits == 8 else np.int32
        pixels = np.zeros((len(good), V, spec.height, spec.width), dtype)
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
            tuple(studies),
        )
        return ReadBatch(batch, tuple(_reading(item, spec) for item in items))

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


def _reading(item: LoadedStudy, spec: ImageSpec) -> StudyReading:
    problem = "; ".join(item.problems)
    if item.images and problem:
        problem = f"{len(item.images)} of its images used; {problem}"
    usable = bool(item.images) or not spec.views
    lateral = bool(item.views) and all(view.projection == "lateral" for view in item.views)
    return StudyReading(item.study.id, usable, problem, item.notes, item.not_chest, lateral)


class _Studies(Dataset[LoadedStudy]):
    """Studies that are read on access, in the process that prepares the batch."""

    def __init__(self, studies: Sequence[Study], reader: StudyReader) -> None:
        self.studies, self.reader = studies, reader

    def __len__(self) -> int:
        return len(self.studies)

    def __getitem__(self, index: int) -> LoadedStudy:
        return self.reader.read(self.studies[index])

    def __getitems__(self, indices: Sequence[int]) -> list[LoadedStudy]:
        """Return several studies in order. A process without workers reads them in as many threads as torch has."""
        threads = 1 if get_worker_info() else min(MAX_WORKERS, torch.get_num_threads(), len(indices) - 1)
        if threads < 2:
            return [self[i] for i in indices]
        first = self[indices[0]]  # in this thread, where a warning is one of the line that asked for the images
        with ThreadPoolExecutor(threads) as pool:
            return [first, *pool.map(self.__getitem__, indices[1:])]


def batches(
    studies: Sequence[Study], reader: StudyReader, order: Sequence[Sequence[int]], *, workers: int | None = 0
) -> Iterator[Batch]:
    """Yield one batch for each list of study indices in `order`, prepared ahead by `workers` processes.

    `workers` None means as many as help, at most MAX_WORKERS. The batches do not depend on the number of workers.
    Raises ImageError at the first image that cannot be read.
    """
    for batch, readings in read_in_order(studies, reader, order, workers=workers):
        for problem in (reading.problem for reading in readings if reading.problem):
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
    read = read_with(StudyReader(spec, cache=cache), studies, batch_size, workers=workers)
    return ((one.batch, one.problems) for one in read)


def read_with(
    reader: StudyReader,
    studies: Sequence[Study],
    batch_size: int = 32,
    *,
    workers: int | None = 0,
) -> Iterator[ReadBatch]:
    """Read studies in order, and yield every `batch_size` of them. Unreadable images raise nothing."""
    order = in_batches(len(studies), batch_size)
    return read_in_order(studies, reader, order, workers=workers)


def in_batches(count: int, size: int) -> list[range]:
    """Return the indices 0..count-1 in batches of `size`."""
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def read_in_order(
    studies: Sequence[Study], reader: StudyReader, order: Sequence[Sequence[int]], *, workers: int | None = 0
) -> Iterator[ReadBatch]:
    """Yield the studies of each list of indices in `order`, as `batches` does, but with problems and notes."""
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
    """Scale pixels (B, V, H, W) for the encoder: (x / 255 - mean) / std, as (B, V, C, H, W); of 16 bits x / 65535.

    The result is on the device of the pixels, and its memory format is channels last, which makes convolutions faster.
    Raises ShapeError for other pixels, and for a mean or deviation of another number of channels.
    """
    wanted, most = (torch.uint8, 255) if spec.bits == 8 else (torch.int32, 65535)
    if pixels.ndim != 4 or pixels.dtype != wanted:
        raise ShapeError(f"pixels are {wanted} (B, V, H, W), got {pixels.dtype} {tuple(pixels.shape)}")
    for values in (spec.mean, spec.std):
        if len(values) not in (1, spec.channels):
            raise ShapeError(f"{spec.channels} channels need one mean and deviation, or {spec.channels}; got {values}")
    mean, std = (torch.tensor(v, device=pixels.device).expand(spec.channels) for v in (spec.mean, spec.std))  # (C,)
    image = torch.addcmul(-mean / std, pixels[..., None].float(), 1 / (most * std))  # (B, V, H, W, C)
    return image.to(dtype).permute(0, 1, 4, 2, 3)


def pad_words(rows: Sequence[Sequence[int]]) -> Tensor:
    """Return rows of word ids as one tensor (B, T), with PAD after each row; T is the longest length, at least 1."""
    words = np.full((len(rows), max([1, *map(len, rows)])), PAD, np.int64)
    for b, row in enumerate(rows):
        words[b, : len(row)] = row
    return torch.from_numpy(words)
