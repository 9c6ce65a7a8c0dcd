"""The client's eleven events: understood, and done one after the other.

Most are done on the spot. One that has to wait, for a switch of providers say, holds those that come after it, in a
bounded queue. Audio goes on meanwhile, unless what is waited for is about audio.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Set
from typing import TYPE_CHECKING, Any

import msgspec
import pybase64

from voxengine.gateway.wire.input import audio_of
from voxengine.gateway.wire.legacy import LEGACY_EVENTS, from_beta
from voxengine.gateway.wire.unasked import answer_unasked
from voxengine.realtime import schema
from voxengine.realtime.errors import Complaint

if TYPE_CHECKING:
    from voxengine.gateway.wire.session import RealtimeSession

__all__ = ["Commands"]

#: What may wait: events, and the bytes of their messages.
MAX_WAITING = 256
MAX_WAITING_BYTES = 4 * 1024 * 1024
#: Objects and arrays within each other, far more than any JSON schema of a function has.
MAX_DEPTH = 100

_Call = Callable[[], Awaitable[None] | None]


class _Entry(msgspec.Struct, frozen=True):
    call: _Call
    event_id: str | None
    size: int
    #: Audio that comes later may not overtake it.
    about_audio: bool


class Commands:
    """What one client asks for."""

    def __init__(self, session: RealtimeSession) -> None:
        self._session = session
        self._queue: deque[_Entry] = deque()
        self._bytes = 0
        self._busy = False
        #: What is about to be done by a task that may be cancelled before.
        self._next: Awaitable[None] | None = None
        #: How many of those that wait, or are being done, are about audio.
        self._about_audio = 0
        self._handlers: dict[str, Callable[[Any, str | None], Awaitable[None] | None]] = {
            "session.update": self._session_update,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": lambda *_: session.input.commit(),
            "input_audio_buffer.clear": lambda *_: session.input.clear(),
            "conversation.item.create": lambda v, _: session.output.items.create(v),
            "conversation.item.retrieve": lambda v, _: session.output.items.retrieve(v.item_id),
            "conversation.item.truncate": lambda v, _: session.output.items.truncate(v),
            "conversation.item.delete": lambda v, _: session.output.items.delete(v.item_id),
            "response.create": self._response_create,
            "response.cancel": self._response_cancel,
            "output_audio_buffer.clear": self._output_clear,
        }

    @property
    def kinds(self) -> Set[str]:
        """The types of the events that are done."""
        return self._handlers.keys()

    # -- the client

    def take(self, message: memoryview | bytes) -> None:
        """A whole message of the client's."""
        audio = audio_of(message)
        if audio is None:
            self._take_any(bytes(message))
        else:
            self.take_audio(audio)

    def take_audio(self, audio: bytes) -> None:
        """Some more of the client's audio."""
        try:
            if self._about_audio:
                self._put(lambda: self._session.input.take(audio), None, len(audio), False)
            else:
                self._session.input.take(audio)
        except Complaint as complaint:
            self._session.failed(complaint, None)

    def _take_any(self, message: bytes) -> None:
        event_id: str | None = None
        try:
            event = _parsed(message)
            given = event.get("event_id")
            event_id = given if isinstance(given, str) else None
            if self._session.beta:
                event = from_beta(event)
            value = schema.decode(event, _shape(event, beta=self._session.beta))
            handler = self._handlers[value.type]
            about_audio = _is_about_audio(value)
            if value.type == "input_audio_buffer.append":
                if not self._about_audio:
                    self._append(value, event_id)
                    return
                about_audio = False
            self._put(lambda: handler(value, event_id), event_id, len(message), about_audio)
        except Complaint as complaint:
            self._session.failed(complaint, event_id)

    def then(self, call: Callable[[], Awaitable[None]], about_audio: bool = True) -> None:
        """Do something of the gateway's own, in its turn.

        Raises:
            Complaint: too much is waiting already.
        """
        self._put(call, None, 0, about_audio)

    def close(self) -> None:
        """Nothing more is done."""
        for entry in self._queue:
            self._about_audio -= entry.about_audio
        self._queue.clear()
        self._bytes = 0
        if isinstance(self._next, Coroutine):
            self._next.close()

    # -- one after the other

    def _put(self, call: _Call, event_id: str | None, size: int, about_audio: bool) -> None:
        entry = _Entry(call, event_id, size, about_audio)
        if not self._busy and not self._queue:
            self._start(entry)
            return
        if len(self._queue) >= MAX_WAITING or self._bytes + size > MAX_WAITING_BYTES:
            raise Complaint(
                "Too many events wait for one that takes long; this one was not taken.",
                "too_many_pending_events",
                kind="server_error",
            )
        self._queue.append(entry)
        self._bytes += size
        self._about_audio += about_audio

    def _start(self, entry: _Entry) -> None:
        """Do it, at once if it does not have to wait."""
        try:
            waits = entry.call()
        except Exception as failure:
            self._session.failed(failure, entry.event_id)
            return
        if waits is not None:
            self._busy = True
            self._about_audio += entry.about_audio
            self._next = waits
            self._session.spawn(self._work(waits, entry))

    async def _work(self, waits: Awaitable[None] | None, entry: _Entry) -> None:
        self._next = None
        try:
            while True:
                if waits is not None:
                    try:
                        await waits
                    except Exception as failure:
                        self._session.failed(failure, entry.event_id)
                self._about_audio -= entry.about_audio
                if not self._queue:
                    return
                entry = self._queue.popleft()
                self._bytes -= entry.size
                try:
                    waits = entry.call()
                except Exception as failure:
                    waits = None
                    self._session.failed(failure, entry.event_id)
        finally:
            self._busy = False

    # -- what each does

    def _session_update(self, value: schema.SessionUpdate, event_id: str | None) -> Awaitable[None]:
        return self._session.update(value.session, event_id)

    def _append(self, value: schema.Append, event_id: str | None) -> None:
        try:
            audio = pybase64.b64decode(value.audio, validate=True)
        except ValueError:
            raise Complaint(
                "Invalid 'audio'. Expected base64-encoded audio bytes.", "invalid_value", "audio"
            ) from None
        self._session.input.take(audio)

    def _response_create(
        self, value: schema.ResponseCreate, event_id: str | None
    ) -> Awaitable[None] | None:
        if self._session.settings.kind == "transcription":
            raise Complaint(
                "Responses cannot be created in a transcription session.", "invalid_value", "type"
            )
        params = value.response if isinstance(value.response, schema.ResponseParams) else None
        if not _stands_apart(params) and self._session.input.keeps_turns:
            if self._answers_itself:
                return answer_unasked(self._session, params)
            self._session.input.release()
        return self._session.output.create(params)

    @property
    def _answers_itself(self) -> bool:
        provider = self._session.call.engine.provider
        return provider is not None and provider.capabilities.auto_response

    def _response_cancel(
        self, value: schema.ResponseCancel, event_id: str | None
    ) -> Awaitable[None] | None:
        wanted = value.response_id if isinstance(value.response_id, str) else None
        return self._session.output.cancel(wanted)

    def _output_clear(
        self, value: schema.ClientEvent, event_id: str | None
    ) -> Awaitable[None] | None:
        if not self._session.rtc:
            raise Complaint(
                "output_audio_buffer.clear is only supported for WebRTC and SIP connections.",
                "invalid_value",
                "type",
            )
        return self._session.output.clear_audio()


def _stands_apart(params: schema.ResponseParams | None) -> bool:
    """Whether a response answers something else than the conversation: turns that were kept back are none of its."""
    return params is not None and (params.conversation == "none" or isinstance(params.input, list))


def _is_about_audio(value: schema.ClientEvent) -> bool:
    """Whether audio that comes later must not overtake it: a switch of providers goes on while the user speaks."""
    if isinstance(value, schema.SessionUpdate):
        return "model" not in value.session
    return value.type.startswith("input_audio_buffer.")


def _parsed(message: bytes) -> dict[str, Any]:
    """The object that a message means.

    Raises:
        Complaint: it means none.
    """
    try:
        event = msgspec.json.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Complaint("The message is not valid JSON.", "invalid_json") from None
    if not isinstance(event, dict):
        raise Complaint("The message is not a JSON object.", "invalid_json")
    if message.count(b"[") + message.count(b"{") > MAX_DEPTH and _is_deep(event):
        raise Complaint(f"JSON may be nested {MAX_DEPTH} deep here.", "invalid_json")
    return event


def _is_deep(event: dict[str, Any]) -> bool:
    """Whether it is nested so deeply that those who walk through it would not come back."""
    level: list[Any] = [event]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for each in level:
            values = each.values() if isinstance(each, dict) else each
            inner += [value for value in values if isinstance(value, (dict, list))]
        if not inner:
            return False
        level = inner
    return True


def _shape(event: dict[str, Any], *, beta: bool) -> type[schema.ClientEvent]:
    kind = event.get("type")
    if kind is None:
        raise Complaint("Missing required parameter: 'type'.", "missing_required_parameter", "type")
    if not isinstance(kind, str) or kind not in schema.CLIENT_EVENTS:
        allowed = ", ".join(f"'{name}'" for name in schema.CLIENT_EVENTS)
        raise Complaint(
            f"Invalid value: '{kind}'. Supported values are: {allowed}.", "invalid_value", "type"
        )
    legacy = LEGACY_EVENTS.get(kind) if beta else None
    return legacy or schema.CLIENT_EVENTS[kind]
