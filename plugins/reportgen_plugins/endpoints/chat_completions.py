"""One request of the chat completions protocol: sent, tried again after a fault that may pass, and read.

The address is the one that was named: a redirection is refused. An address of this machine is asked without a proxy.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from reportgen_core import ReportgenError

PASSING = {408, 409, 425, 429, 500, 502, 503, 504, 529}  # statuses after which a further try may succeed
WRONG_REQUEST = {401, 403, 404, 405}  # statuses that every study would get
MAX_ANSWER = 32 * 2**20  # bytes
MAX_WAIT = 60.0  # seconds between two tries
CHUNK = 65536


class EndpointError(ReportgenError):
    """An endpoint does not answer, or refuses every request."""


class SilentEndpoint(EndpointError):
    """An endpoint gives no answer within the time limit, or cannot be reached, at every try."""


class StudyFault(Exception):
    """The endpoint has no answer for one study."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address that speaks the protocol, and how patient to be with it."""

    url: str  # without a slash at the end: https://host/v1
    key: str = ""  # never written or shown
    timeout: float = 120.0  # seconds without a byte, and three times that for a whole answer
    tries: int = 4
    backoff: float = 1.0  # seconds before the second try; doubles with each try
    sleep: Callable[[float], None] = time.sleep

    @property
    def is_local(self) -> bool:
        """Return whether the address is this machine: localhost or a loopback address."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    def check_alive(self) -> None:
        """Ask for the list of models, without images. Raises EndpointError if nobody answers; any answer will do."""
        try:
            self._exchange("/models", None, min(self.timeout, 20.0))
        except urllib.error.HTTPError as e:
            if e.code in (401, 403):
                raise EndpointError(self._refused(e)) from e
        except (OSError, http.client.HTTPException) as e:
            raise EndpointError(
                f"{self.url} is silent: {_why(e)}; is the server running, and the address right?"
            ) from e

    def ask(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send one request and return its answer as JSON values.

        Raises StudyFault if this request has no answer, EndpointError if no request would get one.
        """
        fault = ""
        for number in range(self.tries):
            wait = self.backoff * 2**number
            try:
                kind, content = self._exchange("/chat/completions", json.dumps(body).encode(), self.timeout)
                return read_answer(kind, content)
            except urllib.error.HTTPError as e:
                if e.code in WRONG_REQUEST or 300 <= e.code < 400:
                    raise EndpointError(self._refused(e)) from e
                fault = self._refused(e)
                if e.code not in PASSING:
                    raise StudyFault(fault) from e
                wait = max(wait, _retry_after(e))
            except (OSError, http.client.HTTPException, BrokenAnswer) as e:
                fault, silent = f"{self.url}: {_why(e)}", not isinstance(e, BrokenAnswer | http.client.IncompleteRead)
                if silent and number + 1 == self.tries:
                    raise SilentEndpoint(f"{fault}, {self.tries} times; answers that came are kept") from e
            if number + 1 < self.tries:
                self.sleep(min(wait, MAX_WAIT))
        raise StudyFault(f"{fault}, {self.tries} times")

    def _exchange(self, path: str, body: bytes | None, timeout: float) -> tuple[str, bytes]:
        """Send a request and return the type and the content of its answer."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(self.url + path, body, headers)
        handlers: list[urllib.request.BaseHandler] = [_NoRedirection()]
        if self.is_local:
            handlers.append(urllib.request.ProxyHandler({}))
        end = time.monotonic() + 3 * timeout
        parts, size = [], 0
        with urllib.request.build_opener(*handlers).open(request, timeout=timeout) as answer:
            while part := answer.read1(CHUNK):
                parts.append(part)
                size += len(part)
                if time.monotonic() > end or size > MAX_ANSWER:
                    raise TimeoutError("its answer does not end")
            if answer.length:  # the connection was closed before all that was promised
                raise http.client.IncompleteRead(b"", answer.length)
            return answer.headers.get_content_type(), b"".join(parts)

    def _refused(self, error: urllib.error.HTTPError) -> str:
        """Return what a status says, without the key if the server repeats it."""
        if 300 <= error.code < 400:
            return f"{self.url} answers with a redirection ({error.code}), and images and texts go to no other address"
        try:
            told = error.read(4096).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            told = ""
        words = " ".join(_message(told).split())
        hint = {401: "; is the key right?", 403: "; is the key right?", 404: "; is the address or the model wrong?"}
        shown = f"{self.url} answers {error.code} {error.reason}: {words:.200}".rstrip(": ") + hint.get(error.code, "")
        return self.hidden(shown)

    def hidden(self, text: str) -> str:
        """Return a text without the key."""
        return text.replace(self.key, "***") if self.key else text


class BrokenAnswer(Exception):
    """An answer that is cut or is no answer of the protocol; another try may bring a whole one."""


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **options: Any) -> None:
        """Follow no redirection."""
        return


def read_answer(kind: str, content: bytes) -> dict[str, Any]:
    """Return an answer as JSON values; a stream of events is joined. Raises BrokenAnswer."""
    if kind == "text/event-stream":
        return _joined(content)
    try:
        values = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as e:
        raise BrokenAnswer("its answer is no JSON") from e
    if not isinstance(values, dict) or not isinstance(values.get("choices"), list) or not values["choices"]:
        raise BrokenAnswer("its answer has no choices")
    return values


def _joined(content: bytes) -> dict[str, Any]:
    """Return the answer of a stream of events. Raises BrokenAnswer if the stream has no end."""
    text, model, reason, refusal, ended = "", "", None, "", False
    for line in content.decode("utf-8", "replace").splitlines():
        data = line.removeprefix("data:").strip()
        if not line.startswith("data:") or data == "[DONE]":
            ended = ended or data == "[DONE]"
            continue
        try:
            event = json.loads(data)
            model = event.get("model") or model
            for choice in event.get("choices") or ():
                delta = choice.get("delta") or {}
                text += delta.get("content") or ""
                refusal += delta.get("refusal") or ""
                reason = choice.get("finish_reason") or reason
        except (ValueError, AttributeError, TypeError) as e:
            raise BrokenAnswer("its stream has an event that is no JSON") from e
    if not ended and reason is None:
        raise BrokenAnswer("its stream ends in the middle")
    message = {"role": "assistant", "content": text, **({"refusal": refusal} if refusal else {})}
    return {"model": model, "choices": [{"index": 0, "message": message, "finish_reason": reason}]}


def _message(body: str) -> str:
    """Return the message in the body of an error, else the body."""
    try:
        error = json.loads(body)["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        return body


def _retry_after(error: urllib.error.HTTPError) -> float:
    """Return the seconds that a server asks to wait; 0 if it names none."""
    try:
        return max(0.0, float(error.headers.get("Retry-After") or 0))
    except ValueError:  # a date
        return 0.0


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, TimeoutError) or "timed out" in str(reason):
        return "no answer within the time limit"
    if isinstance(reason, http.client.IncompleteRead):
        return "its answer ends in the middle"
    text = getattr(reason, "strerror", None) or str(reason)
    return " ".join(text.split())[:200] or type(reason).__name__
