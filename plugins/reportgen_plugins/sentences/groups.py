"""Group abnormal sentences: `kmeans` and `kmeans-exclusive`.

Ni, Hsu, Gentili, McAuley: Learning Visual-Semantic Embeddings for Reporting Abnormal Findings on Chest X-rays, 2020,
arXiv:2010.02467, §3.2: K-means puts vectors of sentences into 500 clusters, and mutually exclusive terms divide these
further (`exclusive.py`); the authors' 500 became 1,306.

- Each spelling counts once as a point (`sentence_key`); the number of its occurrences is stored with it. Vectors have
  length 1.
- K-means is faiss's on the CPU, from `redo` random starts by `seed`. A cluster without points is left out.
- The central sentence of a group is nearest to the mean of the group; of equally near ones, the first by alphabet.
- Groups are sorted by the number of occurrences of their sentences, the most frequent first.

`reportgen_core.sentences.groups` describes the folder in which they are saved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reportgen_core import DataError, OptionError
from reportgen_core.sentences.groups import load_groups, save_groups
from reportgen_core.sentences.parts import Group, Groups, SentenceEncoder, SentenceGrouper, sentence_key

from .exclusive import divide, one_hot, terms_of

__all__ = ["Group", "Groups", "KMeans", "load_groups", "save_groups"]

Floats = NDArray[np.float32]
POINTS = 256  # points for each cluster that faiss samples for training; more points change little
MAX_DISTANCES = 2_000_000  # cells of a table of distances at a time


class KMeans(SentenceGrouper):
    """Group sentences by K-means, then divide the clusters by mutually exclusive terms.

    Args:
        exclusive: whether mutually exclusive terms divide the clusters.
        k: number of clusters of K-means.
        iterations: number of iterations of K-means.
        redo: number of random starts, of which the best is used.
        seed: random seed of the starts.
        eps: eps of DBSCAN on the terms.
    """

    def __init__(
        self, *, exclusive: bool, k: int = 500, iterations: int = 50, redo: int = 3, seed: int = 0, eps: float = 0.5
    ) -> None:
        if k < 1 or iterations < 1 or redo < 1 or eps <= 0:
            raise OptionError(f"groups want k, iterations, redo >= 1, eps > 0, got {k}, {iterations}, {redo}, {eps}")
        self.exclusive, self.k, self.iterations, self.redo = exclusive, k, iterations, redo
        self.seed, self.eps = seed, eps

    def group(self, sentences: Sequence[str], encoder: SentenceEncoder) -> Groups:
        """Return the groups of the sentences. Raises DataError if there are fewer different sentences than clusters."""
        texts, counts = spellings(sentences)
        if not texts:
            raise DataError("there is no abnormal sentence to group; rg data abnormal finds them in reports")
        if len(texts) < self.k:
            raise DataError(
                f"{len(texts)} different sentences make no {self.k} groups; give k={max(1, len(texts) // 4)}"
            )
        vectors = encoder.encode(texts)
        clusters = self._clusters(vectors)
        marks = one_hot(texts)
        parts = [part for rows in rows_by_label(clusters) for part in self._parts(rows, marks)]
        groups = [_group(rows, texts, counts, vectors, marks, int(clusters[rows[0]])) for rows in parts]
        groups.sort(key=lambda pair: (-sum(pair[0].counts), pair[0].central))
        order = [row for _, rows in groups for row in rows]
        source: dict[str, Any] = {
            **getattr(encoder, "part_config", {}), "fingerprint": encoder.fingerprint, "dim": encoder.dim,
        }  # fmt: skip
        return Groups(tuple(g for g, _ in groups), vectors[order], source, self._settings(clusters))

    def _clusters(self, vectors: Floats) -> NDArray[np.int64]:
        """Return the cluster (n,) of each point."""
        import faiss

        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)  # another order of sums would give other clusters
        try:
            means = faiss.Kmeans(
                vectors.shape[1], self.k, niter=self.iterations, nredo=self.redo, seed=self.seed,
                max_points_per_centroid=POINTS, min_points_per_centroid=1,
            )  # fmt: skip
            means.train(np.ascontiguousarray(vectors, np.float32))
        finally:
            faiss.omp_set_num_threads(threads)
        return nearest_centre(vectors, np.asarray(means.centroids, np.float32))

    def _parts(self, rows: NDArray[np.int64], marks: Floats) -> list[NDArray[np.int64]]:
        """Divide the rows of a cluster by their terms; without `exclusive` return them as one part."""
        if not self.exclusive:
            return [rows]
        return [rows[part] for part in rows_by_label(divide(marks[rows], self.eps))]

    def _settings(self, clusters: NDArray[np.int64]) -> dict[str, Any]:
        """Return the options, and the numbers of clusters and of sentences."""
        options = {k: getattr(self, k) for k in ("exclusive", "k", "iterations", "redo", "seed", "eps")}
        return options | {"clusters": len(np.unique(clusters)), "sentences": len(clusters)}


def spellings(sentences: Sequence[str]) -> tuple[list[str], list[int]]:
    """Return each sentence once, in its most frequent spelling, and its number of occurrences, sorted by alphabet.

    Sentences are equal if their `sentence_key` is.
    """
    forms: dict[str, Counter[str]] = {}
    for s in sentences:
        if key := sentence_key(s):
            forms.setdefault(key, Counter())[" ".join(s.split())] += 1
    chosen = {key: min(counts, key=lambda s: (-counts[s], s)) for key, counts in forms.items()}
    return [chosen[key] for key in sorted(forms)], [forms[key].total() for key in sorted(forms)]


def rows_by_label(labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the rows of each label, in the order of the labels."""
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def nearest_centre(vectors: Floats, centres: Floats) -> NDArray[np.int64]:
    """Return the row (n,) of `centres` (k, d) that is nearest to each vector (n, d); of equally near ones the first."""
    nearest = np.empty(len(vectors), np.int64)
    lengths = (centres**2).sum(1)  # (k,)
    step = max(1, MAX_DISTANCES // max(1, len(centres)))
    for start in range(0, len(vectors), step):
        block = vectors[start : start + step]
        nearest[start : start + step] = (lengths - 2 * block @ centres.T).argmin(1)  # |v - c|^2 - |v|^2
    return nearest


def _group(
    rows: NDArray[np.int64], texts: Sequence[str], counts: Sequence[int], vectors: Floats, marks: Floats, cluster: int
) -> tuple[Group, NDArray[np.int64]]:
    """Return the group of some rows, and the rows sorted by their distance from its mean, the nearest first."""
    distances = np.round(((vectors[rows] - vectors[rows].mean(0)) ** 2).sum(1), 6)
    rows = rows[np.lexsort((rows, distances))]  # rows are sorted by alphabet
    sentences = tuple(texts[i] for i in rows)
    terms = terms_of(marks[rows].min(0))  # the terms that all sentences have
    return Group(sentences, sentences[0], terms, tuple(counts[i] for i in rows), cluster), rows
