"""`POST /v1/realtime/calls`: a call by WebRTC, in OpenAI's form; and how it is hung up by its caller's server.

The body is an SDP offer (`application/sdp`, with `?model=` or the session of a client secret), or a form with the parts
`sdp` and `session`. The answer is 201 with our SDP; `Location` names the call. `?resume=SESSION_ID` goes on with a call
whose client was cut off.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import APIRouter, Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.responses import Response

from voxengine.gateway.grants import Grant, Scope
from voxengine.gateway.http.client_secrets import check_session, read_body
from voxengine.gateway.realtime import CALL_ID_HEADER
from voxengine.gateway.refusal import Refused

if TYPE_CHECKING:
    from voxengine.gateway.call import Call
    from voxengine.gateway.gateway import Gateway

__all__ = ["calls_router"]

_SDP, _FORM = "application/sdp", "multipart/form-data"
#: Ids of calls, as OpenAI's API names them and as the gateway does.
_THEIRS, _OURS = "rtc_", "call_"
_PREFIXES = ("/v1", "/openai/v1")


def calls_router(gateway: Gateway) -> APIRouter:
    """The routes, also under the paths that Azure's clients use."""
    router = APIRouter(tags=["realtime"])

    def admit(request: Request) -> Grant:
        return gateway.gatekeeper.admit(
            request.headers,
            query=request.query_params,
            address=_address(request),
        )

    async def create_call(request: Request) -> Response:
        """Open a call by WebRTC: the body is an SDP offer, the answer is ours."""
        grant = admit(request)
        if find_spec("aiortc") is None:
            raise Refused(
                501,
                "webrtc_not_installed",
                "This server takes no calls by WebRTC: install it with 'voxengine[gateway,webrtc]'.",
            )
        # It brings codecs with it, which other calls do not need.
        from voxengine.gateway.webrtc import connect
        from voxengine.gateway.webrtc.offer import read_offer

        sdp, session = await _offered(request)
        offer = read_offer(sdp, _address(request))
        bound = grant.session or {}
        model = request.query_params.get("model")
        model = model or _text(session, "model") or _text(bound, "model")

        async def open_call() -> Call:
            return await gateway.open_call(
                wire="webrtc",
                model=model,
                grant=grant,
                transcription="transcription" in (_text(session, "type"), _text(bound, "type")),
                resume=request.query_params.get("resume"),
                session=session,
            )

        call, answer = await connect(gateway, offer, open_call)
        path = request.url.path.rstrip("/")
        headers = {
            "location": f"{path}/{_THEIRS}{call.id.removeprefix(_OURS)}",
            CALL_ID_HEADER: call.id,
            "cache-control": "no-store",
            **gateway.gatekeeper.limit_headers(grant),
        }
        return Response(answer, 201, headers, _SDP)

    async def hang_up(request: Request, call_id: str) -> Response:
        """End a call of the caller's own."""
        grant = admit(request)
        call = gateway.calls.get(_OURS + call_id.removeprefix(_THEIRS).removeprefix(_OURS))
        if call is None or not _may_end(grant, call):
            raise Refused(404, "call_not_found", "There is no such call.")
        await call.end("hung up by its caller's server")
        return Response(status_code=200)

    for prefix in _PREFIXES:
        shown: dict[str, Any] = {"methods": ["POST"], "include_in_schema": prefix == "/v1"}
        path = f"{prefix}/realtime/calls"
        router.add_api_route(
            path,
            create_call,
            status_code=201,
            response_class=Response,
            responses={
                201: {"content": {_SDP: {}}},
                **{status: {} for status in (400, 401, 403, 404, 413, 415, 429, 501, 503)},
            },
            openapi_extra={"requestBody": _BODY},
            **shown,
        )
        router.add_api_route(
            f"{path}/{{call_id}}/hangup",
            hang_up,
            response_class=Response,
            responses={401: {}, 403: {}, 404: {}},
            **shown,
        )
    return router


_BODY = {
    "required": True,
    "content": {
        _SDP: {"schema": {"type": "string"}},
        _FORM: {
            "schema": {
                "type": "object",
                "required": ["sdp"],
                "properties": {"sdp": {"type": "string"}, "session": {"type": "object"}},
            }
        },
    },
}


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else ""


def _text(values: dict[str, Any] | None, name: str) -> str | None:
    value = (values or {}).get(name)
    return value if isinstance(value, str) else None


def _may_end(grant: Grant, call: Call) -> bool:
    """Whether it is the caller's own, or the caller is an operator. A client secret is for its own calls."""
    if grant.secret_id is not None:
        return call.grant.secret_id == grant.secret_id
    return call.grant.key_id == grant.key_id or Scope.OPERATE in grant.scopes


async def _offered(request: Request) -> tuple[str, dict[str, Any] | None]:
    """The offer, and the session that came with it.

    Raises:
        Refused: 400, 413 or 415, the body is not as it should be.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == _SDP:
        return _decoded(await read_body(request), "sdp"), None
    if kind != _FORM:
        raise Refused(
            415,
            "unsupported_media_type",
            f"The body is an SDP offer ({_SDP}), or a form ({_FORM}) with the parts 'sdp' and 'session'.",
        )
    form = await _form(request, await read_body(request))
    try:
        sdp = await _part(form, "sdp")
        session = await _part(form, "session")
    finally:
        await form.close()
    if sdp is None:
        raise Refused(400, "missing_required_parameter", "The form has no part 'sdp'.")
    return sdp, None if session is None else _session(session)


async def _form(request: Request, body: bytes) -> FormData:
    async def once() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(
        request.headers, once(), max_files=4, max_fields=8, max_part_size=len(body) + 1
    )
    try:
        return await parser.parse()
    except (MultiPartException, KeyError, ValueError):
        raise Refused(400, "invalid_form", "The multipart body is not valid.") from None


async def _part(form: FormData, name: str) -> str | None:
    value = form.get(name)
    if isinstance(value, UploadFile):
        return _decoded(await value.read(), name)
    return value


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Refused(400, "invalid_value", f"'{name}' is not UTF-8.") from None


def _session(text: str) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refused(400, "invalid_json", "The part 'session' is not valid JSON.") from None
    if not isinstance(value, dict):
        raise Refused(400, "invalid_value", "The part 'session' is not a JSON object.")
    return check_session(value)
