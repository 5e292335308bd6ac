"""The conformance kit notices a decoder that breaks a promise, and says which promise and what to do."""

from __future__ import annotations

import pytest
from small_decoders import BROKEN, HierLSTM, Sound

from reportgen_core import Entry
from reportgen_core.registries import decoders
from reportgen_core.testing import check_decoder

HIER = {"hidden": 16, "embedding": 16, "tags_used": 2}


@pytest.fixture
def registered(monkeypatch):
    """A function that registers a class for one test and returns its name."""

    def register(kind):
        name = f"test-{kind.__name__.lower()}"
        tiny = HIER if issubclass(kind, HierLSTM) else {}
        entry = Entry(name, f"small_decoders:{kind.__name__}", "a test", tiny=tiny)
        monkeypatch.setitem(decoders._entries(), name, ("this program", entry))
        return name

    return register


def test_a_sound_decoder_passes(registered, tmp_path):
    check_decoder(registered(Sound), tmp_path)


@pytest.mark.parametrize(
    ("kind", "says"),
    [(kind, says) for says, kinds in BROKEN.items() for kind in kinds],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_broken_promise_is_named_with_what_would_keep_it(kind, says, registered, tmp_path):
    with pytest.raises(AssertionError) as noticed:
        check_decoder(registered(kind), tmp_path)
    message = str(noticed.value)
    assert says in message
    assert "\n" not in message and ";" in message, "one line: what is wrong, then the promise"
