"""From an image file to the bytes a model looks at: read, prepare, and keep the result on disk.

What a file is, its content says, never its suffix. Grey is 0..1, black to white:

- PNG, JPEG, TIFF, BMP, WebP, JPEG 2000 and PGM by Pillow. 8 bits are divided by 255; colours become ITU-R 601 luma,
  an alpha channel is dropped. 16 bits are divided by 65,535, the range of the mode, whatever the pixels use of it.
  32-bit and floating-point pixels have no range of their own: the darkest is 0, the brightest 1.
- DICOM by pydicom, see dicom.py.

Preparing is what the report generation papers do: the whole image is resized to the encoder's height and width with an
antialiasing filter, and the aspect ratio is not kept. Histogram equalisation comes before it, on 8 bits.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import stat
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import PHOTOMETRIC_INTERPRETATION, TiffImageFile

from ..errors import ImageError, OptionError, ShapeError
from ..files.atomic import atomic_write
from ..registry import did_you_mean
from . import dicom
from .dicom import MAX_PIXELS, DicomFacts, dicom_facts, naming

if TYPE_CHECKING:
    from ..types import Array, ImageSpec

__all__ = [
    "MAX_PIXELS",
    "DicomFacts",
    "cached",
    "check_spec",
    "default_cache",
    "dicom_facts",
    "equalize",
    "prepare",
    "read_image",
    "shrink",
    "with_picture",
]

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "JPEG2000", "PPM")  # none that runs another program, as EPS would
CACHE_FORMAT = 1  # counted up when the same file and spec begin to give other bytes
_FILTERS = {name: Image.Resampling[name.upper()] for name in ("bilinear", "bicubic", "nearest")}


def read_image(path: Path) -> Array:
    """The grey image in a file, (H, W) float32 in 0..1. Raises ImageError naming the file and why it cannot be read."""
    values, table = _stored(Path(path))
    return table[values]


def prepare(image: Array, spec: ImageSpec) -> Array:
    """Bytes (spec.height, spec.width) of a grey image (H, W), floats in 0..1 or bytes: equalised, then resized."""
    check_spec(spec)
    if image.ndim != 2 or not image.size:
        raise ShapeError(f"a grey image is (H, W), got {image.shape}")
    if image.dtype != np.uint8:
        if not (image.min() >= 0 and image.max() <= 1):
            raise ShapeError(f"a grey image is 0..1 or bytes, got {image.dtype} {image.min():g} to {image.max():g}")
        image = np.rint(image * 255).astype(np.uint8)
    if spec.equalize:
        image = equalize(image)
    if image.shape == (spec.height, spec.width):
        return image
    return np.array(Image.fromarray(image).resize((spec.width, spec.height), _FILTERS[spec.interpolation]))


def check_spec(spec: ImageSpec) -> None:
    """Raise OptionError for a spec that no image can be prepared by."""
    if spec.interpolation not in _FILTERS:
        near = did_you_mean(spec.interpolation, _FILTERS)
        raise OptionError(f"no interpolation named {spec.interpolation!r}; {near}")
    if min(spec.height, spec.width) < 1 or spec.height * spec.width > MAX_PIXELS:
        raise OptionError(
            f"images of {spec.height} x {spec.width} are asked for; a side is at least 1, all {MAX_PIXELS:,}"
        )


def equalize(image: Array) -> Array:
    """Histogram equalisation of bytes: 255 (cdf(v) - cdf_min) / (n - cdf_min), rounded; an even image stays as it is.

    Gonzalez and Woods, Digital Image Processing, §3.3, in the form that takes the darkest value present to 0 (cdf_min
    is the count of that value), which is also what OpenCV's equalizeHist computes.
    """
    cdf = np.bincount(image.ravel(), minlength=256).cumsum()
    first = cdf[image.min()]
    if first == image.size:
        return image
    levels = np.rint(np.maximum(cdf - first, 0) * (255 / (image.size - first))).astype(np.uint8)
    equal: Array = levels[image]
    return equal


def cached(path: Path, spec: ImageSpec, cache: Path | None) -> Array:
    """`prepare(read_image(path), spec)`, kept in the folder `cache`: for the next time; None keeps nothing.

    A large JPEG is decoded at a lower scale that is still at least twice the wanted size, unless it is to be equalised;
    its pixels can then differ by a few grey levels from the whole way. Where the folder cannot be written, the image
    is given all the same, and one warning a process says so.
    """
    path = Path(path)
    if cache is None:
        return _prepared(path, spec)
    file = cache / _name(path, spec)
    header = _header(spec.height, spec.width)
    try:
        raw = file.read_bytes()
    except OSError:
        raw = b""  # not there, most often; if the folder itself is at fault, writing will say it
    if len(raw) == len(header) + spec.height * spec.width and raw.startswith(header):
        return np.frombuffer(raw, np.uint8, offset=len(header)).reshape(spec.height, spec.width).copy()
    image = _prepared(path, spec)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(file, header + image.tobytes())
    except OSError as e:
        _warn_once(str(cache), e.strerror or str(e))
    return image


def default_cache() -> Path:
    """The folder `images` under $REPORTGEN_CACHE, else under `reportgen` in the user's cache folder (XDG)."""
    if own := os.environ.get("REPORTGEN_CACHE"):
        return Path(own) / "images"
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))  # the XDG rule: one that is not absolute is ignored
    return (xdg if xdg.is_absolute() else Path.home() / ".cache") / "reportgen" / "images"


def _prepared(path: Path, spec: ImageSpec) -> Array:
    """The quick way from file to bytes: through the table where there is one, and a scaled JPEG where that is safe."""
    return _prepare_values(*_decoded(path, spec), spec)


def _decoded(path: Path, spec: ImageSpec) -> tuple[Array, Array]:
    """Return values and table of `_stored`; a JPEG at a lower scale if that is safe for this spec."""
    scaled = not spec.equalize and spec.interpolation != "nearest"
    return _stored(path, least=2 * max(spec.height, spec.width) if scaled else None)


def with_picture(path: Path, spec: ImageSpec, side: int) -> tuple[Array, Array]:
    """Decode a file once, for a model and for people.

    Returns the bytes that `cached` gives, and the grey image (h, w) float32 in 0..1 whose longer side is at most `side`
    pixels. A large JPEG is decoded at a lower scale, as by `cached`.
    """
    values, table = _decoded(Path(path), spec)
    return _prepare_values(values, table, spec), shrink(table[values], side)


def shrink(image: Array, side: int) -> Array:
    """Return a grey image (H, W), 0..1, reduced so that its longer side has at most `side` pixels."""
    if max(image.shape) <= side:
        return image
    share = side / max(image.shape)
    size = (max(1, round(image.shape[1] * share)), max(1, round(image.shape[0] * share)))
    return np.asarray(Image.fromarray(np.asarray(image, np.float32)).resize(size, Image.Resampling.LANCZOS)).clip(0, 1)


def _prepare_values(values: Array, table: Array, spec: ImageSpec) -> Array:
    """Return the bytes that a model wants of values with the grey level of each value."""
    levels = np.rint(table * 255).astype(np.uint8)
    same = values.dtype == np.uint8 and np.array_equal(levels, np.arange(256))
    return prepare(values if same else levels[values], spec)


def _stored(path: Path, least: int | None = None) -> tuple[Array, Array]:
    """Values (H, W), uint8 or uint16, and the grey level float32 in 0..1 of each value.

    A JPEG may come at a lower scale whose sides are at least `least`.
    """
    with naming(path, "the file is damaged or cut short"):
        _check_file(path)
        if not dicom.is_dicom(path):
            with _opened(path) as image:
                values = _grey(image, least)
            return values, _linear(values.dtype.itemsize)
    return dicom.stored(path)


def _check_file(path: Path) -> os.stat_result:
    """Say at once what no decoder would say well."""
    try:
        found = path.stat()
    except (OSError, ValueError) as e:  # ValueError: a null byte in the name
        raise ImageError((getattr(e, "strerror", None) or str(e)).lower()) from e
    if stat.S_ISDIR(found.st_mode):
        raise ImageError("it is a folder, not an image")
    if not stat.S_ISREG(found.st_mode):
        raise ImageError("it is no regular file")
    if not os.access(path, os.R_OK):
        raise ImageError("permission denied")
    if not found.st_size:
        raise ImageError("the file is empty")
    return found


def _opened(path: Path) -> Image.Image:
    """The image with its header read and nothing decoded."""
    try:
        return Image.open(path, formats=FORMATS)
    except UnidentifiedImageError as e:
        raise ImageError("it is no PNG, JPEG, TIFF, BMP, WebP, JPEG 2000, PGM or DICOM of a kind that is read") from e
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as e:
        raise ImageError(f"it has more than the {MAX_PIXELS:,} pixels that are read") from e


def _grey(image: Image.Image, least: int | None) -> Array:
    """The values of an opened image, uint8 or uint16, upright."""
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(f"it has {image.width} x {image.height} pixels; at most {MAX_PIXELS:,} are read")
    pages = getattr(image, "n_frames", 1)
    if pages > 1 and image.format != "MPO":  # an MPO is a JPEG with a preview after it
        raise ImageError(f"it has {pages} pages; a radiograph has one")
    image.draft("L", (least, least) if least else image.size)  # JPEG only: the luma plane alone, scaled where asked
    turned = isinstance(image, TiffImageFile) and image.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == 0  # 0 is white
    image.load()
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16"):
        values = np.asarray(upright).astype(np.uint16)
        return np.invert(values) if turned else values  # Pillow turns such a TIFF round itself only up to 8 bits
    if upright.mode in ("I", "F"):
        return _stretched(np.asarray(upright, np.float64))
    if upright.mode in ("P", "PA"):
        upright = upright.convert("RGBA")
    return np.asarray(upright if upright.mode == "L" else upright.convert("L"))


def _stretched(values: Array) -> Array:
    """Numbers without a range of their own, from the least to the greatest, as 16 bits."""
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ImageError("it has pixels that are no numbers")
    stretched: Array = np.rint((values - low) * (65535 / (high - low or 1.0))).astype(np.uint16)
    return stretched


@functools.cache
def _linear(size: int) -> Array:
    """Grey levels of unsigned integers of `size` bytes."""
    table = np.linspace(0, 1, 1 << (8 * size), dtype=np.float32)
    table.setflags(write=False)
    return table


def _name(path: Path, spec: ImageSpec) -> str:
    """Where in the cache the bytes of a file under a spec lie: a folder of two digits, then the rest of a sha256."""
    with naming(path, "it cannot be looked at"):
        found = _check_file(path)
    facts = (os.path.abspath(path), found.st_size, found.st_mtime_ns)
    key = json.dumps((CACHE_FORMAT, *facts, spec.height, spec.width, spec.interpolation, spec.equalize))
    digest = hashlib.sha256(key.encode()).hexdigest()
    return f"{digest[:2]}/{digest}.npy"


@functools.cache
def _header(height: int, width: int) -> bytes:
    """The head of a .npy file of bytes of this shape. A file that begins otherwise is not one of ours, or damaged."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": (height, width)})
    return head.getvalue()


@functools.cache
def _warn_once(cache: str, why: str) -> None:
    warnings.warn(f"images are not kept in {cache}: {why}", RuntimeWarning, stacklevel=3)
