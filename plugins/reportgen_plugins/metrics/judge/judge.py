"""`judge`: a language model behind an endpoint of the chat completions protocol scores each report by a prompt.

The score depends on the model and on the prompt, so both are in its version, and other judges are not compared. An
answer is requested at temperature 0 and saved: the same command asks nothing twice. A pair without a usable answer
is named, and the others stand. Texts go to the address that was named; one that is not this machine needs the user's
word. A report that holds instructions reaches the model as it is: a judge can be talked to.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reportgen_core import MetricError, OptionError
from reportgen_core.metric import Metric
from reportgen_core.models.reporters.prompts import Prompt
from reportgen_core.types import Score

from ...endpoints.asking import Asker, ask_in_order
from ...endpoints.chat_completions import SilentEndpoint, StudyFault
from ...endpoints.prompt_file import read_prompt
from .verdicts import Scale, Verdict, cost_line

PARAMETERS = {"max_tokens": 512, "temperature": 0}
FIELDS = ("reference", "report")
MAX_SILENT = 3  # pairs in a row that an endpoint is silent about before the run ends
PROMPT = """You compare a generated report of a chest radiograph with the report that a radiologist wrote.
---
The radiologist's report:
{reference|(empty)}

The generated report:
{report|(empty)}

How far do they agree on what matters to the care of the patient? Answer with JSON alone:
{{"score": S, "reason": "one sentence"}}, where S is a number from 0 (they contradict each other) to 10 (they say the
same).
"""

Floats = NDArray[np.float64]


def _check_options(parallel: int, tries: int, timeout: float, least: float, lowest: float, highest: float) -> None:
    """Raise OptionError for options that no judge can take; `least` is the least of the wait and the prices."""
    if min(parallel, tries) < 1 or timeout <= 0 or least < 0 or lowest >= highest:
        raise OptionError(
            f"parallel={parallel} tries={tries} timeout={timeout:g} must be above 0, prices not below it, and "
            f"lowest={lowest:g} below highest={highest:g}"
        )


def judge_prompt(file: str) -> Prompt:
    """Return the prompt in a file, without one the usual prompt. Raises OptionError if it lacks a field of a judge."""
    prompt = read_prompt(file, PROMPT, FIELDS)
    if missing := [name for name in FIELDS if not prompt.has(name)]:
        raise OptionError(f"{file} has no field {{{missing[0]}}}; a judge's prompt has {{reference}} and {{report}}")
    return prompt


class Judge(Metric):
    """The mean score that a language model gives the reports."""

    expensive = True

    def __init__(
        self,
        *,
        url: str,
        model: str,
        prompt: str = "",
        field: str = "score",
        lowest: float = 0,
        highest: float = 10,
        higher_is_better: bool = True,
        parameters: Mapping[str, Any] | None = None,
        price_in: float = 0,
        price_out: float = 0,
        parallel: int = 4,
        tries: int = 4,
        timeout: float = 120.0,
        backoff: float = 1.0,
        key_variable: str = "OPENAI_API_KEY",
        answers: str = "",
    ) -> None:
        """Name a judge; nothing is sent yet. Raises OptionError for options that it cannot take.

        Args:
            url: the address up to /v1, as http://localhost:8000/v1.
            model: name of the model at that address.
            prompt: a file with the fields {reference} and {report}; without it, a prompt that asks for 0 to 10.
            field: the key of the score in the JSON object of an answer, which may also be the number alone.
            lowest, highest: the least and the greatest score; an answer outside counts as failed.
            higher_is_better: false for a prompt that counts errors.
            parameters: sent as they are: max_tokens, seed, response_format ...; temperature is 0.
            price_in, price_out: the price of a million tokens, to say what it cost.
            parallel, tries: requests at the same time, and tries of each.
            backoff, timeout: seconds of the first wait, which doubles, and without a byte until a try is given up.
            key_variable, answers: the environment variable of the key, and the folder of kept answers.
        """
        _check_options(parallel, tries, timeout, min(backoff, price_in, price_out), lowest, highest)
        self.prompt = judge_prompt(prompt)
        self.higher_is_better = higher_is_better
        self.model, self.parallel, self.prices = model, parallel, (price_in, price_out)
        self.parameters = {**PARAMETERS, **(parameters or {})}
        self.scale = Scale(field, lowest, highest)
        self.asker = Asker(
            url, key_variable=key_variable, timeout=timeout, tries=tries, backoff=backoff, answers=answers
        )
        self.sends_to, self.may_send = self.asker.sends_to, False
        self.version = self._version()
        self._verdicts: dict[str, Verdict] = {}  # by the text of the question
        self._silent, self._lock = 0, threading.Lock()

    def _version(self) -> str:
        """Return the model, the prompt and what else the scores depend on."""
        others = {"parameters": self.parameters, "field": self.scale.field}
        usual = others == {"parameters": PARAMETERS, "field": "score"}
        rest = hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()[:8]
        return f"1 {self.model} prompt {self.prompt.sha256[:8]}" + ("" if usual else f" settings {rest}")

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        """Return the mean score; a report without one has NaN in `each`. Raises MetricError if no report has one."""
        rows = self.statistics(reports, references)
        value = float(self.scores(rows.sum(0))["judge"])
        each = [float(row[1]) if row[0] else float("nan") for row in rows]
        return Score("judge", value, each, {"judge": value}, self.higher_is_better, self.version)

    def statistics(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
        """Return (n, 2): whether the pair has a score, and the score. Raises MetricError if no pair has one."""
        if self.sends_to and not self.may_send:
            raise MetricError(
                f"judge sends reports and references to {self.sends_to}, which is not this machine; set may_send"
            )
        questions = self._questions(reports, references)
        new = [q for q in dict.fromkeys(questions) if q not in self._verdicts]
        if new:
            self.asker.check_alive()
        for question, verdict in zip(new, ask_in_order(self._verdict, new, self.parallel), strict=True):
            self._verdicts[question] = verdict
        verdicts = [self._verdicts[q] for q in questions]
        if verdicts and all(v.score is None for v in verdicts):
            raise MetricError(f"no pair of {len(verdicts)} has a score; the first: {verdicts[0].why}")
        return np.array([(v.score is not None, v.score or 0.0) for v in verdicts], float).reshape(-1, 2)

    def failures(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> dict[int, str]:
        """Return why pairs have no score, by their place."""
        verdicts = [self._verdicts[q] for q in self._questions(reports, references)]
        return {i: v.why for i, v in enumerate(verdicts) if v.score is None}

    def scores(self, totals: Floats) -> Mapping[str, Floats]:
        with np.errstate(invalid="ignore", divide="ignore"):
            return {"judge": totals[..., 1] / totals[..., 0]}

    def run_notes(self) -> list[str]:
        """Return who judged, how many pairs have no score, and what it cost."""
        failed = sum(v.score is None for v in self._verdicts.values())
        pairs = f"{len(self._verdicts)} different pairs, {self.asker.sent} sent, {failed} without a score"
        lines = [f"judge: {self.model} at {self.asker.endpoint.url}, {pairs}"]
        lines.append("judge: " + cost_line(self.asker.tokens, self.asker.uncounted, self.prices))
        others = self.asker.others(self.model)
        return [*lines, *([f"judge: asked for {self.model!r}, answered by {others}"] if others else [])]

    def _questions(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> list[str]:
        """Return the message on each pair; several references of a study stand one below the other."""
        return [
            self.prompt.fill_texts({"reference": "\n\n".join(refs), "report": report})
            for report, refs in zip(reports, references, strict=True)
        ]

    def _verdict(self, question: str) -> Verdict:
        """Return the verdict on one question. Raises EndpointError if no further question would get an answer."""
        system = [{"role": "system", "content": self.prompt.system}] if self.prompt.system else []
        messages = [*system, {"role": "user", "content": question}]
        body = {**self.parameters, "model": self.model, "messages": messages}
        about = hashlib.sha256(question.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        try:
            verdict = self.asker.ask(body, about, self.scale.read, lambda v: v.score is not None)
        except StudyFault as e:
            return Verdict(why=str(e))
        except SilentEndpoint as e:
            with self._lock:
                self._silent += 1
                if self._silent >= MAX_SILENT:
                    raise
            return Verdict(why=str(e))
        with self._lock:
            self._silent = 0
        return verdict
