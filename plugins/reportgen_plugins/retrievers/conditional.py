"""Score how near an image is to a finding, by attention to the regions where that finding would be.

Ni, Hsu, Gentili, McAuley: Learning Visual-Semantic Embeddings for Reporting Abnormal Findings on Chest X-rays, 2020,
arXiv:2010.02467, eq. 2 and 3. Departures and readings:

- Eq. 2's attention v_α^T (W_α [m_j; v] + b_α) is linear, so v adds the same number to all regions and cancels in the
  softmax: as printed, the attention is NOT conditional on the finding. `form="tanh"`, the default, puts a tanh around
  the inner layer, as the title of the paper demands; `form="linear"` is the equation as printed.
- "||m_j - v||_2" is the squared distance, as the paper's text below the equation says. For vectors of length 1 it is 2
  - 2 m_j·v, and d(a, I) = 2 Σ α_j m_j·v - 2, in [-4, 0], larger is nearer.
- Eq. 3 is the mean over the views of the study; each view has its own softmax.
- W_α is stored as its two halves, W_α [m; v] = W_m m + W_v v, so that no [m; v] is built: one half is computed once for
  each region and one for each finding, and a pair only adds them. The inner width k is not in the paper.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reportgen_core import Features, OptionError

FORMS = ("tanh", "linear")
MAX_INNER_CPU = 2**17  # numbers of the inner layer at a time, so that they fit a processor's cache
MAX_INNER_GPU = 2**26  # the same on a GPU
MAX_SCORES = 2**23  # scores of regions at a time


class Regions(NamedTuple):
    """The regions of B studies in the joint space, with their half of the attention's inner layer."""

    vectors: Tensor  # (B, V, N, d) of length 1
    half: Tensor  # (B, V, N, k): W_m m + b_α
    mask: Tensor  # (B, V, N) bool

    @property
    def views(self) -> Tensor:
        """Return a mask (B, V) that is True for the views that a study has."""
        return self.mask.any(2)

    def rows(self, studies: slice) -> Regions:
        """Return the regions of some of the studies."""
        return Regions(self.vectors[studies], self.half[studies], self.mask[studies])


class Conditional(nn.Module):
    """Compute eq. 2 and 3: regions (B, N, D) and sentence vectors (A, T) -> scores (B, A), each in [-4, 0]."""

    def __init__(self, region: int, text: int, *, joint: int, units: int, form: str, views: int) -> None:
        super().__init__()
        if form not in FORMS:
            raise OptionError(f"no form of attention {form!r}; there are: {', '.join(FORMS)}")
        self.form, self.views = form, views
        self.region, self.text = nn.Linear(region, joint), nn.Linear(text, joint)
        self.from_region, self.from_text = nn.Linear(joint, units), nn.Linear(joint, units, bias=False)
        self.attention = nn.Linear(units, 1, bias=False)  # v_α

    def regions(self, features: Features) -> Regions:
        """Map the regions of each view into the joint space."""
        B = len(features.tokens)
        m = F.normalize(self.region(features.tokens), dim=-1)
        m = m.reshape(B, self.views, -1, m.shape[-1])  # (B, V n, d) -> (B, V, n, d)
        return Regions(m, self.from_region(m), features.mask.reshape(m.shape[:3]))

    def texts(self, vectors: Tensor) -> Tensor:
        """Map sentence vectors (A, T) into the joint space, (A, d), each of length 1."""
        return F.normalize(self.text(vectors), dim=-1)

    def pairs(self, regions: Regions, texts: Tensor, image: Tensor, text: Tensor) -> Tensor:
        """Return the scores (P,) of the pairs image[p], text[p], which are rows of `regions` and of `texts`."""
        similarity = torch.einsum("bvnd,ad->bavn", regions.vectors, texts)[image, text]  # (P, V, N)
        inner = regions.half[image] + self.from_text(texts)[text][:, None, None]  # (P, V, N, k)
        weights = self._weights(inner, regions.mask[image])
        return _distance((weights * similarity).sum(-1), regions.views[image])

    def scores(self, regions: Regions, texts: Tensor) -> Tensor:
        """Return the scores (B, A) of every image with every text (A, d), or with its own texts (B, A, d).

        They are computed without gradients, in blocks that fit the processor's cache.
        """
        return self._blocks(regions, texts)[0]

    def attention_weights(self, regions: Regions, texts: Tensor) -> Tensor:
        """Return the weights (B, A, V N) of the regions for the texts (B, A, d) of each image. Each row sums to 1."""
        return self._blocks(regions, texts, keep_weights=True)[1]

    @torch.no_grad()
    def _blocks(self, regions: Regions, texts: Tensor, keep_weights: bool = False) -> tuple[Tensor, Tensor]:
        """Return the scores (B, A), and the weights (B, A, V N), or (B, 0, V N) without `keep_weights`."""
        B, V, N, _ = regions.half.shape
        A = texts.shape[-2]
        scores, attention = texts.new_empty(B, A), texts.new_empty(B, A if keep_weights else 0, V * N)
        if self.form == "linear" and texts.ndim == 2 and not keep_weights:
            return self._at_once(regions, texts), attention
        for b, a in _blocks(B, A, max(1, MAX_SCORES // (V * N))):
            part, v = regions.rows(b), texts[b, a] if texts.ndim == 3 else texts[a]
            flat = part.vectors.flatten(1, 2)  # (b, V, N, d) -> (b, V N, d)
            similarity = (v @ flat.transpose(1, 2)).unflatten(-1, (V, N))  # (b, a, V, N)
            weights = _softmax(self._logits(part.half, self.from_text(v)), part.mask[:, None])
            views = part.views[:, None]
            scores[b, a] = _distance((weights * similarity).sum(-1), views)
            if keep_weights:
                attention[b, a] = (weights / views.sum(-1)[..., None, None]).flatten(-2)
        return scores, attention

    def _logits(self, half: Tensor, text: Tensor) -> Tensor:
        """Return α̂ (b, a, V, N) of all pairs of regions (b, V, N, k) and texts (a, k) or (b, a, k).

        They are computed in blocks that fit the processor's cache.
        """
        b, V, N, k = half.shape
        a = text.shape[-2]
        if self.form == "linear":
            logits: Tensor = self.attention(half)[:, None, ..., 0]  # (b, 1, V, N)
            return logits.expand(b, a, V, N)
        inner = half.new_empty(b, a, V * N)
        weight, flat = self.attention.weight[0].to(half.dtype), half.flatten(1, 2)
        pairs = (MAX_INNER_CPU if half.device.type == "cpu" else MAX_INNER_GPU) // (V * N * k)
        for i, j in _blocks(b, a, max(1, pairs)):
            q = text[i, j] if text.ndim == 3 else text[j]
            inner[i, j] = (flat[i, None] + q[..., None, :]).tanh_() @ weight
        return inner.reshape(b, a, V, N)

    def _at_once(self, regions: Regions, texts: Tensor) -> Tensor:
        """Return the scores (B, A) of form linear, whose attended vectors are the same for all texts."""
        attended = (self._weights(regions.half, regions.mask)[..., None] * regions.vectors).sum(2)  # (B, V, d)
        return _distance((attended @ texts.T).transpose(1, 2), regions.views[:, None])

    def _weights(self, inner: Tensor, mask: Tensor) -> Tensor:
        """Return α (..., N) from the inner layer (..., N, k)."""
        return _softmax(self.attention(inner.tanh() if self.form == "tanh" else inner)[..., 0], mask)


def _softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Return α (..., V, N), the softmax over the regions of each view; zeros for a view that a study lacks."""
    views = mask.any(-1, keepdim=True)
    return logits.float().masked_fill(~mask & views, -torch.inf).softmax(-1) * views


def _distance(attended: Tensor, views: Tensor) -> Tensor:
    """Return eq. 3 of Σ α m·v (..., V): the mean of 2 Σ α m·v - 2 over the views that a study has."""
    return (2 * attended - 2).mul(views).sum(-1) / views.sum(-1)


def _blocks(images: int, texts: int, pairs: int) -> Iterator[tuple[slice, slice]]:
    """Yield slices of images and of texts, in blocks of at most `pairs` pairs."""
    wide = min(texts, pairs) or 1
    high = max(1, pairs // wide)
    for b in range(0, images, high):
        for a in range(0, texts, wide):
            yield slice(b, b + high), slice(a, a + wide)
