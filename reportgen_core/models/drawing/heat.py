"""Lay a heat map of attention over a radiograph: yellow to red above even attention, grey where it is even or less."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from ...types import Array, Attention

OPACITY = 0.62  # of the strongest attention
SCALE = 3.0  # times even attention: the scale reaches at least this far
COLOURS = ((254, 217, 118), (253, 141, 60), (227, 26, 28), (128, 0, 38))  # yellow to dark red, evenly spaced


def enlarge(weights: Array, size: tuple[int, int]) -> Array:
    """Return weights (rows, columns) enlarged to `size` (H, W): bicubic, never negative."""
    image = Image.fromarray(np.asarray(weights, np.float32))
    smooth: Array = np.maximum(np.asarray(image.resize((size[1], size[0]), Image.Resampling.BICUBIC)), 0)
    return smooth


def heat_picture(image: Array, weights: Array | None = None, top: float = SCALE) -> Image.Image:
    """Draw a grey image (H, W), 0..1, with weights (rows, columns) in times of even attention over it.

    `top` is the weight of the darkest red. Without weights it is the image alone.
    """
    grey = np.repeat(np.asarray(image, np.float32).clip(0, 1)[..., None], 3, axis=2)  # (H, W, 3)
    if weights is None:
        return Image.fromarray(np.rint(grey * 255).astype(np.uint8))
    strength = ((enlarge(weights, (grey.shape[0], grey.shape[1])) - 1) / (top - 1)).clip(0, 1)  # (H, W)
    at = np.linspace(0, 1, len(COLOURS))
    colour = np.stack([np.interp(strength, at, [c[i] / 255 for c in COLOURS]) for i in range(3)], axis=2)
    share = OPACITY * np.sqrt(strength)[..., None]
    return Image.fromarray(np.rint((grey * (1 - share) + colour * share) * 255).astype(np.uint8))


def heatmap(attention: Attention, sentence: int, view: int | None) -> Array:
    """Return the weights (rows, columns) of a sentence; see `Attention.heatmap`. Raises IndexError, ValueError."""
    if attention.regions is None or attention.grid is None:
        raise ValueError("the regions of this attention have no place on the image, so there is no heat map")
    spans = attention.spans or tuple((i, i + 1) for i in range(len(attention)))
    if not -len(spans) <= sentence < len(spans):
        raise IndexError(f"there is no sentence {sentence}: the report has {len(spans)}, counted from 0")
    weights = np.asarray(attention)[slice(*spans[sentence])].mean(0)  # (V, rows, columns)
    if view is not None and not 0 <= view < len(weights):
        raise IndexError(f"there is no view {view}: the attention has {len(weights)}, counted from 0")
    chosen: Array = weights[int(weights.sum((1, 2)).argmax()) if view is None else view]
    return chosen
