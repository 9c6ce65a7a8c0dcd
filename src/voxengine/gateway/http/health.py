"""Whether the gateway lives, and whether it takes calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel

if TYPE_CHECKING:
    from voxengine.gateway.gateway import Gateway

__all__ = ["health_router"]


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"]


class Ready(BaseModel):
    """New calls are taken."""

    status: Literal["ready"]


class NotReady(BaseModel):
    """New calls are refused."""

    status: Literal["not_ready"]
    why: list[Literal["starting", "draining", "busy", "full", "store"]]


def health_router(gateway: Gateway) -> APIRouter:
    """`/healthz` and `/readyz`. They need no key, and tell nothing that is anybody's."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", response_model=Alive)
    async def live() -> JSONResponse:
        """The process answers."""
        return JSONResponse({"status": "ok"})

    @router.get("/readyz", response_model=Ready, responses={503: {"model": NotReady}})
    async def ready() -> JSONResponse:
        """It takes new calls; else 503, and why not."""
        why = gateway.not_ready()
        if why:
            return JSONResponse({"status": "not_ready", "why": why}, 503)
        return JSONResponse({"status": "ready"})

    return router
