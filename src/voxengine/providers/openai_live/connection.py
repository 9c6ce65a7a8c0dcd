"""The connection to OpenAI's Live API: opened, lost and closed, and what comes on it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.config import ProviderConfig
from voxengine.conversation.items import Item
from voxengine.errors import (
    ConnectionError,
    ProviderError,
    SessionClosedError,
    VoiceEngineError,
)
from voxengine.net import Closed, WebSocket, connect_websocket
from voxengine.providers.base import BaseProvider, ConnectionState
from voxengine.providers.openai import address
from voxengine.providers.openai.failures import (
    FATAL,
    code_of,
    code_of_close,
    error_of,
)
from voxengine.providers.openai.messages import Failure
from voxengine.providers.openai_live import codec
from voxengine.providers.openai_live import session as shape
from voxengine.providers.openai_live.turns import Turns

__all__ = ["LiveConnection"]

#: Seconds that the vendor may take to start a session, and to say goodbye.
START_BUDGET = 10.0
CLOSE_BUDGET = 2.0
#: Tasks that may wait for an answer. The oldest is forgotten: the model has gone on without it.
MAX_TASKS = 64

#: Why a session ended, by the vendor's word: our code, and whether another one can be hoped for.
_ENDS = {
    "expired": ("session_expired", True),
    "content": ("content_filter", False),
    "remote_hangup": ("hangup", True),
}


class LiveConnection(BaseProvider):
    """What of the provider is there before a word is said."""

    capabilities = shape.CAPABILITIES

    def __init__(self, config: Mapping[str, Any] | ProviderConfig | None = None) -> None:
        super().__init__(config)
        self.name = shape.LIVE.name
        shape.check(self.config)
        self._format = shape.format_of(self.config)
        self._history: list[Item] = []
        self._turns = Turns(self.meta, self._format)
        self._set_local()
        self._socket: WebSocket | None = None
        self._started: asyncio.Future[None] | None = None
        self._ended: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        #: Tasks that wait for an answer.
        self._tasks: dict[str, None] = {}
        self._seconds = 0.0
        self._context_ratio: float | None = None
        #: The code of an error after which the vendor closes.
        self._last_words: str | None = None
        self._closing = False

    def get_audio_format(self) -> AudioFormat:
        """The format of the audio, in both directions."""
        return self._format

    # -- opening

    async def connect(self) -> bool:
        """Open the connection and start the session; True.

        Raises:
            AuthenticationError: the key was not accepted. RateLimitError: too many sessions, or no quota.
            ConnectionError: anything else; `code` says what.
            MessageError: the session's settings were refused.
            SessionClosedError: it was connected before; a new session needs a new provider.
        """
        if self.is_connected:
            return True
        if self._closing or self._started is not None:
            raise SessionClosedError("a provider is connected once; create a new one")
        loop = asyncio.get_running_loop()
        self._started, self._ended = loop.create_future(), loop.create_future()
        self.emit(ev.ConnectionStarting(**self.meta()))
        try:
            await self._open()
            if self._closing:
                raise SessionClosedError(
                    "the provider was disconnected while it was being connected"
                )
        except BaseException as failure:
            if not self._started.cancel() and not self._started.cancelled():
                self._started.exception()  # so that nobody complains that it was never looked at
            if self._socket is not None:
                self._socket.abort()
            if isinstance(failure, VoiceEngineError) and not self._closing:
                code = getattr(failure, "code", "connection")
                retryable = getattr(failure, "retryable", False)
                self.emit(
                    ev.ConnectionFailed(
                        error=str(failure), code=code, retryable=retryable, **self.meta()
                    )
                )
            raise
        self.emit(ev.ConnectionEstablished(**self.meta()))
        for code, words in shape.notes_of(self.config):
            self.emit(ev.SystemWarning(code=code, message=words, **self.meta()))
        return True

    async def _open(self) -> None:
        assert self._started is not None
        headers, _ = await address.credentials(shape.LIVE, self.config)
        budget = float(self.config.option("connect_timeout", START_BUDGET))
        socket = self._socket = self.connection = await connect_websocket(
            shape.url_of(self.config),
            on_text=self._on_text,
            on_closed=self._on_closed,
            on_dropped=self._on_dropped,
            headers=headers,
            proxy=self.config.option("proxy"),
            ssl_context=self.config.option("ssl_context"),
            timeout=budget,
            provider=self.name,
        )
        socket.send_text(codec.encode_start(shape.session_of(self.config, self._history)))
        try:
            async with asyncio.timeout(budget):
                await self._started
        except TimeoutError:
            raise ConnectionError(
                f"provider {self.name!r}: the socket opened, but no session within {budget:g} s",
                provider=self.name,
                code="timeout",
            ) from None

    # -- closing

    async def disconnect(self) -> None:
        """Close the session, wait a little for its final usage, and end the stream of events."""
        if self._closing:
            return
        self._closing = True
        socket, established = self._socket, self.is_connected
        self._end_response(None)
        self._disarm()
        if self._started is not None and not self._started.done():
            self._started.set_exception(SessionClosedError("the provider was disconnected"))
        if established and socket is not None and self._ended is not None:
            try:
                socket.send_text(codec.encode_close())
                await asyncio.wait([self._ended], timeout=CLOSE_BUDGET)
            except ProviderError:
                pass  # the connection went at the same moment: there is nobody to say goodbye to
            self.emit(ev.ConnectionClosed(**self.meta()))
        else:
            if self.state != ConnectionState.ERROR:
                self.state = ConnectionState.DISCONNECTED
            self._backlog.close()
        if socket is not None:
            await socket.close()

    def _on_closed(self, closed: Closed) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)
        if self._closing or closed.by_us:
            return
        code, retryable = code_of_close(closed, self._last_words)
        self._lose(code, closed.reason or code, closed.code, retryable)

    def _lose(self, code: str, words: str, close_code: int | None, retryable: bool) -> None:
        """The session has ended without our asking."""
        if self._started is not None and not self._started.done():
            self._started.set_exception(
                ConnectionError(
                    f"provider {self.name!r}: the connection was closed ({words})",
                    provider=self.name,
                    code=code,
                    retryable=retryable,
                )
            )
        if not self.is_connected:
            return
        self._disarm()
        self._end_response(code)
        self.emit(
            ev.ConnectionLost(
                code=code,
                close_code=close_code,
                reason=words,
                retryable=retryable,
                error=words,
                **self.meta(),
            )
        )

    def _end_response(self, code: str | None) -> None:
        response_id = self._turns.forget()
        if response_id is None:
            return
        meta = self.meta()
        if code is None:
            why = "client_cancelled"
            self.emit(ev.ResponseCancelled(response_id=response_id, reason=why, **meta))
        else:
            words = "the connection was lost"
            self.emit(ev.ResponseError(response_id=response_id, code=code, error=words, **meta))

    # -- in

    def _on_text(self, payload: memoryview) -> None:
        message = codec.decode(payload)
        if isinstance(message, codec.Message):
            kind = message.type
            if kind == codec.AUDIO_DELTA:
                self._audio(message)
            elif kind == "session.started":
                self._session_started(message)
            elif kind == "session.closed":
                self._session_closed(message)
            elif kind == "session.usage.updated":
                self._usage(message)
            elif kind == "error":
                self._error(message.error or codec.Error())
            elif message.delegation is not None and message.delegation.target != "client":
                # The vendor does it itself, which the application has asked for.
                self._raw(kind, codec.decode_plain(payload))
            elif kind not in codec.NOTHING:
                self._said(message)
        elif not self._at_work:
            return
        elif isinstance(message, codec.Unknown):
            self._raw(message.type, message.payload)
        else:
            self._complain(message.words)

    @property
    def _at_work(self) -> bool:
        return bool(self.is_connected) and not self._closing

    def _raw(self, name: str, payload: Any) -> None:
        if self._at_work:
            self.emit(ev.RawEvent(name=name, payload=payload, **self.meta()))

    def _complain(self, words: str) -> None:
        self.emit(
            ev.ErrorGeneral(code="bad_message", error=f"{self.name} sent {words}", **self.meta())
        )

    def _tell(self, events: Sequence[ev.ProviderEvent]) -> None:
        for event in events:
            self.emit(event)
        self._arm()

    def _audio(self, message: codec.Message) -> None:
        if not self._at_work:
            return
        try:
            audio = codec.decode_audio(message)
        except ValueError as failure:
            self._complain(f"audio that is no base64: {failure}")
            return
        if not audio or len(audio) % self._format.bytes_per_frame:
            self._complain(f"{len(audio)} bytes of audio, which are no whole number of samples")
            return
        self._tell(self._turns.audio(audio, self._now()))

    def _said(self, message: codec.Message) -> None:
        """Somebody's words, or a task."""
        if not self._at_work:
            return
        now, start, end = self._now(), message.start_ms or 0.0, message.end_ms or 0.0
        if message.type == "session.input_transcript.delta":
            self._tell(self._turns.heard(message.delta or "", start, end, now))
        elif message.type == "session.output_transcript.delta":
            self._tell(self._turns.spoke(message.delta or "", start, end, now))
        elif message.delegation is not None:
            self._delegated(message.delegation.id, now)

    def _delegated(self, task_id: str, now: float) -> None:
        self._tasks[task_id] = None
        if len(self._tasks) > MAX_TASKS:
            del self._tasks[next(iter(self._tasks))]
        arguments = msgspec.json.encode({"task": self._turns.last_words}).decode()
        self._tell(self._turns.delegated(shape.DELEGATE, task_id, arguments, now))

    def _session_started(self, message: codec.Message) -> None:
        if message.session is not None:
            self.session_id = message.session.id
            self._turns.prefix = message.session.id or self._turns.prefix
        if self._started is not None and not self._started.done():
            self._started.set_result(None)

    def _session_closed(self, message: codec.Message) -> None:
        self._usage(message)
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)
        if not self._closing:
            reason = message.reason or "closed"
            code, retryable = _ENDS.get(reason, ("closed", True))
            self._lose(code, f"the session has ended: {reason}", None, retryable)

    def _usage(self, message: codec.Message) -> None:
        """The seconds are those of the whole session; we tell what has been added."""
        if message.context_window is not None:
            self._context_ratio = message.context_window.usage_ratio
        if message.usage is None or not self.is_connected:
            return
        added = message.usage.seconds - self._seconds
        if not (math.isfinite(added) and added > 0):
            return
        self._seconds = message.usage.seconds
        model = self.config.model or shape.DEFAULT_MODEL
        self.emit(ev.UsageUpdated(model=model, input_audio_seconds=added, **self.meta()))

    def _error(self, error: codec.Error) -> None:
        failure = Failure(message=error.message, type=error.type, code=error.code)
        code = code_of(failure)
        if code in FATAL:
            self._last_words = code
        exception = error_of(failure, self.name)
        if self._started is not None and not self._started.done():
            # Nothing else was asked yet: this is the answer to our settings.
            self._started.set_exception(exception)
        elif self._at_work:
            self.emit(
                ev.ErrorGeneral(
                    exception=exception,
                    error=error.message or code,
                    code=code,
                    recoverable=code not in FATAL,
                    **self.meta(),
                )
            )

    # -- time

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _arm(self) -> None:
        """See to it that the ends which nobody tells us are found. A timer that is too early is set anew."""
        deadline = self._turns.deadline
        if self._timer is None and deadline is not None and self._at_work:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._tell(self._turns.tick(self._now()))

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- for the provider

    def _open_socket(self) -> WebSocket:
        if self._socket is None or not self._at_work:
            code = "not_connected" if self._socket is None else "closed"
            raise ConnectionError(
                f"provider {self.name!r} is not connected", provider=self.name, code=code
            )
        return self._socket

    def _on_dropped(self, messages: int, n_bytes: int) -> None:
        """The socket does not take it as fast as it is spoken."""
        self.emit(
            ev.AudioDropped(
                direction="input",
                audio_ms=self._format.duration_ms(n_bytes),
                chunks=messages,
                reason="the connection takes less than is sent; the oldest was dropped",
                **self.meta(),
            )
        )

    def _set_local(self) -> None:
        self._turns.transcripts = self.config.transcription is not False
        self._turns.partials = self.config.partials is not False
