"""`radeval:NAME`: the metrics of the RadEval package that need no download: bleu and rouge.

Xu et al., RadEval: A framework for radiology text evaluation, EMNLP 2025 demonstrations. The pairs go to RadEval as
they are, and it cuts them into words itself. ROUGE is the mean over reports (of several references the best counts).
BLEU is a corpus score that RadEval rounds to four digits: its interval comes from the n-gram sums of the same words,
and a release whose BLEU is not that of these sums is refused. RadEval asks NLTK for data when it is imported, which
these two do not need; that is held back, so that nothing is fetched.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reportgen_core import MetricError, OptionError
from reportgen_core.metric import Metric
from reportgen_core.types import Score

from .nlg.bleu import Bleu

Floats = NDArray[np.float64]

KEYS = {"bleu": ("bleu",), "rouge": ("rougeL", "rouge1", "rouge2")}  # what works, with the keys of its scores
DOWNLOADS = (
    "bertscore", "crimson", "f1chexbert", "f1radbert_ct", "green", "mammo_green", "radcliq", "radeval_bertscore",
    "radfact_ct", "radgraph", "radgraph_radcliq", "ratescore", "srrbert", "temporal",
)  # fmt: skip
ROUNDED = 6e-5  # half of RadEval's last digit, and a little


class Radeval(Metric):
    """A metric of the RadEval package, on the same reports and with our intervals."""

    language = "en"

    def __init__(self, *, name: str) -> None:
        if name not in KEYS:
            why = f"RadEval's {name!r} needs a download" if name in DOWNLOADS else f"no metric radeval:{name} is known"
            works = ", ".join(f"radeval:{n}" for n in KEYS)
            raise OptionError(
                f"{why}; these work: {works}; these need a download or a paid model: {', '.join(DOWNLOADS)}"
            )
        self.name = name
        self.version = _release()

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        rows = self.statistics(reports, references)
        parts = {k: float(v) for k, v in self.scores(rows.sum(0)).items()}
        headline = next(iter(parts))
        return Score(headline, parts[headline], self.scores(rows)[headline].tolist(), parts, version=self.version)

    def statistics(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
        """Return (n, k): of ROUGE a count and the scores, of BLEU the sums that `bleu` has. Raises MetricError."""
        if self.name == "bleu":
            return self._bleu(list(reports), references)
        pairs = [(i, hyp, ref) for i, (hyp, refs) in enumerate(zip(reports, references, strict=True)) for ref in refs]
        results = _ask(self.name, [hyp for _, hyp, _ in pairs], [ref for _, _, ref in pairs], per_sample=True)
        rows = np.zeros((len(reports), 1 + len(KEYS[self.name])))
        rows[:, 0] = 1
        for column, key in enumerate(KEYS[self.name], 1):
            for (i, _, _), value in zip(pairs, results[key], strict=True):
                rows[i, column] = max(rows[i, column], float(value))
        return rows

    def _bleu(self, reports: list[str], references: Sequence[Sequence[str]]) -> Floats:
        """Return the sums of BLEU, after RadEval has computed the same BLEU. Raises MetricError."""
        for i, refs in enumerate(references, 1):
            if len(refs) != 1:
                raise MetricError(f"radeval:bleu takes one reference, and report {i} has {len(refs)}; use bleu")
        rows = Bleu().statistics(reports, references)
        theirs = float(_ask("bleu", reports, [refs[0] for refs in references], per_sample=False)["bleu"])
        ours = float(self.scores(rows.sum(0))["radeval:bleu"])
        if abs(theirs - ours) > ROUNDED:
            raise MetricError(
                f"RadEval {self.version} computes another BLEU than is known here: {theirs}, not {ours:.4f}"
            )
        return rows

    def scores(self, totals: Floats) -> Mapping[str, Floats]:
        if self.name == "bleu":
            return {"radeval:bleu": Bleu().scores(totals)["bleu-4"]}
        keys = KEYS[self.name]
        with np.errstate(invalid="ignore", divide="ignore"):
            return {f"radeval:{key}": totals[..., i] / totals[..., 0] for i, key in enumerate(keys, 1)}


def _release() -> str:
    """Return the release of RadEval that is installed."""
    try:
        return importlib.metadata.version("radeval")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _ask(name: str, hyps: list[str], refs: list[str], *, per_sample: bool) -> Mapping[str, Any]:
    """Return what RadEval says of these pairs, by key. Raises MetricError if it cannot be asked."""
    with open(os.devnull, "w") as quiet, contextlib.redirect_stdout(quiet), warnings.catch_warnings():
        radeval = _radeval()
        result = radeval(metrics=[name], per_sample=per_sample, show_progress=False)(refs=refs, hyps=hyps)
    keys = [key for key in KEYS[name] if key not in result]
    if keys:
        raise MetricError(f"RadEval {_release()} returned no {keys[0]!r} for {name}, but {', '.join(result)}")
    return dict(result)


def _radeval() -> Callable[..., Any]:
    """Return RadEval's class. Raises MetricError that says how to get it."""
    try:
        with _no_fetching():
            found: Callable[..., Any] = importlib.import_module("radeval").RadEval
    except ImportError as e:
        raise MetricError(f"radeval needs its package: docs/how-to/judges.md says how to install it ({e})") from e
    return found


@contextlib.contextmanager
def _no_fetching() -> Iterator[None]:
    """Let NLTK fetch nothing until the end of the block."""
    nltk: Any = importlib.import_module("nltk")
    download = nltk.download
    nltk.download = lambda *args, **options: False
    try:
        yield
    finally:
        nltk.download = download
