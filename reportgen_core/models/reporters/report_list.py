"""A list of reports that draws itself, and stands for its report if it has one."""

from __future__ import annotations

from typing import Any, TypeVar

from ...drawn import Drawn
from ...text.guesses import REPORT, meant_call
from ...types import Report

T = TypeVar("T")


class Reports(list[T], Drawn):
    """A list of reports. A list of one has the attributes of its report: `reports.text` is `reports[0].text`."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if len(self) == 1:
            return getattr(self[0], name)
        meant = "" if hasattr(Report, name) else meant_call(name, dir(Report), REPORT)
        raise AttributeError(f"these are {len(self)} reports; take one of them: reports[0].{name}{meant}")
