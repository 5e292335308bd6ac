"""The phantom chest: the same everywhere, boxes where the difference is, studies that say what was drawn."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from reportgen_plugins.datasets.phantom import openi as phantom_openi
from reportgen_plugins.datasets.phantom import phantom
from reportgen_plugins.datasets.phantom.film.canvas import png
from reportgen_plugins.datasets.phantom.film.drawing import film
from reportgen_plugins.datasets.phantom.film.findings import KINDS, LABELS, Finding, rates, sample
from reportgen_plugins.datasets.phantom.film.signs_lateral import SIGNS as SEEN_FROM_THE_SIDE
from reportgen_plugins.metrics.labeler.labeler import Labeler
from reportgen_plugins.metrics.pointing import play

from reportgen_core import Box, DataError, OptionError, Report, Study
from reportgen_core.data.images import read_image
from reportgen_core.registries import datasets
from reportgen_core.types import Attention

SIDEWAYS = {*SEEN_FROM_THE_SIDE, "cardiomegaly", "hypoinflation", "hyperinflation", "diaphragm", "aorta"}


def inside(boxes: tuple[Box, ...], size: int) -> np.ndarray:
    """(size, size) bool, by the definition of Box alone."""
    at = (np.arange(size) + 0.5) / size
    mask = np.zeros((size, size), bool)
    for b in boxes:
        rows, columns = (at > b.top) & (at < b.top + b.height), (at > b.left) & (at < b.left + b.width)
        mask |= rows[:, None] & columns
    return mask


@pytest.mark.parametrize("projection", ["frontal", "lateral"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_finding_changes_pixels_inside_its_box_and_nowhere_else(kind: str, projection: str) -> None:
    size, known = 160, KINDS[kind]
    for number, place in enumerate(known.places[:3]):
        finding = Finding(kind, place, known.degrees[-1])
        without, drawn = film(f"x{number}", 7, [], projection, size), film(f"x{number}", 7, [finding], projection, size)
        changed = np.abs(drawn.image.astype(int) - without.image) > 2  # of 255: the layers fade out below that
        if projection == "lateral" and kind not in SIDEWAYS:
            assert not changed.any() and not drawn.boxes
            continue
        assert changed.sum() >= 4, "it cannot be seen"
        assert not (changed & ~inside(drawn.boxes, size)).any()
        assert [b.label for b in drawn.boxes] == [known.label]
        box = drawn.boxes[0]
        rows, columns = changed.any(1).nonzero()[0], changed.any(0).nonzero()[0]
        assert box.height * size <= np.ptp(rows) + 18 and box.width * size <= np.ptp(columns) + 18, "a loose box"


def test_a_finding_leaves_the_pixels_of_others_as_they_were() -> None:
    nodule, device = Finding("nodule", "right upper lobe"), Finding("pacemaker", "left")
    one, both = film("a", 0, [device], "frontal", 128), film("a", 0, [nodule, device], "frontal", 128)
    far = ~inside(tuple(b for b in both.boxes if b.label == "Nodule"), 128)
    assert (one.image[far] == both.image[far]).all()
    assert one.boxes[0] in both.boxes


def test_right_is_on_the_left_of_the_image() -> None:
    for kind in ("effusion", "pneumothorax", "nodule", "fracture"):
        for place in KINDS[kind].places:
            f = Finding(kind, place, KINDS[kind].degrees[-1])
            (box,) = film("side", 1, [f], "frontal", 96).boxes
            assert (box.left + box.width / 2 < 0.5) == (f.side == "right")


def test_worse_is_larger() -> None:
    for kind in ("cardiomegaly", "effusion", "pneumothorax", "hernia"):
        areas = []
        for degree in KINDS[kind].degrees:
            (box,) = film("worse", 2, [Finding(kind, KINDS[kind].places[0], degree)], "frontal", 128).boxes
            areas.append(box.width * box.height)
        assert areas == sorted(areas) and areas[0] < areas[-1]


def test_lungs_are_dark_and_the_heart_and_belly_are_bright() -> None:
    images = np.stack([film(f"n{i}", 0, [], "frontal", 96).image for i in range(8)]) / 255
    lung, heart, belly, corner = (
        images[:, r, c].mean()
        for r, c in (
            (slice(40, 50), slice(22, 30)),
            (slice(58, 64), slice(50, 58)),
            (slice(86, 91), slice(40, 56)),
            (slice(0, 4), slice(0, 4)),
        )
    )
    assert corner < 0.1 < lung < heart < belly < 0.95 and heart - lung > 0.25


def test_two_reads_are_equal_and_a_larger_set_keeps_its_studies(tmp_path: Path) -> None:
    few = phantom.Phantom(tmp_path / "a", n=6, size=64, seed=3).read()
    again = phantom.Phantom(tmp_path / "a", n=6, size=64, seed=3).read()
    many = phantom.Phantom(tmp_path / "b", n=12, size=64, seed=3).read()
    other = phantom.Phantom(tmp_path / "b", n=6, size=64, seed=4).read()
    assert few == again
    for a, b in zip(few.studies, many.studies, strict=False):
        assert (a.id, a.sections, a.boxes, a.split, a.labels) == (b.id, b.sections, b.boxes, b.split, b.labels)
        assert [v.path.read_bytes() for v in a.views] == [v.path.read_bytes() for v in b.views]
    assert [s.sections for s in other.studies] != [s.sections for s in few.studies]
    assert not list(tmp_path.rglob("*.part"))


def test_a_study_says_what_was_drawn_and_that_it_is_synthetic(tmp_path: Path) -> None:
    found = datasets.get_class("phantom")(tmp_path, n=30, size=64).read()
    assert "SYNTHETIC" in found.audit.source and any("synthetic" in n for n in found.audit.notes)
    for s in found.studies:
        drawn = {f["kind"] for f in s.extra["findings"]}
        assert s.extra["synthetic"] is True and s.extra["normal"] == (not drawn)
        assert {k for k, v in s.labels.items() if v} == {KINDS[k].label for k in drawn} and set(s.labels) == set(LABELS)
        assert s.tags and len(s.extra["mesh"]) == max(1, len(s.extra["findings"]))
        assert [v.projection for v in s.views] == ["frontal", "lateral"]
        frontal = {b.label for b in s.boxes if b.view == 0}
        assert frontal == {KINDS[k].label for k in drawn}
        assert all(b.left >= 0 and b.left + b.width <= 1 and b.top >= 0 and b.top + b.height <= 1 for b in s.boxes)
        assert len(s.extra["sentence_abnormal"]) == s.sections["findings"].count(".")
        flags, sentences = s.extra["sentence_abnormal"], s.sections["findings"].removesuffix(".").split(". ")
        marked = [text + "." for text, flag in zip(sentences, flags, strict=True) if flag]
        assert s.sections.get("abnormal", "") == " ".join(marked)


def test_the_reader_and_other_programs_open_the_images(tmp_path: Path) -> None:
    study = phantom.Phantom(tmp_path, n=1, size=96).read().studies[0]
    raw = study.views[0].path.read_bytes()
    with Image.open(io.BytesIO(raw)) as image:  # Pillow checks every sum of the file
        pixels, comment = np.asarray(image), image.info["Comment"]
    assert pixels.shape == (96, 96) and comment.startswith("PHANTOM: a synthetic drawing")
    assert np.array_equal(np.rint(read_image(study.views[0].path) * 255).astype(np.uint8), pixels)
    letters = pixels[92:97, 1:44]
    assert (letters == 235).sum() > 60, "the mark is on the image"


def test_a_large_image_is_a_whole_png() -> None:
    image = np.arange(700 * 700, dtype=np.uint32).reshape(700, 700).astype(np.uint8)  # more than one stored block
    with Image.open(io.BytesIO(png(image, "x"))) as read:
        assert np.array_equal(np.asarray(read), image)


@pytest.mark.parametrize(
    "damage", [lambda p: p.write_bytes(p.read_bytes()[:200]), lambda p: p.write_bytes(b""), Path.unlink]
)
def test_an_image_that_was_damaged_is_drawn_again(tmp_path: Path, damage) -> None:
    first = phantom.Phantom(tmp_path, n=3, size=64).read()
    path = first.studies[1].views[0].path
    whole = path.read_bytes()
    damage(path)
    assert phantom.Phantom(tmp_path, n=3, size=64).read() == first and path.read_bytes() == whole


def test_splits_are_as_large_as_asked_and_stay(tmp_path: Path) -> None:
    sides = [phantom.side(i, 0.1, 0.2) for i in range(1000)]
    counts = Counter(sides)
    assert abs(counts["test"] - 200) <= 3 and abs(counts["val"] - 100) <= 3
    assert set(sides[:20]) == {"train", "val", "test"}
    read = phantom.Phantom(tmp_path, n=20, size=64, views=1).read()
    assert [s.split for s in read.studies] == sides[:20]


def test_rates_are_kept() -> None:
    drawn = [sample(str(i), 0, rates({"nodule": 0.5, "effusion": 0.0}), 0.25) for i in range(2000)]
    assert abs(sum(not f for f in drawn) / 2000 - 0.25) < 0.04  # four standard errors
    ill = [f for f in drawn if f]
    assert abs(sum(any(x.kind == "nodule" for x in f) for f in ill) / len(ill) - 0.5) < 0.06
    assert not any(x.kind == "effusion" for f in ill for x in f)
    assert {x.kind for f in ill for x in f} == set(KINDS) - {"effusion"}
    for f in ill:
        assert all(x.check() is x for x in f)


def test_abundance_gives_a_study_more_findings_and_one_is_as_without(tmp_path: Path) -> None:
    how = {"n": 40, "size": 64, "views": 1, "normal": 0.0}
    some, same, more = (
        phantom.Phantom(tmp_path, **how, **further).read().studies
        for further in ({}, {"abundance": 1}, {"abundance": 3})
    )
    assert some == same
    counts = [sum(sum(s.labels.values()) for s in studies) / len(studies) for studies in (some, more)]
    assert 1.6 < counts[0] < 3.0 < counts[1]  # 22 kinds at 0.10 on average, at most five of them


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n=0"), ({"size": 10}, "size=10"), ({"views": 3}, "views=3"), ({"n": True}, "n=True"),
        ({"text": "openi"}, "did you mean 'open-i'"), ({"normal": 2}, "normal=2"),
        ({"abundance": 0}, "abundance=0 is a factor"), ({"abundance": True}, "abundance=True is a factor"),
        ({"val": 0.5, "test": 0.5}, "together below 1"), ({"findings": {"nodul": 0.1}}, "did you mean 'nodule'"),
        ({"findings": {"nodule": 3}}, "rate 3 of nodule"), ({"findings": dict.fromkeys(KINDS, 0)}, "every rate is 0"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_named(tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        phantom.Phantom(tmp_path, **options)


def test_a_root_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="cannot be made for the phantom's images"):
        phantom.Phantom(tmp_path / "file", n=1).read()


def test_pointing_finds_the_box_of_a_phantom(tmp_path: Path) -> None:
    mass = Finding("mass", "right upper lobe")
    boxes = film("p", 0, [mass], "frontal", 96).boxes
    study = Study("p", boxes=boxes)
    grid = (1, 12, 12)
    x, y = boxes[0].left + boxes[0].width / 2, boxes[0].top + boxes[0].height / 2
    weights = torch.zeros(1, 144)
    weights[0, int(y * 12) * 12 + int(x * 12)] = 1
    report = Report(
        "p", "Right upper lobe mass.", ("Right upper lobe mass.",), attention=Attention("sentence", weights)
    )
    ((mentioned, hit, *_),) = play(report, study, grid, Labeler(scheme="chestxray14"))
    assert (mentioned, hit) == (1, 1)


def openi_study(id: str, *mesh: str) -> Study:
    return Study(id, extra={"mesh": list(mesh)})


def test_open_i_headings_become_findings() -> None:
    read = phantom_openi.findings(
        openi_study("CXR1", "Cardiomegaly/mild", "Pleural Effusion/bilateral/small", "Nodule/lung/upper lobe/left"), 0
    )
    assert read == (
        Finding("cardiomegaly", "", "mild"), Finding("effusion", "left", "small"), Finding("effusion", "right", "small"),
        Finding("nodule", "left upper lobe"),
    )  # fmt: skip
    assert phantom_openi.findings(openi_study("CXR2", "normal"), 0) == ()
    assert phantom_openi.findings(openi_study("CXR3", "Cardiomegaly", "Sarcoidosis"), 0) is None
    assert phantom_openi.findings(openi_study("CXR4", "Calcinosis/lung/hilum/lymph nodes/right"), 0)[0].side == "right"
    assert phantom_openi.findings(openi_study("CXR5", "Opacity/lung/lingula"), 0) == (Finding("opacity", "lingula"),)


def test_open_i_reports_come_from_the_wheel_with_what_is_drawn_for_them(tmp_path: Path) -> None:
    found = phantom.Phantom(tmp_path, n=12, size=64, views=1, text="open-i").read()
    assert found.audit.studies == 12 and found.audit.dropped["a MeSH heading of it is not drawn"]
    for s in found.studies:
        assert s.id.startswith("CXR") and s.text(("findings", "impression")) and s.extra["synthetic"]
        assert s.extra["licence"]
        for f in s.extra["findings"]:
            Finding(**f).check()
