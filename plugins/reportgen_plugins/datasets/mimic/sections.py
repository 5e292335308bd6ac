r"""Split the reports of MIMIC-CXR into sections, by the rules of MIT-LCP's section parser, written anew.

A header is a line ` NAME: ` in capitals after a space. Each name gets one spelling, and a header that names a view
means findings. Of two sections with one name the last is used. If a report has neither findings nor impression, the
text after the first blank line of the last section is `last_paragraph`.

The original lists each misspelt header; here a misspelt name becomes the nearest known name. The original corrects 54
studies by hand and leaves them out of its table for training; here they are read like the others.
"""

from __future__ import annotations

import difflib
import functools
import re

_HEADER = re.compile(r"\n ([A-Z ()/,-]+):\s")
_NAMES = {
    "findings": ("finding", "findings", "findings and impression", "findings/impression", "impression and findings"),
    "impression": ("impression", "impressions", "conclusion", "conclusions", "opinion", "final impression"),
    "comparison": (
        "comparison",
        "comparisons",
        "comparison study",
        "comparison exam",
        "comparison film",
        "prior study",
    ),
    "indication": ("indication", "indications", "clinical indication", "reason for exam", "reason for examination"),
    "history": ("history", "clinical history", "clinical information", "patient history", "history and indication"),
    "examination": ("examination", "exam", "study", "type of exam", "type of examination"),
    "technique": ("technique", "techniques", "procedure", "procedure comments"),
    "recommendation": ("recommendation", "recommendations"),
    "notification": ("notification", "notifications"),
    "wet read": ("wet read",),
    "addendum": ("addendum",),
}
_KNOWN = {alias: name for name, aliases in _NAMES.items() for alias in aliases}
_VIEW = frozenset({"chest", "portable", "pa", "ap", "lateral", "frontal", "upright", "supine", "cxr"})
_OF_VIEW = _VIEW | {
    "view", "views", "radiograph", "radiographs", "film", "films", "x-ray", "xray", "study", "bedside", "erect", "semi",
    "semi-upright", "semi-erect", "semierect", "single", "one", "two", "and", "of", "the", "a", "with", "right", "left",
    "decubitus",
}  # fmt: skip


@functools.lru_cache(maxsize=4096)
def section_name(header: str) -> str:
    """Return the one spelling of a header: "findings" for "FINDING" and for "PA AND LATERAL"."""
    name = " ".join(header.lower().split())
    words = set(re.findall(r"[a-z-]+", name))
    if words & _VIEW and words <= _OF_VIEW:
        return "findings"
    near = difflib.get_close_matches(name, _KNOWN, n=1, cutoff=0.8)
    return _KNOWN[near[0]] if near else name


def _pieces(report: str) -> list[tuple[str, str]]:
    """Return (header, text) of each section, in order."""
    report = "\n" + report.replace("\r\n", "\n")
    pieces, header = [], _HEADER.search(report)
    while header:
        newline = report.find("\n", header.end() - 1)  # an empty section: the next header starts on this very newline
        after = _HEADER.search(report, newline) if newline >= 0 else None
        pieces.append((header[1], report[header.end() : after.start() if after else len(report)]))
        header = after
    return pieces or [("full report", report)]


def sections(report: str) -> dict[str, str]:
    """Return the sections of a report by name, without repeated blanks and without empty sections."""
    pieces = _pieces(report)
    by_name = {section_name(header): words for header, text in pieces if (words := " ".join(text.split()))}
    if not by_name.keys() & {"findings", "impression"}:
        paragraphs = re.split(r"\n\s*\n", pieces[-1][1].strip(), maxsplit=1)
        if last := " ".join(paragraphs[-1].split()):
            by_name["last_paragraph"] = last
    return by_name
