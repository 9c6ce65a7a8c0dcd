"""One conversation with the emulated agent."""

from __future__ import annotations

import binascii
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pybase64

from voxengine.audio.formats import AudioFormat
from voxengine.providers.cascade.parts import SpokenWord
from voxengine.providers.elevenlabs.voices import VOICES
from voxengine.testing.emulators.model_types import Call
from voxengine.testing.emulators.vendor_session import VendorSession
from voxengine.testing.oracles.elevenlabs_shapes import ERROR_TYPES, name_of

__all__ = ["AgentSession", "aligned", "format_named"]

#: What an application says in the user's name, and how it tells of other instructions.
_NOTE = re.compile(r"\[A note from the application, not said by the user: (.*)\]", re.DOTALL)
_INSTRUCTED = re.compile(r"From now on these are your instructions[^:]*: (.*)", re.DOTALL)

#: What is sent where the client does not say what it wants.
_USUAL = frozenset(
    {
        "audio",
        "interruption",
        "agent_response",
        "agent_response_correction",
        "user_transcript",
        "tentative_user_transcript",
        "client_tool_call",
        "ping",
        "guardrail_triggered",
    }
)
#: What is always sent.
_ALWAYS = frozenset({"conversation_initiation_metadata", "error"})

#: With which code an error closes the connection, where that is not 1002.
_CLOSES = {
    "max_duration_exceeded": 1000,
    "unknown_websocket_crash": 1011,
    "unknown": 1011,
    "invalid_message": 1008,
    "missing_fields": 1008,
    "override_error": 1008,
    "missing_dynamic_variable": 1008,
    "value_error": 1008,
}
#: The names of the voices that every account has, by their ids.
_NAMES = {voice.id: voice.name for voice in VOICES}
#: Tokens of the model's context, as far as anybody asks.
_CONTEXT_LIMIT = 128_000


class AgentSession(VendorSession):
    """The server's side of one connection.

    Attributes:
        conversation_id: its name.
        initiation: the message that began it, None before that.
        contexts: what the client has told under a `context_id`, the latest of each.
        activities: how often the client said that the user is active.
    """

    def opened(self) -> None:
        """Wait for the message that begins the conversation."""
        self.conversation_id = f"conv_{uuid.uuid4().hex}"
        self.initiation: dict[str, Any] | None = None
        self.contexts: dict[str, str] = {}
        self.activities = 0
        self._wanted = _USUAL
        self._event = 0
        #: Of the answer: its text, the number of it, milliseconds of its audio, and the text of one that is written.
        self._reply, self._reply_event, self._said_ms = "", 0, 0.0
        self._written = ""
        self._pinged: float | None = None
        self._ping_ms: int | None = None
        if self.request.query.get("agent_id") != "agent_emulated":
            self.end(1008, "The AI agent you are trying to reach does not exist.")

    # -- the client

    def kind_of(self, message: Mapping[str, Any]) -> str:
        """Audio has no type."""
        return name_of(message) or ""

    def is_audio(self, message: Mapping[str, Any]) -> bool:
        """A piece of what the user says."""
        return "user_audio_chunk" in message

    def received(self, message: dict[str, Any]) -> None:
        """A message of the client."""
        kind = self.kind_of(message)
        if kind == "conversation_initiation_client_data":
            self._begin(message)
            return
        if self.initiation is None:
            self._begin({"type": "conversation_initiation_client_data"})
        model = self.model
        if model is None:
            return
        match kind:
            case "user_audio_chunk":
                self._audio(message["user_audio_chunk"])
            case "user_message":
                self._text(message.get("text") or "")
            case "contextual_update":
                self._context(message["text"], message.get("context_id"))
            case "client_tool_result":
                # A call that is not known any more: the vendor takes no notice of it.
                model.tool_result(message["tool_call_id"], message["result"])
            case "pong":
                if self._pinged is not None:
                    self._ping_ms = round(self.now_ms() - self._pinged)
            case "user_activity":
                self.activities += 1

    def _begin(self, message: dict[str, Any]) -> None:
        if self.initiation is not None:
            self.error("invalid_message", "the conversation has begun")
            return
        self.initiation = message
        settings = self.emulator.settings
        override = message.get("conversation_config_override") or {}
        forbidden = sorted(set(_paths(override)) - settings.overrides - {"text_only"})
        missing = [
            n for n in settings.variables if n not in (message.get("dynamic_variables") or {})
        ]
        if forbidden:
            self.error("override_error", f"Override for field '{forbidden[0]}' is not allowed")
            return
        if missing:
            self.error("missing_dynamic_variable", f"missing: {', '.join(missing)}")
            return
        conversation = override.get("conversation") or {}
        if conversation.get("client_events"):
            self._wanted = frozenset(conversation["client_events"])
        self._make_model(override, writes=bool(conversation.get("text_only")))
        self._say(
            "conversation_initiation_metadata",
            conversation_id=self.conversation_id,
            agent_output_audio_format=settings.output_format,
            user_input_audio_format=settings.input_format,
        )
        self._ping()
        self.later("longest", settings.max_duration_s, self._too_long)
        assert self.model is not None
        self.model.greet()

    def _make_model(self, override: Mapping[str, Any], *, writes: bool) -> None:
        settings = self.emulator.settings
        agent = override.get("agent") or {}
        first = agent.get("first_message")
        model = self.make_model(
            format_named(settings.input_format),
            format_named(settings.output_format),
            greeting=settings.greeting if first is None else first,
            speaks=not writes,
        )
        model.instructions = (agent.get("prompt") or {}).get("prompt") or settings.prompt
        voice_id = (override.get("tts") or {}).get("voice_id")
        model.voice_name = _NAMES.get(voice_id, voice_id)
        model.tools = settings.tools

    def _audio(self, data: str) -> None:
        assert self.model is not None
        try:
            audio = pybase64.b64decode(data, validate=True)
        except binascii.Error:
            self.error("invalid_message", "the audio is no base64")
            return
        self.model.hear(audio)

    def _text(self, text: str) -> None:
        """Words of the user. A model takes a note of the application's among them for what it is."""
        assert self.model is not None
        noted = _NOTE.fullmatch(text)
        if noted is not None:
            self.model.interrupt()
            self.model.respond(noted[1])
        elif text:
            self.model.text(text)

    def _context(self, text: str, context_id: str | None) -> None:
        assert self.model is not None
        if context_id is not None:
            self.contexts[context_id] = text
        found = _INSTRUCTED.fullmatch(text)
        if found is not None:
            # It does what it is told, also in the middle.
            self.model.instructions = found[1]
            return
        self.model.add("system", text)

    def _ping(self) -> None:
        self._pinged = self.now_ms()
        self._say("ping", event_id=self._next(), ping_ms=self._ping_ms)
        self.later("ping", self.emulator.settings.ping_s, self._ping)

    def _too_long(self) -> None:
        self.error("max_duration_exceeded", "Max conversation duration exceeded")

    # -- errors, after which the connection is closed

    def invalid(self, problems: Sequence[str], message: Any) -> None:
        """A message that is not valid."""
        self.error("invalid_message", problems[0])

    def error_message(self, code: str, message: str) -> dict[str, Any]:
        """How the vendor tells an error."""
        kind = code if code in ERROR_TYPES else "llm_error"
        event = {"code": _CLOSES.get(kind, 1002), "error_type": kind, "message": message}
        return {"type": "error", "error_event": event}

    def error(self, code: str, message: str) -> None:
        """Tell it, and close."""
        told = self.error_message(code, message)
        self.send(told)
        self.end(told["error_event"]["code"], message)

    def expiry_messages(self) -> Iterable[dict[str, Any]]:
        """The longest time of a conversation has passed."""
        words = "Max conversation duration exceeded"
        return [self.error_message("max_duration_exceeded", words)]

    # -- the model's ears

    def on_speech_started(self, audio_ms: float) -> None:
        """The user began to speak."""
        self._say("vad_score", vad_score=0.95)

    def on_speech_stopped(self, audio_ms: float) -> None:
        """The user's turn is over."""
        self._say("vad_score", vad_score=0.05)

    def on_user_partial(self, text: str) -> None:
        """Words so far."""
        self._say("tentative_user_transcript", user_transcript=text, event_id=self._next())

    def on_user_text(self, text: str) -> None:
        """All words of a turn."""
        if text:
            self._say("user_transcript", user_transcript=text, event_id=self._next())

    # -- the model's mouth

    def on_reply_started(self, reply_id: str) -> None:
        """It begins to answer."""
        self._reply, self._written, self._said_ms = "", "", 0.0

    def on_reply_text(self, text: str) -> None:
        """It is about to say this."""
        self._reply, self._reply_event = text, self._next()
        if self.model is not None and self.model.settings.speaks:
            self._say("agent_response", agent_response=text, event_id=self._reply_event)

    def on_audio(self, audio: bytes, words: Sequence[SpokenWord]) -> None:
        """A piece of audio, with the places of the characters in it."""
        assert self.model is not None
        event: dict[str, Any] = {
            "audio_base_64": pybase64.b64encode(audio).decode(),
            "event_id": self._next(),
        }
        if words and self.emulator.settings.aligned:
            event["alignment"] = _alignment(words, self._said_ms)
        self._said_ms += self.model.output.duration_ms(len(audio))
        self._say("audio", **event)

    def on_written(self, piece: str) -> None:
        """A piece of an answer in writing, which is told as a whole."""
        self._written += piece

    def on_tool_calls(self, calls: list[Call]) -> None:
        """It wants results."""
        for call in calls:
            self._say(
                "client_tool_call",
                tool_name=call.name,
                tool_call_id=call.id,
                parameters=call.arguments,
                event_id=self._next(),
            )

    def on_reply_generated(self) -> None:
        """All was sent. Nobody tells the client so, unless it wants to know how full the context is."""
        if self._written:
            self._say("agent_response", agent_response=self._written, event_id=self._reply_event)
        self._say(
            "context_usage",
            event_id=self._next(),
            model="emulated",
            context_tokens=sum(len(text.split()) for _, text in self.model.memory)
            if self.model
            else 0,
            context_limit_tokens=_CONTEXT_LIMIT,
        )

    def on_reply_ended(self, status: str, text: str) -> None:
        """The answer has ended, or was cut short."""
        if status != "interrupted":
            return
        self._say("interruption", event_id=self._event)
        if self._reply:
            corrected = f"{text}..." if self.emulator.settings.dots else text
            self._say(
                "agent_response_correction",
                original_agent_response=self._reply,
                corrected_agent_response=corrected,
                event_id=self._reply_event,
            )

    def on_error(self, code: str, message: str) -> None:
        """The model failed: the conversation ends."""
        self.error(code, message)

    # -- inside

    def _next(self) -> int:
        self._event += 1
        return self._event

    def _say(self, kind: str, **event: Any) -> None:
        if kind in self._wanted or kind in _ALWAYS:
            self.send({"type": kind, _FIELDS[kind]: event})


#: The field of each message that holds what it tells.
_FIELDS = {
    "audio": "audio_event",
    "agent_response": "agent_response_event",
    "agent_response_correction": "agent_response_correction_event",
    "user_transcript": "user_transcription_event",
    "tentative_user_transcript": "tentative_user_transcription_event",
    "interruption": "interruption_event",
    "conversation_initiation_metadata": "conversation_initiation_metadata_event",
    "client_tool_call": "client_tool_call",
    "context_usage": "context_usage_event",
    "vad_score": "vad_score_event",
    "ping": "ping_event",
}


def format_named(name: str) -> AudioFormat:
    """The format that the vendor calls so."""
    kind, _, rate = name.partition("_")
    return AudioFormat("g711_ulaw" if kind == "ulaw" else "pcm16", int(rate))


def aligned(words: Sequence[SpokenWord], at_ms: float) -> tuple[list[str], list[int], list[int]]:
    """Characters, where each begins in a piece of audio that begins at `at_ms`, and how long each lasts."""
    chars: list[str] = []
    starts: list[int] = []
    lasts: list[int] = []
    for word in words:
        step = (word.end_ms - word.start_ms) / max(1, len(word.text))
        for number, char in enumerate(word.text):
            begin = round(word.start_ms + number * step - at_ms)
            chars.append(char)
            starts.append(begin)
            lasts.append(max(0, round(word.start_ms + (number + 1) * step - at_ms) - begin))
    return chars, starts, lasts


def _alignment(words: Sequence[SpokenWord], at_ms: float) -> dict[str, Any]:
    chars, starts, lasts = aligned(words, at_ms)
    return {"chars": chars, "char_start_times_ms": starts, "char_durations_ms": lasts}


def _paths(message: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The paths of all values in it."""
    for name, value in message.items():
        if isinstance(value, Mapping):
            yield from _paths(value, f"{above}{name}.")
        else:
            yield f"{above}{name}"
