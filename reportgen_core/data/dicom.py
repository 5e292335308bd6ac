"""Read the pixels of radiographs in DICOM files. The header is read by dicom_header.py, grey levels by greys.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ..errors import ImageError
from .dicom_header import DOMAIN, SIZE, VIEW, DicomFacts, dicom_facts, facts_of, is_dicom, naming, read_elements
from .greys import LEVELS, GreyImage, dicom_table

if TYPE_CHECKING:
    from ..types import Array

__all__ = ["MAX_PIXELS", "DicomFacts", "dicom_facts", "is_dicom", "naming", "read_pixels", "stored"]

MAX_PIXELS = 80_000_000  # four times the largest radiograph detectors; under Pillow's own warning at 89 million
CONVERT = "convert the file with gdcmconv --raw IN OUT, or dcmdjpeg IN OUT"

_SHAPE = [*SIZE, "PhotometricInterpretation", "PlanarConfiguration", "BitsStored", "HighBit", "PixelRepresentation"]
_COLOURS = [f"{c}PaletteColorLookupTable{part}" for c in ("Red", "Green", "Blue") for part in ("Descriptor", "Data")]
_PIXELS = ["PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"]
ELEMENTS = [*_SHAPE, *LEVELS, *_COLOURS, *_PIXELS, *VIEW, *DOMAIN]
_JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"


@dataclass(frozen=True, slots=True)
class Stream:
    """The size and the kind of the pixels of a JPEG, JPEG-LS or JPEG 2000 stream, as it says itself."""

    width: int
    height: int
    bits: int
    signed: bool | None  # None: the stream does not say it


def stored(path: Path) -> tuple[Array, Array]:
    """Return values (H, W), uint8 or uint16, and the grey level float32 in 0..1 of each value. Raises ImageError."""
    with naming(path, "damaged or unsupported DICOM"), path.open("rb") as file:
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
        notes = [*facts.notes, *_above_bits(ds, stream)]
        values = _decoded(ds, stream)
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


def _decoded(ds: Any, stream: Stream | None) -> Array:
    """Return the stored values (H, W) or (H, W, 3)."""
    from pydicom.pixels.utils import pixel_array

    syntax = ds.file_meta.TransferSyntaxUID
    if stream is None and not syntax.is_compressed:
        return np.asarray(pixel_array(ds, index=0))
    try:
        if stream is not None and ds.SamplesPerPixel == 1:
            if syntax == _JPEG_EXTENDED and stream.bits > 8 and ds.BitsAllocated == 16:
                return _jpeg_extended(ds)
            _follow(ds, stream)
        return np.asarray(pixel_array(ds, index=0))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as e:  # decoders raise anything at all on damaged bytes; a panic in Rust is no Exception
        why = " ".join(str(e).split())[:160] or type(e).__name__
        raise ImageError(f"damaged or unsupported pixels of {syntax.name}: {CONVERT} ({why})") from e


def _follow(ds: Any, stream: Stream) -> None:
    """Let the header say of grey pixels what the stream says: signed, and of more bits than the header has."""
    if stream.signed and not ds.get("PixelRepresentation"):
        ds.PixelRepresentation = 1
    if ds.BitsStored < stream.bits <= ds.BitsAllocated and not ds.get("PixelRepresentation"):
        ds.BitsStored, ds.HighBit = stream.bits, stream.bits - 1


def _jpeg_extended(ds: Any) -> Array:
    """Return the grey pixels of a 12-bit JPEG Extended stream, which pydicom refuses and gdcm decodes."""
    import gdcm  # type: ignore[import-untyped]  # it has no types
    from pydicom.encaps import get_frame

    fragment, fragments = gdcm.Fragment(), gdcm.SequenceOfFragments.New()
    fragment.SetByteStringValue(get_frame(ds.PixelData, 0, number_of_frames=1))
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((ds.Columns, ds.Rows, 1))
    image.SetDataElement(element)
    kind = gdcm.PhotometricInterpretation.GetPIType(ds.PhotometricInterpretation)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(_JPEG_EXTENDED)))
    signed = int(ds.get("PixelRepresentation") or 0)
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, ds.BitsStored, ds.BitsStored - 1, signed))
    pixels = image.GetBuffer().encode("utf-8", "surrogateescape")  # gdcm gives a char* as str
    dtype = np.dtype("<i2" if signed else "<u2")
    return np.frombuffer(pixels, dtype).reshape(ds.Rows, ds.Columns).astype(dtype.newbyteorder("="))


def _above_bits(ds: Any, stream: Stream | None) -> Sequence[str]:
    """Return a note if pixels that are not compressed use bits above those that the header says are stored."""
    compressed = stream is not None or ds.file_meta.TransferSyntaxUID.is_compressed
    if compressed or ds.SamplesPerPixel != 1 or ds.BitsAllocated not in (8, 16) or ds.BitsStored >= ds.BitsAllocated:
        return ()
    size = ds.BitsAllocated // 8
    order = "<" if ds.file_meta.TransferSyntaxUID.is_little_endian else ">"
    words = np.frombuffer(ds.PixelData, f"{order}u{size}", len(ds.PixelData) // size)
    above = words[: ds.Rows * ds.Columns] >> ds.BitsStored
    ones = (1 << (ds.BitsAllocated - ds.BitsStored)) - 1  # the sign of a negative number
    if not (above[above != ones] if ds.get("PixelRepresentation") else above).any():
        return ()
    return (f"its pixels have bits above the {ds.BitsStored} that its header says are stored: they are ignored",)


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
        stream = _stream(ds)
        if stream and (stream.width, stream.height) != (ds.Columns, ds.Rows):
            raise ImageError(
                f"its header says {ds.Columns} x {ds.Rows} pixels and its data {stream.width} x {stream.height}"
            )
        return stream
    if ds.get("HighBit", ds.BitsStored - 1) != ds.BitsStored - 1:
        raise ImageError(f"its {ds.BitsStored} bits end at bit {ds.HighBit}; only the lowest bits are read")
    return None


def _stream(ds: Any) -> Stream | None:
    """Return what a JPEG, JPEG-LS or JPEG 2000 stream says of itself: decoders allocate memory by it."""
    from pydicom.encaps import get_frame

    data = get_frame(ds.PixelData, 0, number_of_frames=1)
    if (start := data[:4096].find(b"\xff\x4f\xff\x51")) >= 0:  # SOC and SIZ of JPEG 2000
        x1, y1, x0, y0 = (int.from_bytes(data[i : i + 4], "big") for i in range(start + 8, start + 24, 4))
        kind = data[start + 42] if len(data) > start + 42 else 0  # Ssiz of the first component
        return Stream(x1 - x0, y1 - y0, (kind & 0x7F) + 1, bool(kind & 0x80))
    at = 2
    while data[:2] == b"\xff\xd8" and at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == 0xF7 or (0xC0 <= data[at + 1] <= 0xCF and data[at + 1] not in (0xC4, 0xC8, 0xCC)):
            height, width = (int.from_bytes(data[i : i + 2], "big") for i in (at + 5, at + 7))
            return Stream(width, height, data[at + 4], None)
        at += 1 if data[at + 1] == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
