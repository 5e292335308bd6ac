"""What a model sees of an image that is cropped or padded, compared with where single bright pixels of an image go."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reportgen_core import Attention, Box, ImageSpec, Report, Study, View
from reportgen_core.data.fitting import fit_image, from_window, to_window, window
from reportgen_core.data.image_files import decode, image_size
from reportgen_core.data.images import seen_windows

FITS = [("stretch", 1.0), ("crop", 1.0), ("crop", 0.6), ("square", 1.0), ("keep", 1.0)]
SHAPES = [(400, 640), (640, 400), (500, 500), (301, 897)]
SPEC = {"height": 80, "width": 112}


def found(image: np.ndarray, spec: ImageSpec) -> tuple[float, float] | None:
    """Return where the pixels of a model are bright, as shares of width and height; None if nowhere."""
    values = fit_image(image, spec).astype(float)
    if values.max() < 40:
        return None
    rows, columns = np.arange(spec.height) + 0.5, np.arange(spec.width) + 0.5
    return (values.sum(0) @ columns) / values.sum() / spec.width, (values.sum(1) @ rows) / values.sum() / spec.height


@pytest.mark.parametrize(("fit", "crop"), FITS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_box_goes_where_its_pixels_go_and_back(fit: str, crop: float, shape: tuple[int, int]) -> None:
    spec, (height, width) = ImageSpec(fit=fit, crop=crop, **SPEC), shape
    seen = window(height, width, spec)
    lost = 0
    for x, y in [(x, y) for x in (0.06, 0.3, 0.5, 0.72, 0.94) for y in (0.06, 0.4, 0.5, 0.8, 0.94)]:
        box = Box("a", x - 0.02, y - 0.02, 0.04, 0.04)
        image = np.zeros(shape, np.uint8)
        left, top = round(box.left * width), round(box.top * height)
        image[top : top + round(0.04 * height), left : left + round(0.04 * width)] = 255
        place, ours = found(image, spec), to_window(box, seen)
        if place is None:
            assert ours is None or min(ours.width * spec.width, ours.height * spec.height) < 1.5
            lost += 1
            continue
        assert ours is not None
        middle = ours.left + ours.width / 2, ours.top + ours.height / 2
        assert middle == pytest.approx(place, abs=0.012)
        whole = abs(ours.width * seen[2] - 0.04) < 1e-9 and abs(ours.height * seen[3] - 0.04) < 1e-9
        assert not whole or from_window(*middle, seen) == pytest.approx((x, y), abs=1e-9)
    assert lost == 0 or fit == "crop", "only a crop loses anything"
    assert lost > 0 or fit != "crop" or (crop, shape) == (1.0, (400, 640)), "a crop of about this shape keeps all"


@pytest.mark.parametrize(
    ("fit", "seen"),
    [
        ("stretch", (0, 0, 1, 1)),
        ("square", (0, -0.5, 1, 2)),  # 100 x 200: 50 black rows above and below
        ("keep", (0, -0.5, 1, 2)),
        ("crop", (0.25, 0, 0.5, 1)),
    ],
)
def test_windows_worked_out_by_hand(fit: str, seen: tuple[float, ...]) -> None:
    assert window(100, 200, ImageSpec(40, 40, fit=fit)) == pytest.approx(seen)


def test_the_size_of_an_image_is_that_of_its_upright_pixels(tmp_path: Path) -> None:
    image = Image.fromarray(np.zeros((30, 50), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    image.save(tmp_path / "plain.png")
    for name in ("turned.jpg", "plain.png"):
        assert image_size(tmp_path / name) == decode(tmp_path / name).values.shape
    assert image_size(tmp_path / "turned.jpg") == (50, 30)
    assert seen_windows([tmp_path / "plain.png"], ImageSpec()) == ()
    assert seen_windows([tmp_path / "plain.png"], ImageSpec(30, 30, fit="crop")) == (pytest.approx((0.2, 0, 0.6, 1)),)


def attending(row: int, column: int, path: str, window: tuple[float, ...] | None) -> Report:
    """Return a report of an effusion that attends to one cell of a grid of 1 x 4 x 4."""
    import torch

    regions = torch.zeros(1, 16)
    regions[0, 4 * row + column] = 1
    text = "There is a left pleural effusion."
    return Report(
        "a", text, (text,), attention=Attention("sentence", regions), views=(path,), windows=(window,) if window else ()
    )


def hit(report: Report, study: Study, grid: tuple[int, int, int] | None = (1, 4, 4)) -> tuple[float, ...]:
    from reportgen_plugins.metrics.labeler.labeler import Labeler
    from reportgen_plugins.metrics.pointing import play

    (row,) = play(report, study, grid, Labeler(scheme="chestxray14"))
    return row


def test_pointing_brings_boxes_to_what_a_cropping_encoder_saw() -> None:
    box = Box("Effusion", 0.6, 0.5, 0.14, 0.25)  # of an image twice as wide as high, of which the middle half is seen
    study = Study("a", (View(Path("x.png")),), boxes=(box,))
    seen = (0.25, 0.0, 0.5, 1.0)  # the box is at 0.7 .. 0.98 of what is seen: column 3, and column 2 beyond its middle
    assert hit(attending(2, 3, "x.png", seen), study)[:4] == pytest.approx((1, 1, 0, 0.28 * 0.25))
    assert hit(attending(2, 2, "x.png", seen), study)[1] == 0
    assert hit(attending(2, 2, "x.png", None), study)[1] == 1, "an encoder that stretches sees the box in column 2"
    away = Study("a", (View(Path("x.png")),), boxes=(Box("Effusion", 0.0, 0.0, 0.2, 0.2),))
    assert hit(attending(0, 0, "x.png", seen), away)[:4] == (1, 0, 0, 0), "what is cut off cannot be hit"


def test_boxes_of_a_report_are_shares_of_the_image_whatever_a_model_sees() -> None:
    text, box = "There is a left pleural effusion.", Box("", 0.05, 0.05, 0.1, 0.1)
    study = Study("a", (View(Path("x.png")),), boxes=(Box("Effusion", 0.0, 0.0, 0.2, 0.2),))
    report = Report("a", text, (text,), boxes=((box,),), views=("x.png",), windows=((0.25, 0.0, 0.5, 1.0),))
    assert hit(report, study, None)[:2] == (1, 1)


def test_a_view_is_known_by_its_file_and_not_by_its_number() -> None:
    study = Study(
        "a", (View(Path("side.png"), "lateral"), View(Path("front.png"), "frontal")),
        boxes=(Box("Effusion", 0.5, 0.5, 0.25, 0.25, view=1),),
    )  # fmt: skip
    assert hit(attending(2, 2, "front.png", None), study)[1] == 1, "the model took the frontal view first"
    assert hit(attending(2, 2, "side.png", None), study)[1] == 0


def test_a_model_that_crops_says_what_it_saw(tmp_path: Path) -> None:
    from reportgen_core.testing.parts import tiny_model

    Image.fromarray(np.zeros((60, 120), np.uint8)).save(tmp_path / "x.png")
    model = tiny_model(
        encoder_options={"size": 64, "fit": "crop", "model_args": {"growth_rate": 4, "block_config": [1, 1, 1, 1]}}
    )
    (report,) = model.report([tmp_path / "x.png"], precision="fp32")
    assert report.windows == (pytest.approx((0.25, 0, 0.5, 1)),)
