"""Draw an audit in a notebook: both texts with marked words, and a line for each difference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from reportgen_core.text.printable import printable

SIGNS = {
    "missed": "−", "invented": "+", "contradicted": "≠", "wrong side": "↔", "wrong place": "↕", "wrong severity": "±",
    "wrong certainty": "?", "invented comparison": "Δ", "repeated": "↻", "self-contradicting": "⚡",
}  # fmt: skip


def audit_html(values: Mapping[str, Any]) -> str:
    """Return the JSON values of an audit as HTML; colours are those of the notebook."""
    differences = values["differences"]
    if values["note"]:
        return f"<p>{_text(values['note'])}</p>"
    texts = "".join(
        f"<p><b>{title}</b><br>{_marked(values[key], _marks(differences, key))}</p>"
        for title, key in (("Reference", "reference"), ("Report", "prediction"))
    )
    lines = "".join(f"<li>{_line(i, d)}</li>" for i, d in enumerate(differences, 1))
    unread = [*values["unread"]["reference"], *values["unread"]["prediction"]]
    foot = f"<p>Not read: {_text('; '.join(unread))}</p>" if unread else ""
    return f"<div>{texts}<ol>{lines}</ol>{'' if differences else '<p>No differences.</p>'}{foot}</div>"


def _line(number: int, difference: Mapping[str, Any]) -> str:
    weight = "" if difference["significant"] else " (minor)"
    kind = difference["kind"]
    return f"{SIGNS[kind]} <b>{_text(kind)}</b>: {_text(difference['finding'])}, {_text(difference['says'])}{weight}"


def _marks(differences: Iterable[Mapping[str, Any]], key: str) -> list[tuple[int, int, str]]:
    """Return (start, end, label) of the words of the differences in one of the texts."""
    marks = []
    for number, d in enumerate(differences, 1):
        places = [d[key], d["other"] if key == "prediction" else None]
        marks += [(*place["span"], f"{SIGNS[d['kind']]}{number}") for place in places if place]
    return sorted(marks, key=lambda mark: mark[:2])


def _marked(text: str, marks: Sequence[tuple[int, int, str]]) -> str:
    out, at = "", 0
    for start, end, label in marks:
        if end <= at:  # the same words as the mark before
            out += f"<sup> {_text(label)}</sup>"
            continue
        start = max(start, at)
        out += f"{_text(text[at:start])}<mark>{_text(text[start:end])}</mark><sup> {_text(label)}</sup>"
        at = end
    return (out + _text(text[at:])).replace("\n", "<br>")


def _text(text: str) -> str:
    return escape(printable(text))
