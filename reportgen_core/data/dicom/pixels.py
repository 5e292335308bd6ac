"""Read the pixels of radiographs in DICOM files. The header is read by dicom_header.py, grey levels by greys.py."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ...errors import ImageError
from ...files.shards.member import open_image
from ..greys import LEVELS, GreyImage, dicom_table
from .decoder import Stream, decode_pixels, follow_stream, read_stream
from .header import DOMAIN, SIZE, VIEW, DicomFacts, dicom_facts, facts_of, is_dicom, naming, read_elements

if TYPE_CHECKING:
    from ...types import Array

__all__ = ["MAX_PIXELS", "DicomFacts", "dicom_facts", "is_dicom", "naming", "read_pixels", "stored"]

MAX_PIXELS = 80_000_000  # four times the largest radiograph detectors; under Pillow's own warning at 89 million

_SHAPE = [*SIZE, "PhotometricInterpretation", "PlanarConfiguration", "BitsStored", "HighBit", "PixelRepresentation"]
_COLOURS = [f"{c}PaletteColorLookupTable{part}" for c in ("Red", "Green", "Blue") for part in ("Descriptor", "Data")]
_PIXELS = ["PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"]
ELEMENTS = [*_SHAPE, *LEVELS, *_COLOURS, *_PIXELS, *VIEW, *DOMAIN]


def stored(path: Path) -> tuple[Array, Array]:
    """Return values (H, W), uint8 or uint16, and the grey level float32 in 0..1 of each value. Raises ImageError."""
    with naming(path, "damaged or unsupported DICOM"), open_image(path) as file:
        image = read_pixels(file, path)
        return image.values, image.table


def read_pixels(file: BinaryIO, path: Path) -> GreyImage:
    """Return the image of an open DICOM file, with notes.

    Raises ImageError, in one line that names `path`, if the file has no single image within bounds.
    """
    ds = read_elements(file, path, ELEMENTS)
    with naming(path, "damaged or unsupported DICOM"):
        stream = _check(ds)
        facts = facts_of(ds)
        above = _above_bits(ds, stream)
        notes = [*facts.notes, *above]
        follow_stream(ds, stream)
        values = decode_pixels(ds, stream, view=not above and _are_words(ds))
        if ds.PhotometricInterpretation == "PALETTE COLOR":
            from pydicom.pixels.processing import apply_color_lut

            values = apply_color_lut(values, ds)
            ds.BitsStored = values.dtype.itemsize * 8
        if values.ndim == 3:  # RGB, to ITU-R 601 luma as Pillow does
            luma = values @ np.array([0.299, 0.587, 0.114], np.float32)
            white = 2**ds.BitsStored - 1
            table = np.minimum(np.arange(1 << (8 * values.dtype.itemsize)) / white, 1).astype(np.float32)
            return GreyImage(np.rint(luma).astype(values.dtype), table, tuple(notes), facts.not_chest)
        every = np.arange(np.iinfo(values.dtype).min, np.iinfo(values.dtype).max + 1)
        unsigned = np.dtype(f"u{values.dtype.itemsize}")
        places = np.subtract(values, every[0], dtype=unsigned, casting="unsafe")  # the lowest that can be stored is 0
        table, unusable = dicom_table(ds, places, every)
        return GreyImage(places, table, (*notes, *unusable), facts.not_chest)


def _above_bits(ds: Any, stream: Stream | None) -> Sequence[str]:
    """Return a note if pixels that are not compressed use bits above those that the header says are stored."""
    compressed = stream is not None or ds.file_meta.TransferSyntaxUID.is_compressed
    if compressed or ds.SamplesPerPixel != 1 or ds.BitsAllocated not in (8, 16) or ds.BitsStored >= ds.BitsAllocated:
        return ()
    size = ds.BitsAllocated // 8
    order = "<" if ds.file_meta.TransferSyntaxUID.is_little_endian else ">"
    words = np.frombuffer(ds.PixelData, f"{order}u{size}", len(ds.PixelData) // size)
    words = words[: ds.Rows * ds.Columns]
    if not ds.get("PixelRepresentation"):
        used = len(words) and int(words.max()) >> ds.BitsStored
    else:
        above, ones = words >> ds.BitsStored, (1 << (ds.BitsAllocated - ds.BitsStored)) - 1  # ones: a negative number
        used = bool(np.any((above != 0) & (above != ones)))
    if not used:
        return ()
    return (f"its pixels have bits above the {ds.BitsStored} that its header says are stored: they are ignored",)


def _are_words(ds: Any) -> bool:
    """Whether the words of pixels that are not compressed, without bits above the stored ones, are their values."""
    whole = ds.BitsStored == ds.BitsAllocated or not ds.get("PixelRepresentation")  # of fewer bits the sign is within
    little = ds.file_meta.TransferSyntaxUID.is_little_endian
    return bool(little and ds.SamplesPerPixel == 1 and ds.BitsAllocated in (8, 16) and whole)


def _check(ds: Any) -> Stream | None:
    """Refuse, before anything is decoded, what is no single grey or colour image within bounds. Raises ImageError.

    Return what a compressed stream says of itself; None if it says nothing, or pixels are not compressed.
    """
    if "PixelData" not in ds:
        raise ImageError("it is DICOM without pixel data (a report, a presentation state or a directory)")
    needed = ("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored")
    if lacking := [name for name in needed if ds.get(name) in (None, "")]:
        raise ImageError(f"its header lacks {', '.join(lacking)}")
    frames = int(ds.get("NumberOfFrames") or 1)
    if frames > 1:
        raise ImageError(f"it has {frames} frames; a radiograph has one")
    if ds.Rows * ds.Columns > MAX_PIXELS or not ds.Rows * ds.Columns:
        raise ImageError(f"it has {ds.Columns} x {ds.Rows} pixels; at most {MAX_PIXELS:,} are read, and at least one")
    if ds.SamplesPerPixel not in (1, 3) or ds.BitsAllocated > 16:
        raise ImageError(f"it has {ds.SamplesPerPixel} x {ds.BitsAllocated} bits a pixel; grey or RGB of 16 are read")
    if ds.file_meta.TransferSyntaxUID.is_compressed:
        stream = read_stream(ds)
        if stream and (stream.width, stream.height) != (ds.Columns, ds.Rows):
            raise ImageError(
                f"its header says {ds.Columns} x {ds.Rows} pixels and its data {stream.width} x {stream.height}"
            )
        return stream
    if ds.get("HighBit", ds.BitsStored - 1) != ds.BitsStored - 1:
        raise ImageError(f"its {ds.BitsStored} bits end at bit {ds.HighBit}; only the lowest bits are read")
    return None
