"""Measure the search among many sentence vectors in two stages, for each kind of index.

    python -m benchmarks.scale --vectors 1000000 --images 1000 --kinds ivf --folder scale

The figures are the time to build, queries a second, recall against exact search, and memory. The vectors are SYNTHETIC:
unit vectors of 512 numbers around 2,000 centres of uneven size, as sentences lie around their meanings. Each of an
image's 49 regions lies around a centre, a third of them around the three centres of that image. The attention is
random, with weights large enough that it differs from finding to finding; its entropy is printed, with that of uniform
attention. Recall@10 is that of the whole search in both stages against the conditional score of every vector, over the
first `--exact` images. Without options there are 10,000 vectors and 50 images. With `--folder` the vectors, the exact
results and the FAISS files are saved there, so that the kinds can be run one after another, each with its own peak
memory. `--store milvus` searches in Milvus instead of FAISS, in a file of milvus-lite inside the folder;
`--store milvus:http://HOST:PORT` in a server. A store that is there already is filled on from where it was.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
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

from reportgen_core.registries import text_stores
from reportgen_core.retrieval.index import TextIndex, TextRow, open_index, write_index
from reportgen_core.retrieval.stores import TextStore, split_store

from .measure import Row, Spread, counted, emit, in_turns, peak_mib

DIM, REGIONS, UNITS, CENTRES, K = 512, 49, 64, 2000, 10
KINDS = ("flat", "ivf", "hnsw", "pq")
BAR, GROUPS, SCORED = 0.95, 1306, 100
SHARP = 6.0  # the factor on the random weights of the attention
Floats = NDArray[np.float32]


@lru_cache(1)
def centres() -> Floats:
    """Return the centres (2000, 512), unit vectors."""
    vectors = np.random.default_rng(1).standard_normal((CENTRES, DIM), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def around(which: NDArray[np.int64], spread: float, seed: int) -> Floats:
    """Return unit vectors (N, 512) around the centres with these numbers (N,); `spread` is the length of the noise."""
    noise = np.random.default_rng(seed).standard_normal((len(which), DIM), np.float32)
    vectors = centres()[which] + noise * np.float32(spread / math.sqrt(DIM))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def sentences(count: int) -> Iterator[Floats]:
    """Yield blocks of vectors; the share of centre n is proportional to 1 / (n + 10)."""
    shares = 1 / (np.arange(CENTRES) + 10)
    for block, at in enumerate(range(0, count, 65536)):
        size = min(65536, count - at)
        which = np.random.default_rng((2, block)).choice(CENTRES, size, p=shares / shares.sum())
        yield around(which, 0.9, 3 + block)


def opened(folder: Path, count: int) -> TextIndex:
    """Open the vectors in a folder; write them first if they are missing."""
    path = folder / f"vectors-{count}"
    if not path.exists():
        rows = [TextRow(str(n), f"sentence {n}") for n in range(count)]
        write_index(path, rows, sentences(count), kind="flat", model="", sentences={})
    return open_index(path)


def model() -> Conditional:
    """Return a conditional embedding whose attention is not uniform."""
    torch.manual_seed(0)
    conditional = Conditional(1, 1, joint=DIM, units=UNITS, form="tanh", views=1)
    with torch.no_grad():
        for layer in (conditional.from_region, conditional.from_text):
            torch.nn.init.normal_(layer.weight, std=SHARP / math.sqrt(DIM))
        conditional.attention.weight.mul_(SHARP)
    return conditional.eval()


def regions_of(images: int, conditional: Conditional) -> Regions:
    """Return regions of images in the joint space: a third around three centres of the image, the others around any."""
    vectors = np.empty((images, REGIONS, DIM), np.float32)
    for n in range(images):  # each by a seed of its own: more images leave the first ones as they are
        draw = np.random.default_rng((7, n))
        own, which = draw.integers(0, CENTRES, 3), draw.integers(0, CENTRES, REGIONS)
        shown = draw.random(REGIONS) < 1 / 3
        which[shown] = draw.choice(own, int(shown.sum()))
        vectors[n] = around(which, 0.9, 1000 + n)
    m = torch.from_numpy(vectors)[:, None]
    with torch.no_grad():
        return Regions(m, conditional.from_region(m), torch.ones(images, 1, REGIONS, dtype=torch.bool))


def entropy(conditional: Conditional, regions: Regions, index: TextIndex) -> float:
    """Return the mean entropy of the attention, in nats; that of uniform attention is log 49 = 3.89."""
    texts = torch.from_numpy(index.vectors(np.arange(64))).expand(8, -1, -1)
    attention = conditional.attention_weights(regions.rows(slice(8)), texts).clamp_min(1e-30)
    return float(-(attention * attention.log()).sum(-1).mean())


def exact(folder: Path, conditional: Conditional, regions: Regions, index: TextIndex, images: int) -> torch.Tensor:
    """Return the row numbers by exact search for the first images; they are saved in the folder."""
    file = folder / f"exact-{index.rows}-{images}.npy"
    if not file.exists():
        start = time.perf_counter()
        rows = search_exactly(conditional, regions.rows(slice(images)), index, K)[1]
        print(f"exact search of {images} images: {time.perf_counter() - start:.1f} s", file=sys.stderr)
        np.save(file, rows.numpy())
    return torch.from_numpy(np.load(file))


def first_stage(kind: str, store: str, folder: Path, index: TextIndex) -> TextStore:
    """Return the first stage of a kind, built or filled: FAISS, or the store "NAME[:ADDRESS]"."""
    name, address = split_store(store)
    if name == "faiss":
        return Proposer(index, kind=kind, cache=folder / "faiss")
    address = address or str((folder / f"{kind}-{index.rows}.db").absolute())
    first: TextStore = text_stores.create(name, replace(index, kind=kind), address)
    print(f"{first.fill():,} rows written to {address}", file=sys.stderr)
    return first


def rows_of(kind: str, store: str, folder: Path, index: TextIndex, regions: Regions, conditional: Conditional,
            answers: torch.Tensor, each: int) -> list[Row]:  # fmt: skip
    """Measure one kind of first stage. `answers` (images, K) are the row numbers by exact search."""
    start, start_processor = time.perf_counter(), time.process_time()
    stages = Stages(index, first_stage(kind, store, folder, index))
    build, build_processor = time.perf_counter() - start, time.process_time() - start_processor
    results, images = [], len(regions.half)
    start, start_processor = time.perf_counter(), time.process_time()
    for at in range(0, images, 50):
        results.append(search_proposed(conditional, regions.rows(slice(at, at + 50)), stages, K, each)[1])
    seconds, processor = time.perf_counter() - start, time.process_time() - start_processor
    recall = recall_of(torch.cat(results)[: len(answers)], answers)
    name = f"{'' if store == 'faiss' else store.partition(':')[0] + ' '}{kind}, {index.rows:,} texts"
    return [
        Row(f"{name}: build or open", counted(build), "s"),
        Row(f"{name}: build or open, processor time", counted(build_processor), "s"),
        Row(f"{name}: both stages", counted(images / seconds), "images/s"),
        Row(f"{name}: an image, processor time", counted(1000 * processor / images), "ms"),
        Row(f"{name}: region queries", counted(images * (REGIONS + 1) / seconds), "queries/s"),
        Row(f"{name}: recall@{K} against exact", counted(100 * recall), "%", bar=100 * BAR),
        Row(f"{name}: peak memory so far", counted(peak_mib()), "MiB"),
    ]


def scoring() -> list[Row]:
    """Measure the exact conditional scores of 1,306 groups for 100 images, one view of 49 regions."""
    conditional = model()
    regions = regions_of(SCORED, conditional)
    texts = F.normalize(torch.randn(GROUPS, DIM, generator=torch.Generator().manual_seed(1)), dim=1)
    (seconds,) = in_turns(lambda: conditional.scores(regions, texts), rounds=3)
    what = f"{GROUPS:,} groups of sentences for {SCORED} images, exact scores (`cvse`)"
    return [Row(what, Spread.of(seconds), "s", bar=1.0, at_most=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=10_000)
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--exact", type=int, default=10, help="images that are searched exactly as well")
    parser.add_argument("--each", type=int, default=32, help="texts that each region proposes")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--store", default="faiss", help="faiss, milvus, or milvus:http://HOST:PORT")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder: Path = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        index, conditional = opened(folder, options.vectors), model()
        regions = regions_of(options.images, conditional)
        print(f"entropy of the attention {entropy(conditional, regions, index):.2f} of 3.89 nats", file=sys.stderr)
        answers = exact(folder, conditional, regions, index, min(options.exact, options.images))
        rows = scoring()
        for kind in options.kinds.split(","):
            rows += rows_of(kind, options.store, folder, index, regions, conditional, answers, options.each)
        for row in rows:
            print(f"{row.what:60} {row.figure.median:12,.2f} {row.unit}", file=sys.stderr)
        emit(rows)


if __name__ == "__main__":
    main()
