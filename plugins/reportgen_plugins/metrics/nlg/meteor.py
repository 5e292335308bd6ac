"""METEOR 1.5: Denkowski and Lavie, "Meteor Universal: Language Specific Translation Evaluation", WMT 2014.

The jar of the installed pycocoevalcap aligns each report with its references (exact, stem, synonym, paraphrase) and
gives 23 counts; the score of a report, and of a corpus, is computed here from the counts, summed for a corpus: it is
not the mean of the reports' scores. The jar is started once and runs as long as the program; when it dies it is
started again and gets the same question again. NLTK's METEOR is another metric.

Departure from the usual wrapper: "|||" and line breaks inside a text become spaces in references too, where they would
split a reference or put question and answer out of step.
"""

from __future__ import annotations

import atexit
import contextlib
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from typing import IO

import numpy as np
from numpy.typing import NDArray

from reportgen_core.errors import MetricError, quoted
from reportgen_core.metric import Metric
from reportgen_core.types import Score

from .java import CURE, complaint, find_jar, find_java, start
from .ptb import BREAKS

STATISTICS = 23
MODULES = np.array([1.0, 0.6, 0.8, 0.6])  # exact, stem, synonym, paraphrase
ALPHA, BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75
AT_ONCE = 64  # questions in flight: their answers fit the pipe's buffer, so neither side can wait for the other


class Meteor(Metric):
    """METEOR of the corpus; `each` is that of single reports."""

    takes = "words"
    version = "1.5"
    language = "en"
    own_process = True

    def start(self) -> None:
        with contextlib.suppress(MetricError):  # `compute` meets it again and reports it
            PROCESS.start()

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        rows = self.statistics(reports, references)
        value = float(self.scores(rows.sum(0))["meteor"])
        return Score("meteor", value, self.scores(rows)["meteor"].tolist(), {"meteor": value}, version=self.version)

    def statistics(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Return (n, 23): the jar's counts, with 0 chunks if the report equals a reference word by word."""
        questions = [question(report, refs) for report, refs in zip(reports, references, strict=True)]
        distinct = list(dict.fromkeys(questions))
        answers = dict(zip(distinct, PROCESS.ask(distinct), strict=True))
        rows = np.array([answers[q] for q in questions]).reshape(-1, STATISTICS)
        perfect = (rows[:, 20] == 1) & (rows[:, 21:23] == rows[:, 0:2]).all(1)
        rows[perfect, 20] = 0  # the jar adds no chunk of a report that equals its reference
        return rows

    def scores(self, totals: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        return {"meteor": score(totals)}


def question(report: str, references: Sequence[str]) -> str:
    """Return the line that asks the jar to score `report`."""
    cleaned = [" ".join(t.translate(BREAKS).replace("|||", " ").split(" ")) for t in (*references, report)]
    cleaned[-1] = cleaned[-1].replace("  ", " ")
    return " ||| ".join(("SCORE", *cleaned))


def score(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the score (...) of counts (..., 23), laid out as

    report words, reference words, their function words, 4 × (report content, reference content, report function,
    reference function words matched by the module), chunks, words matched in the report, in the reference.
    """
    lengths, functions = counts[..., 0:2], counts[..., 2:4]
    matched = counts[..., 4:20].reshape(
        *counts.shape[:-1], 4, 2, 2
    )  # (..., module, content | function, report | reference)
    chunks, in_report, in_reference = counts[..., 20], counts[..., 21], counts[..., 22]
    weighted = DELTA * matched[..., 0, :] + (1 - DELTA) * matched[..., 1, :]  # (..., 4, 2)
    matches_of = (MODULES[:, None] * weighted).sum(-2)  # (..., 2)
    whole = DELTA * (lengths - functions) + (1 - DELTA) * functions
    share = np.divide(matches_of, whole, out=np.zeros_like(matches_of), where=whole > 0)
    precision, recall = share[..., 0], share[..., 1]
    below = ALPHA * precision + (1 - ALPHA) * recall
    f = np.divide(precision * recall, below, out=np.zeros_like(below), where=below > 0)
    matches = (in_report + in_reference) / 2
    fragmentation = np.divide(chunks, matches, out=np.zeros_like(matches), where=matches > 0)
    return np.asarray(f * (1 - GAMMA * fragmentation**BETA))


class MeteorProcess:
    """The running jar, shared by the whole program."""

    def __init__(self) -> None:
        self._running: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._lock = threading.Lock()

    def ask(self, questions: Sequence[str]) -> list[list[float]]:
        """Return the answers, in order. Start the jar, and start it again if it died. Raises MetricError."""
        answers: list[list[float]] = []
        with self._lock:
            for i in range(0, len(questions), AT_ONCE):
                batch = questions[i : i + AT_ONCE]
                try:
                    answers += self._ask(batch)
                except OSError:  # it died: once more, with a fresh one
                    self._stop()
                    try:
                        answers += self._ask(batch)
                    except OSError as e:
                        raise MetricError(
                            f"METEOR's Java ({find_java()}) stops at once: {self._last_words()}; {CURE}"
                        ) from e
        return answers

    def _ask(self, questions: Sequence[str]) -> list[list[float]]:
        process = self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("".join(q + "\n" for q in questions).encode("utf-8", "replace"))
        process.stdin.flush()
        lines = [process.stdout.readline() for _ in questions]
        if not lines[-1].endswith(b"\n"):
            raise BrokenPipeError("METEOR stopped in the middle")
        return [self._parse(line) for line in lines]

    def _parse(self, line: bytes) -> list[float]:
        try:
            numbers = [float(x) for x in line.split()]
        except ValueError:
            numbers = []
        if len(numbers) != STATISTICS:
            self._stop()
            raise MetricError(f"METEOR answered {quoted(line)} where {STATISTICS} numbers are due")
        return numbers

    def _start(self) -> subprocess.Popen[bytes]:
        if self._running is None:
            jar = find_jar("meteor", "meteor-1.5.jar")
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the process
            self._running = start(
                ["-Xmx2G", "-XX:+UseSerialGC", "-jar", str(jar), "-", "-", "-stdio", "-l", "en", "-norm"], self._errors
            )
        return self._running

    def _last_words(self) -> str:
        if self._running is not None:
            self._running.kill()
            self._running.wait()
        if self._errors is None:
            return "no message"
        self._errors.seek(0)
        return complaint(self._errors.read())

    def _stop(self) -> None:
        if self._running is not None:
            self._running.kill()
            self._running.communicate()
        if self._errors is not None:
            self._errors.close()
        self._running = self._errors = None

    def start(self) -> None:
        """Start the jar, which loads its tables while others work. Raises MetricError if it cannot be started."""
        with self._lock:
            self._start()

    def close(self) -> None:
        """Stop the jar; the next question starts it again."""
        with self._lock:
            self._stop()


PROCESS = MeteorProcess()
atexit.register(PROCESS.close)
