"""`rg explain`: a page, a picture of each sentence and word, and the numbers, for models that look in different ways."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from reportgen_cli.pages.explain_page import blend, explain_study, page
from reportgen_cli.pages.pictures import explain

from reportgen_core import Attention, Report, load
from reportgen_core.data.study_files import group_files as images_of
from reportgen_core.testing.parts import tiny_model

SIZES = {"hidden": 8, "embedding": 8}


@pytest.fixture
def views(tmp_path: Path) -> tuple[str, str]:
    paths = []
    for name, grey in (("front", 140), ("side", 90)):
        Image.fromarray(np.full((96, 80), grey, np.uint8)).save(tmp_path / f"{name}.png")
        paths.append(str(tmp_path / f"{name}.png"))
    return paths[0], paths[1]


def by_word(views: tuple[str, ...]) -> Report:
    """Two sentences of two words with a mark between them; the second word looks at the front's lower right."""
    words = ("no", "effusion", ".", "large", "heart")
    regions = torch.full((5, 8), 0.125)
    regions[1] = torch.tensor([0.0, 0, 0, 1, 0, 0, 0, 0])
    reads = torch.tensor([[0.1, 0.6, 0.1, 0.1, 0.1], [0.2, 0.2, 0.2, 0.2, 0.2]])
    looked = Attention("word", regions, words=reads)
    said = ("no effusion.", "large heart.")
    return Report("s", " ".join(said), said, attention=looked, views=views, words=words, rows=((0, 2), (3, 5)))


def data_of(text: str) -> Any:
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)
    assert found
    return json.loads(found[1])


def test_a_model_that_looks_by_word_has_a_picture_a_word_and_a_sentence(views: tuple[str, str], tmp_path: Path) -> None:
    explain_study(by_word(views), (2, 2, 2), {"study": "s"}, tmp_path, "s")
    names = {p.name for p in (tmp_path / "s").iterdir()}
    assert names == {
        "attention.json", "attention.npz", *(f"sentence-0{i}.png" for i in (1, 2)),
        *(f"word-0{i}.png" for i in range(1, 6)),
    }  # fmt: skip
    with np.load(tmp_path / "s" / "attention.npz", allow_pickle=False) as arrays:
        assert arrays["regions"].shape == (5, 2, 2, 2)
        assert arrays["regions"][1, 0, 1, 1] == 1
        assert arrays["words"].shape == (2, 5)
    data = data_of((tmp_path / "s.html").read_text())
    assert data["words"] == ["no", "effusion", ".", "large", "heart"]
    assert [s["words"] for s in data["sentences"]] == [[0, 1], [3, 4]]
    assert data["regions"][1] == [0, 0, 0, 8, 0, 0, 0, 0]  # eight regions: eight times an even look
    assert data["reads"][0] == pytest.approx([0.5, 3, 0.5, 0.5, 0.5])  # five words
    assert data["top"] == 8
    assert [i["name"] for i in data["images"]] == ["front.png", "side.png"]


def red(picture: Image.Image) -> np.ndarray[Any, Any]:
    """How much redder than grey each pixel is."""
    rgb = np.asarray(picture, np.int16)
    return rgb[..., 0] - rgb[..., 2]


def test_the_picture_of_a_word_is_red_where_the_model_looked_and_grey_elsewhere(
    views: tuple[str, str], tmp_path: Path
) -> None:
    explain_study(by_word(views), (2, 2, 2), {}, tmp_path, "s")
    shown = red(Image.open(tmp_path / "s" / "word-02.png"))[:480]
    assert shown[420, 360] == 56  # the front's lower right: 0.62 of the red end, (128, 0, 38)
    assert np.abs(shown[:100, :100]).max() <= 2
    assert np.abs(shown[:, 410:800]).max() <= 2  # the side
    assert np.abs(red(Image.open(tmp_path / "s" / "word-04.png"))[:480, :800]).max() <= 2


def test_the_overlay_lies_on_the_image(views: tuple[str, str]) -> None:
    look = np.zeros((4, 4))
    look[0, 3] = 16
    shown = blend(np.full((80, 60), 0.5), look, 16.0)
    assert shown.shape == (80, 60, 3)
    peak = np.unravel_index((shown[..., 0].astype(int) - shown[..., 2]).argmax(), (80, 60))
    assert peak[0] < 20 and peak[1] >= 45


def test_a_page_cannot_be_broken_out_of(views: tuple[str, str]) -> None:
    nasty = "</script><script>alert(1)</script> $title"
    report = Report("<b>", nasty, (nasty,), views=views[:1])
    made = page(report, None, [np.zeros((4, 4))], None)
    assert made.count("</script>") == 2
    assert "<title>&lt;b&gt;</title>" in made
    assert data_of(made)["sentences"][0]["text"] == nasty
    assert "http://" not in made and "https://" not in made


@pytest.mark.parametrize(
    ("decoder", "options", "writes"),
    [
        ("hier-lstm", {**SIZES, "tags_used": 2}, {"sentence-01.png", "tags.png"}),
        ("soft-att", SIZES, {"word-01.png", "sentence-01.png"}),
        ("att-rk", {"hidden": 8, "tags_used": 2}, {"tags.png"}),
        ("lstm", SIZES, set()),
    ],
)
def test_any_model_is_explained_with_any_beam(
    rg: Any, chest: Path, tmp_path: Path, decoder: str, options: dict[str, Any], writes: set[str]
) -> None:
    model = tiny_model(decoder=decoder, decoder_options=options).save(tmp_path / "model")
    assert load(model).report([chest])[0].text
    done = rg("explain", chest, "--model", model, "--beams", 3, "--out", tmp_path / "out")
    assert done.code == 0, done.err
    names = {p.name for p in (tmp_path / "out" / "chest").iterdir()}
    assert writes | {"attention.npz", "attention.json"} <= names
    if not writes:
        assert not [n for n in names if n.endswith(".png")]
    data = data_of((tmp_path / "out" / "chest.html").read_text())
    values = json.loads((tmp_path / "out" / "chest" / "attention.json").read_text())
    assert [s["text"] for s in data["sentences"]] == values["sentences"]
    assert " ".join(values["sentences"]) == done.out.splitlines()[0]


def test_report_explains_into_a_folder_of_its_own(rg: Any, model: Path, chest: Path, tmp_path: Path) -> None:
    done = rg("report", chest, "--model", model, "--explain", tmp_path / "pages")
    assert done.code == 0
    assert {p.name for p in (tmp_path / "pages").iterdir()} == {"chest.html", "chest.png", "chest"}
    wrong = rg("report", chest, "--model", model, "--explain", chest)
    assert wrong.code == 1
    assert "is a file, and pictures go into a folder" in wrong.err


def test_chinese_words_are_left_to_the_page_where_no_font_has_them(
    views: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from reportgen_cli.pages import explain_page as explaining

    monkeypatch.setattr(explaining, "CHINESE", ("No Such Font",))
    assert explaining._caption("心影增大。", 15)[0] == "the page beside this folder has the words"
    assert explaining._caption("the heart", 15)[0] == "the heart"


def test_an_image_is_decoded_once_however_many_pictures_are_made_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from reportgen_core.data import images

    Image.fromarray(np.random.default_rng(1).integers(0, 255, (90, 80), np.uint8)).save(tmp_path / "chest.png")
    decoded: list[Path] = []
    stored = images._stored
    monkeypatch.setattr(
        images, "_stored", lambda path, *args, **more: decoded.append(path) or stored(path, *args, **more)
    )
    model = tiny_model()
    [report] = model.iter_reports(images_of([tmp_path / "chest.png"]), picture_side=640)
    explain(report, model.encoder.features.grid)
    explain_study(report, model.encoder.features.grid, {}, tmp_path, "page")
    assert decoded == [tmp_path / "chest.png"]
    assert report.images[0].shape == (90, 80)
