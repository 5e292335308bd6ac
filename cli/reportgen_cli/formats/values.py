"""Write a report as a text for a reader, and as JSON values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reportgen_core import Report
from reportgen_core.text.printable import printable

if TYPE_CHECKING:
    from reportgen_core.annotation.findings import Annotated

MAX_REPORT = 20_000  # characters of a report that are printed; files have all


def as_text(report: Report, headed: bool, first: bool = True) -> str:
    """Return a report for a reader: the text, the alternatives, and the likeliest tags and findings."""
    lines = [] if first else [""]
    if headed:
        lines.append(f"# {printable(report.study, 300)}")
    lines.append(_one_line(report.text))
    lines += [f"or: {_one_line(other)}" for other in report.alternatives]
    for word, values in (("tags", report.tags), ("findings", report.findings)):
        if values:
            likeliest = [f"{printable(name, 100)} {share:.2f}" for name, share in list(values.items())[:5]]
            lines.append(f"{word}: " + ", ".join(likeliest))
    return "\n".join(lines)


def _one_line(text: str) -> str:
    """Return the text of a report as one line for a reader."""
    return printable(re.sub(r"\s*\n\s*", " ", text), MAX_REPORT)


def as_values(report: Report, attention: bool) -> dict[str, Any]:
    """Return a report as JSON values."""
    plain = ("study", "text", "sentences", "score", "tags", "findings", "alternatives", "views", "note", "problem")
    values: dict[str, Any] = {name: getattr(report, name) for name in plain}
    if report.boxes:
        values["boxes"] = [[asdict(box) for box in own] for own in report.boxes]
    if report.windows:
        values["windows"] = report.windows
    if report.answer:
        values["answer"] = report.answer
    given = report.attention
    if attention and given is not None:
        named = {"regions": given.regions, "tags": given.tags, "words": given.words}
        rows = {name: [[round(v, 5) for v in row] for row in t.tolist()] for name, t in named.items() if t is not None}
        words = {"written": report.words} if given.per == "word" else {}  # a word is a row
        values["attention"] = {
            "per": given.per,
            "tag_names": report.attended_tags,
            "sentences": report.rows,
            **words,
            **rows,
        }
    return values


def named_by_file(values: dict[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """Return the JSON values of a report with its images named without their folders. `paths` are those images."""
    problem = values["problem"]
    for path in paths:
        problem = problem.replace(path, Path(path).name)
    return {**values, "problem": problem, "views": [Path(view).name for view in values["views"]]}


def annotation_values(row: Annotated) -> dict[str, Any]:
    """Return the findings of a row as JSON values; an explained row has its words."""
    findings = {name: round(p, 6) for name, p in row.findings.items()}
    values: dict[str, Any] = {"id": row.id, "findings": findings, "labels": row.labels, "note": row.note}
    if row.words:
        values["words"] = [[word, round(weight, 5)] for word, weight in row.words]
    return values
