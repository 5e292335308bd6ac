"""A server of files in memory, with the faults that a test asks for, and records of such files."""

from __future__ import annotations

import hashlib
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from reportgen_zoo.manifest.records import File, Record


@dataclass
class Shelf:
    """What is served and how badly; `asked` remembers every request: path, Range, Authorization."""

    files: dict[str, bytes]
    cut: list[int] = field(default_factory=list)  # one answer each: only so many bytes of it are sent
    errors: list[int] = field(default_factory=list)  # one answer each: this status
    lies: list[int] = field(default_factory=list)  # one answer each: so much is added to its Content-Length
    ranges: bool = True
    redirects: dict[str, str] = field(default_factory=dict)
    replaced: dict[str, bytes] = field(default_factory=dict)  # after the first answer
    before: Callable[[], object] = lambda: None  # called before each answer
    asked: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    url: str = ""


class Server(ThreadingHTTPServer):
    """Says nothing of clients that have gone: they were killed on purpose."""

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@contextmanager
def serve(shelf: Shelf) -> Iterator[Shelf]:
    """Serve a shelf on a port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shelf.asked.append((self.path, self.headers.get("Range"), self.headers.get("Authorization")))
            shelf.before()
            if shelf.errors:
                self.send_error(shelf.errors.pop(0))
            elif self.path in shelf.redirects:
                self.send_response(302)
                self.send_header("Location", shelf.redirects[self.path])
                self.end_headers()
            elif self.path not in shelf.files:
                self.send_error(404)
            else:
                self.answer(shelf.files[self.path])

        def answer(self, body: bytes) -> None:
            wanted = re.match(r"bytes=(\d+)-", self.headers.get("Range") or "")
            start = int(wanted[1]) if wanted and shelf.ranges else 0
            if start and start >= len(body):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.send_header("Content-Length", str(len(body) - start + (shelf.lies.pop(0) if shelf.lies else 0)))
            self.end_headers()
            self.wfile.write(body[start:][: shelf.cut.pop(0)] if shelf.cut else body[start:])
            shelf.files.update(shelf.replaced)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    shelf.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield shelf
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def record_of(files: dict[str, bytes], *sources: str, name: str = "tiny-hier-lstm.test_v1") -> Record:
    """A record of files given as bytes."""
    listed = tuple(File(path, len(body), hashlib.sha256(body).hexdigest()) for path, body in files.items())
    return Record(name, "for tests", "CC0-1.0", listed, sources)
