"""What a notebook shows of a report, a model, a score and an audit; and the axes of attention."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from reportgen_core import Attention, Audit, Collection, Report, Score, Study, evaluate
from reportgen_core.models.drawing import heat_picture
from reportgen_core.models.reporters.report_list import Reports
from reportgen_core.testing import tiny_model

EVIL = "<script>alert(1)</script>&\x1b[31m"
WEIGHTS = torch.tensor([[0.7, 0.1, 0.1, 0.1], [0.0, 0.0, 0.5, 0.5], [0.25] * 4])


def report(**values: object) -> Report:
    attention = Attention("word", WEIGHTS, grid=(1, 2, 2), spans=((0, 2), (2, 3)))
    image = np.linspace(0, 1, 100).reshape(10, 10)
    given = {"sentences": ("one two", "three"), "attention": attention, "views": ("a.png",), "images": (image,)}
    return Report("s", EVIL, **{**given, **values})


def test_attention_is_an_array_with_named_axes() -> None:
    attention = report().attention
    assert attention.axes == ("words", "views", "rows", "columns") and attention.shape == (3, 1, 2, 2)
    assert np.array_equal(np.asarray(attention), WEIGHTS.numpy().reshape(3, 1, 2, 2))
    assert np.array_equal(attention[0], WEIGHTS[0].numpy().reshape(1, 2, 2))
    assert torch.equal(attention.regions, WEIGHTS) and len(attention) == 3


def test_the_heat_map_of_a_sentence_is_the_mean_of_its_words() -> None:
    heat = report().attention.heatmap(0)
    assert np.allclose(heat, [[0.35, 0.05], [0.3, 0.3]])
    assert np.allclose(report().attention.heatmap(-1), 0.25)
    with pytest.raises(IndexError, match="no sentence 2: the report has 2"):
        report().attention.heatmap(2)
    with pytest.raises(ValueError, match="no place on the image"):
        Attention("sentence", WEIGHTS).heatmap(0)


def test_the_heat_map_of_several_views_is_that_of_the_view_with_most_attention() -> None:
    attention = Attention("sentence", torch.tensor([[0.1, 0.2, 0.3, 0.4]]), grid=(2, 1, 2))
    assert np.allclose(attention.heatmap(0), [[0.3, 0.4]])
    assert np.allclose(attention.heatmap(0, view=0), [[0.1, 0.2]])


def test_even_attention_leaves_the_radiograph_grey_and_strong_attention_is_red() -> None:
    image = np.full((8, 8), 0.5)
    assert np.array_equal(np.asarray(heat_picture(image, np.ones((2, 2)))), np.asarray(heat_picture(image)))
    red = np.asarray(heat_picture(image, np.full((2, 2), 3.0)))[4, 4].astype(int)
    assert red[0] - red[1] > 40


def well_formed(html: str) -> None:
    """Check that every element is closed, in order."""
    stack: list[str] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("img", "meta"):
                stack.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert stack.pop() == tag

    Parser().feed(html)
    assert not stack


def drawn() -> dict[str, object]:
    audit = Audit(EVIL, 1, 2, {EVIL: (EVIL,) * 7}, (EVIL,))
    score = evaluate({"1": "a b"}, {"1": "a b"}, metrics=["bleu"], protocol="raw", resamples=0, name=EVIL)
    return {
        "report": report(tags={EVIL: 0.5}, findings={EVIL: 0.5}, note=EVIL, alternatives=(EVIL,)),
        "reports": Reports([report(), report()]),
        "unreadable": Report(EVIL, "", problem=EVIL),
        "gone": report(images=(), views=(EVIL,)),
        "audit": audit,
        "collection": Collection((Study(EVIL, sections={"findings": EVIL}),), audit),
        "score": Score(EVIL, 0.5, parts={EVIL: 0.1}),
        "evaluation": score,
        "model": tiny_model("resnet50", "lstm"),
    }


@pytest.mark.parametrize("name", drawn())
def test_a_value_draws_itself_and_texts_of_others_are_escaped(name: str) -> None:
    html = drawn()[name]._repr_html_()
    assert "<script" not in html and "\x1b" not in html
    well_formed(html)


def test_the_drawing_of_a_report_has_the_radiograph_and_each_sentence() -> None:
    html = report()._repr_html_()
    assert len(re.findall(r"<img [^>]*data:image/png;base64,", html)) == 3
    assert "one two" in html and "three" in html


def test_show_writes_a_page_that_loads_nothing(tmp_path: Path) -> None:
    page = report().show(tmp_path / "r.html")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>") and "http" not in text


def test_a_list_of_one_report_has_its_attributes() -> None:
    one, two = Reports([report()]), Reports([report(), report()])
    assert one.text == EVIL and one.attention.heatmap(0).shape == (2, 2) and isinstance(one, list)
    with pytest.raises(AttributeError, match=r"these are 2 reports; take one of them: reports\[0\].text"):
        _ = two.text
