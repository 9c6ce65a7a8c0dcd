"""The connection to Gemini Live: opened, taken up again, and what comes on it; and the order in which things go out."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from voxengine import events as ev
from voxengine.config import ProviderConfig
from voxengine.conversation.items import Item
from voxengine.errors import ProviderError
from voxengine.net import Closed, WebSocket
from voxengine.providers.endpoints import need_key
from voxengine.providers.failures import error_of
from voxengine.providers.gemini import codec, place, shape, usage
from voxengine.providers.gemini.failures import code_of_close
from voxengine.providers.gemini.turns import Turns
from voxengine.providers.socket_provider import Address, SocketProvider

__all__ = ["MAX_NOTES", "GeminiConnection"]

#: What may wait for the end of an answer.
MAX_WAITING = 64
#: Notes of the application that are kept in the instructions; the oldest is forgotten.
MAX_NOTES = 64


class GeminiConnection(SocketProvider):
    """What of the provider is there before a word is said."""

    capabilities = shape.CAPABILITIES
    provider_name = "gemini"
    goodbye_budget = 1.0
    key_variables = place.KEY_VARIABLES

    def __init__(self, config: Mapping[str, Any] | ProviderConfig | None = None) -> None:
        super().__init__(config)
        self.capabilities = shape.capabilities_of(self.config)
        self._traits = shape.traits_of(self.config)
        self._by_hand = self.config.turn_detection == "none"
        self._encode = codec.audio_encoder(self.get_audio_format().sample_rate)
        self._prefix = f"gemini_{secrets.token_hex(6)}"
        self._history: list[Item] = []
        self._notes: deque[str] = deque(maxlen=MAX_NOTES)
        self._used = usage.Meter(self._model)
        #: What waits for the end of an answer: contents, and whether they are to be answered.
        self._waiting: list[tuple[dict[str, Any] | None, bool]] = []
        #: The user speaks, by our word.
        self._active = False
        #: The session is ending in the middle of an answer, whose usage was not told.
        self._unpaid = False
        self._turns = self._new_turns()

    # -- the connection

    def check(self) -> None:
        """Find out what can be wrong with the configuration."""
        place.check_place(self.config)
        shape.check(self.config)
        if not place.on_vertex(self.config):
            self.key()

    async def address(self) -> Address:
        """Where the API is, and the key or token."""
        vertex = place.on_vertex(self.config)
        key = self.config.api_key if vertex else self.key()
        if vertex and key is not None:
            key = need_key(self.name, key, ())
        headers = await place.credentials(self.config, key)
        return Address(
            url=self.url(place.address_of(self.config, key)),
            headers=headers,
            secrets=tuple(value.rpartition(" ")[2] for value in headers.values()),
        )

    def opened(self, socket: WebSocket) -> None:
        """Send the setup."""
        told = bool(self._history) and self.resuming is None
        setup = shape.setup_of(
            self.config, handle=self.resuming, history=told, notes=list(self._notes)
        )
        socket.send_text(codec.encode({"setup": setup}))

    def reset(self) -> None:
        """A fresh session follows one that was not resumed."""
        self._turns = self._new_turns()

    def code_of_close(self, closed: Closed) -> tuple[str, bool]:
        """What the vendor means by it; there is no other word of its errors."""
        code, retryable = code_of_close(closed)
        if code not in ("closed", "dead_peer", "protocol", "too_big", "overloaded"):
            self.refuse(error_of(code, self.masked(closed.reason), self.name))
        return code, retryable

    def end_response(self, code: str | None) -> None:
        """Tell the end of the answer under way."""
        self._waiting.clear()
        self._unpaid = self._turns.under_way
        response_id = self._turns.forget()
        if response_id is not None:
            self.tell_end(response_id, code)

    async def goodbye(self, socket: WebSocket) -> None:
        """End the answer under way: what it used is told at its end."""
        if self._unpaid and self._traits.client_content:
            socket.send_text(codec.encode_content([], answer=False))
            await self.until_ended()

    def notes(self) -> Iterable[tuple[str, str]]:
        """What of the configuration cannot be done."""
        return shape.notes_of(self.config)

    # -- in

    def on_text(self, payload: memoryview) -> None:
        """A message, as text."""
        self._on_message(payload)

    def on_binary(self, payload: memoryview) -> None:
        """A message: the vendor sends JSON in binary frames."""
        self._on_message(payload)

    def _on_message(self, payload: memoryview) -> None:
        message = codec.decode(payload)
        if isinstance(message, codec.Message):
            if message.server_content is not None:
                self._content(message.server_content)
            if message.usage_metadata is not None:
                self._tell(self._used.add(message.usage_metadata, self.meta()))
            if message.server_content is None:
                self._others(message)
            elif message.server_content.turn_complete and self._unpaid:
                self.ended()
        elif isinstance(message, codec.Unknown):
            self.raw(message.type, message.payload)
        else:
            self.complain(message.words)

    def _others(self, message: codec.Message) -> None:
        """A message that is not about what is said."""
        if message.setup_complete is not None:
            self._stands(message.setup_complete)
        if message.tool_call is not None and self.at_work:
            self._tell(self._turns.called(message.tool_call.function_calls or (), self._now()))
        if message.tool_call_cancellation is not None and self.at_work:
            self._tell(self._turns.uncalled(message.tool_call_cancellation.ids or ()))
        if message.session_resumption_update is not None:
            update = message.session_resumption_update
            # While an answer is being made there is none; the one before leads back to the state before that answer.
            if update.resumable and update.new_handle:
                self.resume_handle = update.new_handle
        if message.go_away is not None:
            left = codec.seconds_of(message.go_away.time_left) or 0.0
            self.emit(ev.ConnectionExpiring(seconds_left=left, reason="go_away", **self.meta()))
        if message.voice_activity is not None and self.at_work:
            self._tell(self._turns.active(message.voice_activity, self.sent_ms))

    def _stands(self, complete: codec.SetupComplete) -> None:
        self.session_id = complete.session_id or self._prefix
        told, self._history = self._history, []
        if told and self.resuming is None and self._socket is not None:
            # Where it was announced, it is over with `turnComplete`; else it would be taken for a question.
            announced = self._traits.history_config
            contents = shape.contents_of(told)
            self._socket.send_text(codec.encode_content(contents, answer=announced))
        self.ready(resumed=self.resuming is not None)

    def _content(self, content: codec.ServerContent) -> None:
        if not self.at_work:
            return
        now = self._now()
        turn = content.model_turn
        for part in (turn.parts or ()) if turn is not None else ():
            blob = part.inline_data
            if blob is None or part.thought or not blob.mime_type.startswith("audio/"):
                continue
            self._speech(blob, now)
        for event in self._turns.content(content, now):
            self.emit(event)
        if self._waiting and (content.generation_complete or content.turn_complete):
            self._send_waiting()

    def _speech(self, blob: codec.Blob, now: float) -> None:
        try:
            audio = codec.decode_audio(blob)
        except ValueError as failure:
            self.complain(f"audio that is no base64: {failure}")
            return
        if not audio or len(audio) % 2:
            self.complain(f"{len(audio)} bytes of audio, which are no whole number of samples")
            return
        for event in self._turns.audio(audio, now):
            self.emit(event)

    def _tell(self, events: Iterable[ev.ProviderEvent]) -> None:
        for event in events:
            self.emit(event)

    # -- out

    def _say(self, content: dict[str, Any] | None, *, answer: bool) -> None:
        """Put something into the conversation, now or after the answer under way, which it would end."""
        if not (self._turns.busy or (self._turns.playing and not answer)):
            self._send([(content, answer)])
            return
        if len(self._waiting) == MAX_WAITING:
            raise ProviderError(
                f"{MAX_WAITING} messages wait for the end of an answer",
                provider=self.name,
                code="overloaded",
                retryable=True,
            )
        self._waiting.append((content, answer))

    def _send_waiting(self) -> None:
        """What waits for an answer goes out when the one before was sent; all else when it has been played."""
        asks = any(answer for _, answer in self._waiting)
        if not (self._turns.busy or (self._turns.playing and not asks)):
            waiting, self._waiting = self._waiting, []
            self._send(waiting)

    def _send(self, told: Sequence[tuple[dict[str, Any] | None, bool]]) -> None:
        socket = self.open_socket()
        contents = [content for content, _ in told if content is not None]
        answer = any(wanted for _, wanted in told)
        if answer:
            self._turns.asked()
        if self._traits.client_content:
            socket.send_text(codec.encode_content(contents, answer=answer))
            return
        text = "\n".join(part["text"] for content in contents for part in content["parts"])
        socket.send_text(codec.encode({"realtimeInput": {"text": text}}))

    # -- inside

    @property
    def _model(self) -> str:
        return place.model_path(self.config).rpartition("/")[2]

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _new_turns(self) -> Turns:
        rate = self.capabilities.output_formats[0].sample_rate
        turns = Turns(self.meta, self._prefix, rate)
        self._set_local(turns)
        return turns

    def _set_local(self, turns: Turns) -> None:
        turns.transcripts = self.config.transcription is not False
        turns.partials = self.config.partials is not False
        turns.activity = self.config.vad_events is not False
