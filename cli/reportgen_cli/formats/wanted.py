"""Hold what a format is to write besides the report, and what a finding's probability means."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from reportgen_core import OptionError, Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a format is to write besides the report."""

    deidentify: bool = False  # leave out what ties the output to a patient or a study
    thresholds: Mapping[str, float] = field(default_factory=dict)  # from which a finding is present; else one half
    instance: str = ""  # the SOP Instance UID of the output; "": it follows from the report's text


class Finding(NamedTuple):
    """A finding of a report."""

    name: str
    probability: float  # 0..1
    threshold: float
    present: bool

    @property
    def bound(self) -> str:
        """Return the threshold in words: a model never names a finding whose threshold is above 1."""
        return f"threshold {self.threshold:.2f}" if self.threshold <= 1 else "never named by this model"


def findings_of(report: Report, wanted: Wanted) -> list[Finding]:
    """Return the findings of a report with their thresholds, the likeliest first."""
    rows = []
    for name, probability in report.findings.items():
        threshold = wanted.thresholds.get(name, 0.5)
        rows.append(Finding(name, float(probability), threshold, probability >= threshold))
    return rows


def check_installed(name: str, packages: Sequence[str]) -> None:
    """Raise OptionError unless these packages of the extra `clinical` are installed. `name` is what needs them."""
    for package in missing_packages(packages):
        raise OptionError(f"{name} needs {package}: pip install 'reportgen[clinical]'")


def missing_packages(packages: Sequence[str]) -> list[str]:
    """Return those of these packages that are not installed."""
    missing = []
    for package in packages:
        try:
            present = importlib.util.find_spec(package) is not None
        except ModuleNotFoundError:  # of the package that it lies in
            present = False
        if not present:
            missing.append(package)
    return missing
