"""Decode an image file to stored values with their grey levels. The content of a file decides its kind, not its suffix.

- PNG, JPEG, TIFF, BMP, WebP, JPEG 2000 and PGM by Pillow. 8 bits are divided by 255; colours become ITU-R 601 luma,
  an alpha channel is dropped. 16 bits are divided by 65,535, the range of the mode, even if the pixels use less of it.
  32-bit and floating-point pixels have no range of their own: the darkest is 0, the brightest 1.
- DICOM by pydicom, see dicom.py and greys.py.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import PHOTOMETRIC_INTERPRETATION, TiffImageFile

from ..errors import ImageError
from ..files.shards.member import file_of, open_image
from .dicom.header import is_dicom_file, naming, read_elements
from .dicom.pixels import MAX_PIXELS, read_pixels
from .greys import GreyImage, linear_table, picture_notes, stretched, used_bits_note

if TYPE_CHECKING:
    from ..types import Array

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "JPEG2000", "PPM")  # none that runs another program, as EPS would
ORIENTATION, TURNED = 0x0112, (5, 6, 7, 8)  # the EXIF tag, and its values that exchange height and width
MAX_EQUAL = 5  # of 255: the most by which grey values differ that are about equal
ALPHA = "its picture is in the transparency (alpha) alone, which is not read; save it without transparency"


def decode(path: Path, least: int | None = None, file: BinaryIO | None = None) -> GreyImage:
    """Return the image of a file, with notes. `file` is its open content, if the caller has read it already.

    A JPEG may come at a lower scale whose sides are at least `least`. Raises ImageError, naming `path`.
    """
    with naming(path, "the file is damaged or cut short"):
        if file is not None:
            return _decode(file, path, least)
        check_file(path)
        with open_image(path) as opened:
            return _decode(opened, path, least)


def image_size(path: Path) -> tuple[int, int]:
    """Return the height and width of the upright image in a file; only its header is read. Raises ImageError."""
    with naming(path, "the file is damaged or cut short"):
        check_file(path)
        with open_image(path) as file:
            if is_dicom_file(file, path):
                elements = read_elements(file, path, ("Rows", "Columns"))
                return int(elements.Rows), int(elements.Columns)
            with _opened(file) as picture:
                sides = picture.height, picture.width
                return sides[::-1] if picture.getexif().get(ORIENTATION) in TURNED else sides


def check_file(path: Path) -> os.stat_result:
    """Return the facts of a file, of the shard for an image in a shard.

    Raises ImageError if it is no regular file with content that may be read.
    """
    path = file_of(path)
    try:
        facts = path.stat()
    except (OSError, ValueError) as e:  # ValueError: a null byte in the name
        raise ImageError((getattr(e, "strerror", None) or str(e)).lower()) from e
    if stat.S_ISDIR(facts.st_mode):
        raise ImageError("it is a folder, not an image")
    if not stat.S_ISREG(facts.st_mode):
        raise ImageError("it is no regular file")
    if not os.access(path, os.R_OK):
        raise ImageError("permission denied")
    if not facts.st_size:
        raise ImageError("the file is empty")
    return facts


def _decode(file: BinaryIO, path: Path, least: int | None) -> GreyImage:
    if is_dicom_file(file, path):
        image = read_pixels(file, path)
    else:
        with _opened(file) as picture:
            values, notes = _grey(picture, least)
        image = GreyImage(values, linear_table(values.dtype.itemsize), tuple(notes))
    more = () if image.notes and image.notes[0] == ALPHA else picture_notes(image.values, image.table)
    return GreyImage(image.values, image.table, (*image.notes, *more), image.not_chest)


def _opened(file: BinaryIO) -> Image.Image:
    """Return the image with its header read and nothing decoded.

    Pillow gets an open file, never a path: of a path it maps raw strips into memory and takes their turned size.
    """
    try:
        return Image.open(file, formats=FORMATS)
    except UnidentifiedImageError as e:
        raise ImageError("it is no PNG, JPEG, TIFF, BMP, WebP, JPEG 2000, PGM or DICOM of a kind that is read") from e
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as e:
        raise ImageError(f"it has more than the {MAX_PIXELS:,} pixels that are read") from e


def _grey(image: Image.Image, least: int | None) -> tuple[Array, list[str]]:
    """Return the values of an opened image, uint8 or uint16, upright, and notes."""
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(f"it has {image.width} x {image.height} pixels; at most {MAX_PIXELS:,} are read")
    pages = getattr(image, "n_frames", 1)
    if pages > 1 and image.format != "MPO":  # an MPO is a JPEG with a preview after it
        raise ImageError(f"it has {pages} pages; a radiograph has one")
    image.draft("L", (least, least) if least else image.size)  # JPEG only: the luma plane alone, at a lower scale
    inverted = isinstance(image, TiffImageFile) and image.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == 0  # 0 is white
    image.load()
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16"):
        values = np.asarray(upright).astype(np.uint16)
        note = used_bits_note(values)  # Pillow inverts a TIFF itself only up to 8 bits
        return np.invert(values) if inverted else values, [note] if note else []
    if upright.mode in ("I", "F"):
        return stretched(np.asarray(upright, np.float64)), []
    if upright.mode in ("P", "PA"):
        upright = upright.convert("RGBA")
    values = np.asarray(upright if upright.mode == "L" else upright.convert("L"))
    return values, [ALPHA] if _is_in_alpha(upright, values) else []


def _is_in_alpha(image: Image.Image, values: Array) -> bool:
    """Return whether the grey values that are not transparent are about equal, and the alpha channel varies."""
    if "A" not in image.getbands():
        return False
    alpha = np.asarray(image.getchannel("A"))
    seen = values[alpha > 0]
    return bool(len(seen) and np.ptp(seen) <= MAX_EQUAL < np.ptp(alpha))
