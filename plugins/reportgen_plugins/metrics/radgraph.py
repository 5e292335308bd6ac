"""`radgraph`: F1 of entities and relations by the radgraph package, an extra.

Jain et al., RadGraph: Extracting Clinical Entities and Relations from Radiology Reports, 2021, arXiv:2106.14463; the
reward of Delbrouck et al., Improving the Factual Correctness of Radiology Report Generation with Semantic Rewards,
2022, arXiv:2210.12186.
`level` is simple (entities), partial (entities with whether they have a relation) or complete (relations too).
The package fetches its own weights at the first use. Of several references the best counts.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Sequence
from typing import Any

from reportgen_core import MetricError, OptionError
from reportgen_core.metric import Metric
from reportgen_core.types import Score

LEVELS = ("simple", "partial", "complete")


class Radgraph(Metric):
    """The mean RadGraph F1 of the reports.

    Args:
        level: simple (entities), partial (entities, and whether they have a relation) or complete (relations too).
        model: weights that the package fetches.
    """

    language = "en"

    def __init__(self, *, level: str = "partial", model: str = "radgraph-xl") -> None:
        if level not in LEVELS:
            raise OptionError(f"no RadGraph level {level!r}; there are: {', '.join(LEVELS)}")
        self.level, self.model = level, model
        self.version = f"{model} {level}"
        self._scorer: Any = None

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        scorer = self._loaded()
        pairs = [
            (i, report, ref) for i, (report, refs) in enumerate(zip(reports, references, strict=True)) for ref in refs
        ]
        with open(os.devnull, "w") as quiet, contextlib.redirect_stdout(quiet):  # it prints progress among results
            _, rewards, *_ = scorer(hyps=[h for _, h, _ in pairs], refs=[r for _, _, r in pairs])
        each = [0.0] * len(reports)
        for (i, _, _), reward in zip(pairs, rewards, strict=True):
            each[i] = max(each[i], float(reward))
        value = sum(each) / len(each)
        name = f"radgraph {self.level} f1"
        return Score(name, value, each, {name: value}, version=self.version)

    def _loaded(self) -> Any:
        if self._scorer is None:
            try:
                F1RadGraph = importlib.import_module("radgraph").F1RadGraph  # an extra: type checkers need not have it
            except ImportError as e:
                raise MetricError(f"radgraph needs its package: pip install 'reportgen[radgraph]' ({e})") from e
            try:
                self._scorer = F1RadGraph(reward_level=self.level, model_type=self.model)
            except Exception as e:  # whatever the package raises when its weights cannot be fetched
                raise MetricError(f"radgraph cannot start {self.model}: {type(e).__name__}: {e}") from e
        return self._scorer
