"""The audit of one report: its statements, those of the reference, the pairs, and the differences by kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from .html import audit_html
from .kinds import Difference
from .match import Matched, match
from .statements import Statement, StatementReader, StatementText


@dataclass(frozen=True)
class Audit:
    """The differences between a report and its reference, with the words of both texts.

    `note` says why texts were not audited; "" if they were. A notebook draws the value.
    """

    reference: StatementText
    report: StatementText
    matched: Matched
    note: str = ""

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Return all differences."""
        return self.matched.differences

    @property
    def kinds(self) -> dict[str, int]:
        """Return how often each kind of difference occurs; a kind that does not is left out."""
        counts: dict[str, int] = {}
        for d in self.differences:
            counts[d.kind] = counts.get(d.kind, 0) + 1
        return counts

    @property
    def unread(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the sentences of the reference and of the report that name something clinical and were not read."""
        return self.reference.unread, self.report.unread

    @cached_property
    def _numbers(self) -> tuple[dict[int, int], dict[int, int]]:
        sides = (self.reference.statements, self.report.statements)
        ours, theirs = ({id(s): i for i, s in enumerate(statements)} for statements in sides)
        return ours, theirs

    def weigh(self, significant: float = 1.0, minor: float = 0.25) -> float:
        """Return the weighted number of differences."""
        return sum(significant if d.significant else minor for d in self.differences)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values: texts, statements, pairs as numbers of statements, and differences."""
        ours, theirs = self._numbers
        return {
            "reference": self.reference.text,
            "prediction": self.report.text,
            "note": self.note,
            "statements": {
                "reference": [asdict(s) for s in self.reference.statements],
                "prediction": [asdict(s) for s in self.report.statements],
            },
            "pairs": [[ours[id(r)], theirs[id(p)]] for r, p in self.matched.pairs],
            "differences": [self._difference(d) for d in self.differences],
            "unread": {"reference": list(self.reference.unread), "prediction": list(self.report.unread)},
        }

    def _difference(self, d: Difference) -> dict[str, Any]:
        ours, theirs = self._numbers
        at_home = d.kind == "self-contradicting" or d.kind == "repeated"  # both statements are the report's
        return {
            "kind": d.kind,
            "finding": d.finding,
            "significant": d.significant,
            "says": d.says,
            "reference": None if at_home or d.reference is None else _place(d.reference, ours),
            "prediction": None if d.report is None else _place(d.report, theirs),
            "other": _place(d.reference, theirs) if at_home and d.reference else None,
        }

    def _repr_html_(self) -> str:
        return audit_html(self.to_json())


def _place(statement: Statement, numbers: Mapping[int, int]) -> dict[str, Any]:
    """Return the number of a statement in its text, its words and their place."""
    return {"statement": numbers[id(statement)], "words": statement.words, "span": list(statement.span)}


def audit(reader: StatementReader, reference: str, report: str) -> Audit:
    """Compare a report with one reference."""
    ours, theirs = reader.read(reference), reader.read(report)
    foreign = [(what, t.language) for what, t in (("reference", ours), ("report", theirs)) if t.language]
    if foreign:
        note = ", ".join(f"the {what} is in {language}" for what, language in foreign)
        return Audit(ours, theirs, Matched((), ()), f"not audited: {note}, and the rules read English")
    return Audit(ours, theirs, match(ours, theirs))


def best_audit(audits: Sequence[Audit], significant: float, minor: float) -> Audit:
    """Return the audit with the fewest weighted differences, of those that could be made."""
    return min(audits, key=lambda a: (bool(a.note), a.weigh(significant, minor)))
