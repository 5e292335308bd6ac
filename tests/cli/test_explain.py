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
from reportgen_cli.pages.explain_page import explain_all, explain_study, page, write_index
from reportgen_cli.pages.shared.origin import Origin
from reportgen_cli.pages.study_pictures import blend, draw_tags

from reportgen_core import Attention, Report, load
from reportgen_core.data.study_files import group_files as images_of
from reportgen_core.testing.parts import tiny_model

ORIGIN = Origin(model="tiny", digest="abcdef0123456789", date="2026-01-02")
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
    steps: list[tuple[int, int]] = []
    explain_study(by_word(views), (2, 2, 2), tmp_path, "s", ORIGIN)
    explain_all(
        by_word(views), (2, 2, 2), {"study": "s"}, tmp_path, "s", ORIGIN,
        lambda done, total: steps.append((done, total)),
    )  # fmt: skip
    assert steps == [(done, 7) for done in range(8)]
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
    explain_all(by_word(views), (2, 2, 2), {}, tmp_path, "s", ORIGIN, lambda done, total: None)
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
    made = page(report, None, [np.zeros((4, 4))], None, ORIGIN)
    assert made.count("</script>") == 3
    assert "<title>&lt;b&gt;</title>" in made
    assert data_of(made)["sentences"][0]["text"] == nasty
    assert not re.findall(r"(?:src|href)\s*=\s*.http|@import|url\(", made)


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
    done = rg("explain", chest, "--model", model, "--beams", 3, "--out", tmp_path / "out", "--all-pictures")
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
    assert {p.name for p in (tmp_path / "pages").iterdir()} == {"chest.html", "chest.png"}
    wrong = rg("report", chest, "--model", model, "--explain", chest)
    assert wrong.code == 1
    assert "is the name of a file, and pictures go into a folder" in wrong.err


def test_chinese_words_are_left_to_the_page_where_no_font_has_them(
    views: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from reportgen_cli.pages import study_pictures as explaining

    monkeypatch.setattr(explaining, "CHINESE", ("No Such Font",))
    assert explaining._caption("心影增大。")[0] == "the page next to this folder has the words"
    assert explaining._caption("the heart")[0] == "the heart"


def test_an_image_is_decoded_once_however_many_pictures_are_made_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from reportgen_core.data import images

    Image.fromarray(np.random.default_rng(1).integers(0, 255, (90, 80), np.uint8)).save(tmp_path / "chest.png")
    decoded: list[Path] = []
    decode = images.decode
    monkeypatch.setattr(
        images, "decode", lambda path, *args, **more: decoded.append(path) or decode(path, *args, **more)
    )
    model = tiny_model()
    [report] = model.iter_reports(images_of([tmp_path / "chest.png"]), picture_side=640)
    explain_study(report, model.encoder.features.grid, tmp_path, "page", ORIGIN)
    explain_all(report, model.encoder.features.grid, {}, tmp_path, "page", ORIGIN, lambda done, total: None)
    assert decoded == [tmp_path / "chest.png"]
    assert report.images[0].shape == (90, 80)


def test_a_model_that_attends_by_word_writes_a_page_and_one_picture_unless_all_are_requested(
    rg: Any, chest: Path, tmp_path: Path
) -> None:
    model = tiny_model(decoder="soft-att", decoder_options=SIZES).save(tmp_path / "model")
    for command in (["explain", "--out"], ["report", "--explain"]):
        place = tmp_path / command[0]
        done = rg(command[0], chest, "--model", model, command[1], place)
        assert done.code == 0, done.err
        assert {p.name for p in place.iterdir()} == {"chest.html", "chest.png"}
        assert f"1 page in {place}; --all-pictures adds" in done.err
    done = rg("explain", chest, "--model", model, "--out", tmp_path / "all", "--all-pictures")
    pictures = {p.name for p in (tmp_path / "all" / "chest").glob("*.png")}
    words = data_of((tmp_path / "all" / "chest.html").read_text())["words"]
    assert len(pictures) == len(words) + len(
        json.loads((tmp_path / "all" / "chest" / "attention.json").read_text())["sentences"]
    )
    assert f"chest: writing {len(pictures)} pictures" in done.err
    refused = rg("report", chest, "--model", model, "--all-pictures")
    assert (refused.code, refused.err) == (1, "rg: --all-pictures belongs to --explain, which writes the pages\n")


@pytest.mark.parametrize("how", [("--dpi", 300), ("--picture-format", "svg")])
def test_all_pictures_come_for_print_or_as_svg(rg: Any, model: Path, chest: Path, tmp_path: Path, how: Any) -> None:
    done = rg("explain", chest, "--model", model, "--out", tmp_path / "out", "--all-pictures", *how)
    assert done.code == 0, done.err
    pictures = [p for p in (tmp_path / "out").rglob("*") if p.suffix in (".png", ".svg")]
    assert {p.stem for p in pictures} >= {"chest", "sentence-01", "tags"}
    for picture in pictures:
        if "svg" in how:
            assert picture.read_text(encoding="utf-8").lstrip().startswith("<?xml") and picture.suffix == ".svg"
        else:
            with Image.open(picture) as image:
                assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    refused = rg("report", chest, "--model", model, *how)
    assert (refused.code, refused.out) == (1, "") and "belong to --explain" in refused.err


def test_the_picture_of_a_long_report_has_a_limit_and_says_so(
    views: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from reportgen_cli.pages import pictures

    drawn: dict[str, Any] = {}
    monkeypatch.setattr(pictures, "draw", lambda panels, title, foot: drawn.update(panels=panels, title=title))
    sentences, rows = tuple(f"w{i}." for i in range(120)), tuple((i, i + 1) for i in range(120))
    attention = Attention("sentence", torch.full((120, 8), 0.125))
    report = Report("s", "", sentences, attention=attention, views=views, rows=rows)
    pictures.explain(report, (2, 2, 2), ORIGIN)
    assert len(drawn["panels"]) == 2 + pictures.MAX_SENTENCES
    assert drawn["title"] == f"the first {pictures.MAX_SENTENCES} of 120 sentences; the page shows all"
    pictures.explain(by_word(views), (2, 2, 2), ORIGIN)
    assert [p.title for p in drawn["panels"][2:]] == ["sentence 1", "word 2"]
    assert drawn["panels"][2].weights.tolist() == [[0.5, 0.5], [0.5, 4.5]]  # the mean of an even word and a sharp one


def test_the_picture_of_the_tags_is_white_where_attention_is_even(views: tuple[str, str]) -> None:
    def middle(shares: list[float]) -> tuple[int, ...]:
        """Return the colour of the largest coloured area of the picture, or white."""
        attention = Attention("sentence", None, torch.tensor([shares]), torch.arange(4))
        report = Report("s", "a.", ("a.",), attention=attention, attended_tags=tuple("wxyz"), views=views)
        pixels = np.asarray(draw_tags(report, ORIGIN).image()).reshape(-1, 3)
        coloured = pixels[np.ptp(pixels.astype(int), axis=1) > 60]
        colours, counts = np.unique(coloured, axis=0, return_counts=True)
        return tuple(colours[counts.argmax()].tolist()) if counts.max(initial=0) > 500 else (255, 255, 255)

    assert middle([0.25] * 4) == (255, 255, 255)
    red, _, blue = middle([0.97, 0.01, 0.01, 0.01])[:3]  # three tags with far less than 1/4 fill most of it: purple
    assert blue > red
    red, _, blue = middle([0.5, 0.5, 0.0001, 0.2])
    assert red > blue, "two tags with twice 1/4 are orange"


def test_a_folder_of_several_studies_has_an_index_with_thumbnails(
    rg: Any, model: Path, chest: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("one.png", "index.png"):
        (folder / name).write_bytes(chest.read_bytes())
    done = rg("explain", folder, "--model", model, "--out", tmp_path / "out")
    assert done.code == 0, done.err
    pages = {p.name for p in (tmp_path / "out").glob("*.html")}
    assert "index.html" in pages and "one.html" in pages and len(pages) == 3, "no study takes the name of the index"
    cards = data_of((tmp_path / "out" / "index.html").read_text())
    assert {c["page"] for c in cards} == pages - {"index.html"}
    assert all(c["thumbnail"].startswith("data:image/jpeg;base64,") for c in cards)
    assert 'href="index.html"' in (tmp_path / "out" / "one.html").read_text()


def test_pages_and_numbers_name_model_hash_date_and_purpose(rg: Any, model: Path, chest: Path, tmp_path: Path) -> None:
    from reportgen_core.models.format import digest

    assert rg("explain", chest, "--model", model, "--out", tmp_path, "--all-pictures").code == 0
    page = (tmp_path / "chest.html").read_text()
    origin = json.loads((tmp_path / "chest" / "attention.json").read_text())["origin"]
    for fact in ("For research. Not a medical device.", f"Model {model.name}", f"sha256 {digest(model)[:12]}", "20"):
        assert fact in page and fact in origin
    assert "Attention is not proof." in page
    for picture in (tmp_path / "chest.png", tmp_path / "chest" / "sentence-01.png"):
        with Image.open(picture) as image:
            assert image.info["Description"] == origin


def test_an_index_of_names_of_others_shows_them_as_text(views: tuple[str, str], tmp_path: Path) -> None:
    nasty = '</script><img src=x onerror="alert(1)">'
    report = Report(nasty, nasty, (nasty,), views=views[:1], note=nasty)
    card = explain_study(report, None, tmp_path, "s", ORIGIN, index="index.html")
    html = write_index([card, card], tmp_path, ORIGIN).read_text()
    assert html.count("</script>") == 3 and data_of(html)[0]["study"] == nasty


@pytest.mark.parametrize("name", ["$x_$", "a\x1b[31mb", "a\udcff", "\\frac$"], ids=ascii)
def test_names_of_others_are_drawn_as_they_are(views: tuple[str, str], tmp_path: Path, name: str) -> None:
    attention = Attention("sentence", torch.full((1, 4), 0.25), torch.ones(1, 1), torch.tensor([0]))
    report = Report(
        name, name, (name,), tags={name: 1.0}, findings={name: 0.9}, attention=attention, attended_tags=(name,),
        views=(f"{tmp_path}/{name}.png",), images=(np.full((40, 40), 0.5),),
    )  # fmt: skip
    explain_study(report, (1, 2, 2), tmp_path, "page", ORIGIN)
    explain_all(report, (1, 2, 2), {}, tmp_path, "page", ORIGIN, lambda done, total: None)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "\x1b" not in page and data_of(page)["sentences"][0]["text"] == name
    assert (tmp_path / "page.png").is_file() and (tmp_path / "page" / "tags.png").is_file()
