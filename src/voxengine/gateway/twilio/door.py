"""Who may call by Twilio: its question about a call is answered, and the stream of that call is let in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

import msgspec

from voxengine.clock import Clock
from voxengine.gateway.grants import Grant, Scope
from voxengine.gateway.refusal import Refused
from voxengine.gateway.server.opening import Opened
from voxengine.gateway.twilio.messages import Start
from voxengine.gateway.twilio.signature import is_signed
from voxengine.gateway.twilio.stream import TwilioStream
from voxengine.gateway.twilio.tickets import Tickets
from voxengine.net.http1 import Request

if TYPE_CHECKING:
    from voxengine.gateway.gateway import Gateway

__all__ = ["STREAM_PATH", "VOICE_PATH", "TwilioDoor", "VoiceRequest"]

#: Where Twilio asks what to do with a call, and where it brings the call's audio.
VOICE_PATH = "/twilio/voice"
STREAM_PATH = "/twilio/stream"
#: Streams that may be open without having said which call they belong to.
MOST_WAITING = 100
#: Characters of a call's id; Twilio's have 34.
_CALL_SID = 64
#: Whose calls they are, where Twilio's signature has let them in.
_TWILIO = Grant(key_id="twilio", scopes=frozenset({Scope.TALK}))
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


class VoiceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Twilio's question about a call (twilio.com/docs/voice/twiml, "Twilio's request to your application")."""

    #: Scheme, host and port that the request was sent to, and its path with the query, undecoded.
    base: str
    target: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    #: Those of the body, in any order.
    parameters: Sequence[tuple[str, str]] = ()
    address: str = ""

    def value(self, name: str) -> str:
        """A parameter of the body, or of the query; empty without one."""
        return dict(self.parameters).get(name) or self.query.get(name, "")


class TwilioDoor:
    """Lets Twilio's calls in, for one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._tickets = Tickets()
        self._waiting: set[TwilioStream] = set()

    def answer(self, asked: VoiceRequest) -> str:
        """The TwiML for a call: its stream, or "busy" while the gateway takes no calls.

        `?route=` names the route, as `model` does elsewhere.

        Raises:
            Refused: 400 it is not about a call; 403 Twilio did not send it, or for the second time; 404 there is no
                such route; 503 the auth token is not set.
        """
        settings = self.gateway.config.twilio
        token = settings.auth_token()
        base = settings.public_url or asked.base
        grant = _TWILIO
        if token is None:
            grant = self.gateway.gatekeeper.admit(
                asked.headers, query=asked.query, address=asked.address
            )
        elif not is_signed(
            base + asked.target,
            asked.parameters,
            token,
            asked.headers.get("x-twilio-signature", ""),
        ):
            raise Refused(
                403,
                "invalid_signature",
                "The request is not signed with the auth token, or not for this address: compare public_url with the "
                "one that Twilio calls.",
                "permission_error",
            )
        route = asked.query.get("route", "")
        grant.need_route(self.gateway.routes.resolve(route or None).name)
        call_sid = asked.value("CallSid")
        if not 0 < len(call_sid) <= _CALL_SID:
            raise Refused(400, "invalid_value", "The request is not about a call.")
        if self.gateway.not_ready():
            return f'{_HEAD}<Response><Reject reason="busy"/></Response>'
        parameters = {"route": route}
        if token is not None:
            signature = asked.headers["x-twilio-signature"]
            parameters["ticket"] = self._tickets.answer(
                signature, call_sid, route, token, Clock().wall()
            )
        return _connect(base, parameters)

    async def open(self, request: Request) -> Opened:
        """A WebSocket of Twilio's, which will say which call it belongs to.

        Raises:
            Refused: 401, 403 without an auth token: it may not call; 503 too many streams say nothing, or the auth
                token is not set.
        """
        grant = None
        if self.gateway.config.twilio.auth_token() is None:
            grant = self.gateway.gatekeeper.admit(
                request.headers,
                query=request.query,
                subprotocols=request.subprotocols,
                address=request.address,
            )
        if len(self._waiting) >= MOST_WAITING:
            raise Refused(
                503, "server_overloaded", "Too many streams wait.", "server_error", retry_after=2
            )
        stream = TwilioStream(self, grant)
        self._waiting.add(stream)
        return Opened(stream)

    def admit(self, start: Start, grant: Grant | None) -> tuple[Grant, str | None]:
        """Who the call of a stream belongs to, and its route. `grant` is what the handshake has shown.

        Raises:
            Refused: 403, the stream belongs to no call that was asked about.
        """
        given = start.custom_parameters
        route = given.get("route", "")
        token = self.gateway.config.twilio.auth_token()
        if token is not None:
            self._tickets.take(
                given.get("ticket", ""), start.call_sid, route, token, Clock().wall()
            )
            return _TWILIO, route or None
        if grant is None:
            raise Refused(
                403, "invalid_ticket", "The configuration has changed.", "permission_error"
            )
        return grant, route or None

    def left(self, stream: TwilioStream) -> None:
        """It has said what it is, or is gone."""
        self._waiting.discard(stream)


def _connect(base: str, parameters: Mapping[str, str]) -> str:
    """TwiML that connects the call to a stream both ways (twilio.com/docs/voice/twiml/stream)."""
    url = base.replace("http", "ws", 1) + STREAM_PATH
    inner = "".join(
        f"<Parameter name={quoteattr(name)} value={quoteattr(value)}/>"
        for name, value in parameters.items()
        if value
    )
    stream = f"<Stream url={quoteattr(url)}>{inner}</Stream>"
    return f"{_HEAD}<Response><Connect>{stream}</Connect></Response>"
