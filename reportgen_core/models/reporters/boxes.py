"""Read boxes that models write into their answers, by the notation of the model.

maira-2    <obj>Small left effusion.<box><x60><y70><x85><y92></box></obj>: bins of 0..99 in the square that is cut out
           of the middle of the image. Bannur et al., MAIRA-2: Grounded Radiology Report Generation, 2024.
medgemma   [{"box_2d": [700, 600, 920, 850], "label": "left effusion"}]: y0, x0, y1, x1 in thousandths of the image.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import quoted
from ...types import Box

BINS = 100  # of MAIRA-2, on each axis
THOUSANDTHS = 1000
_PHRASE = re.compile(r"<obj>(.*?)</obj>", re.DOTALL)
_BOX = re.compile(r"<box>(.*?)</box>", re.DOTALL)
_CORNERS = re.compile(r"\s*<x(\d+)>\s*<y(\d+)>\s*<x(\d+)>\s*<y(\d+)>\s*")
_FENCE = re.compile(r"(?:```|~~~)(?:json)?[ \t]*\n?\s*(?=[\[{])|(?<=[\]}])\s*(?:```|~~~)")
_FINAL = re.compile(r"(?:final answer|boxes)\s*:\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Grounded:
    """The texts of an answer in order, each with its boxes, and notes on boxes that could not be read."""

    texts: tuple[tuple[str, tuple[Box, ...]], ...]
    loose: tuple[Box, ...] = ()  # boxes with a label that are not yet given to a sentence
    notes: tuple[str, ...] = ()


def parse_boxes(answer: str, notation: str, size: tuple[int, int] = (1, 1)) -> Grounded:
    """Return an answer without its boxes, and the boxes. `size` is the width and height of the image.

    `notation` is a name in `BOX_NOTATIONS`. A box outside the image or without an area is left out, with a note.
    """
    return BOX_NOTATIONS[notation](answer, size)


def _none(answer: str, size: tuple[int, int]) -> Grounded:
    return Grounded(((answer, ()),))


def _maira_2(answer: str, size: tuple[int, int]) -> Grounded:
    texts: list[tuple[str, tuple[Box, ...]]] = []
    notes: list[str] = []
    at = 0
    for phrase in _PHRASE.finditer(answer):
        texts += [(between, ())] if (between := answer[at : phrase.start()].strip()) else []
        at = phrase.end()
        text = " ".join(_BOX.sub(" ", phrase[1]).split())
        boxes = [_maira_box(box[1], text, size, notes) for box in _BOX.finditer(phrase[1])]
        texts.append((text, tuple(box for box in boxes if box is not None)))
    texts += [(rest, ())] if (rest := answer[at:].strip()) else []
    if "<obj>" in answer[at:] or "<box>" in answer[at:]:
        notes.append("the answer ends inside a box or a phrase")
        texts[-1] = (re.split(r"<obj>|<box>", texts[-1][0])[0 if "<box>" in answer[at:] else -1].strip(), ())
    return Grounded(tuple((text, boxes) for text, boxes in texts if text), notes=tuple(notes))


def _maira_box(corners: str, label: str, size: tuple[int, int], notes: list[str]) -> Box | None:
    """Return one box as shares of the whole image; None, with a note, if it is no box."""
    match = _CORNERS.fullmatch(corners)
    if match is None:
        notes.append(f"box {quoted(corners)} cannot be read")
        return None
    bins = [int(n) for n in match.groups()]
    if max(bins) >= BINS:
        notes.append(f"box {quoted(corners)} lies outside the image")
        return None
    (width, height), side = size, min(size)
    shares = [(n + 0.5) / BINS for n in bins]  # the middle of a bin
    xs = [((width - side) // 2 + x * side) / width for x in shares[::2]]
    ys = [((height - side) // 2 + y * side) / height for y in shares[1::2]]
    return _box(label, xs[0], ys[0], xs[1], ys[1], notes)


def _medgemma(answer: str, size: tuple[int, int]) -> Grounded:
    notes: list[str] = []
    boxes: list[Box] = []
    text, at = "", 0
    bare = _FENCE.sub("", answer)
    for start, end, values in _json_lists(bare):
        boxes += [box for value in values if (box := _medgemma_box(value, notes)) is not None]
        text += _FINAL.sub("", bare[at:start].rstrip())
        at = end
    return Grounded(((text + bare[at:], ()),), tuple(boxes), tuple(notes))


def _json_lists(text: str) -> Iterator[tuple[int, int, list[Any]]]:
    """Yield the places and values of the JSON lists or objects in a text that have a `box_2d`."""
    decoder, at = json.JSONDecoder(), 0
    while match := re.compile(r"[\[{]").search(text, at):
        try:
            value, at_end = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            at = match.end()
            continue
        values = value if isinstance(value, list) else [value]
        if any(isinstance(v, dict) and "box_2d" in v for v in values):
            yield match.start(), at_end, values
        at = at_end


def _medgemma_box(value: Any, notes: list[str]) -> Box | None:
    corners = value.get("box_2d") if isinstance(value, dict) else None
    numbers = isinstance(corners, list) and len(corners) == 4 and all(type(n) in (int, float) for n in corners)
    if not isinstance(corners, list) or not numbers:
        notes.append(f"box {quoted(value)} cannot be read")
        return None
    top, left, bottom, right = (n / THOUSANDTHS for n in corners)
    return _box(str(value.get("label", "")), left, top, right, bottom, notes)


def _box(label: str, left: float, top: float, right: float, bottom: float, notes: list[str]) -> Box | None:
    """Return a box of two corners, shares of the image; None, with a note, if it lies outside or has no area."""
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        notes.append(
            f"box {left:.3g} {top:.3g} {right:.3g} {bottom:.3g} of {quoted(label)} lies outside or has no area"
        )
        return None
    return Box(label, left, top, right - left, bottom - top)


def boxes_of_sentences(sentences: Sequence[str], boxes: Sequence[Box]) -> tuple[list[tuple[Box, ...]], list[Box]]:
    """Give each box to the first sentence with all words of its label. Return them, and the boxes of no sentence."""
    words = [set(re.findall(r"\w+", sentence.lower())) for sentence in sentences]
    taken: list[list[Box]] = [[] for _ in sentences]
    left: list[Box] = []
    for box in boxes:
        label = set(re.findall(r"\w+", box.label.lower()))
        place = next((i for i, own in enumerate(words) if label and label <= own), None)
        (left if place is None else taken[place]).append(box)
    return [tuple(own) for own in taken], left


BOX_NOTATIONS: Mapping[str, Callable[[str, tuple[int, int]], Grounded]] = {
    "none": _none,
    "maira-2": _maira_2,
    "medgemma": _medgemma,
}
