"""One connection to a voice, and the answers that are being spoken on it: each in a context of its own."""

from __future__ import annotations

import asyncio
from typing import Protocol

from voxengine.errors import ProviderError
from voxengine.net import Closed, WebSocket
from voxengine.providers.elevenlabs import speech
from voxengine.providers.elevenlabs.access import Access
from voxengine.providers.endpoints import Parameters
from voxengine.providers.failures import code_of_close, error_of

__all__ = ["MAX_CONTEXTS", "Speaker", "VoiceLine"]

#: The vendor closes a connection on which there are more. One counts until its end was told.
MAX_CONTEXTS = 5
#: Seconds after which the vendor is told that a context is still wanted.
KEEP_S = 15.0
#: Seconds for the goodbye.
_GOODBYE_S = 0.5

#: The vendor's words for what is wrong.
_CODES = {
    "max_active_conversations": "rate_limit",
    "quota_exceeded": "quota",
    "authentication_required": "auth",
    "authorization_error": "auth",
    "invalid_api_key": "auth",
    "voice_not_found": "not_found",
    "voice_id_does_not_exist": "not_found",
    "rate_limit_exceeded": "rate_limit",
    "input_timeout_exceeded": "session_expired",
}


class Speaker(Protocol):
    """Who speaks an answer."""

    @property
    def waits(self) -> bool:
        """Whether it has been begun, and text of it may still come."""

    def spoke(self, piece: speech.Piece) -> None:
        """A piece of it was spoken."""

    def finished(self) -> None:
        """All of it was."""

    def failed(self, failure: ProviderError) -> None:
        """Nothing more comes."""


class VoiceLine:
    """A connection. Made for one voice.

    Args:
        access: how it is reached.
        multi: whether there may be several contexts; with one, it is used for one answer and then closed.
    """

    def __init__(self, access: Access, voice: str, *, multi: bool) -> None:
        self.voice = voice
        self.multi = multi
        self._access = access
        self._socket: WebSocket | None = None
        self._count = 0
        #: The contexts whose end was not told yet, and who speaks in them: None, nobody any more.
        self._speakers: dict[str | None, Speaker | None] = {}
        self._told: str | None = None
        #: Why nothing more can be said on it.
        self._failure: ProviderError | None = None
        self._retired = False
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    async def connect(self, path: str, parameters: Parameters) -> None:
        """Open it.

        Raises:
            ProviderError: it could not be opened.
        """
        self._socket = await self._access.connect(
            path, parameters, on_text=self._on_text, on_closed=self._on_closed
        )
        if self.multi:
            self._keep_later()

    @property
    def has_room(self) -> bool:
        """Whether another answer can be begun on it."""
        if self._socket is None or not self._socket.is_open or self._retired:
            return False
        return len(self._speakers) < MAX_CONTEXTS if self.multi else not self._count

    def begin(self, speaker: Speaker) -> str | None:
        """Reserve a context for an answer; its id. Where the connection was just lost, that is told at once."""
        if self._failure is not None:
            asyncio.get_running_loop().call_soon(speaker.failed, self._failure)
        self._count += 1
        context = f"answer_{self._count}" if self.multi else None
        self._speakers[context] = speaker
        return context

    def send(self, message: bytes) -> None:
        """Send something, if there is somebody to take it."""
        if self._socket is not None and self._socket.is_open:
            self._socket.send_text(message)

    def leave(self, context: str | None, *, begun: bool) -> None:
        """Nobody listens to a context any more; `begun`: the vendor knows of it, and will tell its end."""
        if context not in self._speakers:
            return
        if begun and self.multi:
            self._speakers[context] = None
            self.send(speech.encode_end(context))
        else:
            self._over(context)
        if begun and not self.multi:
            self.retire()

    def retire(self) -> None:
        """Close it as soon as nobody speaks on it."""
        self._retired = True
        if not any(self._speakers.values()) and self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(
                self.close(), name="elevenlabs-voice-close"
            )

    async def close(self) -> None:
        """Close it. May be called again."""
        self._retired = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        socket, self._socket = self._socket, None
        self._fail(error_of("closed", "the connection was closed", self._access.part))
        if socket is not None:
            await socket.close()
        task = self._closing
        if task is not None and task is not asyncio.current_task():
            await asyncio.wait([task], timeout=_GOODBYE_S)

    # -- in

    def _on_text(self, payload: memoryview) -> None:
        piece = speech.decode(payload)
        if piece is None:
            return
        context = piece.context if self.multi else None
        speaker = self._speakers.get(context)
        if piece.error is not None:
            self._told = _CODES.get(piece.error, "server")
            words = self._access.masked(piece.message or piece.error)
            self._fail(error_of(self._told, words, self._access.part))
            return
        if speaker is not None and piece.audio:
            speaker.spoke(piece)
        if piece.is_final:
            self._over(context)
            if speaker is not None:
                speaker.finished()
            if self._retired or not self.multi:
                self.retire()

    def _over(self, context: str | None) -> None:
        self._speakers.pop(context, None)

    def _fail(self, failure: ProviderError) -> None:
        speakers = [speaker for speaker in self._speakers.values() if speaker is not None]
        self._speakers.clear()
        self._retired, self._failure = True, self._failure or failure
        for speaker in speakers:
            speaker.failed(failure)

    def _on_closed(self, closed: Closed) -> None:
        if closed.cause == "local":
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        code, retryable = code_of_close(closed, told=self._told)
        words = self._access.masked(closed.reason) or "the connection was lost"
        failure = error_of(code, words, self._access.part)
        failure.retryable = retryable
        self._fail(failure)

    # -- contexts in which nothing is said for a while

    def _keep_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(KEEP_S, self._keep)

    def _keep(self) -> None:
        for context, speaker in self._speakers.items():
            if context is not None and speaker is not None and speaker.waits:
                self.send(speech.encode_keep(context))
        self._keep_later()
