"""Whether the gateway lives, and whether it takes calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter
from fastapi.responses import JSONResponse

if TYPE_CHECKING:
    from voxengine.gateway.gateway import Gateway

__all__ = ["health_router"]


def health_router(gateway: Gateway) -> APIRouter:
    """`/healthz` and `/readyz`. They need no key, and tell nothing that is anybody's."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    async def live() -> JSONResponse:
        """The process answers."""
        return JSONResponse({"status": "ok"})

    @router.get("/readyz")
    async def ready() -> JSONResponse:
        """It takes new calls; else 503, and why not."""
        why = gateway.not_ready()
        if why:
            return JSONResponse({"status": "not_ready", "why": why}, 503)
        return JSONResponse({"status": "ready"})

    return router
