"""Read the score that a model gave a pair of report and reference, and count what its answers cost."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reportgen_core import DataError
from reportgen_core.errors import quoted

from ...endpoints.asking import content_text, refusal_of

_FENCE = re.compile(r"^\s*```[a-z]*\s*\n(.*?)\n?```\s*$", re.DOTALL)
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """The score of one pair, or why there is none."""

    score: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Scale:
    """The place of the score in an answer, and the numbers that it may be."""

    field: str
    lowest: float
    highest: float

    def read(self, response: Mapping[str, Any]) -> Verdict:
        """Return the verdict of an answer: a number, or a JSON object with the field, also in a fence of Markdown."""
        choice = response["choices"][0]
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(message, dict):
            return Verdict(why="the answer has no message")
        if refusal := refusal_of(choice, message):
            return Verdict(why=f"the model refused: {refusal}")
        if choice.get("finish_reason") == "length":
            return Verdict(why="the answer was cut at the limit of tokens")
        try:
            text = content_text(message.get("content"))
            fenced = _FENCE.match(text)
            return self._checked(json.loads(fenced[1] if fenced else text))
        except DataError as e:
            return Verdict(why=str(e))
        except (ValueError, RecursionError):
            return Verdict(why=f"the answer is no JSON: {quoted(' '.join(text.split()))}")

    def _checked(self, value: Any) -> Verdict:
        number = value.get(self.field) if isinstance(value, dict) else value
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            return Verdict(why=f"the answer has no number {self.field!r}")
        if not self.lowest <= number <= self.highest:
            return Verdict(why=f"the score {number} is not within {self.lowest:g} to {self.highest:g}")
        return Verdict(float(number))


def cost_line(tokens: Mapping[str, int], uncounted: int, prices: tuple[float, float]) -> str:
    """Return what all answers cost and what this run cost; `prices` are those of a million tokens in and out."""
    line = f"tokens in {tokens.get('in', 0):,}, out {tokens.get('out', 0):,}"
    line += f"; sent in this run: in {tokens.get('sent in', 0):,}, out {tokens.get('sent out', 0):,}"
    if any(prices):
        both = [
            (tokens.get(f"{way}in", 0) * prices[0] + tokens.get(f"{way}out", 0) * prices[1]) / MILLION
            for way in ("", "sent ")
        ]
        line += f"; cost {both[0]:.4f}, of this run {both[1]:.4f}, at {prices[0]:g} and {prices[1]:g} a million tokens"
    return line + (f"; {uncounted} answers do not say their tokens" if uncounted else "")
