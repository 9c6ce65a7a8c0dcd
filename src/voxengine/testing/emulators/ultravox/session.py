"""One call of the emulated Ultravox."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from voxengine.audio.formats import AudioFormat
from voxengine.providers.cascade.parts import SpokenWord
from voxengine.testing.emulators.model_types import Call
from voxengine.testing.emulators.vendor_session import VendorSession

if TYPE_CHECKING:
    from voxengine.testing.emulators.ultravox.emulator import UltravoxEmulator

__all__ = ["UltravoxSession"]

_NOTE = re.compile(r"<instruction>(.*)</instruction>", re.DOTALL)
_ROLES = {
    "MESSAGE_ROLE_USER": "user",
    "MESSAGE_ROLE_AGENT": "assistant",
    "MESSAGE_ROLE_TOOL_CALL": "tool_call",
    "MESSAGE_ROLE_TOOL_RESULT": "tool",
}


class UltravoxSession(VendorSession):
    """The server's side of one connection.

    Attributes:
        call_id: the call.
        config: the request that created it.
    """

    emulator: UltravoxEmulator

    def opened(self) -> None:
        """The call begins."""
        self.call_id = self.request.path.removeprefix(self.emulator.join_path)
        self.config = config = self.emulator.requests[self.call_id]
        medium = config["medium"]["serverWebSocket"]
        rate = medium["inputSampleRate"]
        self._wants: dict[str, bool] = medium.get("dataMessages") or {}
        #: Counts the utterances of both sides; that of the answer under way, and what was told of it.
        self._ordinal = -1
        self._answer = -1
        self._told = ""
        #: Texts that are answered when the agent has finished.
        self._soon: list[str] = []
        #: Milliseconds of audio of the answer, and the loop's time at which the client will have played it.
        self._sent_ms = self._played_at = 0.0
        model = self.make_model(
            AudioFormat("pcm16", rate),
            AudioFormat("pcm16", medium.get("outputSampleRate") or rate),
            speaks=config.get("initialOutputMedium") != "MESSAGE_MEDIUM_TEXT",
        )
        model.parallel = False
        model.instructions = config.get("systemPrompt") or ""
        model.voice_name = config.get("voice")
        model.tools = [
            tool["temporaryTool"]["modelToolName"]
            for tool in config.get("selectedTools") or ()
            if tool.get("temporaryTool")
        ]
        model.history(self.emulator.messages[self.call_id])
        model.history(
            (_ROLES[message["role"]], message["text"])
            for message in config.get("initialMessages") or ()
        )
        self.later("end", self.emulator.settings.max_duration_s, self.end, 1000, "max duration")
        self.send({"type": "call_started", "callId": self.call_id})
        self._state("listening")
        model.greet()

    def closed(self) -> None:
        """The call is over: what was said is kept."""
        if self.model is not None and self.call_id in self.emulator.messages:
            self.emulator.messages[self.call_id] = self.model.memory

    # -- the client

    def received(self, message: dict[str, Any]) -> None:
        """A message of the client."""
        model = self.model
        assert model is not None
        match message["type"]:
            case "user_text_message":
                self._text(message)
            case "forced_agent_message":
                model.say(message.get("content", ""), queue=message.get("urgency") != "immediate")
            case "client_tool_result":
                result = message.get("result") or message.get("errorMessage") or ""
                if not model.tool_result(message["invocationId"], result):
                    self._debug(f"no invocation {message['invocationId']} is waiting")
            case "set_output_medium":
                model.configure(speaks=message["medium"] == "voice")
            case "ping":
                self.send({"type": "pong", "timestamp": message["timestamp"]})
            case "hang_up":
                self.end(1000, "hung up")

    def _text(self, message: dict[str, Any]) -> None:
        model, text = self.model, message["text"]
        assert model is not None
        urgency, silent = message.get("urgency", "soon"), message.get("deferResponse", False)
        if urgency == "immediate":
            self._soon.clear()
            model.interrupt()
            self._clear_buffer()
        if not text:
            return
        noted = _NOTE.fullmatch(text)
        if noted is None:
            self._transcript("user", "text", text=text, final=True)
        if urgency == "later" or silent:
            model.add("system" if noted else "user", noted[1] if noted else text)
        elif model.active is None:
            self._answer_to(text)
        else:
            self._soon.append(text)

    def _answer_to(self, text: str) -> None:
        assert self.model is not None
        noted = _NOTE.fullmatch(text)
        if noted is None:
            self.model.text(text)
        else:
            self.model.respond(noted[1])

    def invalid(self, problems: Sequence[str], message: Any) -> None:
        """A message that is not valid: those who debug are told."""
        self._debug(problems[0])

    def error(self, code: str, message: str) -> None:
        """The protocol has no message for errors: what cannot be mended ends the call."""
        self.end(1011, message)

    def _debug(self, words: str) -> None:
        if self._wants.get("debug"):
            self.send({"type": "debug", "message": words})

    # -- the model's ears

    def on_speech_started(self, audio_ms: float) -> None:
        """The user began to speak: an answer that was sent, and not heard to its end, is cut short."""
        if self._wants.get("userStartedSpeaking"):
            self.send({"type": "user_started_speaking"})
        self._clear_buffer()

    def on_speech_stopped(self, audio_ms: float) -> None:
        """The user is silent."""
        if self._wants.get("userStoppedSpeaking"):
            self.send({"type": "user_stopped_speaking"})

    def on_user_text(self, text: str) -> None:
        """All words of a turn: the agent thinks about them, and they are written down meanwhile."""
        if text:
            self._state("thinking")
            self._transcript("user", "voice", text=text, final=True)

    # -- the model's mouth

    def on_reply_started(self, reply_id: str) -> None:
        """It thinks."""
        self._state("thinking")

    def on_reply_text(self, text: str) -> None:
        """It speaks."""
        self._state("speaking")
        self._ordinal += 1
        self._answer, self._told = self._ordinal, ""
        self._sent_ms = 0.0

    def on_words(self, text: str, start_ms: float, end_ms: float) -> None:
        """A word."""
        self._said(text, "voice")

    def on_audio(self, audio: bytes, words: Sequence[SpokenWord]) -> None:
        """A chunk of audio."""
        assert self.model is not None
        length = self.model.output.duration_ms(len(audio))
        self._sent_ms += length
        self._played_at = max(self._played_at, self._now()) + length / 1000
        self.send(audio)

    def on_written(self, piece: str) -> None:
        """A word that is not spoken."""
        self._said(piece, "text")

    def on_tool_calls(self, calls: list[Call]) -> None:
        """It wants results."""
        self._state("thinking")
        for call in calls:
            self.send(
                {
                    "type": "client_tool_invocation",
                    "toolName": call.name,
                    "invocationId": call.id,
                    "parameters": call.arguments,
                }
            )

    def on_reply_ended(self, status: str, text: str) -> None:
        """The answer has ended; what was said of it is told once more, as a whole."""
        assert self.model is not None
        if status == "interrupted":
            text = self._clear_buffer(always=True) or ""
        if self._told:
            medium = "voice" if self.model.settings.speaks else "text"
            said = {"role": "agent", "medium": medium, "text": text, "final": True}
            self.send({"type": "transcript", **said, "ordinal": self._answer})
            self._told = ""
        if not self.model.pending:
            self._state("listening")
        if self._soon and status == "completed":
            self.later("soon", 0, self._answer_to, self._soon.pop(0))

    def _clear_buffer(self, *, always: bool = False) -> str | None:
        """Let the client throw away what it has not played; what is left of the answer, if there is one."""
        model, unheard_s = self.model, self._played_at - self._now()
        assert model is not None
        if model.active is not None or not (always or unheard_s > 0):
            return None
        self._played_at = 0.0
        self.send({"type": "playback_clear_buffer"})
        return model.truncate(heard_ms=self._sent_ms - max(0.0, unheard_s) * 1000)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _said(self, piece: str, medium: str) -> None:
        self._told += piece
        said = {"role": "agent", "medium": medium, "delta": piece, "final": False}
        self.send({"type": "transcript", **said, "ordinal": self._answer})

    def _transcript(self, role: str, medium: str, **said: Any) -> None:
        self._ordinal += 1
        self.send(
            {
                "type": "transcript",
                "role": role,
                "medium": medium,
                **said,
                "ordinal": self._ordinal,
            }
        )

    def _state(self, state: str) -> None:
        self.send({"type": "state", "state": state})
