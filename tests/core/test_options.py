from __future__ import annotations

import pytest
from reportgen_cli.option_values import parse_options

from reportgen_core import OptionError


def test_values_are_json_where_they_parse_and_text_elsewhere() -> None:
    given = ["a=3", "b=0.5", "c=true", "d=null", 'e=["PA", "AP"]', "f=all", "g=", "h=x=y", "two-words=1"]
    expected = {
        "a": 3,
        "b": 0.5,
        "c": True,
        "d": None,
        "e": ["PA", "AP"],
        "f": "all",
        "g": "",
        "h": "x=y",
        "two_words": 1,
    }
    assert parse_options(given) == expected


@pytest.mark.parametrize("wrong", ["a", "=3", "a b=3", ""])
def test_what_is_no_option_is_named(wrong: str) -> None:
    with pytest.raises(OptionError, match=r"is not written name=value"):
        parse_options([wrong])


def test_an_option_given_twice_is_refused() -> None:
    with pytest.raises(OptionError, match="'a' is given twice"):
        parse_options(["a=1", "a=2"])
