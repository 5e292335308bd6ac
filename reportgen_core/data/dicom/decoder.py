"""Decode the pixels of a DICOM file.

Each transfer syntax has one decoder, so that a damaged stream is not tried by several. gdcm decodes lossless JPEG,
JPEG-LS and 12-bit JPEG; it can end its whole process on a damaged stream. It therefore runs in a process of its own,
which is started at the first such image, serves all others, and is started anew when it has ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ...errors import ImageError

if TYPE_CHECKING:
    from ...types import Array

CONVERT = "convert the file with gdcmconv --raw IN OUT, or dcmdjpeg IN OUT"
MAX_SECONDS = 120  # of one image in the other process
_NUMBERS = (
    "Rows", "Columns", "SamplesPerPixel", "PlanarConfiguration", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation",
)  # fmt: skip
_JPEG = "1.2.840.10008.1.2.4."
_JPEG_EXTENDED = f"{_JPEG}51"
_GDCM = frozenset(_JPEG + end for end in ("57", "70", "80", "81"))
# Decoders of pydicom by the end of the transfer syntax. Of 8 bits, JPEG Extended is decoded as Baseline is.
_PLUGINS = {
    **dict.fromkeys([_JPEG + "50", _JPEG_EXTENDED], "pillow"),
    **dict.fromkeys([_JPEG + end for end in ("90", "91", "92", "93", "201", "202", "203")], "pylibjpeg"),
    **dict.fromkeys(_GDCM, "gdcm"),
}
_CODE = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {} import serve; serve()"


@dataclass(frozen=True, slots=True)
class Stream:
    """The size and the kind of the pixels of a JPEG, JPEG-LS or JPEG 2000 stream, as it says itself."""

    width: int
    height: int
    bits: int
    signed: bool | None  # None: the stream does not say it


def read_stream(ds: Any) -> Stream | None:
    """Return what a JPEG, JPEG-LS or JPEG 2000 stream says of itself: decoders allocate memory by it.

    Return None for any other stream.
    """
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


def follow_stream(ds: Any, stream: Stream | None) -> None:
    """Let the header say of grey pixels what the stream says: signed, and of more bits than the header has."""
    if stream is None or ds.SamplesPerPixel != 1 or ds.file_meta.TransferSyntaxUID == _JPEG_EXTENDED:
        return
    if stream.signed and not ds.get("PixelRepresentation"):
        ds.PixelRepresentation = 1
    if ds.BitsStored < stream.bits <= ds.BitsAllocated and not ds.get("PixelRepresentation"):
        ds.BitsStored, ds.HighBit = stream.bits, stream.bits - 1


def decode_pixels(ds: Any, stream: Stream | None, view: bool = False) -> Array:
    """Return the stored values (H, W) or (H, W, 3). Raises ImageError for a compressed stream that is not decoded.

    `view`: of pixels that are not compressed the words of the file are the values; they are not copied.
    """
    from pydicom.pixels.utils import pixel_array

    syntax = ds.file_meta.TransferSyntaxUID
    if not syntax.is_compressed:
        return np.asarray(pixel_array(ds, index=0, view_only=view, correct_unused_bits=not view))
    try:
        deep = syntax == _JPEG_EXTENDED and stream is not None and stream.bits > 8
        if deep and (ds.SamplesPerPixel != 1 or ds.BitsAllocated != 16):
            raise ImageError("colours of more than 8 bits are not read")
        if deep or syntax in _GDCM:
            return _gdcm_process.decode(ds)
        return np.asarray(pixel_array(ds, index=0, decoding_plugin=_PLUGINS.get(syntax, "")))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as e:  # decoders raise anything at all on damaged bytes; a panic in Rust is no Exception
        why = " ".join(str(e).split())[:160] or type(e).__name__
        raise ImageError(f"damaged or unsupported pixels of {syntax.name}: {CONVERT} ({why})") from e


class _GdcmProcess:
    """A process that decodes with gdcm. It belongs to the process that started it, and ends with it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def decode(self, ds: Any) -> Array:
        """Return the pixels of a data set. Raises ImageError with the words of the decoder, or if its process ends."""
        values = {name: int(ds.get(name)) for name in _NUMBERS if ds.get(name) not in (None, "")}
        texts = {"photometric": str(ds.PhotometricInterpretation), "syntax": str(ds.file_meta.TransferSyntaxUID)}
        with self._lock:
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            timer = threading.Timer(MAX_SECONDS, process.kill)
            timer.start()
            try:
                _send(process.stdin, {**values, **texts}, bytes(ds.PixelData))
                facts, pixels = _receive(process.stdout)
            except (OSError, EOFError, ValueError) as e:
                process.kill()
                code = process.wait()
                raise ImageError(f"the decoder ended with {code} on its data") from e
            finally:
                timer.cancel()
        if "error" in facts:
            raise ImageError(str(facts["error"]))
        return np.frombuffer(pixels, np.dtype(str(facts["dtype"]))).reshape(facts["shape"])

    def _running(self) -> subprocess.Popen[bytes]:
        """Return the process, started if there is none, or if it belongs to the process that this one is a fork of."""
        if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
            command = [sys.executable, "-c", _CODE.format(__name__), json.dumps([p for p in sys.path if p] or [""])]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            self._owner = os.getpid()
        return self._process


_gdcm_process = _GdcmProcess()


def serve() -> None:
    """Decode the images that come on standard input until it ends: the main function of the other process."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no reply
    while True:
        try:
            values, pixels = _receive(sys.stdin.buffer)
        except EOFError:
            return
        try:
            image = _decode_here(values, pixels)
            _send(replies, {"dtype": image.dtype.str, "shape": image.shape}, image.tobytes())
        except Exception as e:
            _send(replies, {"error": " ".join(str(e).split())[:300] or type(e).__name__}, b"")


def _send(file: IO[bytes], facts: Mapping[str, Any], data: bytes) -> None:
    head = json.dumps(facts).encode()
    file.write(len(head).to_bytes(4, "little") + len(data).to_bytes(8, "little") + head)
    file.write(data)
    file.flush()


def _receive(file: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    """Return what `_send` sent. Raises EOFError if there is no more of it."""
    sizes = file.read(12)
    head = file.read(int.from_bytes(sizes[:4], "little")) if len(sizes) == 12 else b""
    size = int.from_bytes(sizes[4:], "little")
    data = file.read(size) if head else b""
    if not head or len(data) != size:
        raise EOFError
    facts: dict[str, Any] = json.loads(head)
    return facts, data


def _decode_here(values: Mapping[str, Any], pixels: bytes) -> Array:
    """Decode in this process with gdcm. Raises many kinds of errors."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.pixels.utils import pixel_array

    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = values["syntax"]
    ds.PhotometricInterpretation = values["photometric"]
    for name in _NUMBERS:
        if name in values:
            setattr(ds, name, values[name])
    ds.PixelData = pixels
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    if values["syntax"] == _JPEG_EXTENDED:
        return _jpeg_extended(ds)
    return np.ascontiguousarray(pixel_array(ds, index=0, decoding_plugin="gdcm"))


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
    return np.frombuffer(pixels, dtype).reshape(ds.Rows, ds.Columns)
