"""`errors`: the weighted number of errors of a report against its reference, named by kind. Lower is better.

Statements of both texts are found by the rules of the labeler and compared one by one (`match`). Each difference is
clinically significant or minor (`kinds`), and the two weights are part of the score's name. Of several references the
one with the fewest errors counts. A text in another language is not audited, and the study is left out of the means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from reportgen_core import MetricError, OptionError
from reportgen_core.metric import Metric
from reportgen_core.types import Score

from .audit import Audit, audit, best_audit
from .kinds import KINDS
from .statements import StatementReader

Floats = NDArray[np.float64]
COUNTS = (
    "audited",
    "not audited",
    "statements in references",
    "statements in reports",
    "sentences",
    "sentences unread",
)


class Errors(Metric):
    """The weighted number of errors per report, and the number of each kind.

    Args:
        significant: the weight of a clinically significant error.
        minor: the weight of a minor error.
        phrases: path of a table of phrases (.toml) that is added to the shipped ones.
    """

    language = "en"
    higher_is_better = False
    neutral_suffixes = ("not audited", "reference statements", "report statements")
    name = "errors"

    def __init__(self, *, significant: float = 1.0, minor: float = 0.25, phrases: str = "") -> None:
        if not 0 <= minor <= significant < float("inf") or not significant:
            raise OptionError(
                f"errors: weights significant={significant:g} and minor={minor:g}; minor is 0 to significant, and "
                "significant is above 0"
            )
        self.significant, self.minor = float(significant), float(minor)
        self._reader = StatementReader(phrases)
        self.findings = self._reader.findings
        more = [f"phrases={table}" for table in self._reader.added_tables]
        self.version = " ".join(["1", f"significant={significant:g}", f"minor={minor:g}", *more])
        self.headline = f"errors weighted (significant {significant:g}, minor {minor:g})"
        self.compared_parts = (self.headline, *(f"errors {kind}" for kind in ("significant", "minor", *KINDS)))

    def audit(self, report: str, references: Sequence[str]) -> Audit:
        """Return the audit of a report against the reference that it differs least from."""
        audits = [audit(self._reader, reference, report) for reference in references]
        return best_audit(audits, self.significant, self.minor)

    def caveat(self, references: Sequence[Sequence[str]]) -> str:
        """Return a warning if references are in another language, or have sentences that were not read."""
        texts = [self._reader.read(text) for own in references for text in own]
        foreign = sum(bool(t.language) for t in texts)
        unread, sentences = sum(len(t.unread) for t in texts), sum(t.sentences for t in texts)
        notes = [f"{foreign} of {len(texts)} references are not in English and were not audited"] if foreign else []
        if unread:
            notes.append(f"{unread} of {sentences} clinical sentences of the references were not read")
        return f"errors: {'; '.join(notes)}" if notes else ""

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        rows = self.statistics(reports, references)
        parts = {k: float(v) for k, v in self.scores(rows.sum(0)).items()}
        each = self.scores(rows)[self.headline].tolist() if rows[:, 0].all() else ()
        return Score(self.name, parts[self.headline], each, parts, False, self.version)

    def statistics(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
        """Return (n, k): counts of texts and statements; significant and minor errors by kind, then by finding."""
        rows = np.zeros((len(reports), len(COUNTS) + 2 * (len(KINDS) + len(self.findings))))
        for row, report, own in zip(rows, reports, references, strict=True):
            self._count(row, self.audit(report, own))
        if len(rows) and not rows[:, 0].any():
            raise MetricError("no study has both texts in English, and the rules read English only")
        return rows

    def _count(self, row: Floats, result: Audit) -> None:
        """Write the counts of one study into its row."""
        if result.note:
            row[1] = 1
            return
        ours, theirs = result.reference, result.report
        row[0] = 1
        row[2:6] = (
            len(ours.statements), len(theirs.statements), ours.sentences + theirs.sentences,
            len(ours.unread) + len(theirs.unread),
        )  # fmt: skip
        for d in result.differences:
            finding = "other" if d.finding.startswith("other") else d.finding
            places = KINDS.index(d.kind), len(KINDS) + self.findings.index(finding)
            for place in places:
                row[len(COUNTS) + 2 * place + (not d.significant)] += 1

    def scores(self, totals: Floats) -> Mapping[str, Floats]:
        studies = totals[..., 0]
        audited = np.where(studies > 0, studies, np.nan)
        errors = totals[..., len(COUNTS) :].reshape(*totals.shape[:-1], -1, 2) / audited[..., None, None]
        kinds, findings = errors[..., : len(KINDS), :], errors[..., len(KINDS) :, :]
        weights = np.array([self.significant, self.minor])
        scores = {
            self.headline: (kinds.sum(-2) * weights).sum(-1),
            "errors significant": kinds[..., 0].sum(-1),
            "errors minor": kinds[..., 1].sum(-1),
        }
        scores |= {f"errors {kind}": kinds[..., i, :].sum(-1) for i, kind in enumerate(KINDS)}
        scores |= {f"errors of {f}": (findings[..., i, :] * weights).sum(-1) for i, f in enumerate(self.findings)}
        read = np.where(totals[..., 4] > 0, totals[..., 4], np.nan)
        scores["errors share of sentences unread"] = np.where(totals[..., 4] > 0, totals[..., 5] / read, 0.0)
        scores["errors count of reference statements"] = totals[..., 2] / audited
        scores["errors count of report statements"] = totals[..., 3] / audited
        scores["errors share not audited"] = totals[..., 1] / np.maximum(studies + totals[..., 1], 1)
        return scores

    def score_notes(self, totals: Floats) -> Mapping[str, str]:
        """Return a note on the total if studies were left out of it."""
        left_out = int(totals[1])
        note = f"{left_out} of {int(totals[0] + totals[1])} studies are not in English and were left out"
        return {self.headline: note} if left_out else {}
