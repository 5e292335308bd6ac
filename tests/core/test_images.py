"""Image files of every kind to grey, their preparation, and the cache."""

from __future__ import annotations

import errno
import os
import random
import struct
import warnings
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from reportgen_core import ImageError, ImageSpec, OptionError, ShapeError
from reportgen_core.data import images
from reportgen_core.data.image_files import decode
from reportgen_core.data.images import cached, default_cache, equalize, prepare, read_image

GREY = np.random.default_rng(0).integers(0, 256, (31, 23)).astype(np.uint8)
SPEC = ImageSpec(height=16, width=12)


def smooth(height: int, width: int) -> np.ndarray:
    """Broad waves, which JPEG keeps well."""
    y, x = np.mgrid[0:height, 0:width]
    return (127 + 100 * np.sin(x / width * 9) * np.cos(y / height * 7)).astype(np.uint8)


def saved(pixels: np.ndarray | Image.Image, path: Path, **how: object) -> Path:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **how)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "pgm", "webp", "jp2"])
def test_eight_bits_are_divided_by_255(tmp_path: Path, suffix: str) -> None:
    path = saved(GREY, tmp_path / f"x.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    image = read_image(path)
    assert image.dtype == np.float32
    assert np.allclose(image, GREY / 255, atol=1e-6)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "1"])
def test_any_mode_becomes_grey(tmp_path: Path, mode: str) -> None:
    grey = np.where(GREY > 127, 255, 0).astype(np.uint8) if mode == "1" else GREY
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.allclose(
            read_image(saved(Image.fromarray(grey).convert(mode), tmp_path / "x.png")), grey / 255, atol=1e-6
        )


def test_colours_become_luma(tmp_path: Path) -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    hand = [[0.299 * 255, 0.587 * 255, 0.114 * 255]]
    assert np.allclose(read_image(saved(colours, tmp_path / "x.png")) * 255, hand, atol=0.6)
    wide = np.repeat(np.repeat(colours, 32, 0), 32, 1)
    found = read_image(saved(wide, tmp_path / "x.jpg", quality=100, subsampling=0))
    assert np.allclose(found[16, [16, 48, 80]] * 255, hand[0], atol=2)


def test_a_palette_with_transparency_is_read(tmp_path: Path) -> None:
    image = Image.fromarray(GREY).convert("P")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_image(saved(image, tmp_path / "x.png", transparency=bytes(range(256))))
    assert np.allclose(found, GREY / 255, atol=1e-6)


def test_a_cmyk_jpeg_is_read(tmp_path: Path) -> None:
    grey = smooth(64, 64)
    path = saved(
        Image.merge("CMYK", [Image.fromarray(255 - grey)] * 3 + [Image.new("L", (64, 64))]),
        tmp_path / "x.jpg",
        quality=95,
    )
    assert np.abs(read_image(path) * 255 - grey).max() < 8


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_divided_by_65535(tmp_path: Path, suffix: str) -> None:
    deep = np.array([[0, 4095], [32768, 65535]], np.uint16)
    assert np.allclose(read_image(saved(deep, tmp_path / f"x.{suffix}")), deep / 65535, atol=1e-6)


def tiff(pixels: np.ndarray, photometric: int, order: str = "<") -> bytes:
    """A TIFF of one 16-bit strip, by TIFF 6.0."""
    tags = [
        (256, pixels.shape[1]),
        (257, pixels.shape[0]),
        (258, 16),
        (259, 1),
        (262, photometric),
        (273, 8),
        (278, pixels.shape[0]),
    ]
    tags += [(279, pixels.nbytes)]
    data = pixels.astype(order + "u2").tobytes()
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(data))
    entries = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in tags)
    return head + data + struct.pack(order + "H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize(("order", "white_is_zero"), [("<", False), ("<", True), (">", False)])
def test_a_tiff_may_be_of_either_byte_order_and_either_sense(tmp_path: Path, order: str, white_is_zero: bool) -> None:
    deep = np.array([[0, 4095], [32768, 65535]], np.uint16)
    (tmp_path / "x.tif").write_bytes(tiff(deep, 0 if white_is_zero else 1, order))
    hand = 1 - deep / 65535 if white_is_zero else deep / 65535
    assert np.allclose(read_image(tmp_path / "x.tif"), hand, atol=1e-6)


def test_numbers_without_a_range_go_from_the_least_to_the_greatest(tmp_path: Path) -> None:
    path = saved(np.array([[-3, 0], [1, 5]], np.float32), tmp_path / "x.tif")
    assert np.allclose(read_image(path), [[0, 3 / 8], [4 / 8, 1]], atol=1e-4)
    path = saved(np.array([[np.nan, 0], [1, 5]], np.float32), tmp_path / "y.tif")
    with pytest.raises(ImageError, match="no numbers"):
        read_image(path)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_as_its_orientation_says(tmp_path: Path, orientation: int, compression: str | None) -> None:
    grey = np.arange(35, dtype=np.uint8).reshape(5, 7)
    path = saved(grey, tmp_path / "x.tif", tiffinfo={274: orientation}, compression=compression)
    turned = {1: grey, 2: grey[:, ::-1], 3: np.rot90(grey, 2), 4: grey[::-1], 5: grey.T, 6: np.rot90(grey, -1)}
    turned |= {7: np.rot90(grey, 2).T, 8: np.rot90(grey)}
    assert np.array_equal(np.rint(read_image(path) * 255), turned[orientation])


@pytest.mark.parametrize(("orientation", "turn"), [(3, 2), (6, 3), (8, 1)])
def test_the_camera_orientation_is_honoured(tmp_path: Path, orientation: int, turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(smooth(64, 96), tmp_path / "x.jpg", quality=100, exif=exif)
    plain = read_image(saved(smooth(64, 96), tmp_path / "y.jpg", quality=100))
    assert np.array_equal(read_image(path), np.rot90(plain, turn))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize("side", [9_500, 30_000, 2**31 - 1])
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, side: int) -> None:
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with pytest.raises(ImageError, match="80,000,000"):
            read_image(tmp_path / "bomb.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "webp", "jp2", "pgm"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_truncated_file_names_itself(tmp_path: Path, suffix: str, share: float) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (128, 128)).astype(np.uint8)
    path = saved(noise, tmp_path / f"cut.{suffix}")
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    with pytest.raises(ImageError, match=r"cannot read .*cut\."):
        read_image(path)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_each_unreadable_thing_says_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("The lungs are clear.")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    pages = [Image.fromarray(GREY)] * 3
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    told = {
        "empty.png": "is empty",
        "text.png": "it is no PNG, JPEG",
        "pipe.png": "no regular file",
        "folder.png": "is a folder",
        "pages.tif": "3 pages",
        "absent.png": "no such file",
        "null\0.png": "null byte",
    }
    for name, why in told.items():
        with pytest.raises(ImageError) as e:
            read_image(tmp_path / name)
        assert why in str(e.value)
        assert str(tmp_path / name) in str(e.value)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "webp", "jp2", "pgm"])
def test_damage_anywhere_is_an_image_error_or_an_image(tmp_path: Path, suffix: str) -> None:
    path, dice = saved(GREY, tmp_path / f"x.{suffix}"), random.Random(0)
    raw = path.read_bytes()
    for _ in range(60):
        hurt = bytearray(raw[: dice.randint(1, len(raw))] if dice.random() < 0.3 else raw)
        for _ in range(dice.choice([1, 4])):
            hurt[dice.randrange(min(len(hurt), dice.choice([100, 10_000])))] = dice.randrange(256)
        path.write_bytes(hurt)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            told, image = outcome(path)
        assert "\n" not in told
        assert 0 <= image.min() <= image.max() <= 1


def outcome(path: Path) -> tuple[str, np.ndarray]:
    """The error there is, if any, and the image there is, if any."""
    try:
        return "", read_image(path)
    except ImageError as e:
        return str(e), np.zeros(1)


def test_equalisation_is_the_formula_by_hand() -> None:
    image = np.array([[10, 10, 20, 20], [20, 30, 30, 200]], np.uint8)
    # cdf: 10 -> 2, 20 -> 5, 30 -> 7, 200 -> 8; cdf_min 2, n 8: 255 (cdf - 2) / 6
    hand = {10: 0, 20: 127.5, 30: 212.5, 200: 255}
    assert np.array_equal(equalize(image), np.vectorize(lambda v: round(hand[v]))(image))


def test_an_even_image_is_not_equalised() -> None:
    even = np.full((4, 4), 77, np.uint8)
    assert np.array_equal(equalize(even), even)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_resizing_is_antialiased_and_does_not_keep_the_aspect(interpolation: str) -> None:
    grey = smooth(300, 200)
    found = prepare(grey, replace(SPEC, interpolation=interpolation))
    other = torch.nn.functional.interpolate(
        torch.from_numpy(grey)[None, None].float(), (16, 12), mode=interpolation, antialias=True
    )
    assert found.shape == (16, 12)
    assert found.dtype == np.uint8
    assert np.abs(found - other[0, 0].numpy()).max() <= 1


def test_floats_and_bytes_prepare_alike() -> None:
    assert np.array_equal(prepare(GREY, SPEC), prepare(GREY.astype(np.float32) / 255, SPEC))


def test_equalisation_comes_before_resizing() -> None:
    spec = replace(SPEC, equalize=True)
    assert np.array_equal(prepare(GREY, spec), prepare(equalize(GREY), SPEC))


@pytest.mark.parametrize(
    "image", [GREY.astype(np.float32), np.full((3, 3), np.nan), np.zeros((3, 3, 3)), np.zeros((0, 4))]
)
def test_what_is_no_grey_image_is_not_prepared(image: np.ndarray) -> None:
    with pytest.raises(ShapeError):
        prepare(image, SPEC)


@pytest.mark.parametrize(
    "spec", [replace(SPEC, interpolation="bilinaer"), replace(SPEC, height=0), replace(SPEC, width=10**9)]
)
def test_a_spec_nobody_can_follow_is_refused(spec: ImageSpec) -> None:
    with pytest.raises(OptionError, match=r"did you mean 'bilinear'|are requested"):
        prepare(GREY, spec)


def test_the_quick_way_gives_what_reading_and_preparing_give(tmp_path: Path) -> None:
    deep = np.random.default_rng(2).integers(0, 65536, (40, 30)).astype(np.uint16)
    for path in (
        saved(GREY, tmp_path / "8.png"),
        saved(deep, tmp_path / "16.png"),
        saved(smooth(20, 20), tmp_path / "x.jpg"),
    ):
        assert np.array_equal(cached(path, SPEC, None), prepare(read_image(path), SPEC))


def test_a_large_jpeg_is_decoded_smaller_and_looks_the_same(tmp_path: Path) -> None:
    path = saved(smooth(800, 600), tmp_path / "x.jpg", quality=90)
    assert decode(path, least=2 * 16).values.shape == (100, 75)  # the eighth part, still above 32
    close = np.abs(cached(path, SPEC, None).astype(int) - prepare(read_image(path), SPEC))
    assert close.max() <= 3
    whole = replace(SPEC, equalize=True)  # needs the histogram of the whole image
    assert np.array_equal(cached(path, whole, None), prepare(read_image(path), whole))


def test_the_cache_spares_the_second_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, cache = saved(GREY, tmp_path / "x.png"), tmp_path / "cache"
    first = cached(path, SPEC, cache)
    monkeypatch.setattr(images, "_prepared", lambda *_: pytest.fail("decoded again"))
    assert np.array_equal(cached(path, SPEC, cache), first)
    # what does not change the bytes shares them
    assert np.array_equal(cached(path, replace(SPEC, channels=1, mean=(0.5,), std=(0.2,), views=2), cache), first)


def test_the_cache_tells_files_and_specs_apart(tmp_path: Path) -> None:
    cache, path = tmp_path / "cache", saved(smooth(60, 60), tmp_path / "x.png")
    specs = [SPEC, replace(SPEC, height=18), replace(SPEC, interpolation="nearest"), replace(SPEC, equalize=True)]
    for spec in specs + specs:
        assert np.array_equal(cached(path, spec, cache), prepare(read_image(path), spec))
    other = saved(255 - smooth(60, 60), tmp_path / "x.png")
    os.utime(other, ns=(1, 1))
    assert np.array_equal(cached(other, SPEC, cache), prepare(read_image(other), SPEC))


def test_a_cached_image_is_a_plain_npy_file(tmp_path: Path) -> None:
    first = cached(saved(GREY, tmp_path / "x.png"), SPEC, tmp_path / "cache")
    (file,) = (f for f in (tmp_path / "cache").rglob("*") if f.is_file())
    assert np.array_equal(np.load(file, allow_pickle=False), first)


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-1], lambda raw: raw + b"x", lambda raw: bytes(len(raw)), lambda _: b""]
)
def test_a_damaged_cache_file_is_made_again(tmp_path: Path, damage: object) -> None:
    path, cache = saved(GREY, tmp_path / "x.png"), tmp_path / "cache"
    first = cached(path, SPEC, cache)
    (file,) = (f for f in cache.rglob("*") if f.is_file())
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert np.array_equal(cached(path, SPEC, cache), first)
    assert file.read_bytes() == whole


def test_a_cache_that_cannot_be_written_warns_once_and_gives_the_image(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    path = saved(GREY, tmp_path / "x.png")
    with pytest.warns(RuntimeWarning, match="images are not kept in") as caught:
        found = [cached(path, SPEC, tmp_path / "cache") for _ in range(3)]
    assert all(np.array_equal(image, prepare(GREY, SPEC)) for image in found)
    (told,) = (warning for warning in caught if "images are not kept in" in str(warning.message))
    assert told.filename == __file__


def test_a_full_disk_leaves_no_rest_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.warns(RuntimeWarning, match="No space left"):
        cached(saved(GREY, tmp_path / "x.png"), SPEC, tmp_path / "cache")
    assert not [f for f in (tmp_path / "cache").rglob("*") if f.is_file()]


def test_an_unreadable_file_is_an_image_error_with_a_cache_too(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such file"):
        cached(tmp_path / "absent.png", SPEC, tmp_path / "cache")


def test_the_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/jane")
    monkeypatch.delenv("REPORTGEN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/ones/are/ignored")
    assert default_cache() == Path("/home/jane/.cache/reportgen/images")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert default_cache() == Path("/xdg/reportgen/images")
    monkeypatch.setenv("REPORTGEN_CACHE", "/own")
    assert default_cache() == Path("/own/images")
