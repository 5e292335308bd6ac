"""Grey values that a file describes wrongly, and pictures that need a note."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless
from test_dicom import made, saved, window

from reportgen_core.data.dicom import read_pixels
from reportgen_core.data.greys import looked_up, picture_notes
from reportgen_core.data.image_files import decode

RAMP = np.linspace(0, 4095, 48 * 40).reshape(48, 40).astype(np.uint16)  # 12 bits
LINEAR = RAMP / 4095


def rewritten(path: Path, *pairs: tuple[bytes, bytes]) -> Path:
    """Put other bytes of the same length into a file: values that pydicom would not write."""
    raw = path.read_bytes()
    for old, new in pairs:
        assert len(old) == len(new) and raw.count(old) == 1
        raw = raw.replace(old, new)
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize(
    ("old", "new"), [(b"2048.5", b"2048,5"), (b"2048.5", b"AUTO  "), (b"4096.0", b"nan   "), (b"4096.0", b"-4096 ")]
)
def test_a_window_that_cannot_be_used_is_ignored_with_a_note(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = saved(made(RAMP, WindowCenter="2048.5", WindowWidth="4096.0"), tmp_path)
    image = decode(rewritten(path, (old, new)))
    assert np.allclose(image.grey(), LINEAR, atol=1e-6)
    (note,) = image.notes
    assert "its window cannot be used" in note
    assert new.decode().strip() in note
    assert "darkest to its brightest" in note


@pytest.mark.parametrize(
    "elements",
    [
        {"WindowCenter": 2048, "WindowWidth": 4096, "VOILUTFunction": "LINEAR_INVERSE"},
        {"WindowCenter": 2048, "WindowWidth": 0},
        {"WindowCenter": 2048, "WindowWidth": 0.5},
        {"WindowCenter": 2048},
        {"WindowWidth": 2048, "WindowCenter": ""},
        {"RescaleSlope": 0, "RescaleIntercept": 5},
        {"RescaleSlope": 0, "RescaleIntercept": 5, "WindowCenter": 100, "WindowWidth": 10},
        {"VOILUTSequence": [Dataset()]},
        {"ModalityLUTSequence": [Dataset()]},
    ],
)
def test_any_element_that_cannot_be_used_gives_darkest_to_brightest_and_a_note(
    tmp_path: Path, elements: dict[str, object]
) -> None:
    image = decode(saved(made(RAMP, **elements), tmp_path))
    assert np.allclose(image.grey(), LINEAR, atol=1e-6)
    assert "cannot be used" in "".join(image.notes)


@pytest.mark.parametrize(
    "elements",
    [
        {"RescaleSlope": "", "RescaleIntercept": ""},
        {"RescaleSlope": "", "RescaleIntercept": "-1024"},
        {"WindowCenter": "", "WindowWidth": ""},
        {"PixelPaddingValue": None},
    ],
)
def test_an_empty_element_is_as_if_it_were_not_there(tmp_path: Path, elements: dict[str, object]) -> None:
    image = decode(saved(made(RAMP, **elements), tmp_path))
    assert np.allclose(image.grey(), LINEAR, atol=1e-6)
    assert image.notes == ()


def test_an_empty_slope_leaves_a_window_in_use(tmp_path: Path) -> None:
    image = decode(saved(made(RAMP, RescaleSlope="", WindowCenter=1000, WindowWidth=500), tmp_path))
    assert np.allclose(image.grey(), window(RAMP, 1000, 500), atol=1e-6)


@pytest.mark.parametrize("low", [-2000, -32768, -1])
def test_padding_of_signed_pixels_may_be_written_as_unsigned(tmp_path: Path, low: int) -> None:
    values = np.array([[low, low, 0, 1000], [1023, 100, 1, 500]], np.int16)
    ds = made(values, BitsStored=16, HighBit=15)
    ds.add_new(0x00280120, "US", low + 65536)
    hand = np.where(values == low, 0, values / 1023)
    assert np.allclose(decode(saved(ds, tmp_path)).grey(), hand, atol=1e-4)


def test_padding_of_fewer_bits_than_a_pixel_has_is_found(tmp_path: Path) -> None:
    values = np.array([[-2048, 0, 1000, 500, 20]], np.int16)
    ds = made(values)
    ds.add_new(0x00280120, "US", 2048)  # -2048 in 12 bits
    assert np.allclose(decode(saved(ds, tmp_path)).grey(), [[0, 0, 1, 0.5, 0.02]], atol=1e-4)


def test_a_range_of_padding_may_be_written_as_unsigned(tmp_path: Path) -> None:
    values = np.array([[-2000, -1990, -1000, 0, 1000]], np.int16)
    ds = made(values, BitsStored=16, HighBit=15)
    ds.add_new(0x00280120, "US", 63536)
    ds.add_new(0x00280121, "US", 63546)
    assert np.allclose(decode(saved(ds, tmp_path)).grey(), [[0, 0, 0, 0.5, 1]], atol=1e-4)


def stated(values: np.ndarray, how: dict[str, float]) -> np.ndarray:
    """The grey level of each pixel by its own arithmetic, without a table: PS3.3 C.11, else darkest to brightest."""
    real = values.astype(np.int64) * how.get("RescaleSlope", 1.0) + how.get("RescaleIntercept", 0.0)
    padding = np.zeros(values.shape, bool)
    if "PixelPaddingValue" in how:
        padding = values.astype(np.int64) == how["PixelPaddingValue"]
    if "WindowWidth" in how:
        shares = (real - (how["WindowCenter"] - 0.5)) / (how["WindowWidth"] - 1) + 0.5
    else:
        seen = real[~padding]
        low, high = (seen.min(), seen.max()) if seen.size else (0.0, 0.0)
        shares = (real - low) / (high - low or 1.0)
    grey = np.clip(shares, 0, 1)
    grey[padding] = 0
    return grey.astype(np.float32)


@pytest.mark.parametrize("rescale", [{}, {"RescaleSlope": 0.37, "RescaleIntercept": -1024.5}, {"RescaleSlope": -2.0}])
@pytest.mark.parametrize(
    "shown", [{}, {"WindowCenter": 40.5, "WindowWidth": 381.0}, {"PixelPaddingValue": 0}, {"PixelPaddingValue": 100}]
)
@pytest.mark.parametrize(
    ("dtype", "bits", "vr"),
    [("u1", 8, "OB"), ("u1", 8, "OW"), ("i1", 8, "OB"), ("u2", 12, "OW"), ("i2", 12, "OW"), ("u2", 16, "OW"),
     ("i2", 16, "OW")],
)  # fmt: skip
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_every_pixel_has_the_level_of_its_own_arithmetic(
    tmp_path: Path, syntax: str, dtype: str, bits: int, vr: str, rescale: dict[str, float], shown: dict[str, float]
) -> None:
    if vr != "OB" and dtype[1] == "1" and syntax == ExplicitVRBigEndian:
        vr = "OB"  # as OW each pair of bytes would change places
    half = 1 << (bits - 1)
    low, high = (-half, half - 1) if dtype[0] == "i" else (0, 2 * half - 1)
    pixels = np.linspace(low, high, 48 * 40).reshape(48, 40).astype(dtype)
    pixels[0, :2] = 0, 100
    elements = {"BitsStored": bits, "HighBit": bits - 1, **rescale, **shown}
    ds = made(pixels, syntax, **elements)
    ds["PixelData"].VR = vr
    with saved(ds, tmp_path).open("rb") as file:
        image = read_pixels(file, tmp_path)
    assert np.array_equal(image.grey(), stated(pixels, rescale | shown))


def test_negative_values_of_fewer_bits_than_a_pixel_has_keep_their_sign(tmp_path: Path) -> None:
    signed = (RAMP.astype(np.int16) - 2048).astype(np.int16)
    ds = made(signed & 0x0FFF, PixelRepresentation=1)  # 12 bits, with zeros above their sign
    assert np.array_equal(decode(saved(ds, tmp_path)).grey(), stated(signed, {}))


def test_a_picture_of_padding_alone_is_black(tmp_path: Path) -> None:
    with saved(made(np.full_like(RAMP, 7), PixelPaddingValue=7), tmp_path).open("rb") as file:
        assert not read_pixels(file, tmp_path).grey().any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_levels_are_looked_up_as_by_indices(dtype: type) -> None:
    values = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (300, 401), dtype, endpoint=True)[::2, 1:]
    table = np.random.default_rng(1).random(1 << (8 * values.itemsize), np.float32)
    assert np.array_equal(looked_up(table, values), table[values])


@pytest.mark.parametrize("bits", [12, 16])
def test_the_stream_of_a_jpeg_2000_knows_whether_it_is_signed(tmp_path: Path, bits: int) -> None:
    signed = (RAMP.astype(np.int32) - 2048).astype(np.int16)
    ds = made(signed, BitsStored=bits, HighBit=bits - 1)
    ds.compress(JPEG2000Lossless)
    ds.PixelRepresentation = 0
    assert np.allclose(decode(saved(ds, tmp_path)).grey(), LINEAR, atol=1e-4)


def test_bits_above_the_stored_ones_are_noted(tmp_path: Path) -> None:
    image = decode(saved(made((RAMP * 4).astype(np.uint16)), tmp_path))
    assert any("bits above the 12" in note for note in image.notes)
    negative = decode(saved(made(RAMP.astype(np.int16) - 2048), tmp_path))
    assert negative.notes == ()


def test_twelve_bits_of_jpeg_extended_are_decoded(tmp_path: Path) -> None:
    gdcm = pytest.importorskip("gdcm")
    plain = saved(made(RAMP), tmp_path, "plain.dcm")
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(plain))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGExtendedProcess2_4))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(tmp_path / "x.dcm"))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    assert np.abs(decode(tmp_path / "x.dcm").grey() - LINEAR).max() < 0.03


def test_a_jpeg_extended_of_another_maker_is_decoded() -> None:
    pytest.importorskip("gdcm")
    file = get_testdata_file("JPEG-lossy.dcm")
    with open(str(file), "rb") as opened:
        values = read_pixels(opened, Path(str(file))).values
    assert [int(values[at]) for at in ((420, 140), (230, 120))] == [244, 95]


def noise(low: int, high: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(low, high, (64, 64)).astype(dtype)


@pytest.mark.parametrize(
    ("pixels", "says"),
    [
        (np.full((48, 48), 77, np.uint8), "only 1 different grey value"),
        (np.where(np.arange(48) < 24, 90, 91)[None].repeat(48, 0).astype(np.uint8), "only 2 different grey values"),
        (np.where(np.arange(4000) < 3999, 3, 200)[None].repeat(99, 0).astype(np.uint8), "only 2 different"),
        (np.vstack([noise(99, 103)] * 10 + [np.arange(64, dtype=np.uint8)[None]]), "nearly even"),
        (noise(0, 60), "very dark"),
        (noise(200, 256), "very bright"),
        (noise(0, 4096, np.uint16), "only 12 of its 16 bits"),
        (noise(0, 1024, np.uint16), "only 10 of its 16 bits"),
        (noise(0, 65536, np.uint16), ""),
        (noise(0, 256), ""),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_picture_that_shows_nothing_is_noted(tmp_path: Path, pixels: np.ndarray, says: str, suffix: str) -> None:
    Image.fromarray(pixels).save(tmp_path / f"x.{suffix}")
    notes = decode(tmp_path / f"x.{suffix}").notes
    assert says in "; ".join(notes)
    assert bool(notes) == bool(says)


def test_a_few_odd_pixels_of_a_large_even_picture_do_not_make_it_a_picture() -> None:
    values = np.full((2000, 2000), 50, np.uint8)
    values[7, :20] = np.arange(20) * 12
    table = np.linspace(0, 1, 256)
    assert any("nearly even" in note for note in picture_notes(values, table))


@pytest.mark.parametrize("colour", [0, 255])
def test_a_picture_in_the_alpha_channel_alone_is_noted(tmp_path: Path, colour: int) -> None:
    alpha = np.dstack([np.full((64, 64, 3), colour, np.uint8), noise(0, 256)])
    Image.fromarray(alpha, "RGBA").save(tmp_path / "x.png")
    assert any("transparency" in note for note in decode(tmp_path / "x.png").notes)
    seen = np.dstack([noise(0, 256)] * 3 + [noise(0, 256)])
    Image.fromarray(seen, "RGBA").save(tmp_path / "y.png")
    assert decode(tmp_path / "y.png").notes == ()
