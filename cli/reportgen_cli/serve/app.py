"""Put the server together: routes, errors, the gate around them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException as StarletteException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from reportgen_core import ReportgenError
from reportgen_core.version import __version__

from ..dicomweb.archive import ArchiveError
from ..pages.shared.origin import PURPOSE
from ..web.bodies import Refused
from . import openapi
from .gate import Gate
from .pages import Pages
from .reports import ReportEndpoints
from .state import State, answer, failure
from .texts import TextEndpoints
from .uploads import BAD

Endpoint = Callable[[Request], Awaitable[Response]]


def make_app(state: State, port: int) -> ASGIApp:
    """Return the server as an ASGI application. `port` is the one on which it listens."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if state.watch is not None:
            state.watch.start()
        yield
        await run_in_threadpool(state.close)

    app = FastAPI(
        title="rg serve", version=__version__, description=PURPOSE, docs_url=None, redoc_url=None, lifespan=lifespan
    )
    pages, images, texts = Pages(state), ReportEndpoints(state), TextEndpoints(state)
    for path, page in (("/", pages.page), ("/docs", pages.docs)):
        app.add_api_route(path, page, methods=["GET"], include_in_schema=False)
    routes: tuple[tuple[str, str, Endpoint, dict[str, Any]], ...] = (
        ("POST", "/v1/reports", images.reports, openapi.REPORTS),
        ("POST", "/v1/reports/paths", images.paths, openapi.PATHS),
        ("POST", "/v1/findings", images.findings, openapi.REPORTS),
        ("POST", "/v1/explain", images.explain, openapi.REPORTS),
        ("POST", "/v1/retrieve", images.retrieve, openapi.IMAGES),
        ("GET", "/v1/archive", texts.archive, openapi.ARCHIVE),
        ("POST", "/v1/archive/store", images.store, openapi.REPORTS),
        ("POST", "/v1/label", texts.label, openapi.LABEL),
        ("POST", "/v1/score", texts.score, openapi.SCORE),
        ("POST", "/v1/edits", texts.edit, openapi.EDIT),
        ("GET", "/v1/models", texts.models, {}),
        ("GET", "/v1/sample", texts.sample, {}),
        ("GET", "/metrics", _metrics(state), {}),
        ("GET", "/healthz", _alive, {}),
    )
    for method, path, endpoint, more in routes:
        summary = (endpoint.__doc__ or "").partition("\n")[0]
        name = path.removeprefix("/v1").strip("/").replace("/", "_")
        app.add_api_route(
            path, endpoint, methods=[method], name=name, summary=summary, openapi_extra=more, response_class=Response
        )
    _add_errors(app)
    return Gate(app, state, port)


async def _alive(request: Request) -> Response:
    """Say that the server is alive; no other request delays this."""
    return answer({"status": "ok"})


def _metrics(state: State) -> Endpoint:
    async def metrics(request: Request) -> Response:
        """Return the numbers of the server in the format of Prometheus."""
        state.measured.in_hand.set(state.in_hand)
        state.measured.waiting.set(state.worker.waiting)
        return Response(generate_latest(state.measured.registry), media_type=CONTENT_TYPE_LATEST)

    return metrics


def _add_errors(app: FastAPI) -> None:
    """Let every error be one line of JSON. An error that is not meant for a user goes on to the gate."""

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            await request.scope["body"].drain()
        return failure(error.status, str(error))

    async def wrong(request: Request, error: Exception) -> Response:
        return failure(BAD, str(error))

    async def unreached(request: Request, error: Exception) -> Response:
        return failure(HTTPStatus.BAD_GATEWAY, str(error))

    async def unusable(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException | StarletteException)
        return failure(error.status_code, str(error.detail))

    async def gone(request: Request, error: Exception) -> Response:
        return failure(HTTPStatus.BAD_REQUEST, "the body ends too early")

    async def ours(request: Request, error: Exception) -> Response:
        return failure(HTTPStatus.INTERNAL_SERVER_ERROR, "an error in the server; its log says where")

    app.add_exception_handler(Exception, ours)
    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(ReportgenError, wrong)
    app.add_exception_handler(ArchiveError, unreached)
    app.add_exception_handler(StarletteException, unusable)
    app.add_exception_handler(ClientDisconnect, gone)
