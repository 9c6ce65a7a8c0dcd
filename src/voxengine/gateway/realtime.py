"""A WebSocket for `/v1/realtime`: who is let in, and to which call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxengine.gateway.refusal import Refused
from voxengine.gateway.server.opening import Opened
from voxengine.gateway.wire.session import RealtimeSession
from voxengine.net.http1 import Request

if TYPE_CHECKING:
    from voxengine.gateway.gateway import Gateway

__all__ = ["CALL_ID_HEADER", "REALTIME_PATHS", "open_realtime"]

#: OpenAI's path, and that of Azure's clients.
REALTIME_PATHS = ("/v1/realtime", "/openai/v1/realtime")
#: The header of the answer that names the call.
CALL_ID_HEADER = "x-voxengine-call-id"
#: The subprotocol that browsers ask for, beside the one that holds their key.
SUBPROTOCOL = "realtime"
_BETA_SUBPROTOCOL = "openai-beta.realtime-v1"


async def open_realtime(gateway: Gateway, request: Request) -> Opened:
    """Let a client in: `?model=ROUTE`, or `?resume=SESSION_ID`; `intent=transcription` only transcribes.

    Raises:
        Refused: it is not let in.
    """
    try:
        return await _open(gateway, request)
    except Refused as refused:
        gateway.observing.refused(refused.code)
        raise


async def _open(gateway: Gateway, request: Request) -> Opened:
    query, offered = request.query, request.subprotocols
    grant = gateway.gatekeeper.admit(
        request.headers, query=query, subprotocols=offered, address=request.address
    )
    if "call_id" in query:
        raise Refused(
            404, "call_not_found", "There is no call by SIP or WebRTC of this id to be joined."
        )
    intent = query.get("intent", "conversation")
    if intent not in ("conversation", "transcription"):
        raise Refused(
            400, "invalid_value", "intent is 'conversation' or 'transcription', or is left out."
        )
    bound = grant.session or {}
    model = query.get("model") or query.get("deployment") or bound.get("model")
    call = await gateway.open_call(
        wire="websocket",
        model=model if isinstance(model, str) else None,
        grant=grant,
        transcription=intent == "transcription" or bound.get("type") == "transcription",
        resume=query.get("resume"),
    )
    try:
        session = RealtimeSession(gateway, call, beta=_is_beta(request))
    except BaseException:
        await call.end("the session could not be made", 1011)
        raise
    return Opened(
        session,
        {CALL_ID_HEADER: call.id},
        SUBPROTOCOL if SUBPROTOCOL in offered else None,
    )


def _is_beta(request: Request) -> bool:
    """Whether the client speaks the wire of the beta."""
    header = request.headers.get("openai-beta", "")
    return (
        "realtime=v1" in header.replace(" ", "").split(",")
        or _BETA_SUBPROTOCOL in request.subprotocols
    )
