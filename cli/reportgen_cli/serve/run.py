"""Listen, serve, and stop when the requests in hand are answered."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from reportgen_core import OptionError

from .app import make_app
from .state import State

BACKLOG = 256  # connections that wait to be accepted
HEADER_SECONDS = 30.0  # from a connection or its last answer to the end of the next request's headers
LATE = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def bind(host: str, port: int) -> socket.socket:
    """Return a socket of this address; port 0 takes a free one. Raises OptionError for one that cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as e:
        raise OptionError(f"--host {host}: this machine has no such address: {e.strerror or e}") from e
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError as e:
        bound.close()
        if e.errno == errno.EADDRINUSE:
            raise OptionError(f"port {port} of {host} is taken; --port 0 takes a free one") from e
        raise OptionError(f"cannot listen on port {port} of {host}: {e.strerror}") from e
    return bound


class TimedProtocol(H11Protocol):
    """HTTP with a limit of the time in which the headers of a request must arrive."""

    seconds = HEADER_SECONDS
    timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Start the timer if no request is in hand, and stop it if one is."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()
        elif self.timer is None:
            self.timer = self.loop.call_later(self.seconds, self._late)

    def _stop(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _late(self) -> None:
        self.timer = None
        if not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete):
            self.transport.write(LATE)
            self.transport.close()


class Server(uvicorn.Server):
    """A server that ends by SIGINT or SIGTERM once the requests in hand are answered; a second one ends it at once."""

    on_ready: Callable[[], None] = staticmethod(lambda: None)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the two signals while serving, if this is the main thread, and raise neither afterwards."""
        try:
            before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # another thread
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.on_ready()


def make_server(state: State, bound: socket.socket, on_ready: Callable[[], None] | None = None) -> Server:
    """Return the server of a socket; `run(sockets=[bound])` serves until it is stopped. `on_ready`: it listens."""
    protocol = type("Protocol", (TimedProtocol,), {"seconds": state.settings.seconds})
    options: dict[str, Any] = {
        "http": protocol, "ws": "none", "lifespan": "on", "loop": "asyncio", "log_config": None, "access_log": False,
        "server_header": False, "proxy_headers": False, "backlog": BACKLOG, "timeout_keep_alive": 15,
        "timeout_graceful_shutdown": round(state.settings.seconds) + 5,
    }  # fmt: skip
    server = Server(uvicorn.Config(make_app(state, bound.getsockname()[1]), **options))
    if on_ready is not None:
        server.on_ready = on_ready
    return server
