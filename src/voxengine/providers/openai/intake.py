"""What comes in on the connection of the OpenAI family, and what follows from it at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.config import ProviderConfig
from voxengine.errors import ConnectionError, ProviderError
from voxengine.net import WebSocket
from voxengine.net.masking import Mask
from voxengine.providers.base import BaseProvider, ConnectionState
from voxengine.providers.openai import address, failures, shape
from voxengine.providers.openai import messages as ms
from voxengine.providers.openai.decode import Decoder
from voxengine.providers.openai.dialects import OPENAI, Dialect
from voxengine.providers.openai.gate import REQUEST_ID, ResponseGate
from voxengine.providers.openai.memory import Bounded
from voxengine.providers.openai.messages import Message, parse
from voxengine.providers.openai.meter import SecondsMeter
from voxengine.providers.openai.waits import Waits

__all__ = ["OpenAIIntake"]

#: Codes of an error that says: there is nothing to call off; and: a response is under way already.
_NOT_ACTIVE = frozenset({"response_cancel_not_active"})
_ALREADY_ACTIVE = frozenset({"conversation_already_has_active_response", "response_active"})
_ENDS = (ev.ResponseCompleted, ev.ResponseCancelled, ev.ResponseError)
#: What belongs to a response, and means nothing once that has ended.
_OUTPUT = (ev.AudioOutputChunk, ev.TextOutput, ev.UsageUpdated)
#: The id of a request for a response outside of the conversation that has none of its own.
ASIDE_ID = "aside"
#: What there is most of, and needs no more than that.
_STREAMS = frozenset({ev.AudioOutputChunk, ev.TextOutput})
_COUNTS = tuple(
    name
    for name in ev.UsageUpdated.__struct_fields__
    if name not in ev.ProviderEvent.__struct_fields__ and name not in ("response_id", "model")
)


class OpenAIIntake(BaseProvider):
    """What the provider knows of its session, and how the vendor's messages change that."""

    dialect: Dialect = OPENAI

    def __init__(self, config: Mapping[str, Any] | ProviderConfig | None = None) -> None:
        super().__init__(config)
        self.name = self.dialect.name
        address.check_auth(self.dialect, self.config)
        address.websocket_url(self.dialect, self.config, {})
        self.capabilities = shape.capabilities_of(self.dialect, self.config)
        self._given = shape.format_of(
            self.config.input_format, self.capabilities.input_formats, "input_format"
        )
        self._taken = shape.format_of(
            self.config.output_format, self.capabilities.output_formats, "output_format"
        )
        self._session = self._session_of(self.config)
        self._gate = ResponseGate(self.wall)
        #: Responses that were told to have begun, and not yet to have ended; and those that have.
        self._open: dict[str, None] = {}
        self._over: Bounded[bool] = Bounded()
        #: Ids of items that it was told of by shorter ones.
        self._told_long: set[str] = set()
        #: Ids of requests for responses outside of the conversation, as long as none has begun.
        self._asides: list[str] = []
        self._decoder = self._make_decoder()
        self._socket: WebSocket | None = None
        self._opening: asyncio.Task[None] | None = None
        #: Why there is no connection although there was a socket.
        self._failure: ProviderError | None = None
        #: What came after the session was confirmed and before that was told.
        self._early: list[ev.ProviderEvent] | None = None
        #: Keeps our keys out of the vendor's words.
        self._mask = Mask((), {}, ())
        self._waits = Waits()
        self._changing = asyncio.Lock()
        #: The code of an error after which the vendor closes.
        self._last_words: str | None = None
        #: Bytes of the user's audio: given to the socket, and of those dropped by it.
        self._sent_bytes = self._dropped_bytes = 0
        self._used: dict[str, float] = {}
        self._meter = SecondsMeter(self._given, self._taken)
        self._closing = False
        self._binary = self.dialect.binary_audio and self.config.option("transport") == "binary"

    @property
    def model(self) -> str | None:
        """The model, or the deployment, that is asked for."""
        return self.config.model or self.config.metadata.get("model") or self.dialect.default_model

    def _session_of(self, config: ProviderConfig) -> dict[str, Any]:
        return shape.session_of(self.dialect, config, given=self._given, taken=self._taken)

    def _make_decoder(self) -> Decoder:
        config = self.config
        decoder = Decoder(
            meta=self.meta,
            provider=self.name,
            output=self._taken,
            # A deployment may have any name; its price is that of the model behind it.
            model=str(config.option("base_model") or self.model or ""),
            tokens=self.dialect.billing == "tokens",
        )
        self._configure_decoder(decoder, config)
        decoder.sent_ms = self._sent_ms
        decoder.on_notice = self._on_notice
        return decoder

    def _configure_decoder(self, decoder: Decoder, config: ProviderConfig) -> None:
        decoder.configure(
            partials=config.partials is not False,
            vad_events=config.vad_events is not False,
            silence_ms=shape.silence_ms(self.dialect, config),
        )
        transcription = config.option("transcription_model") or self.dialect.transcription_model
        decoder.transcription_model = str(transcription or "")

    def _sent_ms(self) -> float:
        return self._given.duration_ms(self._sent_bytes - self._dropped_bytes)

    # -- in

    def _on_text(self, payload: memoryview) -> None:
        for event in self._decoder.decode(payload):
            if (
                type(event) in _STREAMS
                and event.response_id in self._open  # type: ignore[attr-defined]
                and self._gate.muted is None
                and not self._closing
            ):
                self.stream(event)  # as `_take` would
            else:
                self._take(event)

    def _on_binary(self, payload: memoryview) -> None:
        for event in self._decoder.binary(payload):
            self._take(event)

    def _take(self, event: ev.ProviderEvent) -> None:
        if self._closing:
            return
        if self._early is not None:
            self._early.append(event)
            return
        kind = type(event)
        if self._gate.muted is not None and self._is_muted(event):
            return
        if kind in _OUTPUT and event.response_id in self._over:  # type: ignore[attr-defined]
            return
        if event.error is not None:
            event = msgspec.structs.replace(event, error=self._mask(event.error))
        elif kind is ev.SystemWarning:
            warned: Any = event
            event = msgspec.structs.replace(event, message=self._mask(warned.message))
        if kind in _STREAMS:
            self.stream(event)
        elif kind is ev.ResponseStarted:
            self._started(event)  # type: ignore[arg-type]
        elif kind in _ENDS:
            self._ended(event)
        elif self.state is ConnectionState.CONNECTED:
            if kind is ev.UsageUpdated:
                self._count(event)
            self.emit(event)

    def _count(self, event: ev.ProviderEvent) -> None:
        for name in _COUNTS:
            value = getattr(event, name)
            if value:
                self._used[name] = self._used.get(name, 0) + value

    def _report_seconds(self, response_id: str | None = None) -> None:
        """Tell what was used since the last report, where the vendor is paid by the second."""
        if self.dialect.billing != "seconds":
            return
        received = self._decoder.audio.total
        model = self._decoder.model
        sent = self._sent_bytes - self._dropped_bytes
        used = self._meter.report(sent, received, model, response_id, self.meta())
        if used is not None:
            self._count(used)
            self.emit(used)

    def _is_muted(self, event: ev.ProviderEvent) -> bool:
        """Whether an event belongs to a response that was called off before it began; its usage still counts."""
        if getattr(event, "response_id", None) != self._gate.muted:
            return False
        if isinstance(event, ev.UsageUpdated):
            return False
        if isinstance(event, _ENDS):
            self._send_all(self._gate.ended(self._gate.muted or ""))
        return True

    def _started(self, event: ev.ResponseStarted) -> None:
        response_id = event.response_id or ""
        if response_id in self._over or response_id in self._open:
            return  # it was told twice
        self._last_words = None  # the vendor goes on in spite of them
        self._send_all(self._gate.started(response_id))
        if self._gate.muted == response_id:
            return
        self._open[response_id] = None
        self.emit(event)

    def _ended(self, event: Any) -> None:
        response_id = event.response_id or ""
        self._open.pop(response_id, None)
        if response_id in self._over:
            return  # it was told twice
        if response_id:
            self._over[response_id] = True
        self._report_seconds(event.response_id)
        self.emit(event)
        # After the event: whoever is told of the end may ask for something else first.
        self._send_all(self._gate.ended(response_id))

    def _on_notice(self, message: Message) -> bool:
        """What concerns the connection itself. True: nobody else need hear of it."""
        if message.type == "error":
            return self._refused(message)
        if message.type == "session.updated":
            self._waits.confirmed()
            if self._opening is not None and self._early is None:
                self._early = []
            return True
        known = parse(
            message.session if message.type == "session.created" else message.conversation,
            ms.SessionInfo,
        )
        if known is not None and known.id is not None:
            if message.type == "session.created":
                self.session_id = self._decoder.session_id = known.id
                if known.model and not self.config.option("base_model"):
                    self._decoder.model = known.model  # the vendor knows what is behind a name
            elif self.dialect.resume_parameter is not None:
                self.resume_handle = known.id
        self._waits.greeted()
        return True

    def _refused(self, message: Message) -> bool:
        failure = parse(message.error, ms.Failure) or ms.Failure()
        if failure.message is not None:
            failure.message = self._mask(failure.message)
        code = failures.code_of(failure)
        if code in failures.FATAL:
            self._last_words = code
        error = failures.error_of(failure, self.name)
        if self._waits.refused(failure.event_id, error):
            return True
        if not self.is_connected and (self._early is None or code in failures.FATAL):
            # Nothing else was asked yet: this is the answer to our greeting.
            self._failure = self._failure or error
            self._waits.fail(error)
            return True
        taken = failure.code in _ALREADY_ACTIVE
        if failure.event_id == REQUEST_ID or (taken and failure.event_id is None):
            self._request_refused(str(failure.code) if taken else code, failure.message or code)
            return True
        if failure.code in _NOT_ACTIVE:
            # The response ended while we called it off.
            self._send_all(self._gate.nothing_to_cancel(failure.event_id))
            return True
        if failure.event_id is not None and failure.event_id in self._asides:
            self._asides.remove(failure.event_id)
            self._decoder.asides = max(0, self._decoder.asides - 1)
        return False

    def _request_refused(self, code: str, words: str) -> None:
        meta = self.meta()
        if code in _ALREADY_ACTIVE:
            # One of the vendor's own was quicker. Ours waits for its end.
            self.emit(ev.SystemWarning(code=code, message=words, **meta))
            self._send_all(self._gate.refused())
            return
        retryable = failures.is_retryable(code)
        self.emit(
            ev.ResponseError(response_id=None, code=code, retryable=retryable, error=words, **meta)
        )
        self._send_all(self._gate.failed())

    # -- out

    def _send(self, message: bytes) -> None:
        socket = self._socket
        if socket is None:
            raise self._not_connected()
        socket.send_text(message)

    def _send_all(self, messages: list[bytes]) -> None:
        for message in messages:
            if self._socket is not None and self._socket.is_open:
                self._socket.send_text(message)

    def _at_work(self) -> WebSocket:
        """The open connection.

        Raises:
            ConnectionError: there is none (any more).
        """
        socket = self._socket
        if socket is None or not self.is_connected:
            raise self._not_connected()
        return socket

    def _not_connected(self) -> ConnectionError:
        code = "not_connected" if self._socket is None else "closed"
        return ConnectionError(
            f"provider {self.name!r} is not connected", provider=self.name, code=code
        )
