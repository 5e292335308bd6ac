"""Radiographs as DICOM files: their grey levels, and which way they look. Nothing that identifies anybody is kept.

Only the elements listed here are parsed at all, so names, dates and numbers of a patient are never in memory.

Grey levels follow the Standard's pipeline (PS3.3 C.11): modality LUT or rescale, then the VOI LUT, or the first window
where there is none, then MONOCHROME1 turned round. All of that maps one stored value to one grey level, so it is done
once for the 256 or 65,536 values that can be stored, by pydicom's own functions, and the image is looked up. The
Standard leaves open what an image without VOI looks like: its darkest pixel becomes 0 and its brightest 1, padding
apart, as in MIMIC-CXR-JPG (Johnson et al. 2019, arXiv:1901.07042). Padding is black.
"""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ..errors import ImageError

if TYPE_CHECKING:
    from ..types import Array, Projection

MAX_PIXELS = 80_000_000  # four times the largest radiograph detectors; under Pillow's own warning at 89 million
MAX_BYTES = 1 << 29  # of a file, and of a deflated one when inflated

_DEFLATED, _PLAIN = b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.1\0\0\0"
_SHAPE = ["Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration",
          "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"]  # fmt: skip
_LEVELS = ["PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence",
           "VOILUTSequence", "VOILUTFunction", "WindowCenter", "WindowWidth"]  # fmt: skip
_COLOURS = [f"{c}PaletteColorLookupTable{part}" for c in ("Red", "Green", "Blue") for part in ("Descriptor", "Data")]
_PIXELS = ["PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"]
_VIEW = ["StudyInstanceUID", "ViewPosition", "ViewCodeSequence", "PatientOrientation"]

# Defined terms of View Position (PS3.3 C.8.1.3), and what MIMIC-CXR and Open-i have in it beside them.
_POSITIONS: dict[str, Projection] = {
    **dict.fromkeys(["PA", "AP", "AP AXIAL", "AP LLD", "AP RLD", "PA LLD", "PA RLD", "LLD", "RLD"], "frontal"),
    **dict.fromkeys(["LL", "RL", "LATERAL", "LAT", "XTABLE LATERAL"], "lateral"),
}
# CID 4010 "DX View": SNOMED CT and the older SNOMED RT codes.
_CODES: dict[str, Projection] = {
    **dict.fromkeys(["399348003", "272479007", "399033003", "R-10206", "R-10214", "R-40888", "R-10202"], "frontal"),
    **dict.fromkeys(["399067008", "399173006", "399198007", "R-102CD", "R-10236", "R-10232"], "lateral"),
}


@dataclass(frozen=True, slots=True)
class DicomFacts:
    """What a header says about the picture, and nothing about the patient."""

    projection: Projection
    study: str = field(repr=False)  # a hash to group the views of one examination by, never to be shown; "" unsaid


def is_dicom(path: Path) -> bool:
    """Whether the file is DICOM by its content: the magic after the preamble, or elements right from the start."""
    with path.open("rb") as file:
        head = file.read(132)
    if head[128:] == b"DICM":
        return True
    if head[:2] not in (b"\x02\x00", b"\x08\x00", b"\x00\x08"):  # groups that come first, either byte order
        return False
    try:
        return any(name in _dataset(path, ["SOPClassUID", "Rows"]) for name in ("SOPClassUID", "Rows"))
    except ImageError:
        return False  # it is not DICOM; what it is instead is another reader's question


def dicom_facts(path: Path) -> DicomFacts:
    """Projection and study of a DICOM file. Raises ImageError where its header cannot be read."""
    ds = _dataset(path, _VIEW)
    with naming(path, "damaged or unsupported DICOM"):
        study = _raw(ds, "StudyInstanceUID")
        return DicomFacts(_projection(ds), hashlib.sha256(study.encode()).hexdigest() if study else "")


def stored(path: Path) -> tuple[Array, Array]:
    """Values (H, W), uint8 or uint16, and the table of float32 in 0..1 that says which grey each value is.

    Raises ImageError, in one line, where the file is no single image within bounds.
    """
    from pydicom.pixels.processing import apply_color_lut
    from pydicom.pixels.utils import pixel_array

    ds = _dataset(path, _SHAPE + _LEVELS + _COLOURS + _PIXELS)
    with naming(path, "damaged or unsupported DICOM"):
        _check(ds)
        values = np.asarray(pixel_array(ds, index=0))
        if ds.PhotometricInterpretation == "PALETTE COLOR":
            values = apply_color_lut(values, ds)
            ds.BitsStored = values.dtype.itemsize * 8
        if values.ndim == 3:  # RGB, to ITU-R 601 luma as Pillow does
            luma = values @ np.array([0.299, 0.587, 0.114], np.float32)
            white = 2**ds.BitsStored - 1
            table = np.minimum(np.arange(1 << (8 * values.dtype.itemsize)) / white, 1).astype(np.float32)
            return np.rint(luma).astype(values.dtype), table
        every = np.arange(np.iinfo(values.dtype).min, np.iinfo(values.dtype).max + 1)
        unsigned = np.dtype(f"u{values.dtype.itemsize}")
        places = np.subtract(values, every[0], dtype=unsigned, casting="unsafe")  # the lowest that can be stored is 0
        return places, _table(ds, places, every)


def _table(ds: Any, places: Array, every: Array) -> Array:
    """Grey level of every value that can be stored; the image is `every[places]`."""
    from pydicom.pixels.processing import apply_modality_lut

    padding = _padding(ds, every)
    real = np.asarray(apply_modality_lut(every, ds), np.float64)
    table = _voi(ds, real)
    if table is None:
        held = np.zeros(len(every), bool)
        held[places] = True
        shown = real[held & ~padding]
        low, high = (shown.min(), shown.max()) if len(shown) else (0.0, 0.0)
        table = (real - low) / (high - low or 1.0)
    table = np.clip(table, 0, 1)
    if ds.PhotometricInterpretation == "MONOCHROME1":
        table = 1 - table
    table[padding] = 0
    return table.astype(np.float32)


def _voi(ds: Any, real: Array) -> Array | None:
    """Real values as shares of the way from black to white; None where the file has no LUT and no usable window."""
    from pydicom.pixels.processing import apply_voi, apply_windowing

    if ds.get("VOILUTSequence"):
        bits = ds.VOILUTSequence[0].LUTDescriptor[2]
        levels: Array = np.asarray(apply_voi(np.rint(real).astype(np.int64), ds), np.float64) / (2**bits - 1)
        return levels
    if not ds.get("VOILUTFunction", "LINEAR"):  # there but empty
        del ds.VOILUTFunction
    center, width = _first(ds.get("WindowCenter")), _first(ds.get("WindowWidth"))
    least = 1 if ds.get("VOILUTFunction", "LINEAR") == "LINEAR" else 0
    if center is None or width is None or not width > 0 or width < least:
        return None  # a window without width is met in the wild and says nothing
    black, white = apply_windowing(np.array([center - 100 * width, center + 100 * width]), ds)
    shares: Array = (np.asarray(apply_windowing(real, ds)) - black) / (white - black)
    return shares


def _first(value: Any) -> float | None:
    """The first of one or several decimals; None where there is none."""
    from pydicom.multival import MultiValue

    value = (value[0] if len(value) else None) if isinstance(value, MultiValue) else value
    return None if value in (None, "") else float(value)


def _padding(ds: Any, every: Array) -> Array:
    """Which stored values are padding around the image, not image."""
    start = ds.get("PixelPaddingValue")
    if start is None:
        return np.zeros(len(every), bool)
    end = ds.get("PixelPaddingRangeLimit")
    low, high = sorted((int(start), int(start if end is None else end)))
    return (every >= low) & (every <= high)


def _check(ds: Any) -> None:
    """Refuse, before anything is decoded, what is no single grey or colour image within bounds."""
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
        size = _codestream_size(ds)
        if size and size != (ds.Columns, ds.Rows):
            raise ImageError(f"its header says {ds.Columns} x {ds.Rows} pixels and its data {size[0]} x {size[1]}")
    elif ds.get("HighBit", ds.BitsStored - 1) != ds.BitsStored - 1:
        raise ImageError(f"its {ds.BitsStored} bits end at bit {ds.HighBit}; only the lowest bits are read")


def _codestream_size(ds: Any) -> tuple[int, int] | None:
    """Width and height that a JPEG, JPEG-LS or JPEG 2000 stream gives itself: decoders allocate by them."""
    from pydicom.encaps import get_frame

    data = get_frame(ds.PixelData, 0, number_of_frames=1)
    if (start := data[:4096].find(b"\xff\x4f\xff\x51")) >= 0:  # SOC and SIZ of JPEG 2000
        x1, y1, x0, y0 = (int.from_bytes(data[i : i + 4], "big") for i in range(start + 8, start + 24, 4))
        return x1 - x0, y1 - y0
    at = 2
    while data[:2] == b"\xff\xd8" and at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == 0xF7 or (0xC0 <= data[at + 1] <= 0xCF and data[at + 1] not in (0xC4, 0xC8, 0xCC)):
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        at += 1 if data[at + 1] == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _projection(ds: Any) -> Projection:
    """View position, else view code, else the way the rows run; "" where none of them says."""
    position = " ".join(_raw(ds, "ViewPosition").upper().split())
    if position:  # one that is neither, as an oblique view, is not asked about further
        return _POSITIONS.get(position, "")
    for item in ds.get("ViewCodeSequence") or ():
        if (code := _raw(item, "CodeValue")) in _CODES:
            return _CODES[code]
    towards = _raw(ds, "PatientOrientation")[:1].upper()  # the patient's side that rows run to
    if towards in ("L", "R"):
        return "frontal"
    return "lateral" if towards in ("A", "P") else ""


def _raw(ds: Any, keyword: str) -> str:
    """The text of an element as it is written: reading it through pydicom would print a malformed one in a warning."""
    element = ds.get_item(keyword)
    value = element.value if element is not None and element.value else b""
    return (value if isinstance(value, str) else bytes(value).decode("ascii", "replace")).strip(" \0")


def _dataset(path: Path, tags: list[str]) -> Any:
    """These elements of a file. pydicom ships types, but its elements are `Any` to them."""
    from pydicom import dcmread
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    with naming(path, "damaged or unsupported DICOM"), path.open("rb") as file:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ImageError(f"it has {size:,} bytes; at most {MAX_BYTES:,} are read")
        ds = dcmread(_inflated(file), force=True, specific_tags=list(tags), stop_before_pixels="PixelData" not in tags)
        if "TransferSyntaxUID" not in ds.file_meta:  # pydicom has worked out what a bare data set is written in
            implicit, little = ds.original_encoding
            explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
            ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
        return ds


def _inflated(file: BinaryIO) -> BinaryIO:
    """The file itself, or a deflated one as a plain one: pydicom would inflate it without a bound."""
    head = file.read(4096)
    file.seek(0)
    if head[128:140] != b"DICM\x02\0\0\0UL\x04\0" or _DEFLATED not in head:
        return file
    meta = 144 + int.from_bytes(head[140:144], "little")
    data = file.read()
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    plain = inflate.decompress(data[meta:], MAX_BYTES)
    if inflate.unconsumed_tail:
        raise ImageError(f"it inflates to more than {MAX_BYTES:,} bytes")
    return io.BytesIO(data[:meta].replace(_DEFLATED, _PLAIN, 1) + plain)


@contextmanager
def naming(path: Path, guess: str) -> Iterator[None]:
    """Turn whatever goes wrong inside into one line with the file's name: ours, or `guess` and the decoder's words."""
    try:
        yield
    except ImageError as e:
        raise ImageError(f"cannot read {path}: {e}") from e
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as e:  # decoders raise anything at all on damaged bytes; a panic in Rust is no Exception
        why = " ".join(str(e).split())[:200] or type(e).__name__
        raise ImageError(f"cannot read {path}: {guess} ({why})") from e
