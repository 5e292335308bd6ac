"""`openai`: any endpoint that speaks the chat completions protocol with images: vLLM, Ollama, llama.cpp, a cloud.

Images go to the address that was named and to no other; one that is not this machine needs the user's word. The key
comes from an environment variable and is never written. Every answer is kept, so that the same command continues a run
that was killed and asks nothing twice.
"""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from reportgen_core import GenerationSettings, OptionError, Report, Reporter, Study
from reportgen_core.models.reporters.answers import rule_from
from reportgen_core.models.reporters.context import pictures_of
from reportgen_core.models.reporters.reference import Reference

from ..endpoints.asking import Asker, ask_in_order, content_text, refusal_of
from ..endpoints.chat_completions import StudyFault
from ..endpoints.prompt_file import read_prompt

PARAMETERS = {"max_tokens": 512, "temperature": 0}
CUT = "the answer was cut at the limit of tokens"


class OpenAI(Reporter):
    """A model behind an address."""

    files: ClassVar[Mapping[str, str]] = {"prompt": "prompt.txt"}

    def __init__(
        self,
        *,
        url: str,
        model: str,
        prompt: str = "",
        views: int = 1,
        max_side: int = 2048,
        parameters: Mapping[str, Any] | None = None,
        parallel: int = 4,
        tries: int = 4,
        timeout: float = 120.0,
        backoff: float = 1.0,
        key_variable: str = "OPENAI_API_KEY",
        answers: str = "",
        cleaning: str = "sections",
        sections: Sequence[str] = ("findings",),
        boxes: str = "none",
    ) -> None:
        """Name an endpoint; nothing is sent yet. Raises OptionError for options that it cannot take.

        Args:
            model: name of the model at that address.
            url: the address up to /v1, as http://localhost:8000/v1.
            prompt: a file; without it, a sentence that asks for the findings.
            views, max_side: the most images of a study, and the pixels of their longer side; max_side 0: as they are.
            parameters: sent as they are: max_tokens, temperature, seed, response_format ...
            parallel, tries: requests at the same time, and tries of each; the waits begin with `backoff` and double.
            backoff: seconds of the first wait after a failed request.
            timeout: seconds without a byte after which a request is given up.
            key_variable, answers: the environment variable of the key, and the folder of kept answers.
            cleaning, sections, boxes: how an answer becomes a report (docs/how-to/reporters.md).
        """
        self.rule = rule_from({"cleaning": cleaning, "sections": sections, "boxes": boxes})
        self.sections = self.rule.sections
        self.prompt = read_prompt(prompt)
        self.takes = self.prompt.takes(views)
        if min(parallel, tries) < 1 or timeout <= 0 or backoff < 0 or views < 0 or max_side < 0:
            raise OptionError(f"parallel={parallel} tries={tries} timeout={timeout}: each must be above 0")
        self.max_side, self.parallel, self.model = max_side, parallel, model
        self.parameters = {**PARAMETERS, **(parameters or {})}
        self.asker = Asker(
            url, key_variable=key_variable, timeout=timeout, tries=tries, backoff=backoff, answers=answers
        )
        self.sends_to = self.asker.sends_to
        self.reference = Reference("endpoint", self.asker.endpoint.url, model=model)

    @property
    def answered(self) -> Counter[str]:
        """Return the number of answers by the name of the model that gave them."""
        return self.asker.answered

    def facts(self) -> dict[str, Any]:
        """Return the address, the models asked and answering, the hash of the prompt, and all that was sent with it."""
        facts = {
            "model": self.model,
            "answered_as": dict(sorted(self.answered.items())),
            "parameters": self.parameters,
            "prompt_sha256": self.prompt.sha256,
            "preprocessing": {"max_side": self.max_side, "picture": "PNG, RGB of 8 bits"},
            **self.rule.to_json(),
        }
        return super().facts() | facts

    @property
    def limits(self) -> tuple[str, ...]:
        """Return what the endpoint cannot promise, and the names of other models that have answered."""
        named = self.asker.others(self.model)
        return (*super().limits, *([f"REFERENCE: asked for {self.model!r}, answered by {named}"] if named else []))

    def iter_reports(self, studies: Sequence[Study], settings: GenerationSettings) -> Iterator[Report]:
        """Yield a report for each study, in order; `parallel` requests are under way at once."""
        self.asker.check_alive()
        yield from ask_in_order(lambda study: self._report(study, settings.n_best), studies, self.parallel)

    def _report(self, study: Study, n_best: int) -> Report:
        """Return the report of one study. Its problem says why there is none."""
        body, size = self._request(study, n_best)

        def read(response: Mapping[str, Any]) -> list[Report]:
            return [self._read(study, choice, size) for choice in response["choices"]]

        try:
            reports = self.asker.ask(body, study.id, read, lambda reports: bool(reports[0].text))
        except StudyFault as e:
            return Report(study.id, "", problem=f"study {study.id}: {e}")
        others = tuple(dict.fromkeys(r.text for r in reports[1:] if r.text and r.text != reports[0].text))
        return replace(reports[0], alternatives=others)

    def _read(self, study: Study, choice: Any, size: tuple[int, int]) -> Report:
        """Return the report of one choice of an answer."""
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(message, dict):
            return Report(study.id, "", problem=f"study {study.id}: the answer has no message")
        text = content_text(message.get("content"))
        if refusal := refusal_of(choice, message):
            return Report(study.id, "", problem=f"study {study.id}: the model refused: {refusal}", answer=text)
        return self.rule.report(study.id, text, size, CUT if choice.get("finish_reason") == "length" else "")

    def _request(self, study: Study, n_best: int) -> tuple[dict[str, Any], tuple[int, int]]:
        """Return the body of a request, and the size of the first image."""
        images = pictures_of(study.views, self.max_side)
        wanted = self.takes.prior_images != "no" and study.prior is not None
        prior = pictures_of(study.prior.views, self.max_side) if wanted and study.prior else []
        content: list[dict[str, Any]] = []
        for piece in self.prompt.fill(study, len(images), len(prior)):
            if piece.kind == "text":
                content.append({"type": "text", "text": piece.text})
            else:
                picture = (images if piece.kind == "image" else prior)[piece.number]
                content.append({"type": "image_url", "image_url": {"url": _data_url(picture)}})
        system = [{"role": "system", "content": self.prompt.system}] if self.prompt.system else []
        several = {"n": n_best} if n_best > 1 else {}
        messages = [*system, {"role": "user", "content": content}]
        body = {**self.parameters, **several, "model": self.model, "messages": messages}
        return body, images[0].size if images else (1, 1)


def _data_url(picture: Any) -> str:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode("ascii")
