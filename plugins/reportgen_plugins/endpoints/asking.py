"""Ask an endpoint about many things at once: no question is sent twice, and answers come in the order of the questions.

Every answer is kept, also one that is no use; the next run asks that one again.
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from reportgen_core import DataError, OptionError
from reportgen_core.errors import quoted

from .chat_completions import Endpoint, EndpointError
from .kept_answers import KeptAnswers, default_answers

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Asker:
    """An endpoint, the answers that it has given before, and which models have answered."""

    def __init__(
        self, url: str, *, key_variable: str, timeout: float, tries: int, backoff: float, answers: str
    ) -> None:
        """Name an endpoint; nothing is sent yet. Raises OptionError for what is no address."""
        self.endpoint = Endpoint(checked_url(url), os.environ.get(key_variable, ""), timeout, tries, backoff)
        self.sends_to = "" if self.endpoint.is_local else self.endpoint.url  # "": nothing leaves this machine
        self.kept = KeptAnswers(Path(answers) if answers else default_answers())
        self.answered: Counter[str] = Counter()  # answers by the name of the model that gave them
        self.sent = 0  # questions that were sent, and whose answer was not kept before
        self.tokens: Counter[str] = Counter()  # "in" and "out" of all answers, "sent in" and "sent out" of new ones
        self.uncounted = 0  # answers that do not say their tokens
        self._alive = False
        self._lock = threading.Lock()

    def check_alive(self) -> None:
        """Find a silent endpoint before anything is prepared; once. Raises EndpointError."""
        if not self._alive:
            self.endpoint.check_alive()
            self._alive = True

    def ask(
        self,
        body: Mapping[str, Any],
        about: str,
        read: Callable[[dict[str, Any]], Answer],
        usable: Callable[[Answer], bool],
    ) -> Answer:
        """Return what `read` makes of the answer to a request, which is sent unless its answer is kept.

        A new answer is kept under the name of what it is `about`, and counts as an answer if it is `usable`. Raises
        StudyFault and EndpointError as `Endpoint.ask` does.
        """
        key = self.kept.key(self.endpoint.url, body)
        kept = self.kept.find(key)
        response = self.endpoint.ask(body) if kept is None else kept
        self._count(response, sent=kept is None)
        answer = read(response)
        if kept is None:
            self.kept.keep(key, about, self._hidden(response), usable=usable(answer))
        return answer

    def _count(self, response: Mapping[str, Any], *, sent: bool) -> None:
        usage = response.get("usage")
        counts = [
            usage.get(name) if isinstance(usage, dict) else None for name in ("prompt_tokens", "completion_tokens")
        ]
        with self._lock:
            self.answered[str(response.get("model") or "")] += 1
            self.sent += sent
            if not all(isinstance(n, int) and n >= 0 for n in counts):
                self.uncounted += 1
                return
            for name, n in zip(("in", "out"), counts, strict=True):
                self.tokens[name] += n or 0
                self.tokens[f"sent {name}"] += (n or 0) * sent

    def others(self, model: str) -> str:
        """Return the names of other models than `model` that have answered, with how often; "" if there are none."""
        names = [name for name in sorted(self.answered) if name != model]
        return ", ".join(f"{name or 'no name'} ({self.answered[name]})" for name in names)

    def _hidden(self, response: dict[str, Any]) -> dict[str, Any]:
        """Return the answer without the key, should the server repeat it."""
        values: dict[str, Any] = json.loads(self.endpoint.hidden(json.dumps(response)))
        return values


def ask_in_order(work: Callable[[Question], Answer], questions: Iterable[Question], parallel: int) -> Iterator[Answer]:
    """Yield what `work` returns for each question, in order; `parallel` of them are under way at once.

    After an EndpointError, which every question would get, no further question is begun, and it is raised here.
    """
    stop = threading.Event()

    def unless_stopped(question: Question) -> Answer:
        if stop.is_set():
            raise EndpointError("the run was stopped")
        try:
            return work(question)
        except EndpointError:
            stop.set()
            raise

    with ThreadPoolExecutor(parallel) as pool:
        waiting: deque[Future[Answer]] = deque()
        try:
            for question in questions:
                waiting.append(pool.submit(unless_stopped, question))
                if len(waiting) > 2 * parallel:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            stop.set()


def checked_url(url: str) -> str:
    """Return the address without what follows it. Raises OptionError for anything but http and https."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise OptionError(f"url={quoted(url)} is no address of an endpoint; it looks like http://localhost:8000/v1")
    if parts.username or parts.password:
        raise OptionError(
            "url has a name or a password in it, which would be saved; the key comes from the environment"
        )
    return url.rstrip("/").removesuffix("/chat/completions")


def content_text(content: Any) -> str:
    """Return the text of a message, which is a text or a list of parts. Raises DataError for anything else."""
    if isinstance(content, list):
        return "".join(str(p.get("text", "")) for p in content if isinstance(p, dict))
    if content is not None and not isinstance(content, str):
        raise DataError(f"the answer's content is {quoted(content)}, which is no text")
    return content or ""


def refusal_of(choice: Mapping[str, Any], message: Mapping[str, Any]) -> str:
    """Return in one line why a model refused to answer; "" if it did not."""
    filtered = "a filter of its content" if choice.get("finish_reason") == "content_filter" else ""
    return f"{' '.join(str(message.get('refusal') or filtered).split()):.200}"
