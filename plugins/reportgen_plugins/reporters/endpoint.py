"""`openai`: any endpoint that speaks the chat completions protocol with images: vLLM, Ollama, llama.cpp, a cloud.

Images go to the address that was named and to no other; one that is not this machine needs the user's word. The key
comes from an environment variable and is never written. Every answer is kept, so that the same command continues a run
that was killed and asks nothing twice.
"""

from __future__ import annotations

import base64
import io
import os
import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from reportgen_core import DataError, GenerationSettings, OptionError, Report, Reporter, Study
from reportgen_core.models.reporters.answers import rule_from
from reportgen_core.models.reporters.context import pictures_of
from reportgen_core.models.reporters.reference import Reference

from .chat_completions import Endpoint, EndpointError, StudyFault
from .kept_answers import KeptAnswers, default_answers
from .prompt_file import read_prompt

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
        self.endpoint = Endpoint(_checked_url(url), os.environ.get(key_variable, ""), timeout, tries, backoff)
        self.sends_to = "" if self.endpoint.is_local else self.endpoint.url
        self.reference = Reference("endpoint", self.endpoint.url, model=model)
        self.kept = KeptAnswers(Path(answers) if answers else default_answers())
        self.answered: Counter[str] = Counter()  # answers by the name of the model that gave them
        self._lock = threading.Lock()

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
        others = [name for name in sorted(self.answered) if name != self.model]
        named = ", ".join(f"{name or 'no name'} ({self.answered[name]})" for name in others)
        return (*super().limits, *([f"REFERENCE: asked for {self.model!r}, answered by {named}"] if others else []))

    def iter_reports(self, studies: Sequence[Study], settings: GenerationSettings) -> Iterator[Report]:
        """Yield a report for each study, in order; `parallel` requests are under way at once."""
        self._checked_alive()
        stop = threading.Event()
        with ThreadPoolExecutor(self.parallel) as pool:
            waiting: deque[Future[Report]] = deque()
            try:
                for study in studies:
                    waiting.append(pool.submit(self._unless_stopped, stop, study, settings.n_best))
                    if len(waiting) > 2 * self.parallel:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                stop.set()

    def _unless_stopped(self, stop: threading.Event, study: Study, n_best: int) -> Report:
        """Return the report of one study. After an error that every study would get, nothing more is sent."""
        if stop.is_set():
            raise EndpointError("the run was stopped")
        try:
            return self._report(study, n_best)
        except EndpointError:
            stop.set()
            raise

    def _checked_alive(self) -> None:
        """Find a silent endpoint before images are read; once."""
        if not getattr(self, "_alive", False):
            self.endpoint.check_alive()
            self._alive = True

    def _report(self, study: Study, n_best: int) -> Report:
        """Return the report of one study. Its problem says why there is none."""
        body, size = self._request(study, n_best)
        key = self.kept.key(self.endpoint.url, body)
        response = self.kept.find(key)
        try:
            fresh = response is None
            response = self.endpoint.ask(body) if response is None else response
        except StudyFault as e:
            return Report(study.id, "", problem=f"study {study.id}: {e}")
        with self._lock:
            self.answered[str(response.get("model") or "")] += 1
        reports = [self._read(study, choice, size) for choice in response["choices"]]
        if fresh:
            self.kept.keep(key, study.id, self._hidden(response), usable=bool(reports[0].text))
        others = tuple(dict.fromkeys(r.text for r in reports[1:] if r.text and r.text != reports[0].text))
        return replace(reports[0], alternatives=others)

    def _hidden(self, response: dict[str, Any]) -> dict[str, Any]:
        """Return the answer without the key, should the server repeat it."""
        import json

        values: dict[str, Any] = json.loads(self.endpoint.hidden(json.dumps(response)))
        return values

    def _read(self, study: Study, choice: Any, size: tuple[int, int]) -> Report:
        """Return the report of one choice of an answer."""
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(message, dict):
            return Report(study.id, "", problem=f"study {study.id}: the answer has no message")
        text = _text(message.get("content"))
        reason = choice.get("finish_reason")
        refusal = message.get("refusal") or ("a filter of its content" if reason == "content_filter" else "")
        if refusal:
            shown = " ".join(str(refusal).split())
            return Report(study.id, "", problem=f"study {study.id}: the model refused: {shown:.200}", answer=text)
        return self.rule.report(study.id, text, size, CUT if reason == "length" else "")

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


def _checked_url(url: str) -> str:
    """Return the address without what follows it. Raises OptionError for anything but http and https."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise OptionError(f"url={url!r:.80} is no address of an endpoint; it looks like http://localhost:8000/v1")
    if parts.username or parts.password:
        raise OptionError(
            "url has a name or a password in it, which would be saved; the key comes from the environment"
        )
    return url.rstrip("/").removesuffix("/chat/completions")


def _data_url(picture: Any) -> str:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def _text(content: Any) -> str:
    """Return the text of a message, which is a text or a list of parts."""
    if isinstance(content, list):
        return "".join(str(p.get("text", "")) for p in content if isinstance(p, dict))
    if content is not None and not isinstance(content, str):
        raise DataError(f"the answer's content is {content!r:.60}, which is no text")
    return content or ""
