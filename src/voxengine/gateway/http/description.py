"""The description of the API: what is common to all requests, beside what each says of itself."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from voxengine.gateway.http.shapes import ErrorAnswer

__all__ = ["describe", "errors"]

_WORDS = {
    400: "A parameter or the body is not as described.",
    401: "No key, or one that is not good.",
    403: "The key is not for that.",
    404: "There is no such thing.",
    409: "It cannot be done in the state that the call is in.",
    413: "The body is too long.",
    429: "Too many requests; `Retry-After` says when to come again.",
    500: "The server had an error.",
    502: "The provider failed.",
    503: "It cannot be done now.",
    504: "It took too long.",
}
#: Who may ask everybody: these need no key.
_OPEN = ("/healthz", "/readyz")


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: the refusals that it knows, besides those that every request may meet."""
    found = sorted({400, 401, 403, 429, *statuses})
    return {status: {"model": ErrorAnswer, "description": _WORDS[status]} for status in found}


def describe(app: FastAPI) -> None:
    """Let `/openapi.json` say how one shows a key, and which answers there really are."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(
                get_openapi(
                    title=app.title,
                    version=app.version,
                    description=app.description,
                    routes=app.routes,
                )
            )
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _completed(schema: dict[str, Any]) -> dict[str, Any]:
    components = schema.setdefault("components", {})
    components["securitySchemes"] = {
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "A key, or a client secret. Without keys configured, none is needed.",
        }
    }
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            # What does not fit is answered with 400, as OpenAI does.
            operation["responses"].pop("422", None)
            if path not in _OPEN:
                operation["security"] = [{"key": []}, {}]
    shapes = components.get("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        shapes.pop(unused, None)
    return schema
