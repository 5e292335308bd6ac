"""Serve the local page on which readers score. It uses the standard library only and listens on 127.0.0.1 only.

Every address begins with a random token, which is new at each start, and the Host header must name this machine, so
that no other page in the browser can send requests. The server does not know the key: it cannot show the source of a
text.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from reportgen_core import DataError

from .answers import Answer, add, read_answers, undo
from .folder import ReadingStudy

MAX_BODY = 1 << 16  # bytes of an answer
MAX_COMMENT = 4000  # characters
Response = tuple[str, bytes, dict[str, str]]  # content type, body, further headers
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class PageBackend:
    """The requests that the page may send."""

    def __init__(self, study: ReadingStudy) -> None:
        self.study, self.lock = study, threading.Lock()

    def facts(self) -> dict[str, Any]:
        """Return the rubric and the number of cases."""
        rubric = self.study.rubric
        grades = [{"score": score, "text": text} for score, text in rubric.grades]
        return {"question": rubric.question, "grades": grades, "total": len(self.study.cases)}

    def next(self, reader: str) -> dict[str, Any]:
        """Return the first case that this reader has not answered, the images of the next one, and the progress."""
        answered = read_answers(self._file(reader))
        order = self.study.order(reader)
        left = [c for c in order if c.id not in answered]
        last = list(answered.values())[-1] if answered else None
        return {
            "case": asdict(left[0]) if left else None,
            "upcoming": list(left[1].images) if len(left) > 1 else [],
            "done": len(order) - len(left),
            "total": len(order),
            "last": {"score": last.score} if last else None,
        }

    def answer(self, row: dict[str, Any]) -> dict[str, Any]:
        """Save an answer, and return the next case."""
        reader, case, score = row.get("reader"), row.get("case"), row.get("score")
        comment, seconds = row.get("comment", ""), row.get("seconds", 0)
        if not isinstance(case, str) or case not in self.study.cases:
            raise Refused(HTTPStatus.BAD_REQUEST, f"no case {case!r}")
        if type(score) is not int or score not in self.study.rubric.scores:
            raise Refused(HTTPStatus.BAD_REQUEST, f"score {score!r} is none of {self.study.rubric.scores}")
        if not isinstance(comment, str) or not isinstance(seconds, int | float):
            raise Refused(HTTPStatus.BAD_REQUEST, "comment wants text and seconds a number")
        with self.lock:
            add(self._file(reader), Answer(case, score, comment[:MAX_COMMENT], float(seconds)))
        return self.next(str(reader))

    def undo(self, row: dict[str, Any]) -> dict[str, Any]:
        """Take back the reader's last answer, and return its case again with the score and the comment."""
        file = self._file(row.get("reader"))
        with self.lock:
            answers = read_answers(file)
            case = undo(file)
        again = self.next(str(row["reader"]))
        if case is None or case not in self.study.cases:
            return again
        taken = answers[case]
        return {
            **again,
            "case": asdict(self.study.cases[case]),
            "taken": {"score": taken.score, "comment": taken.comment},
        }

    def image(self, name: str) -> bytes:
        """Return a radiograph of the study as PNG, by a file name that study.json has."""
        if not any(name in c.images for c in self.study.cases.values()):
            raise Refused(HTTPStatus.NOT_FOUND, "no such image")
        return (self.study.root / "images" / name).read_bytes()

    def _file(self, reader: Any) -> Path:
        """Return the file of a reader's answers. Raises Refused for a name that is no plain word."""
        try:
            return self.study.answers_of(str(reader or ""))
        except DataError as e:
            raise Refused(HTTPStatus.BAD_REQUEST, str(e)) from e


def page(nonce: str) -> tuple[str, str]:
    """Return the page and its security policy: its own script and style, nothing from elsewhere."""
    html = files(__package__).joinpath("page.html").read_text(encoding="utf-8").replace("NONCE", nonce)
    policy = "default-src 'none'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    return html, policy + f"script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'"


class Server(ThreadingHTTPServer):
    """The server of the study's page at `url`."""

    daemon_threads = True

    def __init__(self, study: ReadingStudy, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.backend, self.token = PageBackend(study), secrets.token_urlsafe(16)
        self.hosts = {f"127.0.0.1:{self.server_port}", f"localhost:{self.server_port}"}

    @property
    def url(self) -> str:
        """The address where readers begin. Everybody on this machine who has it may answer."""
        return f"http://127.0.0.1:{self.server_port}/{self.token}/"


class Handler(BaseHTTPRequestHandler):
    """The handler of one request."""

    server: Server
    server_version, sys_version = "reportgen", ""
    timeout = 30

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: every address has the token, which must not reach the terminal."""

    def _answer(self, respond: Callable[[str], Response]) -> None:
        """Send what `respond` returns for the path; an error as plain text with its status."""
        try:
            kind, body, more = respond(self._path())
            status = HTTPStatus.OK
        except Refused as e:
            kind, body, more, status = "text/plain; charset=utf-8", str(e).encode(), {}, e.status
        except (OSError, DataError) as e:  # the disk is full, a file is gone: the page shows it
            kind, body, more = "text/plain; charset=utf-8", str(e).encode(), {}
            status = HTTPStatus.INTERNAL_SERVER_ERROR
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(body)), **more}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _path(self) -> str:
        """Return the part of the address after the token. Raises Refused for another host or a wrong token."""
        if self.headers.get("Host") not in self.server.hosts:
            raise Refused(HTTPStatus.FORBIDDEN, "this page is for this machine only")
        _, token, rest = [*urlsplit(self.path).path.split("/", 2), "", ""][:3]
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            raise Refused(HTTPStatus.NOT_FOUND, "the address is not complete; rg study serve prints it")
        return unquote(rest)

    def _get(self, path: str) -> Response:
        backend = self.server.backend
        if path == "":
            html, policy = page(secrets.token_urlsafe(16))
            return "text/html; charset=utf-8", html.encode(), {"Content-Security-Policy": policy}
        if path == "study":
            return _json(backend.facts())
        if path == "next":
            return _json(backend.next(parse_qs(urlsplit(self.path).query).get("reader", [""])[0]))
        if path.startswith("image/"):
            return "image/png", backend.image(path.removeprefix("image/")), {"Cache-Control": "private, max-age=3600"}
        raise Refused(HTTPStatus.NOT_FOUND, "no such page")

    def _post(self, path: str) -> Response:
        backend = self.server.backend
        method = {"answer": backend.answer, "undo": backend.undo}.get(path)
        if method is None:
            raise Refused(HTTPStatus.NOT_FOUND, "no such page")
        if self.headers.get_content_type() != "application/json":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "wants application/json")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BODY:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"wants at most {MAX_BODY} bytes, and their number")
        try:
            row = json.loads(self.rfile.read(int(length)))
        except ValueError as e:
            raise Refused(HTTPStatus.BAD_REQUEST, "is no JSON") from e
        if not isinstance(row, dict):
            raise Refused(HTTPStatus.BAD_REQUEST, "wants a JSON object")
        return _json(method(row))


def _json(row: dict[str, Any]) -> Response:
    return "application/json; charset=utf-8", json.dumps(row, ensure_ascii=False).encode(), {}
