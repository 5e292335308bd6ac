"""The parts that all pages share: colours that can be read, a band that says what a page is, and texts that stay texts."""

import re
from itertools import product

import pytest
from reportgen_cli.pages.shared.frame import HERE, fill_page
from reportgen_cli.pages.shared.origin import PURPOSE, Origin, model_origin, today

import reportgen_core

STYLE = (HERE / "base.css").read_text()
GROUNDS = ("paper", "tint", "raised", "key-tint", "warn", "agreed", "missed", "invented", "base")


def colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))


LIGHT, DARK, PRINT = (colours(block) for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL))


def luminance(colour: str) -> float:
    """The relative luminance of WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a: str, b: str) -> float:
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_black_on_white_has_the_greatest_contrast() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("scheme", [LIGHT, DARK, PRINT], ids=["light", "dark", "print"])
def test_every_colour_of_text_meets_aa_on_every_ground(scheme: dict[str, str]) -> None:
    low = {
        (ink, ground): ratio
        for ink, ground in product(("ink", "dim", "key"), GROUNDS)
        if (ratio := contrast(scheme[ink], scheme[ground])) < 4.5
    }
    assert low == {}
    assert contrast(scheme["on-key"], scheme["key"]) >= 4.5


@pytest.mark.parametrize("scheme", [LIGHT, DARK, PRINT], ids=["light", "dark", "print"])
def test_edges_of_controls_and_marks_have_three_to_one(scheme: dict[str, str]) -> None:
    for ground in ("paper", "tint", "raised"):
        assert contrast(scheme["edge"], scheme[ground]) >= 3
    for mark in ("warn", "agreed", "missed", "invented"):
        assert contrast(scheme[f"{mark}-edge"], scheme[mark]) >= 3


def test_the_schemes_name_the_same_colours() -> None:
    assert set(LIGHT) == set(DARK) == set(PRINT)


def test_a_page_says_that_it_is_for_research_and_which_model_wrote_it() -> None:
    origin = Origin(model="densenet.iu_v1", digest="ab12" * 16, date="2026-11-29", demonstration=True)
    page = fill_page("<p>body</p>", title="Scores", origin=origin)
    band = page[page.index('<header class="band">') : page.index("</header>")]
    for part in (PURPOSE, "Model densenet.iu_v1, a demonstration", "sha256 ab12ab12ab12<", "2026-11-29"):
        assert part in band
    assert f"reportgen {reportgen_core.__version__}" in band
    assert page.count("Scores") == 2  # the title of the window, and the heading


def test_no_text_of_a_page_is_taken_for_markup_or_for_a_place_of_the_frame() -> None:
    page = fill_page("$script", title="<b>$data</b>\u202e", origin=Origin(model="<i>"), data={"a": "</script>"})
    assert "<b>" not in page and "<i>" not in page and "\u202e" not in page
    assert "&lt;b&gt;$data&lt;/b&gt;" in page
    assert page.count("</script>") == 3


def test_a_page_loads_nothing_unless_it_is_served() -> None:
    assert "'self'" not in fill_page("", title="a", origin=Origin())
    assert "connect-src 'self'" in fill_page("", title="a", origin=Origin(), served=True)


def test_the_origin_of_a_model_has_its_name_its_hash_and_the_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    origin = model_origin("resnet10t-cvse.phantom_v3")
    assert re.fullmatch("[0-9a-f]{64}", origin.digest)
    assert origin.date == today() == "1970-01-02"
    assert origin.text().startswith(f"{PURPOSE} · Model resnet10t-cvse.phantom_v3")
