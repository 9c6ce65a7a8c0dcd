"""`GET /metrics`: figures for Prometheus.

They need the scope "observe", or no key at all from this machine, by a name of it and not through a proxy that says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import Response

from voxengine.gateway.auth.origins import is_local_address, is_local_host
from voxengine.gateway.grants import Scope
from voxengine.gateway.http.access import admitted
from voxengine.gateway.http.description import errors
from voxengine.gateway.observing.figures import CONTENT_TYPE

if TYPE_CHECKING:
    from voxengine.gateway.gateway import Gateway

__all__ = ["metrics_router"]

#: Headers that tell of somebody who is not this machine, or who wants to be known by a key.
_TELLING = ("authorization", "api-key", "origin", "forwarded", "x-forwarded-for", "x-real-ip")


def metrics_router(gateway: Gateway) -> APIRouter:
    """The route."""
    router = APIRouter(tags=["observing"])

    @router.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **errors()},
    )
    async def metrics(request: Request) -> Response:
        """Figures in Prometheus' text format."""
        if not _is_local(request):
            admitted(gateway, request, Scope.OBSERVE)
        return Response(
            gateway.observing.figures.text(),
            headers={"content-type": CONTENT_TYPE, "cache-control": "no-store"},
        )

    return router


def _is_local(request: Request) -> bool:
    return (
        request.client is not None
        and is_local_address(request.client.host)
        and is_local_host(request.headers.get("host", ""))
        and not any(name in request.headers for name in _TELLING)
    )
