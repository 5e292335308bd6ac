"""Bring an image to the height and width of an encoder, by one of four ways.

    stretch  the whole image; its aspect ratio changes. Most systems that write reports do this.
    crop     the aspect ratio is kept; the image covers height and width, and what is beyond them is cut off, equally
             on both sides. `ImageSpec.crop` below 1 cuts off more: 0.875 keeps the central 224 of 256 pixels.
    square   black is added to the shorter side, equally on both sides, until the image is square; then stretch.
    keep     the aspect ratio is kept; the whole image lies inside height and width, in the middle, with black around.

Sides are rounded down, as torchvision's Resize and CenterCrop do. The antialiasing filter is Pillow's.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..errors import OptionError
from ..registry import did_you_mean

if TYPE_CHECKING:
    from ..types import Array, Box, ImageSpec

Window = tuple[float, float, float, float]  # left, top, width, height, as shares of an image
WHOLE: Window = (0.0, 0.0, 1.0, 1.0)
FITS = ("stretch", "crop", "square", "keep")
FILTERS = {name: Image.Resampling[name.upper()] for name in ("bilinear", "bicubic", "nearest")}


def check_fit(spec: ImageSpec) -> None:
    """Raise OptionError for a way of fitting that does not exist."""
    if spec.interpolation not in FILTERS:
        near = did_you_mean(spec.interpolation, FILTERS)
        raise OptionError(f"no interpolation named {spec.interpolation!r}; {near}")
    if spec.fit not in FITS:
        raise OptionError(f"no image fit named {spec.fit!r}; {did_you_mean(spec.fit, FITS)}")
    if not isinstance(spec.crop, int | float) or not 0.1 <= spec.crop <= 1 or (spec.crop != 1 and spec.fit != "crop"):
        raise OptionError(f"crop={spec.crop!r} of fit {spec.fit!r}: a share from 0.1 to 1, below 1 with fit crop alone")
    if spec.bits not in (8, 16):
        raise OptionError(f"images have 8 or 16 bits, not {spec.bits!r}")


def resized_sides(height: int, width: int, spec: ImageSpec) -> tuple[int, int]:
    """Return the height and width to which an image (height, width) is resized before it is cut or padded."""
    if spec.fit in ("stretch", "square"):
        return spec.height, spec.width
    wanted = tuple(math.floor(side / spec.crop) for side in (spec.height, spec.width))
    shares = wanted[0] / height, wanted[1] / width
    share = max(shares) if spec.fit == "crop" else min(shares)
    sides = [max(1, int(side * share + 1e-6)) for side in (height, width)]
    sides[shares.index(share)] = wanted[shares.index(share)]  # exactly, whatever the rounding
    return sides[0], sides[1]


def fit_image(image: Array, spec: ImageSpec) -> Array:
    """Return grey values (H, W), uint8 or uint16, as (spec.height, spec.width), of the same type."""
    if spec.fit == "square":
        side = max(image.shape)
        image = _centred(image, side, side)
    image = resize(image, resized_sides(image.shape[0], image.shape[1], spec), spec.interpolation)
    return image if image.shape == (spec.height, spec.width) else _centred(image, spec.height, spec.width)


def fit_picture(picture: Array, spec: ImageSpec) -> Array:
    """Return a picture for people (h, w), 0..1, cut or padded as `fit_image` does, at its own scale.

    So a place in the picture is the same place, as a share of width and height, in the pixels of the model.
    """
    if spec.fit == "stretch":
        return picture
    h, w = picture.shape
    if spec.fit == "square":
        return _centred(picture, max(h, w), max(h, w))
    rows, columns = resized_sides(h, w, spec)
    return _centred(picture, max(1, round(h * spec.height / rows)), max(1, round(w * spec.width / columns)))


def window(height: int, width: int, spec: ImageSpec) -> Window:
    """Return what a model sees of an image (height, width), as shares of the image: left, top, width and height.

    What lies below 0 or above 1 is the black around the image.
    """
    sides = (max(height, width),) * 2 if spec.fit == "square" else (height, width)
    resized = resized_sides(sides[0], sides[1], spec)
    top, tall = _seen(height, sides[0], resized[0], spec.height)
    left, wide = _seen(width, sides[1], resized[1], spec.width)
    return left, top, wide, tall


def _seen(side: int, padded: int, resized: int, wanted: int) -> tuple[float, float]:
    """Return the start and the length of what is seen of one side of an image, as shares of that side.

    The side is padded, then resized, then cut or padded to the wanted length.
    """
    kept, place = _overlap(resized, wanted)
    start = (kept.start - place.start) * padded / resized - _overlap(side, padded)[1].start
    return start / side, wanted * padded / resized / side


def to_window(box: Box, seen: Window) -> Box | None:
    """Return a box of an image as shares of what a model sees of it; None if the model sees nothing of the box."""
    left, top, wide, tall = seen
    x = [min(max((x - left) / wide, 0.0), 1.0) for x in (box.left, box.left + box.width)]
    y = [min(max((y - top) / tall, 0.0), 1.0) for y in (box.top, box.top + box.height)]
    inside = x[0] < x[1] and y[0] < y[1]
    return replace(box, left=x[0], top=y[0], width=x[1] - x[0], height=y[1] - y[0]) if inside else None


def from_window(x: float, y: float, seen: Window) -> tuple[float, float]:
    """Return a place (x, y) in what a model sees, shares of its width and height, as shares of the image."""
    left, top, wide, tall = seen
    return left + x * wide, top + y * tall


def resize(image: Array, sides: tuple[int, int], interpolation: str) -> Array:
    """Return an image (H, W), uint8 or uint16, resized to the sides (h, w) with an antialiasing filter."""
    if image.shape == sides:
        return image
    size, wanted = (sides[1], sides[0]), FILTERS[interpolation]
    if image.dtype == np.uint8:
        return np.array(Image.fromarray(image).resize(size, wanted))
    floats = np.asarray(Image.fromarray(image.astype(np.float32)).resize(size, wanted))
    levels: Array = np.rint(floats.clip(0, 65535)).astype(np.uint16)
    return levels


def _centred(image: Array, height: int, width: int) -> Array:
    """Return the middle of an image as (height, width), with black where the image ends."""
    rows, columns = _overlap(image.shape[0], height), _overlap(image.shape[1], width)
    if image.shape[0] >= height and image.shape[1] >= width:
        return np.ascontiguousarray(image[rows[0], columns[0]])
    result = np.zeros((height, width), image.dtype)
    result[rows[1], columns[1]] = image[rows[0], columns[0]]
    return result


def _overlap(side: int, wanted: int) -> tuple[slice, slice]:
    """Return the part of a side that is kept, and its place in the wanted side."""
    if side >= wanted:
        start = (side - wanted) // 2
        return slice(start, start + wanted), slice(0, wanted)
    start = (wanted - side) // 2
    return slice(0, side), slice(start, start + side)
