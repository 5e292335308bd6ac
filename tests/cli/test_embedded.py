"""Values inside a page."""

import json

import pytest
from reportgen_cli.pages.shared.embedded import embedded_json

SIGNS = "<>&\u2028\u2029"


def test_no_sign_can_end_the_element_or_begin_another() -> None:
    value = {f"</script>{SIGNS}": ["<!-- &amp; ]]>", 'quote " and \\u003c', "胸"]}
    text = embedded_json(value)
    assert not set(SIGNS) & set(text)
    assert json.loads(text) == value
    assert "胸" in text


def test_a_number_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        embedded_json([float("nan")])
