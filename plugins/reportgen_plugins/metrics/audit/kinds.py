"""The kinds of differences between a report and its reference, and how much each weighs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from .attributes import word_tables
from .statements import Statement

Kind = Literal[
    "missed", "invented", "contradicted", "wrong side", "wrong place", "wrong severity", "wrong certainty",
    "invented comparison", "repeated", "self-contradicting",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
MEANINGS: dict[Kind, str] = {
    "missed": "the reference has this statement, the report does not",
    "invented": "the report has this statement, the reference does not",
    "contradicted": "one text states what the other denies, or says better where the other says worse",
    "wrong side": "left in one text, right or both in the other",
    "wrong place": "another part of the lung, another bone, or another end of a device",
    "wrong severity": "another grade, or a size that differs by more than a quarter",
    "wrong certainty": "in doubt in one text only",
    "invented comparison": "the report compares with an earlier image, and nothing in the reference does",
    "repeated": "the report says it again in another sentence",
    "self-contradicting": "the report states and denies it",
}
GRADES = ("mild", "moderate", "severe")
SIZES_DIFFER, SIZES_FAR_APART = 1.25, 2.0  # times


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: its kind, whether it is clinically significant, and the statement of each text."""

    kind: Kind
    finding: str
    significant: bool
    reference: Statement | None  # None: the reference says nothing of it
    report: Statement | None
    says: str  # what differs, in a few words: "left in the reference, right in the report"


def difference(kind: Kind, reference: Statement | None, report: Statement | None) -> Difference:
    """Return a difference of a kind. At least one statement is given."""
    one = report or reference
    assert one is not None
    significant = one.finding not in minor_findings() and _is_significant(kind, reference, report)
    return Difference(kind, one.finding, significant, reference, report, _says(kind, reference, report))


def minor_findings() -> frozenset[str]:
    """Return the findings whose differences are all minor."""
    return _MINOR


_MINOR = frozenset(word_tables()["minor"]["findings"])


def grades(statement: Statement) -> set[str]:
    """Return the grades of a statement with those between them: "mild to severe" is moderate as well."""
    if not statement.severity:
        return set()
    places = [GRADES.index(g) for g in statement.severity]
    return set(GRADES[min(places) : max(places) + 1])


def sizes_apart(one: Statement, other: Statement, factor: float) -> bool:
    """Whether both statements have a size and one is more than `factor` times the other."""
    sizes = sorted((one.size, other.size))
    return bool(sizes[0]) and sizes[1] > factor * sizes[0]


def _is_significant(kind: Kind, reference: Statement | None, report: Statement | None) -> bool:
    """Return whether a difference of a finding that matters is clinically significant."""
    one = report or reference
    assert one is not None
    if kind in ("missed", "invented"):
        return one.state in ("stated", "uncertain") and not one.finding.startswith("other")
    if kind == "invented comparison":
        return one.change in ("worse", "better", "new", "resolved")
    if kind == "wrong severity":
        assert reference is not None
        assert report is not None
        extremes = grades(reference) | grades(report) == {"mild", "severe"}
        return extremes or sizes_apart(reference, report, SIZES_FAR_APART)
    if kind == "self-contradicting":
        return one.state == "denied"  # what is stated against a denial is invented as well, and weighs there
    return kind in ("contradicted", "wrong side", "wrong place")


def _says(kind: Kind, reference: Statement | None, report: Statement | None) -> str:
    if reference is None or report is None:
        one = report or reference
        assert one is not None
        return describe(one)
    if kind == "self-contradicting":
        return f"{reference.state} and {report.state} in the report"
    if kind == "invented comparison":
        return f"{report.change} in the report"
    values = {
        "wrong side": (reference.side, report.side),
        "wrong place": (_place(reference), _place(report)),
        "wrong severity": (_severity(reference), _severity(report)),
    }
    ours, theirs = values.get(kind, (reference.state, report.state))
    if kind == "contradicted" and ours == theirs:
        ours, theirs = reference.change, report.change
    return f"{ours or 'not said'} in the reference, {theirs or 'not said'} in the report"


def _place(statement: Statement) -> str:
    return ", ".join((*statement.position, *(p.partition(" ")[2] for p in statement.place)))


def _severity(statement: Statement) -> str:
    size = f"{statement.size:g} mm" if statement.size else ""
    return " ".join(part for part in (" to ".join(statement.severity), size) if part)


def describe(statement: Statement) -> str:
    """Return what a statement says of its finding: "stated, mild, left"."""
    parts = (statement.state, statement.age, _severity(statement), statement.side, _place(statement), statement.change)
    return ", ".join(part for part in parts if part)
