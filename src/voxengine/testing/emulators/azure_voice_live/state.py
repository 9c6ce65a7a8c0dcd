"""What one session of the emulated Voice Live knows and tells: its settings, and the model's doings in its words."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pybase64

from voxengine.audio.formats import AudioFormat
from voxengine.clock import Clock
from voxengine.net.http1 import Request
from voxengine.providers.cascade.parts import SpokenWord
from voxengine.testing.emulators.azure_voice_live.items import Entry, Items
from voxengine.testing.emulators.azure_voice_live.reply import Reply
from voxengine.testing.emulators.faults import Expire
from voxengine.testing.emulators.memory import Memory
from voxengine.testing.emulators.model import ScriptedModel
from voxengine.testing.emulators.model_types import Call
from voxengine.testing.emulators.vendor_session import VendorSession

if TYPE_CHECKING:
    from voxengine.testing.emulators.azure_voice_live.emulator import VoiceLiveEmulator

__all__ = ["VoiceLiveState", "names_of"]

_OUTPUTS = {
    "pcm16": AudioFormat("pcm16", 24000),
    "pcm16_16000hz": AudioFormat("pcm16", 16000),
    "pcm16_8000hz": AudioFormat("pcm16", 8000),
    "g711_ulaw": AudioFormat("g711_ulaw", 8000),
    "g711_alaw": AudioFormat("g711_alaw", 8000),
}


class VoiceLiveState(VendorSession):
    """One session. `config` is the session as it is, `items` the conversation."""

    emulator: VoiceLiveEmulator

    def __init__(self, emulator: VoiceLiveEmulator, request: Request, session_id: str) -> None:
        super().__init__(emulator, request, session_id)
        self.config: dict[str, Any] = {
            "modalities": ["text", "audio"],
            "instructions": "",
            "voice": "alloy",
            "input_audio_format": "pcm16",
            "input_audio_sampling_rate": 24000,
            "output_audio_format": "pcm16",
            "turn_detection": {"type": "server_vad"},
            "input_audio_transcription": None,
            "tools": [],
            "tool_choice": "auto",
        }
        self._count = 0
        self._reply: Reply | None = None
        self._last: Reply | None = None
        #: Why the answer under way fails.
        self._failure: tuple[str, str] | None = None
        #: What the answer under way has changed for itself.
        self._restore: Callable[[], None] | None = None
        #: The user's item that is being spoken, its words so far, and those that are yet to be understood.
        self._speaking: str | None = None
        self._partial = ""
        self._unheard: deque[str] = deque()
        self._thread_id: str | None = None

    @property
    def mind(self) -> ScriptedModel:
        """Its model."""
        assert self.model is not None
        return self.model

    # -- the connection

    def opened(self) -> None:
        """Say hello."""
        model = self.make_model(self._input, self._output, answers_tools=False)
        self.items = Items(model.known)
        query = self.request.query
        if "agent-name" in query:
            self._take_up(query.get("conversation-id"), model.known)
        self._configure()
        self.send({"type": "session.created", "session": self._wire()})
        self.later("expiry", self.emulator.settings.session_s, self.strike, Expire())
        model.greet()

    def _take_up(self, thread_id: str | None, memory: Memory) -> None:
        if thread_id is not None:
            for note in self.emulator.threads[thread_id].notes:
                memory.add(note)
        self._thread_id = thread_id or self.new_id("thread")
        self.emulator.keep(self._thread_id, memory)

    def received_audio(self, audio: bytes) -> None:
        """There are no binary messages here."""
        self._refuse("invalid_value", "Binary messages are not supported.", None)

    def invalid(self, problems: Sequence[str], message: Any) -> None:
        """What the judge does not take."""
        event_id = message.get("event_id") if isinstance(message, Mapping) else None
        given = event_id if isinstance(event_id, str) else None
        self._refuse("invalid_value", f"Invalid event: {problems[0]}.", given)

    def send(self, message: Mapping[str, Any] | bytes, *, binary: bool = False) -> None:
        """Send an event; it gets an id."""
        assert isinstance(message, Mapping)
        super().send({"event_id": self.new_id("event"), **message}, binary=binary)

    def new_id(self, kind: str) -> str:
        """An id that nothing else has."""
        self._count += 1
        return f"{kind}_{self.id}_{self._count}"

    def error_message(self, code: str, message: str) -> dict[str, Any]:
        """An error that the client has not caused."""
        return {
            "type": "error",
            "error": {"type": "server_error", "code": code, "message": message},
        }

    def expiry_messages(self) -> list[dict[str, Any]]:
        """The session has lasted too long."""
        minutes = round(self.emulator.settings.session_s / 60)
        words = f"Your session hit the maximum duration of {minutes} minutes."
        error = {"type": "invalid_request_error", "code": "session_expired", "message": words}
        return [{"type": "error", "error": error}]

    def _refuse(
        self, code: str, words: str, event_id: str | None, param: str | None = None
    ) -> None:
        error = {
            "type": "invalid_request_error",
            "code": code,
            "message": words,
            "param": param,
            "event_id": event_id,
        }
        self.send({"type": "error", "error": error})

    # -- the session

    @property
    def _input(self) -> AudioFormat:
        encoding = self.config["input_audio_format"]
        rate = self.config["input_audio_sampling_rate"] if encoding == "pcm16" else 8000
        return AudioFormat(encoding, rate)

    @property
    def _output(self) -> AudioFormat:
        return _OUTPUTS[self.config["output_audio_format"]]

    def _wire(self) -> dict[str, Any]:
        expires = Clock().wall() + self.emulator.settings.session_s
        wire = {**self.config, "id": self.id, "expires_at": int(expires)}
        model, agent = self.request.query.get("model"), self.request.query.get("agent-name")
        if model is not None:
            wire["model"] = model
        if agent is not None:
            wire["agent"] = {
                "type": "agent",
                "name": agent,
                "agent_id": f"agent_{agent}",
                "thread_id": self._thread_id,
            }
        return wire

    def _configure(self) -> None:
        config, model = self.config, self.mind
        detection = config["turn_detection"]
        model.configure(
            self._input,
            self._output,
            detects=detection is not None,
            answers=detection is not None and detection.get("create_response") is not False,
            interrupts=detection is not None and detection.get("interrupt_response") is not False,
            silence_ms=float((detection or {}).get("silence_duration_ms") or 500),
            speaks="audio" in config["modalities"],
        )
        model.instructions = config["instructions"] or ""
        voice = config["voice"]
        model.voice_name = voice["name"] if isinstance(voice, dict) else voice
        model.tools = names_of(config["tools"])
        choice = config["tool_choice"] or "auto"
        model.tool_choice = choice["name"] if isinstance(choice, dict) else choice
        model.parallel = config.get("parallel_tool_calls") is not False

    # -- the conversation

    def _truncate(self, entry: Entry, ms: float) -> None:
        self.mind.truncate(heard_ms=ms, reply_id=entry.reply_id)
        entry.audio_ms = ms
        self.send(
            {
                "type": "conversation.item.truncated",
                "item_id": entry.id,
                "content_index": 0,
                "audio_end_ms": round(ms),
            }
        )

    def _created(self, item: dict[str, Any], before: str | None) -> None:
        self.send(
            {
                "type": "conversation.item.created",
                "previous_item_id": before,
                "item": dict(item),
            }
        )

    def _joined(self, item: dict[str, Any]) -> None:
        """An item of an answer is part of the conversation."""
        entry = Entry(item["id"], item)
        if item["type"] == "message" and self.mind.active is not None:
            entry.reply_id = self.mind.active.id
        self._created(item, self.items.add(entry))

    # -- told by the model: the user

    def on_speech_started(self, audio_ms: float) -> None:
        """The user began to speak."""
        self._speaking, self._partial = self.new_id("item"), ""
        self.send(
            {
                "type": "input_audio_buffer.speech_started",
                "audio_start_ms": round(audio_ms),
                "item_id": self._speaking,
            }
        )

    def on_user_partial(self, text: str) -> None:
        """Words so far."""
        if self._speaking is None or not text.startswith(self._partial):
            return
        more, self._partial = text[len(self._partial) :], text
        if self.config["input_audio_transcription"] is not None and more:
            self._tell_words("delta", self._speaking, delta=more)

    def on_speech_stopped(self, audio_ms: float) -> None:
        """The user's turn is an item."""
        item_id, found = self._speaking or self.new_id("item"), self._speaking is not None
        self._speaking = None
        if found:
            self.send(
                {
                    "type": "input_audio_buffer.speech_stopped",
                    "audio_end_ms": round(audio_ms),
                    "item_id": item_id,
                }
            )
        before = self.items.last_id
        self.send(
            {
                "type": "input_audio_buffer.committed",
                "previous_item_id": before,
                "item_id": item_id,
            }
        )
        # As ours is sent back: of its audio nothing but the words.
        item = {
            "id": item_id,
            "object": "realtime.item",
            "type": "message",
            "role": "user",
            "status": "completed",
            "content": [{"type": "input_text", "text": ""}],
        }
        self._created(item, self.items.add(Entry(item_id, item)))
        self._unheard.append(item_id)

    def on_user_text(self, text: str) -> None:
        """All words of a turn."""
        item_id = self._unheard.popleft()
        if item_id in self.items:
            entry = self.items.get(item_id)
            entry.note = self.mind.known.notes[-1] if text else None
            entry.wire["content"] = [{"type": "input_text", "text": text}]
        if self.config["input_audio_transcription"] is not None:
            more = text[len(self._partial) :] if text.startswith(self._partial) else ""
            if more:
                self._tell_words("delta", item_id, delta=more)
            self._tell_words("completed", item_id, transcript=text)

    def _tell_words(self, what: str, item_id: str, **fields: Any) -> None:
        kind = f"conversation.item.input_audio_transcription.{what}"
        self.send({"type": kind, "item_id": item_id, "content_index": 0, **fields})

    # -- told by the model: its answers

    def on_reply_started(self, reply_id: str) -> None:
        """An answer begins."""
        wanted = self.config.get("output_audio_timestamp_types") or ()
        head = {
            "modalities": self.config["modalities"],
            "voice": self.config["voice"],
            "output_audio_format": self.config["output_audio_format"],
        }
        places = "word" in wanted and self.emulator.settings.tells_places
        self._reply = Reply(self.send, self.new_id, head, self._joined, places=places)
        self._reply.begin()

    def on_words(self, text: str, start_ms: float, end_ms: float) -> None:
        """A word of it."""
        if self._reply is not None:
            self._reply.words(text, spoken=True)

    def on_written(self, piece: str) -> None:
        """A piece of one that is not spoken."""
        if self._reply is not None:
            self._reply.words(piece, spoken=False)

    def on_audio(self, audio: bytes, words: Sequence[SpokenWord]) -> None:
        """A chunk of audio; of an answer that was called off, one may come late."""
        if self._reply is not None:
            self._reply.audio(audio, words)
            message_id = self._reply.message_id
            if message_id is not None and message_id in self.items:
                entry = self.items.get(message_id)
                entry.began_s = entry.began_s or asyncio.get_running_loop().time()
                entry.audio_ms += self._output.duration_ms(len(audio))
        elif self._last is not None:
            self.send(
                {
                    "type": "response.audio.delta",
                    "response_id": self._last.id,
                    "item_id": self._last.message_id,
                    "output_index": 0,
                    "content_index": 0,
                    "delta": pybase64.b64encode(audio).decode(),
                }
            )

    def on_tool_calls(self, calls: list[Call]) -> None:
        """It wants results."""
        assert self._reply is not None
        for call in calls:
            item = self._reply.call(call)
            note = next(n for n in self.mind.known.notes if n.call_id == call.id)
            self.items.get(item["id"]).note = note

    def on_error(self, code: str, message: str) -> None:
        """The answer under way fails: its end says so."""
        self._failure = (code, message)

    def on_reply_ended(self, status: str, text: str) -> None:
        """It has ended."""
        reply, self._reply, self._last = self._reply, None, self._reply
        assert reply is not None
        self._note_words(reply)
        used = self.mind.last_usage
        usage = {
            "total_tokens": used.total_tokens,
            "input_tokens": used.input_tokens,
            "output_tokens": used.output_tokens,
            "input_token_details": {
                "cached_tokens": 0,
                "text_tokens": used.input_text_tokens,
                "audio_tokens": used.input_audio_tokens,
                "image_tokens": 0,
                "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0},
            },
            "output_token_details": {
                "text_tokens": used.output_text_tokens,
                "audio_tokens": used.output_audio_tokens,
            },
        }
        ended, details = self._ending(status)
        reply.end(ended, details, usage)
        restore, self._restore = self._restore, None
        if restore is not None:
            restore()
        detection = self.config["turn_detection"] or {}
        if status == "interrupted" and detection.get("auto_truncate"):
            self._cut_to_played(reply.message_id)

    def _note_words(self, reply: Reply) -> None:
        """The item of its words is what the model remembers as said."""
        notes = [note for note in self.mind.known.notes if note.reply_id is not None]
        if notes and reply.message_id is not None and reply.message_id in self.items:
            entry = self.items.get(reply.message_id)
            entry.note = notes[-1] if notes[-1].reply_id == entry.reply_id else None

    def _ending(self, status: str) -> tuple[str, dict[str, Any] | None]:
        failure, self._failure = self._failure, None
        if status == "failed":
            code, words = failure or ("server_error", "the server had an error")
            error = {"type": "server_error", "code": code, "message": words}
            return "failed", {"type": "failed", "error": error}
        if status == "completed":
            return "completed", None
        reason = "turn_detected" if status == "interrupted" else "client_cancelled"
        return "cancelled", {"type": "cancelled", "reason": reason}

    def _cut_to_played(self, item_id: str | None) -> None:
        """As a player would have it that plays at once what it is sent."""
        if item_id is None or item_id not in self.items:
            return
        entry = self.items.get(item_id)
        if entry.began_s is not None:
            played = (asyncio.get_running_loop().time() - entry.began_s) * 1000
            self._truncate(entry, min(played, entry.audio_ms))


def names_of(tools: Sequence[dict[str, Any]] | None) -> list[str]:
    """The functions that the client offers."""
    return [tool["name"] for tool in tools or () if tool["type"] == "function"]
