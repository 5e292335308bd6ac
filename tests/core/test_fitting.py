"""Fitting images to an encoder: compared with torchvision and with pixels worked out by hand."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import CenterCrop, InterpolationMode, Pad, Resize

from reportgen_core import ImageSpec, OptionError
from reportgen_core.data.batches import StudyReader, batches, normalise
from reportgen_core.data.fitting import fit_image, fit_picture
from reportgen_core.data.images import cached, prepare, prepare_file, with_picture
from reportgen_core.types import Study, View

GREY = np.random.default_rng(0).integers(0, 256, (41, 67)).astype(np.uint8)


def spec(**values):
    return ImageSpec(**{"height": 32, "width": 32, **values})


@pytest.mark.parametrize("shape", [(41, 67), (67, 41), (50, 50), (20, 90)])
@pytest.mark.parametrize(("crop", "side"), [(1.0, 32), (0.875, 36)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_crop_is_torchvisions_resize_of_the_shorter_side_and_centre_crop(shape, crop, side, interpolation):
    image = np.resize(GREY, shape)
    ours = fit_image(image, spec(fit="crop", crop=crop, interpolation=interpolation))
    mode = InterpolationMode(interpolation)
    theirs = CenterCrop(32)(Resize(side, interpolation=mode)(Image.fromarray(image)))
    ends = (np.array(shape) * side // min(shape) - 32) % 2  # torchvision rounds a half to even, we go down
    if not ends.any():
        assert np.array_equal(ours, np.asarray(theirs))
    assert ours.shape == (32, 32)


def test_square_adds_black_on_both_sides_before_it_is_resized():
    padded = Pad((0, 13))(Image.fromarray(GREY))  # 41 + 26 = 67
    theirs = np.asarray(padded.resize((32, 32), Image.Resampling.BILINEAR))
    assert np.array_equal(fit_image(GREY, spec(fit="square")), theirs)


def test_keep_has_the_whole_image_in_the_middle_and_black_around():
    ours = fit_image(GREY, spec(fit="keep", width=40))
    inner = np.asarray(Image.fromarray(GREY).resize((40, 24), Image.Resampling.BILINEAR))  # 41 * 40 / 67 = 24.5
    assert np.array_equal(ours[4:28], inner)
    assert not ours[:4].any() and not ours[28:].any()


def test_stretch_is_what_it_was():
    theirs = np.asarray(Image.fromarray(GREY).resize((32, 32), Image.Resampling.BILINEAR))
    assert np.array_equal(prepare(GREY, spec()), theirs)


@pytest.mark.parametrize("fit", ["stretch", "crop", "square", "keep"])
def test_a_place_in_the_picture_for_people_is_the_same_place_in_the_pixels_of_the_model(fit):
    image = np.zeros((400, 640), np.uint8)
    image[180:220, 300:340] = 255  # near the middle: no fit cuts it off
    pixels = fit_image(image, spec(fit=fit, height=64, width=64))
    picture = fit_picture(image / 255, spec(fit=fit, height=64, width=64))

    def centre(grey):
        rows, columns = np.nonzero(grey > grey.max() / 2)
        return rows.mean() / grey.shape[0], columns.mean() / grey.shape[1]

    assert centre(pixels) == pytest.approx(centre(picture), abs=0.02)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"fit": "strech"}, "did you mean 'stretch'"), ({"fit": "crop", "crop": 0.0}, "a share from 0.1 to 1"),
        ({"crop": 0.9}, "with fit crop alone"), ({"bits": 12}, "8 or 16 bits, not 12"),
    ],
)  # fmt: skip
def test_a_fit_that_does_not_exist_is_refused(values, says):
    with pytest.raises(OptionError, match=says):
        prepare(GREY, spec(**values))


def test_sixteen_bits_reach_the_encoder_and_the_cache_gives_them_back(tmp_path: Path):
    values = (np.arange(32 * 32).reshape(32, 32) * 60 + 7).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "x.png")
    deep, shallow = spec(bits=16), spec()
    assert np.array_equal(prepare_file(tmp_path / "x.png", deep).pixels, values)
    for _ in range(2):
        assert np.array_equal(cached(tmp_path / "x.png", deep, tmp_path / "cache"), values)
        assert cached(tmp_path / "x.png", shallow, tmp_path / "cache").dtype == np.uint8
    study = Study("x", (View(tmp_path / "x.png"),))
    (batch,) = batches([study], StudyReader(deep), [[0]])
    wanted = (values.astype(np.float64) / 65535 - 0.485) / 0.229
    assert np.allclose(normalise(batch.pixels, deep)[0, 0, 0], wanted, atol=1e-5)
    assert len(torch.unique(normalise(batch.pixels, deep))) > 3 * 900, "not 256 levels"


def test_sixteen_bits_are_equalised_on_all_their_levels_and_resized():
    values = np.random.default_rng(1).integers(1000, 1400, (64, 64)).astype(np.uint16)
    even = prepare(values, spec(bits=16, equalize=True))
    assert even.dtype == np.uint16
    assert len(np.unique(prepare(values, spec(bits=16, equalize=True, height=64, width=64)))) > 300
    flat = np.full((50, 70), 1234, np.uint16)
    assert np.unique(prepare(flat, spec(bits=16, interpolation="bicubic"))).tolist() == [1234]


def test_bytes_and_sixteen_bits_of_one_image_are_the_same_grey():
    deep = prepare(GREY, spec(bits=16)).astype(np.float64) / 65535
    assert np.abs(deep - prepare(GREY, spec()) / 255).max() <= 1 / 255


def test_each_fit_has_its_own_place_in_the_cache(tmp_path: Path):
    Image.fromarray(GREY).save(tmp_path / "x.png")
    specs = [spec(fit=f) for f in ("stretch", "crop", "square", "keep")] + [spec(fit="crop", crop=0.5)]
    first = [cached(tmp_path / "x.png", s, tmp_path / "cache") for s in specs]
    again = [cached(tmp_path / "x.png", s, tmp_path / "cache") for s in specs]
    for one, two, s in zip(first, again, specs, strict=True):
        assert np.array_equal(one, two) and np.array_equal(one, fit_image(GREY, s))


def test_the_picture_of_a_cropped_image_is_cropped(tmp_path: Path):
    Image.fromarray(GREY).save(tmp_path / "x.png")
    assert with_picture(tmp_path / "x.png", spec(fit="crop"), 1000)[1].shape == (41, 41)
    assert with_picture(tmp_path / "x.png", spec(fit="square"), 1000)[1].shape == (67, 67)
    assert with_picture(tmp_path / "x.png", spec(), 1000)[1].shape == GREY.shape


def test_new_fields_are_written_only_if_they_say_something():
    old = {"height", "width", "channels", "mean", "std", "interpolation", "equalize", "views"}
    assert set(spec().to_json()) == old
    assert set(spec(fit="crop", crop=0.9, bits=16).to_json()) == old | {"fit", "crop", "bits"}
    for one in (spec(), spec(fit="keep"), spec(bits=16)):
        values = json.loads(json.dumps(one.to_json()))
        assert ImageSpec(**{**values, "mean": one.mean, "std": one.std}) == one
    assert asdict(replace(spec(), fit="keep"))["fit"] == "keep"
