"""Named rules that make a report of the answer of a model that was trained to chat.

sections   finds FINDINGS, IMPRESSION and other headings, takes the sections that are wanted, and drops markdown,
           text before the first heading, and reasoning between <think> and </think>. Without headings, all of the text.
json       takes the sections from a JSON object, which may be in a fenced block.
none       takes the answer as it is.

A rule is named with its version in every score. The answer itself is kept in `Report.answer`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...text.recipes import with_stop


@dataclass(frozen=True, slots=True)
class Cleaned:
    """The text of an answer, and a note for the reader; "" if there is nothing to note."""

    text: str
    note: str = ""
    problem: str = ""  # why the answer has no report


_HEADINGS = {
    "findings": r"findings?",
    "impression": r"impressions?|conclusions?|assessment",
    "indication": r"indications?|history|clinical (?:history|information|indication)|reason for exam(?:ination)?",
    "technique": r"technique|procedure|views?",
    "comparison": r"comparisons?",
    "examination": r"exam(?:ination)?(?: type)?|study",
    "recommendation": r"recommendations?|follow-?up",
}
_HEADING = re.compile(
    r"^[\s#>*_-]*(?:\d+[.)]\s*)?[*_]*(?:" + "|".join(f"(?P<{name}>{words})" for name, words in _HEADINGS.items()) + r")"
    r"[*_]*\s*(?::[*_]*|$)[ \t]*(?P<rest>.*)$",
    re.IGNORECASE,
)
_THINKING = re.compile(r"<think>.*?(?:</think>|$)", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[^\n]*$", re.MULTILINE)
_FENCED = re.compile(r"(?:```|~~~)(?:json)?\s*\n(.*?)(?:```|~~~)", re.DOTALL)
_RULE = re.compile(r"^[ \t]*(?:[-*_][ \t]*){3,}$", re.MULTILINE)
_TITLE = re.compile(r"^[ \t]*#{1,6}[ \t]+")
_ITEM = re.compile(r"^[ \t]*(?:[-*+•]|\d{1,2}[.)])[ \t]+")
_STRONG = re.compile(r"(\*\*\*|\*\*|__|\*|(?<!\w)_|`)(?=\S)(.+?)(?<=\S)\1(?!\w)", re.DOTALL)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_TABLE = re.compile(r"^[ \t]*\|?[ \t:|-]*-{3,}[ \t:|-]*$", re.MULTILINE)


def plain_text(text: str) -> str:
    """Return a text without the signs of markdown, on one line. An item of a list and a title end with a stop."""
    text = _TABLE.sub("", _RULE.sub("", _FENCE.sub("", text)))
    lines = []
    for line in text.splitlines():
        bare = _ITEM.sub("", _TITLE.sub("", line)).strip().strip("|").strip()
        marked = bool(_ITEM.match(line) or _TITLE.match(line))
        lines.append(with_stop(bare) if marked and bare and bare[-1:] not in ":;,.!?" else bare)
    flat = " ".join(" ".join(lines).split())
    previous = ""
    while previous != flat:  # **bold with *italics* inside**
        previous, flat = flat, _STRONG.sub(r"\2", _LINK.sub(r"\1", flat))
    return flat


def split_sections(text: str) -> dict[str, str]:
    """Return the sections of a text by name, "" for what stands before the first heading."""
    sections: dict[str, list[str]] = {"": []}
    name = ""
    for line in text.splitlines():
        if match := _HEADING.match(line):
            name = next(n for n in _HEADINGS if match[n] is not None)
            sections.setdefault(name, []).append(match["rest"])
        else:
            sections[name].append(line)
    return {n: "\n".join(lines).strip() for n, lines in sections.items() if n or "".join(lines).strip()}


def _by_headings(answer: str, wanted: Sequence[str]) -> Cleaned:
    text = _THINKING.sub("", answer)
    sections = split_sections(_FENCE.sub("", text))
    taken = [plain_text(sections[name]) for name in wanted if name in sections]
    if any(taken):
        return Cleaned(" ".join(filter(None, taken)))
    others = [name for name in sections if name]
    whole = plain_text("\n".join(sections.values()))
    note = f"the answer has no section {' or '.join(wanted)}, only {', '.join(others)}; all of it is used"
    return Cleaned(whole, note if others and whole else "")


def _from_json(answer: str, wanted: Sequence[str]) -> Cleaned:
    text = _THINKING.sub("", answer).strip()
    text = match[1] if (match := _FENCED.search(text)) else text
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return Cleaned("", problem="the answer is no JSON")
    if not isinstance(values, Mapping):
        return Cleaned("", problem="the answer is no JSON object")
    named = {str(key).strip().lower(): value for key, value in values.items()}
    taken = [plain_text(own) for name in wanted if isinstance(own := named.get(name), str) and own.strip()]
    if not taken:
        return Cleaned("", problem=f"the answer is a JSON object without a text {' or '.join(wanted)}")
    return Cleaned(" ".join(taken))


def _as_it_is(answer: str, wanted: Sequence[str]) -> Cleaned:
    return Cleaned(answer.strip())


Cleaning = Callable[[str, Sequence[str]], Cleaned]
CLEANINGS: Mapping[str, tuple[str, Cleaning]] = {  # name: version and rule
    "sections": ("1", _by_headings),
    "json": ("1", _from_json),
    "none": ("1", _as_it_is),
}
