"""Prepare images for a model: read a file, equalise, resize, and keep the result on disk.

Grey is 0..1, black to white; image_files.py says how each kind of file is read.

Preparing is by default what the report generation papers do: the whole image is resized to the encoder's height and
width with an antialiasing filter, and the aspect ratio changes; fitting.py has the other ways. Histogram equalisation
comes before it.
"""

from __future__ import annotations

import functools
import io
import math
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image

from ..errors import OptionError, ShapeError
from ..files.shards.member import content_of, file_of, size_of
from .dicom.header import MAX_BYTES, DicomFacts, dicom_facts, naming
from .dicom.pixels import MAX_PIXELS
from .fitting import Window, check_fit, fit_image, fit_picture, window
from .greys import GreyImage, looked_up
from .image_cache import (
    PreparedImage,
    is_settled,
    link_entry,
    load_entry,
    name_of_content,
    name_of_file,
    save_entry,
)
from .image_files import check_file, decode, image_size

if TYPE_CHECKING:
    from ..types import Array, ImageSpec

__all__ = [
    "MAX_PIXELS",
    "DicomFacts",
    "PreparedImage",
    "cached",
    "check_spec",
    "default_cache",
    "dicom_facts",
    "equalize",
    "prepare",
    "prepare_file",
    "read_image",
    "seen_windows",
    "shrink",
    "with_picture",
]


def read_image(path: Path) -> Array:
    """Return the grey image in a file, (H, W) float32 in 0..1. Raises ImageError, naming the file and the reason."""
    return decode(Path(path)).grey()


def prepare(image: Array, spec: ImageSpec) -> Array:
    """Return a grey image (H, W) as (spec.height, spec.width): equalised, then resized.

    The image has floats in 0..1, uint8 or uint16 (0..65535). The result is uint8, or uint16 if the spec has 16 bits.
    Raises ShapeError for anything else than a grey image.
    """
    check_spec(spec)
    if image.ndim != 2 or not image.size:
        raise ShapeError(f"a grey image is (H, W), got {image.shape}")
    image = _levels(image, spec.bits)
    return fit_image(equalize(image) if spec.equalize else image, spec)


def _levels(image: Array, bits: int) -> Array:
    """Return grey values as uint8 or uint16, by the number of bits. Raises ShapeError."""
    dtype, most = (np.uint8, 255) if bits == 8 else (np.uint16, 65535)
    if image.dtype == dtype:
        return image
    if image.dtype in (np.uint8, np.uint16):
        image = image.astype(np.float32) / (255 if image.dtype == np.uint8 else 65535)
    if not (image.min() >= 0 and image.max() <= 1):
        raise ShapeError(f"a grey image is 0..1 or bytes, got {image.dtype} {image.min():g} to {image.max():g}")
    levels: Array = np.rint(image * most).astype(dtype)
    return levels


def check_spec(spec: ImageSpec) -> None:
    """Raise OptionError for a spec by which no image can be prepared."""
    check_fit(spec)
    if min(spec.height, spec.width) < 1 or spec.height * spec.width > MAX_PIXELS:
        raise OptionError(
            f"images of {spec.height} x {spec.width} are requested; a side is at least 1, all {MAX_PIXELS:,}"
        )


def equalize(image: Array) -> Array:
    """Equalise the histogram of uint8: 255 (cdf(v) - cdf_min) / (n - cdf_min), rounded; an even image stays as it is.

    Of uint16 there are 65,536 levels in place of 256.

    Gonzalez and Woods, Digital Image Processing, §3.3, in the form that takes the darkest value present to 0 (cdf_min
    is the count of that value), which is also what OpenCV's equalizeHist computes.
    """
    most = np.iinfo(image.dtype).max
    cdf = np.bincount(image.ravel(), minlength=most + 1).cumsum()
    first = cdf[image.min()]
    if first == image.size:
        return image
    levels = np.rint(np.maximum(cdf - first, 0) * (most / (image.size - first))).astype(image.dtype)
    equal: Array = levels[image]
    return equal


def prepare_file(path: Path, spec: ImageSpec, cache: Path | None = None, *, picture_side: int = 0) -> PreparedImage:
    """Return the image of a file as a model takes it, with notes. Raises ImageError, naming the file.

    A large JPEG is decoded at a lower scale that is still at least twice the wanted size, unless it is to be equalised;
    its pixels can then differ by a few grey levels from those of the whole image. The folder `cache` keeps images for
    the next time; if it cannot be written, one warning a process says so. With `picture_side` there is also a picture
    for people, whose longer side has at most that number of pixels; such an image is not cached.
    """
    if cache is None or picture_side:
        return _prepared(path, spec, picture_side=picture_side)
    with naming(path, "the file cannot be read"):
        by_file = name_of_file(path, check_file(path), spec)
        if by_file and (image := load_entry(cache, by_file, spec)):
            return image
        with file_of(path).open("rb") as file:
            before = os.fstat(file.fileno())
            if size_of(path, before) > MAX_BYTES:
                return _prepared(path, spec)
            content = content_of(path, file)
            unchanged = _times(os.fstat(file.fileno())) == _times(before)
    name = name_of_content(content, spec)
    image = load_entry(cache, name, spec)
    try:
        if image is None:
            image = _prepared(path, spec, io.BytesIO(content))
            save_entry(cache, name, image)
        if unchanged and is_settled(before) and (by_file := name_of_file(path, before, spec)):
            link_entry(cache, name, by_file)
    except OSError as e:
        _warn_once(str(cache), e.strerror or str(e))
    assert image is not None
    return image


def seen_windows(paths: Sequence[str | Path], spec: ImageSpec) -> tuple[Window, ...]:
    """Return what a model of this spec sees of each image file, as `Report.windows`; () if it sees all of each."""
    return () if spec.fit == "stretch" else tuple(window(*image_size(Path(path)), spec) for path in paths)


def cached(path: Path, spec: ImageSpec, cache: Path | None) -> Array:
    """Return the bytes (spec.height, spec.width) of `prepare_file`."""
    return prepare_file(Path(path), spec, cache).pixels.copy()


def with_picture(path: Path, spec: ImageSpec, side: int) -> tuple[Array, Array]:
    """Return the bytes and the picture of `prepare_file`, from one decoding."""
    image = prepare_file(Path(path), spec, picture_side=side)
    assert image.picture is not None
    return image.pixels, image.picture


def default_cache() -> Path:
    """Return the folder `images` in $REPORTGEN_CACHE, else in `reportgen` in the user's cache folder (XDG)."""
    if own := os.environ.get("REPORTGEN_CACHE"):
        return Path(own) / "images"
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))  # the XDG rule: a path that is not absolute is ignored
    return (xdg if xdg.is_absolute() else Path.home() / ".cache") / "reportgen" / "images"


def shrink(image: Array, side: int) -> Array:
    """Return a grey image (H, W), 0..1, reduced so that its longer side has at most `side` pixels."""
    if max(image.shape) <= side:
        return image
    share = side / max(image.shape)
    size = (max(1, round(image.shape[1] * share)), max(1, round(image.shape[0] * share)))
    return np.asarray(Image.fromarray(np.asarray(image, np.float32)).resize(size, Image.Resampling.LANCZOS)).clip(0, 1)


def _prepared(path: Path, spec: ImageSpec, file: BinaryIO | None = None, picture_side: int = 0) -> PreparedImage:
    """Decode and prepare a file; a JPEG at a lower scale if that is safe for this spec."""
    scaled = not spec.equalize and spec.interpolation != "nearest"
    least = math.ceil(2 * max(spec.height, spec.width) / spec.crop)
    image = decode(path, least if scaled else None, file)
    picture = shrink(fit_picture(image.grey(), spec), picture_side) if picture_side else None
    return PreparedImage(_prepare_values(image, spec), image.notes, image.not_chest, picture)


def _prepare_values(image: GreyImage, spec: ImageSpec) -> Array:
    """Return the grey values that a model takes of a decoded image."""
    if spec.bits == 16:
        return prepare(looked_up(np.rint(image.table * 65535).astype(np.uint16), image.values), spec)
    levels = np.rint(image.table * 255).astype(np.uint8)
    same = image.values.dtype == np.uint8 and np.array_equal(levels, np.arange(256))
    return prepare(image.values if same else looked_up(levels, image.values), spec)


def _times(facts: os.stat_result) -> tuple[int, int, int]:
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


@functools.cache
def _warn_once(cache: str, why: str) -> None:
    """Warn at the line that called reportgen_core, however many of its functions lie between."""
    frame, package = sys._getframe(1), f"{__name__.partition('.')[0]}."
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(package):
        frame = frame.f_back
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    text = f"images are not kept in {cache}: {why}"
    warnings.warn_explicit(text, RuntimeWarning, frame.f_code.co_filename, frame.f_lineno, registry=registry)
