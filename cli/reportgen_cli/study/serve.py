"""Serve the local page on which readers score. It uses the standard library only and listens on 127.0.0.1 only.

Every address begins with a random token, which is new at each start, and the Host header must name this machine, so
that no other page in the browser can send requests. The server does not know the key: it cannot show the source of a
text.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from reportgen_zoo import demo

from reportgen_core import DataError

from ..pages.shared import frame
from ..pages.shared.frame import fill_page
from ..pages.shared.origin import Origin, today
from ..web.bodies import Refused, is_text, json_object, short
from ..web.guards import HEADERS, local_hosts, new_token, same_token
from ..web.secure_page import secure_page
from .answers import Answer, add, read_answers, undo
from .folder import ReadingStudy

MAX_BODY = 1 << 16  # bytes of an answer
MAX_COMMENT = 4000  # characters
SECONDS = 45.0  # that a case is expected to take while nobody has answered
PAGE = Path(__file__).parent / "page"
PRACTICE = "practice"  # the name of the image of the practice case, which belongs to no study
PRACTICE_TEXT = "The heart is not enlarged. The lungs are clear. There is no pleural effusion."
MAX_SECONDS = 1_000_000  # from seeing a case to scoring it
Response = tuple[str, bytes, dict[str, str]]  # content type, body, further headers


class PageBackend:
    """The requests that the page may send."""

    def __init__(self, study: ReadingStudy) -> None:
        self.study, self.lock = study, threading.Lock()

    def facts(self) -> dict[str, Any]:
        """Return the rubric, the number of cases, the seconds that a case is expected to take, a case for practice.

        The seconds are the median of the answers so far, if there are any (`measured`).
        """
        rubric = self.study.rubric
        grades = [{"score": score, "text": text} for score, text in rubric.grades]
        files = (self.study.answers_of(reader) for reader in self.study.readers())
        seconds = [a.seconds for file in files for a in read_answers(file).values() if a.seconds > 0]
        return {
            "question": rubric.question,
            "grades": grades,
            "total": len(self.study.cases),
            "seconds": median(seconds) if seconds else SECONDS,
            "measured": bool(seconds),
            "practice": {"id": PRACTICE, "text": PRACTICE_TEXT, "images": [PRACTICE], "credit": demo.CREDIT},
        }

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
        comment, seconds = row.get("comment", ""), _seconds(row.get("seconds", 0))
        if not isinstance(case, str) or case not in self.study.cases:
            raise Refused(HTTPStatus.BAD_REQUEST, f"no case {short(case)}")
        if type(score) is not int or score not in self.study.rubric.scores:
            raise Refused(HTTPStatus.BAD_REQUEST, f"score {short(score)} is none of {self.study.rubric.scores}")
        if not isinstance(comment, str) or not is_text(comment):
            raise Refused(HTTPStatus.BAD_REQUEST, "comment wants text without halves of characters")
        with self.lock:
            add(self._file(reader), Answer(case, score, comment[:MAX_COMMENT], seconds))
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

    def scores(self, reader: str) -> list[dict[str, Any]]:
        """Return the reader's own answers in the order they were given; `number` is the case's place in their order."""
        numbers = {case.id: i for i, case in enumerate(self.study.order(reader), 1)}
        answers = read_answers(self._file(reader)).values()
        rows = (a for a in answers if a.case in numbers)
        return [{"case": a.case, "number": numbers[a.case], "score": a.score, "comment": a.comment} for a in rows]

    def again(self, reader: str, case: str) -> dict[str, Any]:
        """Return a case that this reader has answered, with the answer. A new answer to it replaces the old one."""
        answer = read_answers(self._file(reader)).get(case)
        if answer is None or case not in self.study.cases:
            raise Refused(HTTPStatus.BAD_REQUEST, f"no answer to case {short(case)}")
        return {
            **self.next(reader),
            "case": asdict(self.study.cases[case]),
            "taken": {"score": answer.score, "comment": answer.comment},
        }

    def image(self, name: str) -> bytes:
        """Return a radiograph of the study as PNG, by a file name that study.json has, or that of the practice case."""
        if name == PRACTICE:
            return demo.image().read_bytes()
        if not any(name in c.images for c in self.study.cases.values()):
            raise Refused(HTTPStatus.NOT_FOUND, "no such image")
        return (self.study.root / "images" / name).read_bytes()

    def _file(self, reader: Any) -> Path:
        """Return the file of a reader's answers. Raises Refused for a name that is no plain word."""
        try:
            return self.study.answers_of(reader if isinstance(reader, str) else "")
        except DataError as e:
            raise Refused(HTTPStatus.BAD_REQUEST, str(e)) from e


def _seconds(value: Any) -> float:
    """Return the seconds of an answer. Raises Refused for what is no time that a reader can have taken."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_SECONDS:  # no NaN either
        raise Refused(HTTPStatus.BAD_REQUEST, f"seconds wants a number from 0 to {MAX_SECONDS}")
    return float(value)


def page(nonce: str) -> tuple[str, str]:
    """Return the page and its security policy: its own script and style, nothing from elsewhere.

    The page names no model, so that readers stay blind.
    """
    html = fill_page(
        (PAGE / "body.html").read_text(encoding="utf-8"),
        title="Reading study",
        origin=Origin(date=today()),
        style=(frame.HERE / "viewer.css").read_text(encoding="utf-8")
        + (PAGE / "reading.css").read_text(encoding="utf-8"),
        script="\n".join(path.read_text(encoding="utf-8") for path in (frame.HERE / "zoom.js", PAGE / "reading.js")),
        heading=False,
        served=True,
    )
    return secure_page(html, nonce)


class Server(ThreadingHTTPServer):
    """The server of the study's page at `url`."""

    daemon_threads = True
    request_queue_size = 128  # connections that wait: more than the readers of a hospital at once

    def __init__(self, study: ReadingStudy, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.backend, self.token = PageBackend(study), new_token()
        self.hosts = local_hosts(self.server_port)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing for a reader who closed the page before it was sent; print every other error."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

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
            kind, body, more, status = "text/plain; charset=utf-8", str(e).encode("utf-8", "replace"), {}, e.status
        except (OSError, DataError) as e:  # the disk is full, a file is gone: the page shows it
            kind, body, more = "text/plain; charset=utf-8", str(e).encode("utf-8", "replace"), {}
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
        if not same_token(token, self.server.token):
            raise Refused(HTTPStatus.NOT_FOUND, "the address is not complete; rg study serve prints it")
        return unquote(rest)

    def _get(self, path: str) -> Response:
        backend = self.server.backend
        if path == "":
            html, policy = page(new_token())
            return "text/html; charset=utf-8", html.encode(), {"Content-Security-Policy": policy}
        if path == "study":
            return _json(backend.facts())
        query = {name: texts[0] for name, texts in parse_qs(urlsplit(self.path).query).items()}
        if path == "next":
            return _json(backend.next(query.get("reader", "")))
        if path == "scores":
            return _json(backend.scores(query.get("reader", "")))
        if path == "again":
            return _json(backend.again(query.get("reader", ""), query.get("case", "")))
        if path.startswith("image/"):
            kind = "image/jpeg" if path == f"image/{PRACTICE}" else "image/png"
            return kind, backend.image(path.removeprefix("image/")), {"Cache-Control": "private, max-age=3600"}
        raise Refused(HTTPStatus.NOT_FOUND, "no such page")

    def _post(self, path: str) -> Response:
        backend = self.server.backend
        method = {"answer": backend.answer, "undo": backend.undo}.get(path)
        if method is None:
            raise Refused(HTTPStatus.NOT_FOUND, "no such page")
        if self.headers.get_content_type() != "application/json":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "wants application/json")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or len(length) > 9 or int(length) > MAX_BODY:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"wants at most {MAX_BODY} bytes, and their number")
        return _json(method(json_object(self.rfile.read(int(length)))))


def _json(row: dict[str, Any] | list[dict[str, Any]]) -> Response:
    return "application/json; charset=utf-8", json.dumps(row, ensure_ascii=False).encode(), {}
