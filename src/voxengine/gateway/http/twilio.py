"""`/twilio/voice`: what Twilio is to do with a call. It is the webhook of a telephone number."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from starlette.responses import Response

from voxengine.gateway.http.description import errors
from voxengine.gateway.refusal import Refused
from voxengine.gateway.twilio.door import VOICE_PATH, VoiceRequest

if TYPE_CHECKING:
    from voxengine.gateway.gateway import Gateway

__all__ = ["twilio_router"]

#: Bytes of a request's body, and parameters in it.
MAX_BODY = 64 * 1024
MAX_PARAMETERS = 200
_QUERY = [
    {
        "name": "route",
        "in": "query",
        "description": "The route that answers; without one, the default.",
        "schema": {"type": "string"},
    }
]


def twilio_router(gateway: Gateway) -> APIRouter:
    """The route, for GET and POST."""
    router = APIRouter(tags=["telephone"])

    async def answer_call(request: Request) -> Response:
        """Answer Twilio's question about a call with TwiML that connects it to a route."""
        asked = VoiceRequest(
            base=f"{request.url.scheme}://{request.headers.get('host', '')}",
            target=_target(request),
            headers=request.headers,
            query=dict(request.query_params),
            parameters=_parameters(await _read(request)),
            address=request.client.host if request.client is not None else "",
        )
        twiml = gateway.twilio.answer(asked)
        return Response(twiml, media_type="text/xml", headers={"cache-control": "no-store"})

    for method in ("GET", "POST"):
        router.add_api_route(
            VOICE_PATH,
            answer_call,
            methods=[method],
            operation_id=f"answer_call_{method.lower()}",
            response_class=Response,
            responses={
                **errors(404, 413, 503),
                200: {"content": {"text/xml": {}}, "description": "TwiML"},
            },
            openapi_extra={"parameters": _QUERY},
        )
    return router


def _target(request: Request) -> str:
    """Path and query as they were sent: the signature is of these very characters."""
    path = request.scope.get("raw_path") or request.url.path.encode()
    query = request.scope.get("query_string", b"")
    return (path + b"?" + query if query else path).decode("latin-1")


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise Refused(413, "request_too_large", f"The body is longer than {MAX_BODY} bytes.")
    return bytes(body)


def _parameters(body: bytes) -> list[tuple[str, str]]:
    try:
        text = body.decode()
        return parse_qsl(
            text, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS
        )
    except ValueError:
        raise Refused(400, "invalid_value", "The body is not an HTML form's.") from None
