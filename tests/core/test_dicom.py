"""DICOM radiographs: grey levels by the Standard's formulas, in every transfer syntax."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dicom_files import RAMP, made, saved
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    RLELossless,
)

from reportgen_core.data.dicom.header import is_dicom
from reportgen_core.data.images import read_image


def window(values: np.ndarray, center: float, width: float) -> np.ndarray:
    """PS3.3 C.11.2.1.2.1, as it stands there, for an output of 0 to 1."""
    x = values.astype(np.float64)
    return np.clip((x - (center - 0.5)) / (width - 1) + 0.5, 0, 1)


def test_a_window_maps_values_as_the_standard_says(tmp_path: Path) -> None:
    path = saved(made(RAMP, WindowCenter=2048, WindowWidth=1000), tmp_path)
    image = read_image(path)
    assert image.dtype == np.float32
    assert np.allclose(image, window(RAMP, 2048, 1000), atol=1e-6)


def test_of_several_windows_the_first_counts(tmp_path: Path) -> None:
    path = saved(made(RAMP, WindowCenter=[1000, 3000], WindowWidth=[500, 2000]), tmp_path)
    assert np.allclose(read_image(path), window(RAMP, 1000, 500), atol=1e-6)


def test_a_window_is_in_rescaled_units(tmp_path: Path) -> None:
    path = saved(made(RAMP, RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=500, WindowWidth=2000), tmp_path)
    assert np.allclose(read_image(path), window(RAMP * 2.0 - 1000, 500, 2000), atol=1e-6)


def test_a_negative_slope_turns_the_image_round(tmp_path: Path) -> None:
    path = saved(made(RAMP, RescaleSlope=-1, RescaleIntercept=4095, WindowCenter=2048, WindowWidth=1000), tmp_path)
    assert np.allclose(read_image(path), window(4095.0 - RAMP, 2048, 1000), atol=1e-6)


def test_a_sigmoid_window_is_a_sigmoid(tmp_path: Path) -> None:
    ds = made(RAMP, WindowCenter=2048, WindowWidth=1000, VOILUTFunction="SIGMOID")
    hand = 1 / (1 + np.exp(-4 * (RAMP - 2048.0) / 1000))  # PS3.3 C.11.2.1.3.1
    assert np.allclose(read_image(saved(ds, tmp_path)), hand, atol=1e-6)


@pytest.mark.parametrize("width", [0, ""])
def test_a_window_without_width_is_no_window(tmp_path: Path, width: object) -> None:
    path = saved(made(RAMP, WindowCenter=2048, WindowWidth=width), tmp_path)
    assert np.allclose(read_image(path), RAMP / 4095, atol=1e-6)


def test_without_a_window_the_darkest_pixel_is_black_and_the_brightest_white(tmp_path: Path) -> None:
    path = saved(made(np.array([[100, 200], [250, 300]], np.uint16)), tmp_path)
    assert np.allclose(read_image(path), [[0, 0.5], [0.75, 1]])


def lut(first: int, data: list[int], bits: int) -> list[Dataset]:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(data), first, bits])
    item.add_new("LUTData", "US", data)
    item.ModalityLUTType = "US"
    return [item]


def test_a_voi_lut_goes_before_a_window(tmp_path: Path) -> None:
    pixels = np.array([[0, 10, 11, 12, 13, 999]], np.uint16)
    ds = made(pixels, VOILUTSequence=lut(10, [0, 1023, 512, 100], 10), WindowCenter=2048, WindowWidth=1000)
    assert np.allclose(read_image(saved(ds, tmp_path)), np.array([[0, 0, 1023, 512, 100, 100]]) / 1023, atol=1e-6)


def test_a_modality_lut_comes_before_the_window(tmp_path: Path) -> None:
    pixels = np.array([[0, 1, 2, 3]], np.uint16)
    ds = made(pixels, ModalityLUTSequence=lut(0, [3000, 2000, 1000, 0], 16), WindowCenter=1500, WindowWidth=2001)
    hand = window(np.array([[3000, 2000, 1000, 0]]), 1500, 2001)
    assert np.allclose(read_image(saved(ds, tmp_path)), hand, atol=1e-6)


def test_monochrome1_is_turned_round(tmp_path: Path) -> None:
    path = saved(made(RAMP, PhotometricInterpretation="MONOCHROME1", WindowCenter=2048, WindowWidth=1000), tmp_path)
    assert np.allclose(read_image(path), 1 - window(RAMP, 2048, 1000), atol=1e-6)


@pytest.mark.parametrize("signed", [False, True])
def test_bits_above_the_stored_ones_do_not_matter(tmp_path: Path, signed: bool) -> None:
    clean = (RAMP.astype(np.int16) - 2048) if signed else RAMP
    garbage = np.random.default_rng(0).integers(0, 16, RAMP.shape).astype(np.uint16) << 12
    dirty = ((clean.view(np.uint16) & 0x0FFF) | garbage).view(clean.dtype)
    image = read_image(saved(made(dirty, WindowCenter=10, WindowWidth=3000), tmp_path))
    assert np.allclose(image, window(clean, 10, 3000), atol=1e-6)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_does_not_count_for_the_range(tmp_path: Path, photometric: str) -> None:
    pixels = np.array([[4000, 4001, 100], [200, 300, 4002]], np.uint16)
    ds = made(pixels, PhotometricInterpretation=photometric, PixelPaddingValue=4002, PixelPaddingRangeLimit=4000)
    hand = np.array([[0, 0, 0], [0.5, 1, 0]]) if photometric == "MONOCHROME2" else np.array([[0, 0, 1], [0.5, 0, 0]])
    assert np.allclose(read_image(saved(ds, tmp_path)), hand)


def test_colours_become_luma(tmp_path: Path) -> None:
    pixels = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [200, 200, 200]]], np.uint8)
    ds = made(
        pixels, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0, BitsStored=8, HighBit=7
    )
    ds["PixelData"].VR = "OB"
    assert np.allclose(read_image(saved(ds, tmp_path)) * 255, [[76, 150, 29, 200]], atol=0.6)


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    ds = made(np.array([[0, 1], [2, 1]], np.uint8), PhotometricInterpretation="PALETTE COLOR", BitsStored=8, HighBit=7)
    for colour in ("Red", "Green", "Blue"):
        ds.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", [4, 0, 16])
        ds.add_new(f"{colour}PaletteColorLookupTableData", "OW", np.array([0, 0x8000, 0xFFFF, 0], "<u2").tobytes())
    assert np.allclose(read_image(saved(ds, tmp_path)), [[0, 0.5], [1, 0.5]], atol=1e-4)


def lossless_jpeg(pixels: np.ndarray) -> bytes:
    """ITU-T T.81 process 14, predictor 1 (what radiography devices write), with 5-bit codes for all 17 categories."""
    x = pixels.astype(int)
    left = np.hstack([np.vstack([[[1 << 11]], x[:-1, :1]]), x[:, :-1]])  # the first column is predicted from above
    bits = []
    for d in (x - left).ravel():
        size = int(abs(d)).bit_length()
        bits.append(f"{size:05b}" + (f"{d if d > 0 else d + (1 << size) - 1:0{size}b}" if size else ""))
    stream = "".join(bits)
    stream += "1" * (-len(stream) % 8)
    data = int(stream, 2).to_bytes(len(stream) // 8, "big").replace(b"\xff", b"\xff\x00")
    rows, columns = (n.to_bytes(2, "big") for n in x.shape)
    frame = b"\xff\xc3\x00\x0b\x0c" + rows + columns + b"\x01\x01\x11\x00"
    table = b"\xff\xc4\x00\x24\x00" + bytes([0, 0, 0, 0, 17] + [0] * 11) + bytes(range(17))
    return b"\xff\xd8" + frame + table + b"\xff\xda\x00\x08\x01\x01\x00\x01\x00\x00" + data + b"\xff\xd9"


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEG2000Lossless,
        JPEGLosslessSV1,
    ],
)
def test_every_lossless_syntax_gives_the_same_pixels(tmp_path: Path, syntax: str) -> None:
    if syntax in (RLELossless, JPEG2000Lossless):
        ds = made(RAMP)
        ds.compress(syntax)
    elif syntax == JPEGLosslessSV1:
        ds = made(RAMP, syntax)
        ds.PixelData = encapsulate([lossless_jpeg(RAMP)])
        ds["PixelData"].VR = "OB"
    else:
        ds = made(RAMP, syntax)
    assert dcmread(saved(ds, tmp_path)).file_meta.TransferSyntaxUID == syntax
    assert np.allclose(read_image(tmp_path / "chest.dcm"), RAMP / 4095, atol=1e-6)


@pytest.mark.parametrize("name", ["MR_small_jpeg_ls_lossless.dcm", "MR_small_jp2klossless.dcm", "MR_small_RLE.dcm"])
def test_files_of_other_encoders_give_the_pixels_of_their_plain_twin(name: str) -> None:
    plain, compressed = (Path(str(get_testdata_file(n, download=False))) for n in ("MR_small.dcm", name))
    assert np.array_equal(read_image(compressed), read_image(plain))


def test_content_decides_and_not_the_suffix(tmp_path: Path) -> None:
    path = saved(made(RAMP), tmp_path, "chest.png")
    assert is_dicom(path)
    assert np.allclose(read_image(path), RAMP / 4095, atol=1e-6)


@pytest.mark.parametrize("implicit", [True, False])
def test_a_file_without_preamble_is_read(tmp_path: Path, implicit: bool) -> None:
    ds = made(RAMP)
    del ds.file_meta
    ds.save_as(tmp_path / "bare", implicit_vr=implicit, little_endian=True)
    assert np.allclose(read_image(tmp_path / "bare"), RAMP / 4095, atol=1e-6)
