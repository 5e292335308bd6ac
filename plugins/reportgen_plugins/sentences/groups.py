"""`kmeans` and `kmeans-exclusive`: groups of abnormal sentences.

Ni, Hsu, Gentili, McAuley: Learning Visual-Semantic Embeddings for Reporting Abnormal Findings on Chest X-rays, 2020,
arXiv:2010.02467, §3.2: K-means puts vectors of sentences into 500 clusters, and mutually exclusive terms divide these
further (`exclusive.py`); the authors' 500 became 1,306.

- Each spelling counts once as a point (`sentence_key`); how often it occurs is kept with it. Vectors have length 1.
- K-means is faiss's on the CPU, from `redo` random starts by seed; a cluster that loses all its points is left out.
- The most central sentence of a group is the one nearest to the mean of the group, of equals the first by the alphabet.
- Groups come by how often their sentences occur, the most frequent first.

The folder they are kept in is described in `reportgen_core.sentences.groups`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reportgen_core import DataError, OptionError
from reportgen_core.sentence_parts import Group, Groups, SentenceEncoder, SentenceGrouper, sentence_key
from reportgen_core.sentences.groups import load_groups, save_groups

from .exclusive import divide, one_hot, terms_of

__all__ = ["Group", "Groups", "KMeans", "load_groups", "save_groups"]

Floats = NDArray[np.float32]
POINTS = 256  # points a cluster that faiss samples for training; more change little
AT_ONCE = 2_000_000  # cells of a table of distances that are held at once


class KMeans(SentenceGrouper):
    """K-means, then mutual exclusivity.

    Args:
        exclusive: whether mutually exclusive terms divide the clusters.
        k: clusters before that.
        iterations: of K-means.
        redo: starts, of which the best is kept.
        seed: of the starts.
        eps: of DBSCAN on the terms.
    """

    def __init__(
        self, *, exclusive: bool, k: int = 500, iterations: int = 50, redo: int = 3, seed: int = 0, eps: float = 0.5
    ) -> None:
        if k < 1 or iterations < 1 or redo < 1 or eps <= 0:
            raise OptionError(f"groups want k, iterations, redo >= 1, eps > 0, got {k}, {iterations}, {redo}, {eps}")
        self.exclusive, self.k, self.iterations, self.redo = exclusive, k, iterations, redo
        self.seed, self.eps = seed, eps

    def group(self, sentences: Sequence[str], encoder: SentenceEncoder) -> Groups:
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
        parts = [part for rows in members(clusters) for part in self._parts(rows, marks)]
        made = [_group(rows, texts, counts, vectors, marks, int(clusters[rows[0]])) for rows in parts]
        made.sort(key=lambda found: (-sum(found[0].counts), found[0].central))
        order = [row for _, rows in made for row in rows]
        known: dict[str, Any] = {
            **getattr(encoder, "recipe", {}), "fingerprint": encoder.fingerprint, "dim": encoder.dim,
        }  # fmt: skip
        return Groups(tuple(g for g, _ in made), vectors[order], known, self._settings(clusters))

    def _clusters(self, vectors: Floats) -> NDArray[np.int64]:
        """(n,) the cluster of each point."""
        import faiss

        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)  # sums in another order would end in other clusters
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
        if not self.exclusive:
            return [rows]
        return [rows[part] for part in members(divide(marks[rows], self.eps))]

    def _settings(self, clusters: NDArray[np.int64]) -> dict[str, Any]:
        said = {k: getattr(self, k) for k in ("exclusive", "k", "iterations", "redo", "seed", "eps")}
        return said | {"clusters": len(np.unique(clusters)), "sentences": len(clusters)}


def spellings(sentences: Sequence[str]) -> tuple[list[str], list[int]]:
    """Each sentence once, by `sentence_key` and in its commonest spelling, with how often it occurs; by alphabet."""
    forms: dict[str, Counter[str]] = {}
    for s in sentences:
        if key := sentence_key(s):
            forms.setdefault(key, Counter())[" ".join(s.split())] += 1
    chosen = {key: min(found, key=lambda s: (-found[s], s)) for key, found in forms.items()}
    return [chosen[key] for key in sorted(forms)], [forms[key].total() for key in sorted(forms)]


def members(labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows of each label, by label."""
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def nearest_centre(vectors: Floats, centres: Floats) -> NDArray[np.int64]:
    """(n,) which of `centres` (k, d) each vector is nearest to; of equals the first."""
    found = np.empty(len(vectors), np.int64)
    lengths = (centres**2).sum(1)  # (k,)
    step = max(1, AT_ONCE // max(1, len(centres)))
    for at in range(0, len(vectors), step):
        some = vectors[at : at + step]
        found[at : at + step] = (lengths - 2 * some @ centres.T).argmin(1)  # |v - c|^2 less |v|^2
    return found


def _group(
    rows: NDArray[np.int64], texts: Sequence[str], counts: Sequence[int], vectors: Floats, marks: Floats, cluster: int
) -> tuple[Group, NDArray[np.int64]]:
    """The group of some rows, and the rows by how near they are to its mean."""
    away = np.round(((vectors[rows] - vectors[rows].mean(0)) ** 2).sum(1), 6)
    rows = rows[np.lexsort((rows, away))]  # rows are by alphabet
    sentences = tuple(texts[i] for i in rows)
    terms = terms_of(marks[rows].min(0))  # those that all its sentences have
    return Group(sentences, sentences[0], terms, tuple(counts[i] for i in rows), cluster), rows
