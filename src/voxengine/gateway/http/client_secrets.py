"""`POST /v1/realtime/client_secrets`: a key for a browser or a phone, in OpenAI's form.

The body is OpenAI's (`expires_after`, `session`), with an object `voxengine` of ours beside it for limits that OpenAI's
has no place for: `max_cost` (US dollars for all calls together), `max_duration` (seconds of a call), `concurrency`.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Request
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import JSONResponse

from voxengine.gateway.auth.client_secrets import Terms
from voxengine.gateway.http.description import errors
from voxengine.gateway.refusal import Refused
from voxengine.realtime import Complaint, schema

if TYPE_CHECKING:
    from voxengine.gateway.gateway import Gateway

__all__ = ["check_session", "client_secrets_router", "read_body"]

#: Bytes of a request's body.
MAX_BODY = 256 << 10
#: Seconds for which a client secret is good, if the request does not say.
DEFAULT_SECONDS = 600
_SHAPES = {"realtime": schema.SessionParams, "transcription": schema.TranscriptionParams}


class _ExpiresAfter(msgspec.Struct, forbid_unknown_fields=True):
    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, Meta(ge=10, le=7200)] = DEFAULT_SECONDS


class _Limits(msgspec.Struct, forbid_unknown_fields=True):
    max_cost: Annotated[float, Meta(gt=0)] | None = None
    max_duration: Annotated[float, Meta(gt=0)] | None = None
    concurrency: Annotated[int, Meta(ge=1)] | None = None


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    expires_after: _ExpiresAfter | UnsetType | None = UNSET
    session: dict[str, Any] | UnsetType | None = UNSET
    voxengine: _Limits | UnsetType | None = UNSET


def client_secrets_router(gateway: Gateway) -> APIRouter:
    """The route, also under the path that Azure's clients use."""
    router = APIRouter(tags=["realtime"])

    async def create_client_secret(request: Request) -> JSONResponse:
        """Make a client secret that opens calls of one route until it expires."""
        grant = gateway.gatekeeper.admit(
            request.headers,
            query=request.query_params,
            address=request.client.host if request.client is not None else "",
        )
        body = _decoded(await read_body(request))
        session = check_session(body.session or {"type": "realtime"})
        model = session.get("model")
        routes = None
        if model is not None:
            route = gateway.routes.resolve(model)
            grant.need_route(route.name)
            routes = (route.name,)
        limits = body.voxengine or _Limits()
        terms = Terms(
            routes=routes,
            max_cost=limits.max_cost,
            max_duration=limits.max_duration,
            concurrency=limits.concurrency,
            session=session,
        )
        seconds = (body.expires_after or _ExpiresAfter()).seconds
        value, until = gateway.gatekeeper.secrets.create(grant, terms, seconds)
        answer = {"value": value, "expires_at": until, "session": _told(session)}
        headers = {"cache-control": "no-store", **gateway.gatekeeper.limit_headers(grant)}
        return JSONResponse(answer, headers=headers)

    for prefix in ("/v1", "/openai/v1"):
        router.add_api_route(
            f"{prefix}/realtime/client_secrets",
            create_client_secret,
            methods=["POST"],
            response_model=None,
            include_in_schema=prefix == "/v1",
            responses=errors(404, 413),
        )
    return router


async def read_body(request: Request) -> bytes:
    """The body of a request, which has a limit.

    Raises:
        Refused: 413, it is longer.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise Refused(
                413,
                "request_too_large",
                f"The body is longer than {MAX_BODY} bytes.",
                retry_after=None,
            )
    return bytes(body)


def _decoded(data: bytes) -> _Body:
    try:
        value = msgspec.json.decode(data or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refused(
            400, "invalid_json", "We could not parse the JSON body of your request."
        ) from None
    try:
        body: _Body = schema.decode(value, _Body)
    except Complaint as complaint:
        raise _bad(complaint) from None
    return body


def check_session(session: dict[str, Any]) -> dict[str, Any]:
    """The session, as far as OpenAI's types go: what a `session.update` would take.

    Raises:
        Refused: 400, it is not one.
    """
    kind = session.get("type")
    shape = _SHAPES.get(kind) if isinstance(kind, str) else None
    if shape is None:
        text = "Invalid value for 'session.type': it is 'realtime' or 'transcription'."
        raise Refused(400, "invalid_value", text)
    try:
        schema.decode(session, shape, "session")
    except Complaint as complaint:
        raise _bad(complaint) from None
    return session


def _told(session: dict[str, Any]) -> dict[str, Any]:
    """The session as the answer has it: what was asked for. The rest is settled when a call begins."""
    kind = "session" if session["type"] == "realtime" else "transcription_session"
    told = {
        k: v for k, v in session.items() if k != "parallel_tool_calls"
    }  # OpenAI's answer has none
    return {"id": f"sess_{secrets.token_hex(16)}", "object": f"realtime.{kind}", **told}


def _bad(complaint: Complaint) -> Refused:
    return Refused(400, complaint.code or "invalid_value", str(complaint), complaint.kind)
