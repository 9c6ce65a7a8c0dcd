"""The gateway's ASGI application: everything but the WebSockets of calls, which have a way of their own."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from voxengine import __version__
from voxengine.gateway.gateway import Gateway
from voxengine.gateway.http.calls import calls_router
from voxengine.gateway.http.client_secrets import client_secrets_router
from voxengine.gateway.http.cors import RealtimeCORS
from voxengine.gateway.http.description import describe
from voxengine.gateway.http.health import health_router
from voxengine.gateway.http.history import history_router
from voxengine.gateway.http.metrics import metrics_router
from voxengine.gateway.http.models import models_router
from voxengine.gateway.http.operators import operators_router
from voxengine.gateway.http.twilio import twilio_router
from voxengine.gateway.http.web import web_router
from voxengine.gateway.realtime import CALL_ID_HEADER, REALTIME_PATHS, open_realtime
from voxengine.gateway.refusal import Refused
from voxengine.gateway.server import Opener, SocketLimits
from voxengine.gateway.server.asgi import serve_asgi
from voxengine.gateway.twilio.door import STREAM_PATH
from voxengine.realtime.errors import http_error

__all__ = ["create_app", "openers"]

logger = logging.getLogger("voxengine.gateway")

_ABOUT = """A realtime voice gateway: OpenAI's Realtime API in front of any provider.

Calls are WebSockets at `/v1/realtime?model=ROUTE`, in OpenAI's protocol. What is described here is around them."""


def create_app(gateway: Gateway) -> FastAPI:
    """The application. Its lifespan starts the gateway, and closes it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await gateway.start()
        try:
            yield
        finally:
            await gateway.close()

    app = FastAPI(
        title="VoxEngine gateway",
        version=__version__,
        description=_ABOUT,
        lifespan=lifespan,
        # Its pages would fetch their scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    app.state.gateway = gateway
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _failed)
    for router in (
        health_router(gateway),
        calls_router(gateway),
        client_secrets_router(gateway),
        history_router(gateway),
        models_router(gateway),
        operators_router(gateway),
        twilio_router(gateway),
        *([metrics_router(gateway)] if gateway.config.metrics else []),
        web_router(),
    ):
        app.include_router(router)
    describe(app)
    app.add_middleware(RealtimeCORS, expose=("location", CALL_ID_HEADER))
    limits = SocketLimits(max_message=gateway.config.max_message)
    for path, opener in openers(gateway).items():
        # Only where another server serves this application: the front door does not hand these over.
        app.add_api_websocket_route(path, _socket(opener, limits))
    return app


def openers(gateway: Gateway) -> dict[str, Opener]:
    """The paths of WebSockets, and who lets clients in there."""
    realtime = partial(open_realtime, gateway)
    return {**dict.fromkeys(REALTIME_PATHS, realtime), STREAM_PATH: gateway.twilio.open}


def _socket(opener: Opener, limits: SocketLimits) -> Callable[[WebSocket], Awaitable[None]]:
    async def serve(websocket: WebSocket) -> None:
        await serve_asgi(websocket, opener, limits)

    return serve


async def _refused(request: Request, failure: Exception) -> JSONResponse:
    assert isinstance(failure, Refused)
    request.app.state.gateway.observing.refused(failure.code)
    return JSONResponse(failure.body, failure.status, failure.headers)


async def _http(request: Request, failure: Exception) -> JSONResponse:
    """A path that there is not, a method that it does not have."""
    assert isinstance(failure, HTTPException)
    status = HTTPStatus(failure.status_code)
    code = {404: "not_found", 405: "method_not_allowed"}.get(failure.status_code)
    body = http_error("invalid_request_error", code, f"{status.phrase}.")
    return JSONResponse(body, failure.status_code, failure.headers)


async def _invalid(request: Request, failure: Exception) -> JSONResponse:
    """A parameter or a body that is not as the API has it. What was sent is not repeated."""
    assert isinstance(failure, RequestValidationError)
    first: dict[str, Any] = dict(next(iter(failure.errors()), {}))
    place = ".".join(str(part) for part in first.get("loc", ())[1:])
    body = http_error("invalid_request_error", "invalid_value", str(first.get("msg", "invalid")))
    body["error"]["param"] = place or None
    return JSONResponse(body, 400)


async def _failed(request: Request, failure: Exception) -> JSONResponse:
    """A mistake of ours; the server's log has its traceback."""
    body = http_error("server_error", "internal_error", "The server had an error.")
    return JSONResponse(body, 500)
