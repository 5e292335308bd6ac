"""Know all rules of grey values: the grey level of each stored value, and the notes for the reader of a report.

DICOM follows the Standard's pipeline (PS3.3 C.11): modality LUT or rescale, then the VOI LUT, or the first window if
there is none, then MONOCHROME1 is inverted. All of that maps one stored value to one grey level, so it is computed once
for the 256 or 65,536 values that can be stored. The Standard does not define how an image without VOI looks: here its
darkest pixel becomes 0 and its brightest 1, without padding, as in MIMIC-CXR-JPG (Johnson et al. 2019,
arXiv:1901.07042). Padding is black.

One rule holds for all elements of this pipeline that are there and cannot be used (a window "AUTO", a slope of 0, a
damaged table): they are ignored, the image goes from its darkest to its brightest pixel, and a note says so.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ImageError
from .dicom.header import has_value, raw_text, shown

if TYPE_CHECKING:
    from ..types import Array

FEW_GREYS = 16  # different values: a picture of so few shows no patient
EVEN = 0.05  # of black to white: 98 % of the pixels of an even picture lie within it
DARK = 0.25  # of white: the brightest pixel of a picture that is far too dark
MAX_USED_BITS = 14  # of 16; a picture that uses no more is read at most a quarter as bright as it should be
LOOKED_UP = 1 << 15  # values that are looked up at a time
SAMPLE = 1 << 16  # pixels that are looked at for these notes, about
LEVELS = ["PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence",
          "VOILUTSequence", "VOILUTFunction", "WindowCenter", "WindowWidth"]  # fmt: skip
_INSTEAD = "shown from its darkest to its brightest pixel"


@dataclass(frozen=True, slots=True)
class GreyImage:
    """A decoded image: its stored values, the grey level of each value, and notes for the reader of a report."""

    values: Array  # (H, W) uint8 or uint16
    table: Array  # float32, 0..1, black to white: the grey level of every value that can be stored
    notes: tuple[str, ...] = ()
    not_chest: tuple[str, ...] = ()  # why the header says that this is no chest radiograph

    def grey(self) -> Array:
        """Return the image (H, W), float32 in 0..1."""
        return looked_up(self.table, self.values)


def looked_up(table: Array, values: Array) -> Array:
    """Return the level of each value, as `table[values]` does, which takes half as long again.

    A few values are looked up at a time: their places, of eight bytes each, then stay in the processor's cache.
    """
    levels = np.empty(values.shape, table.dtype)
    flat, out = values.reshape(-1), levels.reshape(-1)
    for start in range(0, flat.size, LOOKED_UP):
        part = slice(start, start + LOOKED_UP)
        table.take(flat[part], out=out[part], mode="clip")  # the table has all values: none is clipped
    return levels


@functools.cache
def linear_table(size: int) -> Array:
    """Return the grey levels of unsigned integers of `size` bytes, from 0 to 1 in equal steps."""
    table = np.linspace(0, 1, 1 << (8 * size), dtype=np.float32)
    table.setflags(write=False)
    return table


def stretched(values: Array) -> Array:
    """Return numbers without a range of their own as 16 bits, from the least to the greatest. Raises ImageError."""
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ImageError("it has pixels that are no numbers")
    levels: Array = np.rint((values - low) * (65535 / (high - low or 1.0))).astype(np.uint16)
    return levels


def picture_notes(values: Array, table: Array) -> list[str]:
    """Return notes on a picture that is even, nearly even, or far too dark or too bright; [] for any other."""
    step = max(1, math.isqrt(values.size // SAMPLE))
    counts = np.bincount(values[::step, ::step].ravel())
    if np.count_nonzero(counts) <= FEW_GREYS and step > 1:
        counts = np.bincount(values.ravel())
    present = np.flatnonzero(counts)
    if len(present) <= FEW_GREYS:
        return [f"the picture has only {len(present)} different grey value{'s' if len(present) > 1 else ''}"]
    present = present[np.argsort(table[present], kind="stable")]  # from dark to bright
    below = counts[present].cumsum() / counts.sum()
    low, high = table[present[[0, -1]]]
    dark, bright = table[present[np.searchsorted(below, (0.01, 0.99))]]
    if bright - dark < EVEN:
        return [f"the picture is nearly even: 98 % of its pixels lie within {100 * EVEN:g} % of the range of grey"]
    if high <= DARK:
        return [f"the picture is very dark: its brightest pixel has {100 * high:.0f} % of white"]
    if low >= 1 - DARK:
        return [f"the picture is very bright: its darkest pixel has {100 * low:.0f} % of white"]
    return []


def used_bits_note(values: Array) -> str:
    """Return a note if the 16 bits of an image hold numbers of fewer bits; "" if they hold about 16."""
    bits = int(values.max()).bit_length()
    if values.dtype != np.uint16 or not 0 < bits <= MAX_USED_BITS:
        return ""
    return f"only {bits} of its 16 bits are used, so it is read darker than it is; save it with its full range"


def dicom_table(ds: Any, values: Array, every: Array) -> tuple[Array, list[str]]:
    """Return the grey level float32 in 0..1 of every value that can be stored, and notes on what could not be used.

    `every` are these values in order; the image is `every[values]`.
    """
    padding, notes = _padding(ds, every)
    real, unusable = _rescaled(ds, every)
    shares = None
    if not unusable:
        shares, unusable = _voi(ds, real)
    if unusable:
        notes.append(f"{unusable}: ignored, and {_INSTEAD}")
    if shares is None:
        low, high = _ends(real, values, padding)
        shares = (real - low) / (high - low or 1.0)
    table = np.clip(shares, 0, 1)
    if raw_text(ds, "PhotometricInterpretation") == "MONOCHROME1":
        table = 1 - table
    table[padding] = 0
    return table.astype(np.float32), notes


def _ends(real: Array, values: Array, padding: Array) -> tuple[float, float]:
    """Return the least and the greatest real value of the pixels that are no padding; 0 and 0 if all are.

    Where real values only rise, or only fall, with stored ones, the ends of the stored values say it.
    """
    steps = np.diff(real)
    if not (np.all(steps >= 0) or np.all(steps <= 0)):
        present = np.zeros(len(real), bool)
        present[values] = True
        ends = real[present & ~padding]
    elif padding.any():
        first, last = np.flatnonzero(padding)[[0, -1]].astype(values.dtype)
        padded = (values >= first) & (values <= last)
        least, greatest = np.array([0, len(real) - 1], values.dtype)
        places = [np.where(padded, greatest, values).min(), np.where(padded, least, values).max()]
        ends = real[[] if padded.all() else places]
    else:
        ends = real[[values.min(), values.max()]]
    return (float(ends.min()), float(ends.max())) if len(ends) else (0.0, 0.0)


def _rescaled(ds: Any, every: Array) -> tuple[Array, str]:
    """Return the real value of every stored value, and why the rescale cannot be used; "" if it can, or is absent."""
    try:
        if ds.get("ModalityLUTSequence"):
            from pydicom.pixels.processing import apply_modality_lut

            return np.asarray(apply_modality_lut(every, ds), np.float64), ""
    except Exception:  # pydicom raises many kinds of errors for a damaged table
        return every.astype(np.float64), "its modality LUT cannot be used"
    slope, intercept = _decimal(ds, "RescaleSlope"), _decimal(ds, "RescaleIntercept")
    slope, intercept = 1.0 if slope is None else slope, 0.0 if intercept is None else intercept
    if slope and math.isfinite(slope) and math.isfinite(intercept):
        return every * slope + intercept, ""
    return every.astype(np.float64), _quoted(ds, "its rescale cannot be used", "RescaleSlope", "RescaleIntercept")


def _voi(ds: Any, real: Array) -> tuple[Array | None, str]:
    """Return real values as shares of the way from black to white; None if the file has no VOI, or no usable one.

    The second value says why it cannot be used.
    """
    try:
        if ds.get("VOILUTSequence"):
            from pydicom.pixels.processing import apply_voi

            bits = int(ds.VOILUTSequence[0].LUTDescriptor[2])
            levels = np.asarray(apply_voi(np.rint(real).astype(np.int64), ds), np.float64) / (2**bits - 1)
            return levels, ""
    except Exception:  # pydicom raises many kinds of errors for a damaged table
        return None, "its VOI LUT cannot be used"
    center, width = _decimal(ds, "WindowCenter"), _decimal(ds, "WindowWidth")
    if center is None and width is None:
        return None, ""
    function = raw_text(ds, "VOILUTFunction").upper() or "LINEAR"
    least = {"LINEAR": 1.0, "LINEAR_EXACT": 0.0, "SIGMOID": 0.0}.get(function, math.inf)
    if center is not None and width is not None and math.isfinite(center) and width > 0 and least <= width < math.inf:
        return _windowed(real, center, width, function), ""
    return None, _quoted(ds, "its window cannot be used", "WindowCenter", "WindowWidth", "VOILUTFunction")


def _windowed(real: Array, center: float, width: float, function: str) -> Array:
    """Return real values as shares 0..1 of a window, by PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    if function == "SIGMOID":
        shares: Array = 1 / (1 + np.exp(np.clip(-4 * (real - center) / width, -700, 700)))
        return shares
    if function == "LINEAR":
        center, width = center - 0.5, width - 1
    if not width:
        return (real > center).astype(np.float64)
    linear: Array = np.clip((real - center) / width + 0.5, 0, 1)
    return linear


def _decimal(ds: Any, keyword: str) -> float | None:
    """Return the first number of an element; None if it is absent or empty, NaN if it is no number."""
    element = ds.get_item(keyword)
    if element is not None and element.VR not in (None, "DS", "IS", "LO", "SH", "CS", "UN"):
        text = str(_value(ds, keyword) or 0)  # binary numbers, against the Standard
    else:
        text = raw_text(ds, keyword)
    text = text.split("\\")[0].strip()
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        return math.nan


def _value(ds: Any, keyword: str) -> Any:
    """Return the first value of an element as pydicom reads it; None if it has none, or cannot be read."""
    try:
        value = ds[keyword].value
    except Exception:  # pydicom raises many kinds of errors for a damaged value
        return None
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return value[0] if value else None
    return value


def _quoted(ds: Any, why: str, *keywords: str) -> str:
    """Return a reason with the values of these elements as they are written."""
    values = [f"{keyword} {shown(text)}" for keyword in keywords if (text := raw_text(ds, keyword))]
    return f"{why} ({', '.join(values)})" if values else why


def _padding(ds: Any, every: Array) -> tuple[Array, list[str]]:
    """Return which stored values are padding around the image, and notes.

    The elements are compared with pixels by their bits: many files write the padding of signed pixels as unsigned.
    """
    names = [name for name in ("PixelPaddingValue", "PixelPaddingRangeLimit") if has_value(ds, name)]
    if "PixelPaddingValue" not in names:
        return np.zeros(len(every), bool), []
    try:
        ends = sorted(_as_stored(int(_value(ds, name)), ds, every) for name in names)
    except (TypeError, ValueError):
        return np.zeros(len(every), bool), ["its padding value cannot be used: ignored"]
    return (every >= ends[0]) & (every <= ends[-1]), []


def _as_stored(value: int, ds: Any, every: Array) -> int:
    """Return a number as pixels with the same bits are read: 63536 is -2000 if pixels are signed."""
    signed = every[0] < 0
    low, high = (-1 << (ds.BitsStored - 1), (1 << (ds.BitsStored - 1)) - 1) if signed else (0, (1 << ds.BitsStored) - 1)
    for bits in (len(every).bit_length() - 1, ds.BitsStored):  # of a number in the file, and of them those that count
        if low <= value <= high:
            break
        value %= 1 << bits
        if signed and value >= 1 << (bits - 1):
            value -= 1 << bits
    return value
