"""The connection to OpenAI's Live API: opened, lost and closed, and what comes on it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.config import ProviderConfig
from voxengine.net import WebSocket
from voxengine.providers.endpoints import Address
from voxengine.providers.openai import address
from voxengine.providers.openai.failures import FATAL, code_of, error_of
from voxengine.providers.openai.messages import Failure
from voxengine.providers.openai_live import codec
from voxengine.providers.openai_live import session as shape
from voxengine.providers.openai_live.turns import Turns
from voxengine.providers.turns_provider import Calls, TurnsProvider

__all__ = ["LiveConnection"]

#: Why a session ended, by the vendor's word: our code, and whether another one can be hoped for.
_ENDS = {
    "expired": ("session_expired", True),
    "content": ("content_filter", False),
    "remote_hangup": ("hangup", True),
}


class LiveConnection(TurnsProvider):
    """What of the provider is there before a word is said."""

    capabilities = shape.CAPABILITIES
    key_variables = shape.LIVE.key_variables
    provider_name = shape.LIVE.name
    title = "OpenAI Live"
    _turns: Turns

    def __init__(self, config: Mapping[str, Any] | ProviderConfig | None = None) -> None:
        super().__init__(config)
        self._format = shape.format_of(self.config)
        self._turns = Turns(self.meta, self._format)
        self.set_local()
        #: Tasks that wait for an answer.
        self._tasks = Calls[None]()
        self._seconds = 0.0
        self._context_ratio: float | None = None

    def get_audio_format(self) -> AudioFormat:
        """The format of the audio, in both directions."""
        return self._format

    # -- opening

    def check(self) -> None:
        """Find out what can be wrong with the configuration.

        Raises:
            ConfigurationError: something is.
        """
        shape.check(self.config)

    async def address(self) -> Address:
        """Where to connect, and how the key is shown."""
        headers, _ = await address.credentials(shape.LIVE, self.config)
        return Address(url=shape.url_of(self.config), headers=headers)

    def opened(self, socket: WebSocket) -> None:
        """Start the session."""
        socket.send_text(codec.encode_start(shape.session_of(self.config, self._history)))

    def notes(self) -> Iterable[tuple[str, str]]:
        """What of the configuration cannot be done as it stands."""
        return shape.notes_of(self.config)

    # -- closing

    async def goodbye(self, socket: WebSocket) -> None:
        """Close the session, and wait for its final usage."""
        socket.send_text(codec.encode_close())
        await self.until_ended()

    # -- in and out

    def encode_audio(self, audio: bytes) -> bytes:
        """The message that carries this audio."""
        return codec.encode_audio(audio)

    def on_text(self, payload: memoryview) -> None:
        """A message came."""
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
                self.raw(kind, codec.decode_plain(payload))
            elif kind not in codec.NOTHING:
                self._said(message)
        elif isinstance(message, codec.Unknown):
            self.raw(message.type, message.payload)
        else:
            self.complain(message.words)

    def _audio(self, message: codec.Message) -> None:
        if not self.at_work:
            return
        try:
            audio = codec.decode_base64(message.delta or "")
        except ValueError as failure:
            self.complain(f"audio that is no base64: {failure}")
            return
        if not audio or len(audio) % self._format.bytes_per_frame:
            self.complain(f"{len(audio)} bytes of audio, which are no whole number of samples")
            return
        self.tell(self._turns.audio(audio, self.now()))

    def _said(self, message: codec.Message) -> None:
        """Somebody's words, or a task."""
        if not self.at_work:
            return
        now, start, end = self.now(), message.start_ms or 0.0, message.end_ms or 0.0
        if message.type == "session.input_transcript.delta":
            self.tell(self._turns.heard(message.delta or "", start, end, now))
        elif message.type == "session.output_transcript.delta":
            self.tell(self._turns.spoke(message.delta or "", start, end, now))
        elif message.delegation is not None:
            self._delegated(message.delegation.id, now)

    def _delegated(self, task_id: str, now: float) -> None:
        self._tasks.add(task_id, None)
        arguments = msgspec.json.encode({"task": self._turns.last_words}).decode()
        self.tell(self._turns.delegated(shape.DELEGATE, task_id, arguments, now))

    def _session_started(self, message: codec.Message) -> None:
        if message.session is not None:
            self.session_id = message.session.id
            self._turns.prefix = message.session.id or self._turns.prefix
        self.ready()

    def _session_closed(self, message: codec.Message) -> None:
        self._usage(message)
        self.ended()
        reason = message.reason or "closed"
        code, retryable = _ENDS.get(reason, ("closed", True))
        self.lose(code, f"the session has ended: {reason}", None, retryable)

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
        self.error(error_of(failure, self.name), fatal=code_of(failure) in FATAL)
