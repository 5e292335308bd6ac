"""DICOM files that are refused in one line: without an image, damaged, or made to fill the memory."""

from __future__ import annotations

import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from dicom_files import RAMP, made, saved
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from reportgen_core import ImageError
from reportgen_core.data.dicom import decoder as dicom_decoder
from reportgen_core.data.dicom import header as dicom_header
from reportgen_core.data.images import read_image


def without_pixels() -> Dataset:
    ds = made(RAMP)
    del ds.PixelData
    return ds


def of_another_size() -> Dataset:
    ds = made(RAMP)
    ds.compress(JPEG2000Lossless)
    ds.Rows = 24
    return ds


def film() -> Dataset:
    ds = made(RAMP, "1.2.840.10008.1.2.4.100")  # MPEG2
    ds.PixelData = encapsulate([b"\0\0\1\xb3" * 8])
    return ds


@pytest.mark.parametrize(
    ("ds", "why"),
    [
        (without_pixels(), "without pixel data"),
        (made(RAMP, NumberOfFrames=3), "3 frames"),
        (made(RAMP, Rows=65535, Columns=65535), "65535 x 65535 pixels"),
        (made(RAMP, Rows=0), "40 x 0 pixels"),
        (made(RAMP, Rows=96), "damaged or unsupported"),  # more rows than there are pixels for
        (made(RAMP.astype(np.uint32)), "1 x 32 bits"),
        (made(RAMP, HighBit=15), "end at bit 15"),
        (made(RAMP, Columns=None), "lacks Columns"),
        (film(), "damaged or unsupported"),
        (of_another_size(), "header says 40 x 24 pixels and its data 40 x 48"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_what_is_no_radiograph_is_refused_in_one_line(tmp_path: Path, ds: Dataset, why: str) -> None:
    path = saved(ds, tmp_path)
    with pytest.raises(ImageError, match=why) as e:
        read_image(path)
    assert str(path) in str(e.value)
    assert "\n" not in str(e.value)


def test_a_deflated_file_is_inflated_only_so_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(made(np.zeros((1000, 1000), np.uint16), DeflatedExplicitVRLittleEndian), tmp_path)
    monkeypatch.setattr(dicom_header, "HEADER_BYTES", 1 << 19)
    monkeypatch.setattr(dicom_header, "MAX_BYTES", 1 << 20)
    assert path.stat().st_size < 1 << 14
    with pytest.raises(ImageError, match="inflates to more than 1,048,576 bytes"):
        read_image(path)


def bomb(folder: Path, without_group_length: bool = False, long_meta: bool = False) -> Path:
    """Write a deflated file of 64 x 64 pixels that inflates to 256 MiB."""
    head = saved(made(RAMP), folder, "head.dcm").read_bytes()
    end = 144 + int.from_bytes(head[140:144], "little")
    start = head.index(b"\x02\0\x10\0UI")
    after = start + 8 + int.from_bytes(head[start + 6 : start + 8], "little")
    uid = DeflatedExplicitVRLittleEndian.encode()
    syntax = b"\x02\0\x10\0UI" + len(uid).to_bytes(2, "little") + uid
    elements = head[144:start] + (private(5000) if long_meta else b"") + syntax + head[after:end]
    group = b"" if without_group_length else b"\x02\0\0\0UL\x04\0" + len(elements).to_bytes(4, "little")
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = [deflate.compress(head[end:]), *(deflate.compress(bytes(1 << 20)) for _ in range(256))]
    path = folder / "bomb.dcm"
    path.write_bytes(head[:132] + group + elements + b"".join(body) + deflate.flush())
    return path


def private(size: int) -> bytes:
    """Return an element of group 2 that pushes all others back."""
    return b"\x02\0\x02\x01OB\0\0" + size.to_bytes(4, "little") + bytes(size)


@pytest.mark.parametrize("form", [{}, {"without_group_length": True}, {"long_meta": True}])
def test_a_deflated_bomb_is_refused_long_before_it_is_inflated(tmp_path: Path, form: dict[str, bool]) -> None:
    path = bomb(tmp_path, **form)
    tracemalloc.start()
    with pytest.raises(ImageError, match=r"inflates to more than .* its header announces fewer"):
        read_image(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 * 2**20


def test_a_header_of_endless_group_2_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.dcm"
    path.write_bytes(bytes(128) + b"DICM" + private(0) * 1000)
    with pytest.raises(ImageError, match="more than 256 elements of group 2"):
        read_image(path)


@pytest.mark.parametrize("keep", [100, 140, 300, 2000, -1])
def test_a_truncated_file_names_itself(tmp_path: Path, keep: int) -> None:
    path = saved(made(RAMP), tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ImageError, match="chest"):
        read_image(path)


def test_rle_that_says_too_much_is_an_error_and_no_panic(tmp_path: Path) -> None:
    ds = made(RAMP)
    ds.compress(RLELossless)
    path = saved(ds, tmp_path)
    raw = path.read_bytes()
    at = raw.index((2).to_bytes(4, "little") + (64).to_bytes(4, "little")) + 64  # the first segment, after its header
    path.write_bytes(raw[:at] + b"\x81\x00" * 40 + raw[at + 80 :])  # runs of 128 bytes, far more than there are pixels
    with pytest.raises(ImageError, match="damaged or unsupported"):
        read_image(path)


def test_a_damaged_jpeg_2000_does_not_end_the_process(tmp_path: Path) -> None:
    ds = made(RAMP)
    ds.compress(JPEG2000Lossless)
    path = saved(ds, tmp_path)
    raw = path.read_bytes()
    at = raw.index(b"\xff\x4f\xff\x51") + 40  # Csiz, the number of components
    path.write_bytes(raw[:at] + b"\x0c\x00" + raw[at + 2 :])
    with pytest.raises(ImageError, match="gdcmconv --raw"):
        read_image(path)


def lossless(folder: Path) -> Path:
    """Write a lossless JPEG with gdcm, which can only decode it in pydicom."""
    gdcm = pytest.importorskip("gdcm")
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(saved(made(RAMP), folder, "plain.dcm")))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(folder / "lossless.dcm"))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return folder / "lossless.dcm"


def test_a_decoder_that_ends_is_an_error_of_one_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lossless(tmp_path)
    running = dicom_decoder._gdcm_process._running()
    running.kill()
    running.wait()
    with monkeypatch.context() as patch:
        patch.setattr(dicom_decoder, "MAX_SECONDS", 0)
        with pytest.raises(ImageError, match=r"the decoder ended with -?[0-9]+ on its data") as e:
            read_image(path)
    assert "\n" not in str(e.value)
    assert np.allclose(read_image(path), RAMP / 4095, atol=1e-6)


def test_a_decoder_of_a_parent_is_not_used_by_its_fork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lossless(tmp_path)
    read_image(path)
    first = dicom_decoder._gdcm_process._running()
    monkeypatch.setattr(dicom_decoder._gdcm_process, "_owner", -1)
    assert np.allclose(read_image(path), RAMP / 4095, atol=1e-6)
    assert dicom_decoder._gdcm_process._running() is not first
    first.kill()
    first.communicate()
