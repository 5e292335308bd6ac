"""The conformance kit notices a part that says it takes context and does not keep what that means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from small_decoders import Sound
from torch import nn

from reportgen_core import Entry, GenerationSettings, PluginError, Report, Reporter, Study, Takes
from reportgen_core.data import Context
from reportgen_core.registries import decoders
from reportgen_core.testing import check_decoder, check_reporter
from reportgen_core.testing.decoders import rows_of


class Reads(Sound):
    """Adds the mean of the words of the indication and the prior report to the state before the first word."""

    takes_context: ClassVar = {"indication": "optional", "prior_report": "optional"}
    given: Sequence[Context] = ()

    def __init__(self, features, targets, *, width: int = 12):
        super().__init__(features, targets, width=width)
        self.told = nn.Linear(width, width, bias=False)

    def vectors(self, like):
        rows = [[i for name in self.takes_context for i in c.words.get(name, ())] for c in self.given]
        rows = rows or [[]] * len(like)
        return torch.stack([self.words(torch.tensor(row)).mean(0) if row else like.new_zeros(12) for row in rows])

    def start(self, features, words=None):
        return torch.tanh(self.pooled(features.pooled) + self.told(self.vectors(features.pooled)))

    def decode(self, features, targets, context=()):
        self.given = context
        return super().decode(features, targets)

    def generate(self, features, settings, context=()):
        written = []
        for b in range(len(features.tokens)):
            self.given = context[b : b + 1]
            written += super().generate(rows_of(features, [b]), settings)
        return written

    def context_note(self, context):
        return ""


class Blind(Reads):
    def vectors(self, like):
        return like.new_zeros(len(like), 12) + 0 * super().vectors(like)


class OfHalf(Reads):
    def vectors(self, like):
        self.given = [c.only(["indication"]) for c in self.given]
        return super().vectors(like)


class Leaks(Reads):
    def vectors(self, like):
        own = super().vectors(like)
        return own.mean(0, keepdim=True).expand_as(own) * (own.abs().sum() > 0)


class NotEmpty(Reads):
    def vectors(self, like):
        return super().vectors(like) + bool(self.given)


class Deaf(Reads):
    def generate(self, features, settings, context=()):
        return super().generate(features, settings)


class Short(Reads):
    def vectors(self, like):
        words = [{name: ids[:8] for name, ids in c.words.items()} for c in self.given]
        self.given = [Context(words=w) for w in words]
        return super().vectors(like)


class Misnamed(Reads):
    takes_context: ClassVar = {"history": "optional"}


@pytest.fixture
def registered(monkeypatch):
    def register(kind):
        name = f"test-context-{kind.__name__.lower()}"
        entry = Entry(name, f"{__name__}:{kind.__name__}", "a test")
        monkeypatch.setitem(decoders._entries(), name, ("this program", entry))
        return name

    return register


def test_a_decoder_that_reads_its_context_passes(registered, tmp_path):
    check_decoder(registered(Reads), tmp_path)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (Blind, "the logits are the same with and without the indication; takes_context names what is read"),
        (OfHalf, "the logits are the same with and without the prior_report"),
        (Leaks, "let no study read the context of another"),
        (NotEmpty, "empty contexts give other losses or logits than no context"),
        (Deaf, "reports and scores are the same with and without the indication; generate reads"),
        (Short, "of 5000 words is cut, and context_note returns nothing"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_broken_promise_is_named(kind, says, registered, tmp_path):
    with pytest.raises(AssertionError) as noticed:
        check_decoder(registered(kind), tmp_path)
    assert says in str(noticed.value) and "\n" not in str(noticed.value)


def test_a_field_that_does_not_exist_is_refused_when_the_model_is_built(registered, tmp_path):
    with pytest.raises(PluginError, match="history: 'optional'; it names fields of Context"):
        check_decoder(registered(Misnamed), tmp_path)


class Writes(Reporter):
    """Writes the indication."""

    takes = Takes(indication="optional")

    def text(self, study: Study) -> str:
        return f"{Context.of(study).indication or 'Nothing'}."

    def iter_reports(self, studies: Sequence[Study], settings: GenerationSettings) -> Iterator[Report]:
        for study in studies:
            yield Report(study.id, self.text(study), (self.text(study),))


class Needs(Writes):
    takes = Takes(indication="required", sex="required")


class Blank(Writes):
    def text(self, study: Study) -> str:
        return f"It says {study.sections['indication']!r}." if "indication" in study.sections else "Nothing."


class Fails(Writes):
    def text(self, study: Study) -> str:
        if "indication" in study.sections:
            raise ValueError("no luck")
        return "Nothing."


@pytest.mark.parametrize("kind", [Writes, Needs])
def test_a_reporter_that_keeps_to_its_context_passes(kind: Any, tmp_path: Path) -> None:
    check_reporter(kind(), tmp_path)


@pytest.mark.parametrize(
    ("kind", "says"), [(Blank, "empty texts of context give other reports"), (Fails, "a context is no problem")]
)
def test_a_reporter_that_does_not_is_named(kind: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=says):
        check_reporter(kind(), tmp_path)
