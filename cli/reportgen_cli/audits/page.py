"""Write the page of an audit: errors by kind, the commonest errors, and both texts of every study with marked words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from ..pages.shared.frame import escape_text, fill_page
from ..pages.shared.origin import Origin

if TYPE_CHECKING:
    from reportgen_core.scoring.evaluation import Evaluation
    from reportgen_core.types import ScoreLine

HERE = Path(__file__).parent
COMMONEST, EXAMPLES, SENTENCE = 20, 3, 110
KINDS = {  # kind: its sign, and what it means
    "missed": ("−", "in the reference, not in the report"),
    "invented": ("+", "in the report, not in the reference"),
    "contradicted": ("≠", "one text states what the other denies"),
    "wrong side": ("↔", "left in one text, right or both in the other"),
    "wrong place": ("↕", "another part of the lung, bone, or end of a device"),
    "wrong severity": ("±", "another grade or size"),
    "wrong certainty": ("?", "in doubt in one text only"),
    "invented comparison": ("Δ", "compared with an image that the reference does not know"),
    "repeated": ("↻", "said again in another sentence"),
    "self-contradicting": ("⚡", "stated and denied in the report"),
}
Audits = Mapping[str, Mapping[str, Any]]


def audit_page(evaluation: Evaluation, audits: Audits, origin: Origin) -> str:
    """Return the page as HTML."""
    system = evaluation.systems[0]
    lines = {line.name: line for line in system.lines if line.metric == "errors"}
    title = f"Errors of {system.name}, {len(audits):,} {'study' if len(audits) == 1 else 'studies'}"
    body = [
        _summary(lines, audits),
        f'<h2 id="kinds">Errors by kind</h2>{_kind_table(lines, audits)}',
        f'<h2 id="commonest">The {COMMONEST} commonest errors</h2>{_commonest_table(audits)}',
        (HERE / "body.html").read_text(encoding="utf-8"),
    ]
    return fill_page(
        "\n".join(body),
        title=title,
        origin=origin,
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        script=(HERE / "page.js").read_text(encoding="utf-8"),
        data={
            "kinds": {kind: {"sign": sign, "means": means} for kind, (sign, means) in KINDS.items()},
            "studies": [_study(id, values) for id, values in audits.items()],
        },
    )


def _summary(lines: Mapping[str, ScoreLine], audits: Audits) -> str:
    """Return the total as a sentence, and what was not audited or not read."""
    headline = next(iter(lines.values()))
    left_out = [id for id, values in audits.items() if values["note"]]
    unread = sum(len(own) for values in audits.values() for own in values["unread"].values())
    said = [f"{headline.value:.2f} weighted errors per report{_interval(headline)}: {headline.name}."]
    said += (
        [f"{len(left_out)} of {len(audits)} studies were not audited: a text is not in English."] if left_out else []
    )
    said += [f"{unread} clinical sentences were not read; each study lists its own."] if unread else []
    return "".join(f"<p>{escape_text(sentence)}</p>" for sentence in said)


def _interval(line: ScoreLine) -> str:
    return "" if line.low is None or line.high is None else f" (95 % interval {line.low:.2f} to {line.high:.2f})"


def _kind_table(lines: Mapping[str, ScoreLine], audits: Audits) -> str:
    counts: Counter[tuple[str, bool]] = Counter()
    studies: Counter[str] = Counter()
    for values in audits.values():
        counts.update((d["kind"], d["significant"]) for d in values["differences"])
        studies.update({d["kind"] for d in values["differences"]})
    rows = ""
    for kind, (_, means) in KINDS.items():
        line = lines.get(f"errors {kind}")
        each = "–" if line is None else f"{line.value:.2f}<small>{_ends(line)}</small>"
        numbers = (counts[kind, True] + counts[kind, False], counts[kind, True], studies[kind])
        cells = "".join(f"<td>{n:,}</td>" for n in numbers)
        head = f'{_badge(kind)}<span class="means">{escape_text(means)}</span>'
        rows += f'<tr><th scope="row">{head}</th>{cells}<td>{each}</td></tr>'
    head = "".join(f'<th scope="col">{h}</th>' for h in ("errors", "significant", "studies", "per report"))
    caption = "Errors of each kind; per report with 95 % intervals (small)."
    return _table("kinds", caption, f'<th scope="col">kind</th>{head}', rows)


def _ends(line: ScoreLine) -> str:
    return "" if line.low is None or line.high is None else f" {line.low:.2f}–{line.high:.2f}"


def _commonest_table(audits: Audits) -> str:
    """Return the commonest errors: kind, finding and what differs, with words of both texts."""
    counts: Counter[tuple[str, str, str, bool]] = Counter()
    examples: dict[tuple[str, str, str, bool], list[str]] = {}
    for study, values in audits.items():
        for d in values["differences"]:
            key = (d["kind"], d["finding"], d["says"], d["significant"])
            counts[key] += 1
            if len(examples.setdefault(key, [])) < EXAMPLES:
                examples[key].append(_example(study, values, d))
    rows = ""
    for key, n in counts.most_common(COMMONEST):
        kind, finding, says, significant = key
        weight = "" if significant else "<small> minor</small>"
        cells = f"<td>{n:,}</td><td>{escape_text(says)}{weight}</td><td>{''.join(examples[key])}</td>"
        rows += f'<tr><th scope="row">{_badge(kind)} {escape_text(finding)}</th>{cells}</tr>'
    if not rows:
        return "<p>There are no errors.</p>"
    head = "".join(f'<th scope="col">{h}</th>' for h in ("error", "times", "what differs", "examples"))
    return _table("commonest-table", "A study opens below with both texts.", head, rows)


def _example(study: str, values: Mapping[str, Any], difference: Mapping[str, Any]) -> str:
    """Return a study with the sentences of an error, and a button that shows its texts."""
    said = []
    for side, key in (("reference", "reference"), ("report", "prediction")):
        if difference[key]:
            sentence = values["statements"][key][difference[key]["statement"]]["sentence"]
            said.append(f"{side}: “{shorten(sentence, SENTENCE, placeholder='…')}”")
    button = f'<button type="button" class="no-print" data-study="{escape_text(study)}">{escape_text(study)}</button>'
    name = f'<span class="only-print">{escape_text(study)}</span>'
    return f'<div class="example">{button}{name} {escape_text("; ".join(said))}</div>'


def _badge(kind: str) -> str:
    sign, _ = KINDS[kind]
    shown = f'<span aria-hidden="true">{sign}</span> {escape_text(kind)}'
    return f'<span class="badge {kind.replace(" ", "-")}">{shown}</span>'


def _table(id: str, caption: str, head: str, rows: str) -> str:
    table = (
        f"<table><caption>{escape_text(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )
    return f'<div class="scroll" id="{id}-box">{table}</div>'


def _study(id: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page shows of a study: texts, statements as (place, finding), pairs and differences."""
    statements = {side: [_statement(s) for s in own] for side, own in values["statements"].items()}
    return {
        "id": id,
        "reference": values["reference"],
        "prediction": values["prediction"],
        "note": values["note"],
        "unread": values["unread"],
        "statements": statements,
        "pairs": values["pairs"],
        "differences": [
            {
                **{key: d[key] for key in ("kind", "finding", "says", "significant")},
                **{key: _number(d[key]) for key in ("reference", "prediction", "other")},
            }
            for d in values["differences"]
        ],
    }  # fmt: skip


def _statement(values: Mapping[str, Any]) -> Sequence[Any]:
    return [*values["span"], f"{values['finding']}, {values['state']}"]


def _number(place: Mapping[str, Any] | None) -> int | None:
    return None if place is None else int(place["statement"])
