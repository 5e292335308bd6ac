"""Images that a program holds in memory: PIL images, numpy arrays and tensors, next to the paths of files.

An image in memory is written to a temporary file without loss and then read like any other, so that it gets the report
that the same picture in a file would get.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

from ...errors import ImageError

if TYPE_CHECKING:
    from torch import Tensor

    from ...types import Array

    GivenImage = str | os.PathLike[str] | Image.Image | Array | Tensor

GREY_WEIGHTS = (0.299, 0.587, 0.114)  # of red, green and blue, as Pillow has them (ITU-R 601-2)
STORED = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16")  # modes of Pillow that PNG stores as they are
TAKEN = "a path, a PIL image, a numpy array or a tensor"


@contextmanager
def image_files(images: GivenImage | Iterable[GivenImage]) -> Iterator[tuple[list[Path], str]]:
    """Yield the paths of one or more images, in order, and the start of the paths of those that were in memory.

    They are called image-1.png, image-2.png by their place, and are deleted afterwards. An array of numbers is one
    image, never a list of images. Raises ImageError for anything that is no image.
    """
    if not _is_one(images) and (not isinstance(images, Iterable) or isinstance(images, Mapping | bytes)):
        raise ImageError(f"an image is {TAKEN}, got {'None' if images is None else type(images).__name__}")
    if hasattr(images, "columns"):
        name = type(images).__name__
        raise ImageError(f"an image is {TAKEN}, got a {name}; give its column of paths: table['image']")
    given = [images] if _is_one(images) else list(images)  # type: ignore[arg-type]  # it is not one image
    if not all(_is_one(image) for image in given):
        other = next(image for image in given if not _is_one(image))
        raise ImageError(f"an image is {TAKEN}, got {type(other).__name__}")
    with tempfile.TemporaryDirectory(prefix="reportgen-") as folder:
        paths = []
        for number, image in enumerate(given, 1):
            if isinstance(image, str | os.PathLike):
                paths.append(Path(image))
                continue
            name = "image" if len(given) == 1 else f"image-{number}"
            paths.append(Path(folder, f"{name}.png"))
            as_picture(image, name).save(paths[-1])
        yield paths, folder + os.sep


def _is_one(image: object) -> bool:
    """Return whether this is a single image: a path, or an image in memory."""
    return isinstance(image, str | os.PathLike | Image.Image | np.ndarray) or _is_tensor(image)


def _is_tensor(image: object) -> bool:
    """Return whether this is a tensor of torch, which need not be imported for it."""
    return hasattr(image, "detach") and hasattr(image, "cpu")


def as_picture(image: Any, name: str = "image") -> Image.Image:
    """Return an image in memory as a picture that a PNG file stores without loss. `name` is in messages.

    Raises ImageError for a shape or values that are none of an image.
    """
    if isinstance(image, Image.Image):
        try:
            image = ImageOps.exif_transpose(image)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
            raise ImageError(f"{name}: the PIL image cannot be read: {e}") from e
        if image.mode in STORED:
            picture: Image.Image = image
            return picture
        if image.mode.startswith("I"):
            return _from_array(_sixteen_bits(np.asarray(image), name), name)
        if image.mode != "F":
            converted: Image.Image = image.convert("RGB")
            return converted
        image = np.asarray(image)
    if _is_tensor(image):
        image = image.detach().cpu()
        image = (image.float() if image.is_floating_point() else image).numpy()
    return _from_array(image, name)


def _sixteen_bits(values: Array, name: str) -> Array:
    """Return the values of a PIL image of integers, which has 16 bits in 32."""
    if values.min() < 0 or values.max() > 65535:
        raise ImageError(f"{name}: a PIL image of integers is 0..65535, got {values.min()}..{values.max()}")
    return values.astype(np.uint16)


def _from_array(values: Array, name: str) -> Image.Image:
    """Return an array (h, w), (h, w, c) or (c, h, w) of bytes, 16 bits, bools or floats 0..1 as a picture."""
    values = _channels_last(values, name)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * np.uint8(255)
    elif np.issubdtype(values.dtype, np.floating):
        if not (values.min() >= 0 and values.max() <= 1):  # NaN is neither
            low, high = float(np.nanmin(values)), float(np.nanmax(values))
            bad = " and NaN" if np.isnan(values).any() else ""
            raise ImageError(
                f"{name}: floats are 0 (black) to 1 (white), got {low:g}..{high:g}{bad}; scale them, or give uint8"
            )
        values = np.rint(values.astype(np.float64) * 65535).astype(np.uint16)
    elif values.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"{name}: values of type {values.dtype} have no known range; give uint8 (0..255), uint16 (0..65535) or "
            "floats (0..1)"
        )
    if values.ndim == 3 and values.dtype == np.uint16:  # PNG has no colours of 16 bits in Pillow
        if values.shape[2] == 4:
            raise ImageError(f"{name}: four channels are for uint8, got {values.dtype}; give one or three")
        values = np.rint(values @ np.array(GREY_WEIGHTS)).astype(np.uint16)
    return Image.fromarray(np.ascontiguousarray(values))


def _channels_last(values: Array, name: str) -> Array:
    """Return an image with its channels last, or (h, w) if it has one channel. Raises ImageError for other shapes."""
    if values.ndim == 3 and values.shape[0] in (1, 3, 4) and values.shape[2] not in (1, 3, 4):
        values = np.moveaxis(values, 0, 2)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim not in (2, 3) or not values.size or (values.ndim == 3 and values.shape[2] not in (3, 4)):
        many = "; give several images as a list" if values.ndim == 4 else ""
        raise ImageError(
            f"{name}: an image is (h, w), (h, w, channels) or (channels, h, w) with 1, 3 or 4 channels, "
            f"got {tuple(values.shape)}{many}"
        )
    return values
