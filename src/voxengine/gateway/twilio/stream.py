"""One telephone call: Twilio's messages go to the engine, what that says goes to Twilio."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import msgspec

from voxengine.errors import VoiceEngineError
from voxengine.events import (
    AudioOutputChunk,
    AudioOutputStopped,
    EventType,
    ProviderEvent,
    Subscription,
)
from voxengine.gateway.call import Call
from voxengine.gateway.grants import Grant
from voxengine.gateway.peer import Peer
from voxengine.gateway.refusal import Refused
from voxengine.gateway.twilio.keypad import Keypad
from voxengine.gateway.twilio.messages import TELEPHONE, Message, Start, decode
from voxengine.gateway.twilio.outcome import Watch
from voxengine.gateway.twilio.speaker import Line, Speaker
from voxengine.gateway.twilio.uplink import Uplink

if TYPE_CHECKING:
    from voxengine.gateway.twilio.door import TwilioDoor

__all__ = ["TwilioStream"]

logger = logging.getLogger("voxengine.gateway")

#: Seconds in which a stream has to say which call it belongs to.
START_BUDGET = 10.0
#: Close codes (RFC 6455, 7.4.1, and IANA's registry): against the rules, unsupported, our fault, try again later.
_POLICY, _UNSUPPORTED, _FAILED, _LATER = 1008, 1003, 1011, 1013
_HANG_UP = 1000
#: What ends a response: no audio of it follows.
_RESPONSE_ENDS = (
    EventType.RESPONSE_COMPLETED,
    EventType.RESPONSE_CANCELLED,
    EventType.RESPONSE_ERROR,
)


class TwilioStream:
    """A `PeerHandler` that speaks Twilio's Media Streams.

    The call is opened when Twilio has said which it is, and is over with the stream: Twilio does not come back.
    `grant` is that of a client who was let in by the handshake; None: by the ticket, which comes with `start`.
    """

    def __init__(self, door: TwilioDoor, grant: Grant | None) -> None:
        self._door = door
        self._grant = grant
        #: The connection, as the call sees it.
        self.peer: Line | None = None
        self._raw: Peer | None = None
        self._sid = ""
        self._call: Call | None = None
        self._speaker: Speaker | None = None
        self._uplink = Uplink()
        self._keypad = Keypad(self._entered)
        self._watch: Watch | None = None
        self._subscriptions: list[Subscription] = []
        self._opening: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._odd = False

    # -- the peer

    def on_open(self, peer: Peer) -> None:
        """Wait for `start`."""
        self._raw = peer
        self._timer = asyncio.get_running_loop().call_later(START_BUDGET, self._too_late)

    def on_message(self, message: memoryview | bytes) -> None:
        """A message of Twilio's. What is not understood is passed over, once the call is known."""
        if self._closed:
            return
        try:
            said = decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._passed_over("a message is not one of Media Streams")
            return
        # The first is what comes fifty times a second.
        if said.media is not None and said.event == "media":
            if self._sid and said.media.track == "inbound" and said.media.payload:
                self._uplink.take(said.media.payload)
        elif said.mark is not None and said.event == "mark":
            if self._speaker is not None:
                self._speaker.returned(said.mark.name)
        else:
            self._take(said)

    def on_close(self, code: int, reason: str) -> None:
        """The caller has hung up, or is cut off; that comes to the same."""
        self._door.left(self)
        self._close()
        if self._call is not None:
            self._call.detach(self, _HANG_UP)

    # -- beginning

    def _take(self, said: Message) -> None:
        match said:
            case Message(event="start", start=Start() as start) if not self._sid:
                self._start(start)
            case Message(event="dtmf", dtmf=pressed) if pressed is not None and self._sid:
                self._keypad.press(pressed.digit)
            case Message(event="stop"):
                self._end(_HANG_UP, "")
            case Message(event="connected"):
                pass
            case _:
                self._passed_over(f"there is no use for {said.event[:20]!r}")

    def _start(self, start: Start) -> None:
        self._door.left(self)
        self._stop_timer()
        if not start.media_format.is_telephone:
            self._end(_UNSUPPORTED, "audio/x-mulaw at 8000 Hz is understood")
            return
        try:
            grant, route = self._door.admit(start, self._grant)
        except Refused as refused:
            self._refused(refused, start.call_sid)
            return
        self._sid = start.stream_sid
        self._opening = asyncio.get_running_loop().create_task(
            self._open(start, grant, route), name="voxengine-twilio-opening"
        )

    async def _open(self, start: Start, grant: Grant, route: str | None) -> None:
        """Open the call. If the caller hangs up meanwhile, this is cancelled."""
        try:
            call = await self._door.gateway.open_call(
                wire="twilio",
                model=route,
                grant=grant,
                settings={"input_format": TELEPHONE, "output_format": TELEPHONE},
            )
        except Refused as refused:
            self._refused(refused, start.call_sid)
            return
        except Exception:
            logger.exception("the call %.64s could not be opened", start.call_sid)
            self._end(_FAILED, "internal_error")
            return
        if self._closed:
            await call.end("the caller hung up")
            return
        self._begin(call, start)

    def _begin(self, call: Call, start: Start) -> None:
        assert self._raw is not None, "messages come when it is open"
        self._call = call
        engine = call.engine
        self._speaker = Speaker(self._raw, start.stream_sid, self._heard)
        self.peer = Line(self._raw, self._speaker)
        self._watch = Watch(call)
        self._subscriptions = [
            engine.on(EventType.AUDIO_OUTPUT_CHUNK, self._say),
            engine.on(EventType.AUDIO_OUTPUT_STOPPED, self._stopped),
            engine.on(_RESPONSE_ENDS, self._said),
            engine.on(Watch.EVENTS, self._watch.on_event),
        ]
        call.attach(self)
        call.record.note("telephone", {"call_sid": start.call_sid, "stream_sid": self._sid})
        logger.info("call %s is Twilio's %.64s", call.id, start.call_sid)
        self._uplink.connect(call)

    # -- what the engine tells

    def _say(self, event: ProviderEvent) -> None:
        if isinstance(event, AudioOutputChunk) and self._speaker is not None:
            self._speaker.play(event)

    def _said(self, event: ProviderEvent) -> None:
        if self._speaker is not None:
            self._speaker.finish()

    def _stopped(self, event: ProviderEvent) -> None:
        if not isinstance(event, AudioOutputStopped) or self._speaker is None:
            return
        if event.interrupted:
            self._speaker.stop()
        else:
            self._speaker.finish()

    # -- what the caller does

    def _heard(self, item_id: str, ms: float) -> None:
        if self._call is not None and not self._call.ending:
            try:
                self._call.engine.acknowledge_playback(item_id, ms)
            except VoiceEngineError as failure:
                logger.debug("call %s: %s", self._call.id, failure)

    def _entered(self, keys: str) -> None:
        call = self._call
        if call is None or call.ending:
            return
        call.record.note("dtmf", {"digits": keys})
        if call.route.dtmf == "ignore":
            return
        try:
            _ = call.engine.inject(f"The caller pressed {keys}", speak=True)
        except VoiceEngineError as failure:
            logger.warning("call %s: keys of the caller are lost: %s", call.id, failure)

    # -- the end

    def _too_late(self) -> None:
        self._timer = None
        self._door.left(self)
        self._end(_POLICY, "a stream begins with 'start'")

    def _refused(self, refused: Refused, call_sid: str) -> None:
        logger.warning("Twilio's call %.64s is refused: %s", call_sid, refused.code)
        self._door.gateway.observing.refused(refused.code)
        known = {403: _POLICY, 404: _POLICY, 429: _LATER, 503: _LATER}
        self._end(known.get(refused.status, _FAILED), refused.code)

    def _passed_over(self, why: str) -> None:
        """Of somebody who has not been let in yet nothing is put up with."""
        if not self._sid:
            self._end(_POLICY, why)
        elif not self._odd:
            self._odd = True
            logger.warning("stream %.64s: %s; more such are not told", self._sid, why)

    def _end(self, code: int, reason: str) -> None:
        self._close()
        if self._call is not None:
            self._call.detach(self, _HANG_UP)
        if self._raw is not None:
            self._raw.close(code, reason)

    def _close(self) -> None:
        self._closed = True
        self._stop_timer()
        self._keypad.close()
        self._uplink.close()
        for subscription in self._subscriptions:
            subscription.cancel()
        if self._opening is not None and self._opening is not asyncio.current_task():
            self._opening.cancel()
        if self._watch is not None:
            self._watch.close()
        if self.peer is not None:
            self.peer.gone()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
