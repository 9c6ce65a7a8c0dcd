"""One call, as Twilio brings it to a server (twilio.com/docs/voice/media-streams/websocket-messages).

What the server sends is read strictly: Twilio warns of a message with a field too many, or of another stream, and does
not play it (its warnings 31950 and 31951); here it is a violation.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections import deque
from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from voxengine.net import Closed, WebSocket, connect_websocket
from voxengine.testing.emulators.twilio.player import BYTES_PER_MS, Player

__all__ = ["Clear", "TwilioCall"]

#: Milliseconds of a `media` message, and its bytes.
FRAME_MS = 20
_FRAME = FRAME_MS * BYTES_PER_MS
#: Silence, in u-law.
_SILENCE = b"\xff"


class _Payload(msgspec.Struct, forbid_unknown_fields=True):
    payload: bytes


class _Name(msgspec.Struct, forbid_unknown_fields=True):
    name: str


class _Media(msgspec.Struct, tag="media", tag_field="event", forbid_unknown_fields=True):
    streamSid: str
    media: _Payload


class _Mark(msgspec.Struct, tag="mark", tag_field="event", forbid_unknown_fields=True):
    streamSid: str
    mark: _Name


class _Clear(msgspec.Struct, tag="clear", tag_field="event", forbid_unknown_fields=True):
    streamSid: str


_Sent: TypeAlias = _Media | _Mark | _Clear
_decode = msgspec.json.Decoder(_Sent).decode


class Clear(msgspec.Struct, frozen=True):
    """The server threw away what was not played: at this time of the loop, when so much of all was heard."""

    at: float
    heard_ms: float
    marks: tuple[str, ...]


class TwilioCall:
    """A call by telephone. A context manager: the caller is connected in it, and hangs up at its end.

    Args:
        url: the server's stream, ws:// or wss://.
        parameters: those of the TwiML, which the server finds in `start`.
        call_sid: the call's id; None: a new one.
        headers: more headers of the handshake.
        delay_ms: how long after it has come audio begins to be played.
    """

    def __init__(
        self,
        url: str,
        *,
        parameters: Mapping[str, str] | None = None,
        call_sid: str | None = None,
        headers: Mapping[str, str] | None = None,
        delay_ms: float = 40.0,
    ) -> None:
        self.url = url
        self.call_sid = call_sid or f"CA{secrets.token_hex(16)}"
        self.stream_sid = f"MZ{secrets.token_hex(16)}"
        self.account_sid = f"AC{secrets.token_hex(16)}"
        #: What Twilio would not have understood.
        self.violations: list[str] = []
        self.clears: list[Clear] = []
        #: All audio that the server was sent.
        self.sent = bytearray()
        #: All audio that the server has sent, played or not.
        self.received = bytearray()
        #: How the connection ended; None while it is open.
        self.closed: Closed | None = None
        self.ended = asyncio.Event()
        self._parameters = dict(parameters or {})
        self._headers = dict(headers or {})
        self._player = Player(delay_ms / 1000)
        self._socket: WebSocket | None = None
        self._sequence = 0
        self._chunk = 0
        self._saying: deque[bytes] = deque()
        self._said = asyncio.Event()
        self._said.set()
        self._ticker: asyncio.Task[None] | None = None

    # -- life

    async def __aenter__(self) -> TwilioCall:
        self._socket = await connect_websocket(
            self.url,
            on_text=self._text,
            on_binary=lambda _: self.violations.append("a binary message"),
            on_closed=self._closed_by,
            headers=self._headers,
            proxy="",
        )
        self._put({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        self.send(
            "start",
            {
                "streamSid": self.stream_sid,
                "accountSid": self.account_sid,
                "callSid": self.call_sid,
                "tracks": ["inbound"],
                "customParameters": self._parameters,
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            },
        )
        self._ticker = asyncio.get_running_loop().create_task(self._tick(), name="twilio-call")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.hang_up()

    async def hang_up(self) -> None:
        """The caller hangs up. May be called again."""
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.wait([self._ticker])
        if self._socket is not None:
            if self.closed is None:
                self.send("stop", {"accountSid": self.account_sid, "callSid": self.call_sid})
            await self._socket.close()

    # -- the caller

    async def say(self, audio: bytes) -> None:
        """Say this (u-law, 8 kHz) at the pace of speech; returns when it was said. Otherwise there is silence."""
        for start in range(0, len(audio), _FRAME):
            self._saying.append(audio[start : start + _FRAME].ljust(_FRAME, _SILENCE))
        self._said.clear()
        await self._said.wait()

    def press(self, keys: str) -> None:
        """Press these keys, one after the other."""
        for key in keys:
            self.send("dtmf", {"track": "inbound_track", "digit": key})

    @property
    def heard(self) -> bytes:
        """What the caller has heard so far."""
        return self._player.heard(self._now)

    @property
    def heard_ms(self) -> float:
        """Milliseconds of it."""
        return len(self.heard) / BYTES_PER_MS

    @property
    def left_ms(self) -> float:
        """Milliseconds that are still to be played."""
        return self._player.left_ms(self._now)

    def send(self, event: str, content: Mapping[str, Any]) -> None:
        """Send a message of the stream."""
        self._sequence += 1
        self._put(
            {
                "event": event,
                "sequenceNumber": str(self._sequence),
                event: content,
                "streamSid": self.stream_sid,
            }
        )

    # -- inside

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _put(self, message: Mapping[str, Any]) -> None:
        if self._socket is not None and self._socket.is_open:
            self._socket.send_text(json.dumps(message).encode())

    async def _tick(self) -> None:
        begin = self._now
        while self.closed is None:
            self._frame()
            await asyncio.sleep(begin + self._chunk * FRAME_MS / 1000 - self._now)

    def _frame(self) -> None:
        audio = self._saying.popleft() if self._saying else _SILENCE * _FRAME
        if not self._saying:
            self._said.set()
        self._chunk += 1
        self.sent += audio
        payload = base64.b64encode(audio).decode()
        place = {"chunk": str(self._chunk), "timestamp": str(self._chunk * FRAME_MS)}
        self.send("media", {"track": "inbound", **place, "payload": payload})
        self._give_back(self._player.due(self._now))

    def _give_back(self, marks: list[str]) -> None:
        for name in marks:
            self.send("mark", {"name": name})

    def _text(self, message: memoryview) -> None:
        try:
            said = _decode(message)
        except msgspec.DecodeError as failure:
            self.violations.append(f"{failure}: {bytes(message[:200])!r}")
            return
        if said.streamSid != self.stream_sid:
            self.violations.append(f"another stream: {said.streamSid[:40]!r}")
            return
        now = self._now
        if isinstance(said, _Media):
            self.received += said.media.payload
            self._player.push(said.media.payload, now)
        elif isinstance(said, _Mark):
            self._player.mark(said.mark.name, now)
        else:
            self._give_back(self._player.due(now))
            left = self._player.clear(now)
            self.clears.append(Clear(now, self.heard_ms, tuple(left)))
            self._give_back(left)

    def _closed_by(self, closed: Closed) -> None:
        self.closed = closed
        self._said.set()
        self.ended.set()
