"""Two-stage search among many sentence vectors: build, queries a second, recall against exact search, memory, by kind.

    python -m benchmarks.scale --vectors 1000000 --images 1000 --kinds ivf --folder scale

The vectors are SYNTHETIC: unit vectors of 512 numbers around 2,000 centres of uneven size, as sentences lie around
what they say; each of an image's 49 regions lies around a centre, a third of them around the three that the image
shows. The attention is random, with weights large enough that it differs from finding to finding (its entropy is
printed beside an even look's). Recall@10 is that of the whole search, both stages, against the conditional score of
every vector, over the first `--exact` images. Without options 10,000 vectors and 50 images. With a folder the vectors,
the exact answers and the FAISS files are kept, so that the kinds can be run one after another, each with a peak memory
of its own.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from reportgen_plugins.retrievers.conditional import Conditional, Regions
from reportgen_plugins.retrievers.exact_search import search_exactly
from reportgen_plugins.retrievers.proposals import Proposer
from reportgen_plugins.retrievers.stages import Stages, recall_of, search_proposed

from reportgen_core.retrieval.index import TextIndex, open_index, write_index
from reportgen_core.types import TextRow

from .measure import Row, Spread, counted, emit, in_turns, peak_mib

DIM, REGIONS, UNITS, CENTRES, K = 512, 49, 64, 2000, 10
KINDS = ("flat", "ivf", "hnsw", "pq")
BAR, GROUPS, SCORED = 0.95, 1306, 100
SHARP = 6.0  # how much larger than at random the attention's weights are
Floats = NDArray[np.float32]


@lru_cache(1)
def centres() -> Floats:
    made = np.random.default_rng(1).standard_normal((CENTRES, DIM), np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def around(which: NDArray[np.int64], spread: float, seed: int) -> Floats:
    """Unit vectors around centres; `spread` is the length of what is added to a centre."""
    noise = np.random.default_rng(seed).standard_normal((len(which), DIM), np.float32)
    made = centres()[which] + noise * np.float32(spread / math.sqrt(DIM))
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made


def sentences(count: int) -> Iterator[Floats]:
    """Blocks of vectors; centre n has a share like 1 / (n + 10)."""
    shares = 1 / (np.arange(CENTRES) + 10)
    for block, at in enumerate(range(0, count, 65536)):
        size = min(65536, count - at)
        which = np.random.default_rng((2, block)).choice(CENTRES, size, p=shares / shares.sum())
        yield around(which, 0.9, 3 + block)


def opened(folder: Path, count: int) -> TextIndex:
    """The vectors of a folder, made where they are not there."""
    place = folder / f"vectors-{count}"
    if not place.exists():
        rows = [TextRow(str(n), f"sentence {n}") for n in range(count)]
        write_index(place, rows, sentences(count), kind="flat", model="", sentences={})
    return open_index(place)


def model() -> Conditional:
    """A conditional embedding whose attention is not even."""
    torch.manual_seed(0)
    made = Conditional(1, 1, joint=DIM, units=UNITS, form="tanh", views=1)
    with torch.no_grad():
        for layer in (made.from_region, made.from_text):
            torch.nn.init.normal_(layer.weight, std=SHARP / math.sqrt(DIM))
        made.attention.weight.mul_(SHARP)
    return made.eval()


def looked_at(images: int, conditional: Conditional) -> Regions:
    """Regions of images in the joint space: a third around three centres of the image, the others around any."""
    made = np.empty((images, REGIONS, DIM), np.float32)
    for n in range(images):  # each by a seed of its own: more images leave the first ones as they are
        draw = np.random.default_rng((7, n))
        own, which = draw.integers(0, CENTRES, 3), draw.integers(0, CENTRES, REGIONS)
        shown = draw.random(REGIONS) < 1 / 3
        which[shown] = draw.choice(own, int(shown.sum()))
        made[n] = around(which, 0.9, 1000 + n)
    m = torch.from_numpy(made)[:, None]
    with torch.no_grad():
        return Regions(m, conditional.from_region(m), torch.ones(images, 1, REGIONS, dtype=torch.bool))


def entropy(conditional: Conditional, regions: Regions, index: TextIndex) -> float:
    """Mean entropy of the attention, in nats; an even look's is log 49 = 3.89."""
    texts = torch.from_numpy(index.vectors(np.arange(64))).expand(8, -1, -1)
    looks = conditional.looks(regions.rows(slice(8)), texts).clamp_min(1e-30)
    return float(-(looks * looks.log()).sum(-1).mean())


def exact(folder: Path, conditional: Conditional, regions: Regions, index: TextIndex, images: int) -> torch.Tensor:
    """The row numbers of the exact search for the first images, kept in the folder."""
    file = folder / f"exact-{index.rows}-{images}.npy"
    if not file.exists():
        start = time.perf_counter()
        found = search_exactly(conditional, regions.rows(slice(images)), index, K)[1]
        print(f"exact search of {images} images: {time.perf_counter() - start:.1f} s", file=sys.stderr)
        np.save(file, found.numpy())
    return torch.from_numpy(np.load(file))


def one(folder: Path, kind: str, index: TextIndex, regions: Regions, conditional: Conditional, answers: torch.Tensor,
        each: int) -> list[Row]:  # fmt: skip
    """The figures of one kind of first stage."""
    start, busy = time.perf_counter(), time.process_time()
    stages = Stages(index, Proposer(index, kind=kind, cache=folder / "faiss"))
    build, built = time.perf_counter() - start, time.process_time() - busy
    start, busy, found, images = time.perf_counter(), time.process_time(), [], len(regions.half)
    for at in range(0, len(regions.half), 50):
        found.append(search_proposed(conditional, regions.rows(slice(at, at + 50)), stages, K, each)[1])
    took, busy = time.perf_counter() - start, time.process_time() - busy
    recall = recall_of(torch.cat(found)[: len(answers)], answers)
    name = f"{kind}, {index.rows:,} texts"
    return [
        Row(f"{name}: build or open", counted(build), "s"),
        Row(f"{name}: build or open, processor time", counted(built), "s"),
        Row(f"{name}: both stages", counted(images / took), "images/s"),
        Row(f"{name}: an image, processor time", counted(1000 * busy / images), "ms"),
        Row(f"{name}: region queries", counted(images * (REGIONS + 1) / took), "queries/s"),
        Row(f"{name}: recall@{K} against exact", counted(100 * recall), "%", bar=100 * BAR),
        Row(f"{name}: peak memory so far", counted(peak_mib()), "MiB"),
    ]


def scoring() -> list[Row]:
    """Exact conditional scores of 1,306 groups for 100 images, one view of 49 regions."""
    conditional = model()
    regions = looked_at(SCORED, conditional)
    texts = F.normalize(torch.randn(GROUPS, DIM, generator=torch.Generator().manual_seed(1)), dim=1)
    (took,) = in_turns(lambda: conditional.scores(regions, texts), rounds=3)
    what = f"{GROUPS:,} groups of sentences for {SCORED} images, exact scores (`cvse`)"
    return [Row(what, Spread.of(took), "s", bar=1.0, at_most=True)]


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--vectors", type=int, default=10_000)
    asked.add_argument("--images", type=int, default=50)
    asked.add_argument("--exact", type=int, default=10, help="images that are searched exactly, too")
    asked.add_argument("--each", type=int, default=32, help="texts that each region proposes")
    asked.add_argument("--kinds", default=",".join(KINDS))
    asked.add_argument("--folder", type=Path)
    options = asked.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder: Path = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        index, conditional = opened(folder, options.vectors), model()
        regions = looked_at(options.images, conditional)
        print(f"entropy of the attention {entropy(conditional, regions, index):.2f} of 3.89 nats", file=sys.stderr)
        answers = exact(folder, conditional, regions, index, min(options.exact, options.images))
        rows = scoring()
        for kind in options.kinds.split(","):
            rows += one(folder, kind, index, regions, conditional, answers, options.each)
        for row in rows:
            print(f"{row.what:60} {row.figure.median:12,.2f} {row.unit}", file=sys.stderr)
        emit(rows)


if __name__ == "__main__":
    main()
