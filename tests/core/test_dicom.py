"""DICOM radiographs: grey levels by the Standard's formulas, every transfer syntax, and what is refused."""

from __future__ import annotations

import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    RLELossless,
)

from reportgen_core import ImageError
from reportgen_core.data.dicom import decoder as dicom_decoder
from reportgen_core.data.dicom import header as dicom_header
from reportgen_core.data.dicom import pixels as dicom
from reportgen_core.data.dicom.header import dicom_facts, is_dicom, read_elements
from reportgen_core.data.images import read_image

RAMP = np.linspace(0, 4095, 48 * 40).reshape(48, 40).astype(np.uint16)  # 12 bits


def made(pixels: np.ndarray, syntax: str = ExplicitVRLittleEndian, **elements: object) -> Dataset:
    """A data set of one grey 12-bit image, with further elements by keyword."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    ds.SOPInstanceUID = "1.2.3"
    ds.Rows, ds.Columns = pixels.shape[:2]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8 * pixels.itemsize, 12, 11
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    ds.PixelData = pixels.astype(pixels.dtype.newbyteorder(">" if syntax == ExplicitVRBigEndian else "<")).tobytes()
    ds["PixelData"].VR = "OW"
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def saved(ds: Dataset, folder: Path, name: str = "chest.dcm") -> Path:
    path = folder / name
    ds.save_as(path, enforce_file_format=True)
    return path


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


def view_code(code: str) -> list[Dataset]:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "SCT", "view"
    return [item]


@pytest.mark.parametrize(
    ("elements", "projection"),
    [
        ({"ViewPosition": "PA"}, "frontal"),
        ({"ViewPosition": "AP"}, "frontal"),
        ({"ViewPosition": "LL"}, "lateral"),
        ({"ViewPosition": "LATERAL", "PatientOrientation": ["L", "F"]}, "lateral"),
        ({"ViewPosition": "Left Lateral"}, "lateral"),
        ({"ViewPosition": "LLAT"}, "lateral"),
        ({"ViewPosition": "AP AXIAL"}, "frontal"),
        ({"ViewPosition": "LEFT LATERAL DECUBITUS"}, "frontal"),
        ({"ViewPosition": "PA", "PatientOrientation": ["A", "F"]}, "lateral"),
        ({"ViewPosition": "PA", "ViewCodeSequence": view_code("399173006")}, "lateral"),
        ({"ViewPosition": "ERECT", "PatientOrientation": ["P", "F"]}, "lateral"),
        ({"ViewPosition": "LAO", "PatientOrientation": ["L", "F"]}, ""),
        ({"ViewCodeSequence": view_code("399348003")}, "frontal"),
        ({"ViewCodeSequence": view_code("399173006")}, "lateral"),
        ({"ViewCodeSequence": view_code("12345")}, ""),
        ({"PatientOrientation": ["L", "F"]}, "frontal"),
        ({"PatientOrientation": ["A", "F"]}, "lateral"),
        ({"PatientOrientation": []}, ""),
        ({"ViewPosition": ""}, ""),
        ({}, ""),
    ],
)
def test_the_header_says_the_projection(tmp_path: Path, elements: dict[str, object], projection: str) -> None:
    assert dicom_facts(saved(made(RAMP, **elements), tmp_path)).projection == projection


def test_nothing_that_identifies_is_parsed_or_shown(tmp_path: Path) -> None:
    path = saved(
        made(RAMP, PatientName="Doe^Jane", PatientID="4711", StudyInstanceUID="1.2.3.4", ViewPosition="PA"), tmp_path
    )
    facts = dicom_facts(path)
    assert not any(secret in repr(facts) + facts.study for secret in ("Doe", "4711", "1.2.3.4", facts.study + "'"))
    with path.open("rb") as file:
        parsed = read_elements(file, path, dicom.ELEMENTS)
    assert not {"PatientName", "PatientID", "StudyInstanceUID"} & set(parsed.dir())


def test_views_of_one_examination_have_one_key(tmp_path: Path) -> None:
    one, two, other = (
        saved(made(RAMP, StudyInstanceUID=uid), tmp_path, f"{i}") for i, uid in enumerate(["1.2", "1.2", "1.3"])
    )
    assert dicom_facts(one).study == dicom_facts(two).study != dicom_facts(other).study
    assert dicom_facts(saved(made(RAMP), tmp_path, "3")).study == ""


def test_patients_are_kept_apart_though_their_examinations_have_one_uid(tmp_path: Path) -> None:
    ids = ["1", "2", "1", "M\xfcller", "M\xf6ller"]
    facts = [
        dicom_facts(
            saved(made(RAMP, StudyInstanceUID="1.2", SpecificCharacterSet="ISO_IR 100", PatientID=id), tmp_path, f"{i}")
        )
        for i, id in enumerate(ids)
    ]
    assert facts[0].study == facts[2].study
    assert len({f.study for f in facts}) == 4


def test_series_and_side_are_facts_of_their_own(tmp_path: Path) -> None:
    same = {"StudyInstanceUID": "1.2", "PatientID": "1"}
    left = dicom_facts(saved(made(RAMP, SeriesInstanceUID="1.3", ImageLaterality="L", **same), tmp_path))
    right = dicom_facts(saved(made(RAMP, SeriesInstanceUID="1.4", Laterality="R", **same), tmp_path))
    assert left.study == right.study
    assert left.series != right.series
    assert (left.laterality, right.laterality) == ("L", "R")


def test_a_header_that_says_two_projections_is_noted(tmp_path: Path) -> None:
    facts = dicom_facts(saved(made(RAMP, ViewPosition="PA", PatientOrientation=["A", "F"]), tmp_path))
    assert facts.notes == (
        "its header contradicts itself (view position PA is frontal, rows towards A is lateral): taken for a lateral view",
    )


def region(meaning: str) -> list[Dataset]:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "T-0", "SRT", meaning
    return [item]


@pytest.mark.parametrize(
    ("elements", "says"),
    [
        ({"Modality": "CT"}, "modality CT: it is no radiograph"),
        ({"Modality": "mr"}, "modality MR"),
        ({"Modality": "US", "BodyPartExamined": "CHEST"}, "modality US"),
        ({"Modality": "MG"}, "modality MG"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "modality CT"),
        ({"Modality": "OT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, "modality MR"),
        ({"Modality": "DX", "BodyPartExamined": "HAND"}, "body part HAND: it is no chest"),
        ({"Modality": "CR", "BodyPartExamined": "Thoracic Spine"}, "body part THORACIC SPINE"),
        ({"BodyPartExamined": "ABDOMEN"}, "body part ABDOMEN"),
        ({"AnatomicRegionSequence": region("Knee")}, "body part KNEE"),
        ({}, ""),
        ({"Modality": "", "BodyPartExamined": ""}, ""),
        ({"Modality": "DX", "BodyPartExamined": "CHEST"}, ""),
        ({"Modality": "CR", "BodyPartExamined": "Thorax PA"}, ""),
        ({"Modality": "RG", "BodyPartExamined": "TORAX"}, ""),
        ({"Modality": "OT", "BodyPartExamined": "UNKNOWN", "AnatomicRegionSequence": region("Lung")}, ""),
        ({"BodyPartExamined": "CHESTABDPELVIS"}, ""),
    ],
)
def test_the_header_says_what_is_no_chest_radiograph(tmp_path: Path, elements: dict[str, object], says: str) -> None:
    reasons = dicom_facts(saved(made(RAMP, **elements), tmp_path)).not_chest
    assert len(reasons) == bool(says)
    assert says in "".join(reasons)


def test_what_a_header_says_is_short_and_printable_in_a_note(tmp_path: Path) -> None:
    path = saved(made(RAMP, BodyPartExamined="HAND"), tmp_path)
    path.write_bytes(path.read_bytes().replace(b"HAND", b"H\x1b[A"))
    (reason,) = dicom_facts(path).not_chest
    assert reason.isprintable()
    assert "\\x1b" in reason
