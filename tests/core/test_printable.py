"""Texts of others as one line that a terminal can print, and as JSON that reads the same."""

from __future__ import annotations

import json

import pytest

from reportgen_core.text.printable import escape_json, printable, printable_json, printable_lines

UNSAFE = ["\x1b", "\x07", "\x00", "\x7f", "\x9b", "\u202e", "\u2066", "\u200f", "\u200b", "\ufeff", "\u2028", "\x85",
          "\ud800", "\udcff", "\U000e0041", "\r", "\uffff"]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("small left effusion.", "small left effusion."),
        ("心影增大。 Größe ½ 𝔸 👍", "心影增大。 Größe ½ 𝔸 👍"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("a\xa0b", "a\xa0b"),
        ("red \x1b[31m and a bell \x07", "red \\x1b[31m and a bell \\x07"),
        ("rg: no\nrg: yes", "rg: no\\nrg: yes"),
        ("a\r\n\tb", "a\\r\\n\\tb"),
        ("\u202efdp.exe", "\\u202efdp.exe"),
        ("caf\udce9.png", "caf\\xe9.png"),
        ("\ud83d", "\\ud83d"),
        ("a\U000e0041", "a\\U000e0041"),
        ("", ""),
    ],
)
def test_a_text_is_one_line_that_shows_what_is_in_it(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("sign", UNSAFE, ids=ascii)
def test_no_sign_that_a_terminal_acts_on_is_left(sign: str) -> None:
    for made in (printable(f"a{sign}b"), printable_lines(f"a{sign}b"), printable_json([f"a{sign}b"])):
        assert sign not in made
        assert made.encode()
    assert json.loads(printable_json({f"k{sign}": [sign, 1, None]})) == {f"k{sign}": [sign, 1, None]}
    assert json.loads(escape_json(json.dumps(sign, ensure_ascii=False))) == sign


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    shown = printable("no model named " + "x" * 1_000_000 + "; there are: a, b")
    assert shown.startswith("no model named xxx") and shown.endswith("; there are: a, b")
    assert "… (1,000,032 characters) …" in shown and len(shown) < 2050
    assert len(printable("\x1b" * 1_000_000, 100)) < 150
    assert printable("x" * 5000, None) == "x" * 5000


def test_a_text_of_several_lines_keeps_its_lines_and_tabs() -> None:
    assert printable_lines("a\tb\n\x1b[2Jc\n") == "a\tb\n\\x1b[2Jc\n"


def test_json_stays_indented_and_readable() -> None:
    assert printable_json({"a": "ü\u202e"}, indent=1) == '{\n "a": "ü\\u202e"\n}'
    assert printable_json("ü", ascii=True) == '"\\u00fc"'
    with pytest.raises(ValueError, match="JSON compliant"):
        printable_json(float("nan"), allow_nan=False)
