"""One chat of the emulated EVI."""

from __future__ import annotations

import binascii
import re
import struct
import uuid
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import pybase64

from voxengine.audio.formats import AudioFormat
from voxengine.clock import Clock
from voxengine.providers.cascade.parts import SpokenWord
from voxengine.testing.emulators.model_types import Call
from voxengine.testing.emulators.vendor_session import VendorSession
from voxengine.testing.oracles.vendor import vendor_module

__all__ = ["HumeSession", "wav"]

#: What EVI speaks: 48 kHz, in a WAV file for each piece.
OUTPUT = AudioFormat("pcm16", 48000)
#: A score of a feeling that is not there.
_FAINT = 0.01
#: Chat groups that are kept.
_MAX_GROUPS = 100

_NOTE = re.compile(r"\[A note from the application, not said by the user: (.*)\]", re.DOTALL)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


class HumeSession(VendorSession):
    """The server's side of one connection.

    Attributes:
        chat_id, group_id: the chat, and the conversation that it goes on with.
        settings: what the client has set, the latest of each.
    """

    def opened(self) -> None:
        """The chat begins, as a new one or as the next of its group."""
        self.chat_id = str(uuid.uuid4())
        self.settings: dict[str, Any] = {}
        self._format: AudioFormat | None = None
        self._begin_ms = self._end_ms = 0.0
        #: Of the answer: ids, texts and numbers of words of the sentences to come, the one that is spoken, its pieces.
        self._sentences: list[tuple[str, str, int]] = []
        self._left = 0
        self._segment, self._index = "", 0
        self._paused = self._asked = False
        groups = self.emulator.groups  # type: ignore[attr-defined]
        group = self.request.query.get("resumed_chat_group_id")
        if group is not None and group not in groups:
            self._refuse("chat_group_not_found", f"there is no chat group {group}")
            return
        self.group_id = group or str(uuid.uuid4())
        model = self.make_model(AudioFormat("pcm16", 16000), OUTPUT)
        model.parallel = False
        model.history(groups.get(self.group_id, ()))
        self.send(
            {
                "type": "chat_metadata",
                "chat_group_id": self.group_id,
                "chat_id": self.chat_id,
                "request_id": str(uuid.uuid4()),
            }
        )
        model.greet()

    def closed(self) -> None:
        """The chat is kept."""
        if self.model is not None and self.emulator.settings.retains:
            groups = self.emulator.groups  # type: ignore[attr-defined]
            groups[self.group_id] = self.model.memory
            if len(groups) > _MAX_GROUPS:
                del groups[next(iter(groups))]

    def _refuse(self, slug: str, words: str) -> None:
        self.send(self.error_message(slug, words))
        self.end(1008, slug)

    # -- the client

    def received(self, message: dict[str, Any]) -> None:
        """A message of the client."""
        model = self.model
        if model is None:
            return
        match message["type"]:
            case "audio_input":
                self._audio(message["data"])
            case "session_settings":
                self._set(message)
            case "user_input":
                self._user_message(message["text"], from_text=True)
                if self._paused:
                    model.add("user", message["text"])
                    self._asked = True
                else:
                    self._answer_to(message["text"])
            case "assistant_input":
                model.say(message["text"], queue=True)
            case "tool_response":
                self._returned(message["tool_call_id"], message["content"])
            case "tool_error":
                self._returned(message["tool_call_id"], message.get("content") or message["error"])
            case "pause_assistant_message":
                self._paused = True
                model.configure(answers=False)
            case "resume_assistant_message":
                self._paused = False
                model.configure(answers=True)
                if self._asked:
                    self._asked = False
                    model.respond()

    def _answer_to(self, text: str) -> None:
        """A model takes a note of the application's for what it is."""
        assert self.model is not None
        noted = _NOTE.fullmatch(text)
        if noted is None:
            self.model.text(text)
        else:
            self.model.interrupt()
            self.model.respond(noted[1])

    def _audio(self, data: str) -> None:
        assert self.model is not None
        try:
            audio = pybase64.b64decode(data, validate=True)
        except binascii.Error:
            self.error("invalid_base64", "the audio is no base64")
            return
        if self._format is None:
            self.error("unknown_audio", "bare samples have to be announced by session_settings")
            return
        self.model.hear(audio)

    def _set(self, message: Mapping[str, Any]) -> None:
        model = self.model
        assert model is not None
        self.settings |= {name: value for name, value in message.items() if name != "type"}
        audio = message.get("audio")
        if audio is not None:
            self._format = AudioFormat("pcm16", audio["sample_rate"], audio["channels"])
            model.configure(input=self._format)
        if message.get("system_prompt") is not None:
            model.instructions = message["system_prompt"]
        if message.get("voice_id") is not None:
            model.voice_name = message["voice_id"]
        if message.get("tools") is not None:
            model.tools = [tool["name"] for tool in message["tools"]]
        if message.get("context") is not None:
            model.add("system", message["context"]["text"])

    def _returned(self, call_id: str, content: str) -> None:
        assert self.model is not None
        if not self.model.tool_result(call_id, content):
            self.error("unknown_tool_call", f"no call {call_id} is waiting")

    def invalid(self, problems: Sequence[str], message: Any) -> None:
        """A message that is not valid."""
        self.error("invalid_message", problems[0])

    def error_message(self, code: str, message: str) -> dict[str, Any]:
        """How EVI tells an error."""
        return {"type": "error", "code": "E0101", "slug": code, "message": message}

    def expiry_messages(self) -> Iterable[dict[str, Any]]:
        """The longest time of a chat has passed."""
        return [self.error_message("max_duration_timeout", "the chat has lasted too long")]

    # -- the model's ears

    def on_speech_started(self, audio_ms: float) -> None:
        """The user began to speak."""
        self._begin_ms = audio_ms

    def on_speech_stopped(self, audio_ms: float) -> None:
        """The user's turn is over."""
        self._end_ms = audio_ms

    def on_user_partial(self, text: str) -> None:
        """Words so far."""
        if self.request.query.get("verbose_transcription", "").lower() == "true":
            assert self.model is not None
            self._end_ms = self.model.heard_ms
            self._user_message(text, interim=True)

    def on_user_text(self, text: str) -> None:
        """All words of a turn."""
        if text:
            self._asked = self._paused
            self._user_message(text)

    def _user_message(self, text: str, *, interim: bool = False, from_text: bool = False) -> None:
        heard = not interim and not from_text
        self.send(
            {
                "type": "user_message",
                "message": {"role": "user", "content": text},
                "models": {"prosody": {"scores": self._scores()} if heard else None},
                "time": {"begin": round(self._begin_ms), "end": round(self._end_ms)},
                "from_text": from_text,
                "interim": interim,
            }
        )

    def _scores(self) -> dict[str, float]:
        return {**dict.fromkeys(_feelings(), _FAINT), **self.emulator.settings.emotions}

    # -- the model's mouth

    def on_reply_text(self, text: str) -> None:
        """It is about to say this."""
        self._sentences = [
            (str(uuid.uuid4()), sentence, len(sentence.split()))
            for sentence in _SENTENCE.split(text)
        ]
        self._left = 0

    def on_words(self, text: str, start_ms: float, end_ms: float) -> None:
        """A word: the first of a sentence brings the text of all of it."""
        if not self._left and self._sentences:
            self._segment, sentence, self._left = self._sentences.pop(0)
            self._index = 0
            self.send(
                {
                    "type": "assistant_message",
                    "id": self._segment,
                    "message": {"role": "assistant", "content": sentence},
                    "models": {},
                    "from_text": False,
                    "is_quick_response": False,
                }
            )
        self._left -= 1

    def on_audio(self, audio: bytes, words: Sequence[SpokenWord]) -> None:
        """A piece of audio."""
        data = pybase64.b64encode(wav(audio, OUTPUT)).decode()
        self.send({"type": "audio_output", "id": self._segment, "index": self._index, "data": data})
        if not self._index:
            models = {"prosody": {"scores": self._scores()}}
            self.send({"type": "assistant_prosody", "id": self._segment, "models": models})
        self._index += 1

    def on_tool_calls(self, calls: list[Call]) -> None:
        """It wants results."""
        for call in calls:
            self.send(
                {
                    "type": "tool_call",
                    "name": call.name,
                    "parameters": call.text,
                    "tool_call_id": call.id,
                    "tool_type": "function",
                    "response_required": True,
                }
            )

    def on_reply_generated(self) -> None:
        """All was sent; after a call, more follows."""
        if self.model is not None and not self.model.pending:
            self.send({"type": "assistant_end"})

    def on_reply_ended(self, status: str, text: str) -> None:
        """The answer has ended, or was cut short."""
        if status == "interrupted":
            self.send({"type": "user_interruption", "time": round(Clock().wall() * 1000)})
        elif status == "failed":
            self.send({"type": "assistant_end"})


def wav(audio: bytes, format: AudioFormat) -> bytes:
    """A WAV file of these samples."""
    rate, width = format.sample_rate, format.bytes_per_frame
    layout = struct.pack("<HHIIHH", 1, format.channels, rate, rate * width, width, 16)
    head = b"RIFF" + struct.pack("<I", 36 + len(audio)) + b"WAVEfmt " + struct.pack("<I", 16)
    return head + layout + b"data" + struct.pack("<I", len(audio)) + audio


@cache
def _feelings() -> tuple[str, ...]:
    """The names of all feelings, by the vendor's own types."""
    types = vendor_module(
        "hume.empathic_voice.types.emotion_scores", package="hume", feature="emulating Hume EVI"
    )
    fields = types.EmotionScores.model_fields
    return tuple(field.alias or name for name, field in fields.items())
