"""The server events of OpenAI's Realtime API, as events of ours.

`Decoder.decode(payload)` is given one message and returns what it means: events, in order. It does no I/O. What it has
to remember is what a message leaves out: the text of a transcript so far, the name of a tool whose arguments come, how
much audio of an item has come.

All 46 types of `openai.types.realtime.RealtimeServerEvent` are in one of three tables: RULES (in `rules`: they mean
something of ours), PASSED_ON (in `kinds`: what they carry only the application can want, and they become a `RawEvent`)
and NOTHING (there, with the reason). A type in none of them becomes a `RawEvent` too; what is no event, a complaint.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from pybase64 import b64decode

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.clock import Clock
from voxengine.events import ProviderEvent
from voxengine.providers.openai import messages as ms
from voxengine.providers.openai import usage
from voxengine.providers.openai.kinds import AUDIO, NOTHING, NOTICES, PASSED_ON
from voxengine.providers.openai.memory import Bounded, ItemAudio, SeenEvents
from voxengine.providers.openai.messages import Message, decode_message, decode_plain, parse
from voxengine.providers.openai.rules import RULES

__all__ = ["TRANSLATED", "Decoder"]

#: The types that become events of ours.
TRANSLATED = frozenset(RULES) | AUDIO

_KNOWN = TRANSLATED | PASSED_ON.keys() | NOTHING.keys()
_NONE: tuple[ProviderEvent, ...] = ()


class Decoder:
    """Of one connection.

    Args:
        meta: gives the fields that all events have: timestamp, provider, session_id.
        output: the format of the assistant's audio.
        model, transcription_model: what usage is booked under.
        tokens: whether the vendor's counts of tokens are what is paid for.
    """

    def __init__(
        self,
        *,
        meta: Callable[[], dict[str, Any]],
        provider: str,
        output: AudioFormat,
        model: str = "",
        transcription_model: str = "",
        tokens: bool = True,
    ) -> None:
        self.meta = meta
        self.output = output
        self.model = model
        self.transcription_model = transcription_model
        self.tokens = tokens
        #: Whether the user's words are wanted while they are said, and the start and end of speech.
        self.partials = True
        self.vad_events = True
        self.provider = provider
        self.session_id: str | None = None
        #: Milliseconds of silence after which the vendor calls speech ended, and how much audio it was sent by now.
        self.silence_ms = 0.0
        self.sent_ms: Callable[[], float | None] = lambda: None
        #: Received audio by item, for the point at which an item can be cut.
        self.audio = ItemAudio()
        #: Where in all input audio the turns ended that are not items yet.
        self.turn_ends: Bounded[float] = Bounded()
        #: The user's words so far, by item.
        self.partial_texts: Bounded[str] = Bounded()
        #: Names of tools by call, and calls that were told of.
        self.tool_names: Bounded[str] = Bounded()
        self.told_calls: Bounded[bool] = Bounded()
        #: Parts of items that have text: True while it comes piece by piece, False when it is whole; and the item and
        #: the index of the one that comes.
        self.text_parts: Bounded[bool] = Bounded()
        self.text_comes: tuple[str | None, int | None] | None = None
        #: The item of the assistant that was announced last, and its response: what binary audio belongs to.
        self.item_id: str | None = None
        self.response_id: str | None = None
        #: Is shown what concerns the connection itself; True: that is all there is to it.
        self.on_notice: Callable[[Message], bool] = lambda _: False
        #: Responses asked for outside of the conversation that have yet to begin, and those that have.
        self.asides = 0
        self.aside_ids: Bounded[bool] = Bounded()
        #: Tells events that come a second time; None: all count.
        self.seen: SeenEvents | None = None
        #: The time of events on the audio path: of the loop's clock, and what makes it Unix time.
        self.now: Callable[[], float] = time.time
        self.epoch = 0.0
        self._frame = output.bytes_per_frame

    def configure(self, *, partials: bool, vad_events: bool, silence_ms: float) -> None:
        """The session works with these settings from now on."""
        self.partials = partials
        self.vad_events = vad_events
        self.silence_ms = silence_ms

    def clock(self, clock: Clock) -> None:
        """Take the time of events on the audio path from here."""
        self.now, self.epoch = clock.now, clock.epoch

    def decode(self, payload: bytes | memoryview) -> Sequence[ProviderEvent]:
        """What a text message means. Never raises."""
        try:
            message = decode_message(payload)
            if self.seen is not None and self.seen.again(
                message.event_id, message.type, message.response_id, message.item_id
            ):
                return _NONE
            if self.aside_ids and message.response_id in self.aside_ids:
                return (self._raw(payload),)
            if message.type in AUDIO:
                # With `validate`, base64 is decoded twice as fast: nothing has to be skipped.
                audio = b64decode(message.delta or "", validate=True)
                return self._chunk(
                    audio, message.item_id, message.response_id, message.content_index or 0
                )
            if message.type in NOTICES and self.on_notice(message):
                return _NONE
            if self.aside_ids or self.asides:
                aside = self._aside(message, payload)
                if aside is not None:
                    return aside
            rule = RULES.get(message.type)
            if rule is not None:
                return rule(self, message)
            if message.type in NOTHING:
                return _NONE
            return (self._raw(payload),)
        except (msgspec.DecodeError, ValueError, RecursionError) as failure:
            return (self._not_understood(payload, failure),)

    def binary(self, payload: memoryview) -> Sequence[ProviderEvent]:
        """What a binary message means: audio of the item that was announced last."""
        return self._chunk(bytes(payload), self.item_id, self.response_id, 0)

    def _chunk(
        self, audio: bytes, item_id: str | None, response_id: str | None, content_index: int
    ) -> Sequence[ProviderEvent]:
        n = len(audio)
        if n % self._frame:
            # Half a sample would turn all that follows it into noise.
            return (self._complaint(f"{n} bytes of audio are no whole number of samples"),)
        if not n:
            return _NONE
        self.audio.add(item_id, n, content_index)
        output = self.output
        chunk = ev.AudioOutputChunk(
            audio_data=audio,
            sample_rate=output.sample_rate,
            encoding=output.encoding,
            item_id=item_id,
            response_id=response_id,
            timestamp=self.now() + self.epoch,
            provider=self.provider,
            session_id=self.session_id,
        )
        return (chunk,)

    def _aside(
        self, message: Message, payload: bytes | memoryview
    ) -> Sequence[ProviderEvent] | None:
        """The start or the end of a response outside of the conversation: told raw, and its usage booked."""
        if message.type not in ("response.created", "response.done"):
            return None
        response = parse(message.response, ms.Response)
        if response is None or response.id is None:
            return None
        if message.type == "response.created":
            if not self.asides or response.conversation_id is not None:
                return None
            self.asides -= 1
            self.aside_ids[response.id] = True
            return (self._raw(payload),)
        if self.aside_ids.pop(response.id, None) is None:
            return None
        raw = self._raw(payload)
        if response.usage is None or not self.tokens:
            return (raw,)
        return (usage.of_response(response.usage, response.id, self.model, self.meta()), raw)

    def _raw(self, payload: bytes | memoryview) -> ProviderEvent:
        plain = decode_plain(payload)
        return ev.RawEvent(name=str(plain.get("type", "")), payload=plain, **self.meta())

    def _not_understood(self, payload: bytes | memoryview, failure: Exception) -> ProviderEvent:
        """A message that is not of the form that its type has; of a type unknown to us it may have any form."""
        try:
            plain = decode_plain(payload)
            kind = plain["type"]
            if isinstance(kind, str) and kind not in _KNOWN:
                return ev.RawEvent(name=kind, payload=plain, **self.meta())
        except (msgspec.DecodeError, ValueError, RecursionError, KeyError, TypeError):
            return self._complaint(f"a message that is no event: {failure}")
        words = kind if isinstance(kind, str) else "a message whose type is no text"
        return self._complaint(f"{words} cannot be read: {failure}")

    def _complaint(self, words: str) -> ProviderEvent:
        return ev.ErrorGeneral(
            code="bad_message", error=f"{self.provider} sent {words}", **self.meta()
        )
