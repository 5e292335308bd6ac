"""Let requests in: by host, origin and token, a bounded number of them, with a bounded body and a bounded time.

The gate is the outermost layer of the server. It adds the headers of every answer, counts and logs every request, and
answers what the application cannot: a body that is too large, a request that takes too long, an error in our code.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import time
import traceback
from http import HTTPStatus
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..web.bodies import Refused
from ..web.guards import HEADERS, is_local, local_hosts, own_origin, same_token
from .state import State, failure

OPEN = ("/", "/docs", "/openapi.json")  # they hold nothing but the program's own pages, and need no token
ALIVE = "/healthz"  # answered to everybody, also while the server is busy
DRAIN = 2.0  # seconds for which the rest of a refused body is read and dropped, so that the client reads the answer
MORE = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
TOO_SLOW = "the request took longer than {:g} s"


class Body:
    """The body of a request, which is read up to a limit and never kept here."""

    def __init__(self, receive: Receive, scope: Scope, limit: int) -> None:
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        self.receive_next, self.limit, self.read = receive, limit, 0
        self.length = int(length) if length.isdigit() else 0
        self.waits = headers.get(b"expect", b"").lower() == b"100-continue"
        self.whole = not self.length and b"transfer-encoding" not in headers

    def too_large(self) -> Refused:
        """Return the error for a body above the limit."""
        return Refused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"a request has at most {self.limit / 1e6:g} MB; rg serve --max-mb sets it",
        )

    async def receive(self) -> Message:
        """Return the next part of the body. Raises Refused as soon as it is above the limit."""
        message = await self.receive_next()
        self.read += len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            self.whole = True
        if self.read > self.limit:
            raise self.too_large()
        return message

    async def drain(self) -> None:
        """Read the rest of a body for a short time and drop it; nothing of one that is not being sent yet."""
        if self.waits and not self.read:
            return
        try:
            async with asyncio.timeout(DRAIN):
                while not self.whole:
                    message = await self.receive_next()
                    self.whole = message["type"] == "http.disconnect" or not message.get("more_body")
        except TimeoutError:
            return


class Gate:
    """The outermost layer of the server."""

    def __init__(self, app: ASGIApp, state: State, port: int) -> None:
        self.app, self.state, self.settings = app, state, state.settings
        self.local = is_local(self.settings.host)
        self.hosts = local_hosts(port)
        self.names = {self.settings.host, socket.gethostname(), *self.settings.allowed_hosts}
        self.slowness = 0.5  # seconds of a request, the mean of the last ones

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begin, reply, body = time.monotonic(), Reply(send), Body(receive, scope, self.settings.max_bytes)
        scope["body"] = body
        error = ""
        try:
            self._check(scope, body)
            await self._pass(scope, body, reply)
        except Refused as e:
            error = str(e)
            await body.drain()
            await self._refuse(scope, reply, e)
        except TimeoutError:
            status = HTTPStatus.GATEWAY_TIMEOUT if body.whole else HTTPStatus.REQUEST_TIMEOUT
            error = TOO_SLOW.format(self.settings.seconds)
            await self._refuse(scope, reply, Refused(status, error))
        except Exception as e:
            error = describe_error(e)
            await self._refuse(
                scope, reply, Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "an error in the server; its log says where")
            )
        finally:
            self._record(scope, reply, body, time.monotonic() - begin, error)

    def _check(self, scope: Scope, body: Body) -> None:
        """Raise Refused for a request of another host or page, without the token, or with too large a body."""
        path, headers = scope["path"], {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        if path == ALIVE:
            return
        host = headers.get("host", "")
        if not self._knows(host):
            raise Refused(
                HTTPStatus.FORBIDDEN, "this server does not have that name; rg serve --allow-host NAME adds one"
            )
        reads_page = path in OPEN and scope["method"] in ("GET", "HEAD")
        if not reads_page and not own_origin(headers.get("origin"), headers.get("sec-fetch-site"), {host}):
            raise Refused(HTTPStatus.FORBIDDEN, "a page of another site sent this request")
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if self.settings.token and not reads_page and not same_token(token, self.settings.token):
            raise Refused(
                HTTPStatus.UNAUTHORIZED, "wants the header Authorization: Bearer TOKEN; rg serve printed the token"
            )
        if body.length > body.limit:
            raise body.too_large()
        if scope["method"] == "POST" and self.state.in_hand >= self.settings.queue:
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, f"{self.settings.queue} requests are in hand; try again")

    def _knows(self, host: str) -> bool:
        """Return whether a Host header names this server. An address in digits cannot be given to another machine."""
        if host in self.hosts:
            return True
        name = re.sub(r":\d+$", "", host)
        if self.local or not name:
            return name in self.settings.allowed_hosts
        try:
            return bool(ipaddress.ip_address(name.strip("[]")))
        except ValueError:
            return name in self.names

    async def _pass(self, scope: Scope, body: Body, reply: Reply) -> None:
        """Let the application answer, in the time that a request has."""
        if scope["method"] != "POST":
            await self.app(scope, body.receive, reply.send)
            return
        self.state.in_hand += 1
        begin = time.monotonic()
        try:
            async with asyncio.timeout(self.settings.seconds):
                await self.app(scope, body.receive, reply.send)
        finally:
            self.state.in_hand -= 1
            self.slowness += 0.1 * (time.monotonic() - begin - self.slowness)

    async def _refuse(self, scope: Scope, reply: Reply, why: Refused) -> None:
        """Answer with an error, if nothing of an answer was sent yet."""
        if reply.status:
            return
        response = failure(why.status, str(why))
        response.headers["Connection"] = "close"
        if why.status == HTTPStatus.TOO_MANY_REQUESTS:
            response.headers["Retry-After"] = str(max(1, round(self.slowness)))
        if why.status == HTTPStatus.UNAUTHORIZED:
            response.headers["WWW-Authenticate"] = "Bearer"
        await response(scope, _nothing, reply.send)

    def _record(self, scope: Scope, reply: Reply, body: Body, seconds: float, error: str) -> None:
        """Count and log a request by its route; its path may name a patient and is in neither."""
        route = getattr(scope.get("route"), "path", "other") if scope["path"] != ALIVE else ALIVE
        status = str(reply.status or "none")
        self.state.measured.requests.labels(route, status).inc()
        self.state.measured.seconds.labels(route).observe(seconds)
        facts: dict[str, Any] = {"route": route, "method": scope["method"], "status": reply.status}
        facts |= {"ms": round(1000 * seconds), "bytes": body.read, **scope.get("facts", {})}
        if route != ALIVE:
            self.state.log(**facts, **({"error": error} if error else {}))


class Reply:
    """The answer to a request, with the headers of every answer. `status` is 0 until it is sent."""

    def __init__(self, send: Send) -> None:
        self.send_next, self.status = send, 0

    async def send(self, message: Message) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            names = {name.lower() for name, _ in message["headers"]}
            more = {k: v for k, v in {**HEADERS, **MORE}.items() if k.lower().encode() not in names}
            message["headers"] = [*message["headers"], *((k.lower().encode(), v.encode()) for k, v in more.items())]
        await self.send_next(message)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def describe_error(error: BaseException) -> str:
    """Return the kind of an error and our line where it arose, without its message, which may name a patient."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "reportgen" in frame.filename] or frames
    where = f" at {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
    return f"{type(error).__name__}{where}"
