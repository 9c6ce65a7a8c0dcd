"""`GET /v1/models`: what can be called as `model`, in OpenAI's form.

The routes come first, then providers that need no more than they have: on this machine, or with their key in the
environment. A key that is bound to routes sees those alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request

from voxengine.gateway.grants import Grant
from voxengine.gateway.http.access import admitted
from voxengine.gateway.http.description import errors
from voxengine.gateway.http.shapes import Model, ModelList
from voxengine.gateway.refusal import Refused
from voxengine.providers.registry import get_provider, list_providers

if TYPE_CHECKING:
    from voxengine.gateway.gateway import Gateway

__all__ = ["models_router"]

ROUTES_OWNER = "voxengine"
#: Providers on this machine whose models come with an extra, and a module of that.
_MODULES = {"local": "faster_whisper"}


def models_router(gateway: Gateway) -> APIRouter:
    """The routes below `/v1/models`."""
    router = APIRouter(tags=["models"])

    def models(grant: Grant) -> list[Model]:
        created = int(gateway.started_at)
        return [Model(id=i, owned_by=o, created=created) for i, o in _names(gateway, grant)]

    @router.get("/v1/models", responses=errors())
    async def list_models(request: Request) -> ModelList:
        """List the routes, and the providers that can be called without one."""
        return ModelList(data=models(admitted(gateway, request)))

    @router.get("/v1/models/{model:path}", responses=errors(404))
    async def retrieve_model(request: Request, model: str) -> Model:
        """Show one of them."""
        for found in models(admitted(gateway, request)):
            if found.id == model:
                return found
        raise Refused(404, "model_not_found", f"The model {model[:100]!r} does not exist.")

    return router


def _names(gateway: Gateway, grant: Grant) -> Iterator[tuple[str, str]]:
    """Each name that may be called, and whose it is."""

    def allowed(name: str) -> bool:
        return grant.routes is None or name in grant.routes

    routes = {route.name for route in gateway.routes}
    for route in gateway.routes:
        if allowed(route.name) and any(link.has_key for link in route.links):
            yield route.name, ROUTES_OWNER
    if not gateway.config.open_models:
        return
    own = gateway.config.providers
    for name in sorted({*own, *list_providers()} - routes):
        provider = own[name].provider if name in own else name
        variable = own[name].api_key_env if name in own else None
        if allowed(name) and _usable(provider, variable):
            yield name, provider


def _usable(provider: str, variable: str | None) -> bool:
    """Whether a call could be begun with it, as far as can be said without trying."""
    if variable is not None:
        return bool(os.environ.get(variable))
    factory = get_provider(provider)
    if getattr(getattr(factory, "capabilities", None), "on_device", False):
        module = _MODULES.get(provider)
        return module is None or find_spec(module) is not None
    return any(os.environ.get(name) for name in getattr(factory, "key_variables", ()))
