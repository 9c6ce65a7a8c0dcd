"""Browsers on other pages: the paths that OpenAI's WebRTC clients call answer them as well.

Any origin is let through here, since no cookie says who somebody is; whether a page of that origin may call is decided
by the gatekeeper, from its key and its origin.
"""

from __future__ import annotations

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["RealtimeCORS"]

_PATHS = ("/v1/realtime/", "/openai/v1/realtime/")


class RealtimeCORS:
    """Middleware for the REST calls of a realtime client, which exposes these headers of the answers."""

    def __init__(self, app: ASGIApp, *, expose: tuple[str, ...] = ()) -> None:
        self._app = app
        self._cors = CORSMiddleware(
            app,
            allow_origins=["*"],
            allow_methods=["POST"],
            allow_headers=["*"],
            expose_headers=expose,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        theirs = scope["type"] == "http" and scope["path"].startswith(_PATHS)
        await (self._cors if theirs else self._app)(scope, receive, send)
