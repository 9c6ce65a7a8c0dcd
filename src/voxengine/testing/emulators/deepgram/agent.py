"""One conversation with the emulated Voice Agent."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from voxengine.audio.formats import AudioFormat
from voxengine.providers.cascade.parts import SpokenWord
from voxengine.testing.emulators.model_types import Call
from voxengine.testing.emulators.vendor_session import VendorSession

if TYPE_CHECKING:
    from voxengine.testing.emulators.deepgram.emulator import DeepgramEmulator

__all__ = ["FORMATS", "AgentSession", "format_of"]

#: The vendor's names of encodings that are emulated.
FORMATS = {"linear16": "pcm16", "mulaw": "g711_ulaw", "alaw": "g711_alaw"}
#: From here on nothing but silence ends a turn.
_NEVER_SURE = 1.0

_NOTE = re.compile(r"<instruction>(.*)</instruction>", re.DOTALL)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def format_of(settings: Mapping[str, Any], rate: int = 24000) -> AudioFormat | None:
    """The format that is asked for, None if it is not emulated."""
    encoding = FORMATS.get(settings.get("encoding", "linear16"))
    return encoding and AudioFormat(encoding, int(settings.get("sample_rate") or rate))  # type: ignore[return-value]


class AgentSession(VendorSession):
    """The server's side of one connection.

    Attributes:
        settings: what the client has set, with the changes since.
    """

    emulator: DeepgramEmulator

    def opened(self) -> None:
        """Say who we are."""
        self.settings: dict[str, Any] = {}
        self._sentences: list[tuple[str, int]] = []
        self._left = 0
        self._began = False
        self._spoke = False
        self._asked_at = 0.0
        #: Tools by the ids of their calls.
        self._called: dict[str, str] = {}
        self._wait()
        self.send({"type": "Welcome", "request_id": str(uuid.uuid4())})

    def _wait(self) -> None:
        idle = self.emulator.settings.idle_s
        words = f"nothing came for {idle:g} s"
        self.later("idle", idle, self.error, "CLIENT_MESSAGE_TIMEOUT", words)

    # -- the client

    def received_audio(self, audio: bytes) -> None:
        """Listen."""
        self._wait()
        if self.model is None:
            self.error("NON_SETTINGS_MESSAGE_BEFORE_SETTINGS", "audio came before the settings")
        else:
            self.model.hear(audio)

    def received(self, message: dict[str, Any]) -> None:
        """A message of the client."""
        self._wait()
        kind = message["type"]
        if kind == "Settings":
            self._begin(message)
        elif self.model is None:
            self.error("NON_SETTINGS_MESSAGE_BEFORE_SETTINGS", f"{kind} came before the settings")
        elif kind.startswith("Update"):
            self._update(kind, message)
        elif kind != "KeepAlive":
            self._command(kind, message)

    def _begin(self, message: dict[str, Any]) -> None:
        if self.settings:
            self.error("SETTINGS_ALREADY_APPLIED", "there are settings already")
            return
        audio = message["audio"]
        input = format_of(audio.get("input") or {})
        output = format_of(audio.get("output") or {})
        agent = message["agent"]
        if input is None or output is None or not isinstance(agent, dict):
            self.error("INVALID_SETTINGS", "this emulator has no such audio, or no stored agents")
            return
        self.settings = message
        model = self.make_model(input, output, cancels_tools=True)
        for note in (agent.get("context") or {}).get("messages") or ():
            self._remember(note)
        self._set_listen(agent.get("listen") or {})
        self._set_think(agent.get("think") or {})
        self._set_speak(agent.get("speak") or {})
        self.send({"type": "SettingsApplied"})
        if agent.get("greeting"):
            model.say(agent["greeting"])
        else:
            model.greet()

    def _remember(self, note: Mapping[str, Any]) -> None:
        assert self.model is not None
        for call in note.get("function_calls") or ():
            text = f"{call['name']} {call['arguments']}"
            self.model.add("tool_call", text, call_id=call["id"])
            self.model.add("tool", call["response"], call_id=call["id"])
        if note.get("content"):
            self.model.add(note["role"], note["content"])

    def _update(self, kind: str, message: Mapping[str, Any]) -> None:
        assert self.model is not None
        match kind:
            case "UpdatePrompt":
                self.model.instructions = message["prompt"]
            case "UpdateThink":
                self._set_think(message["think"])
            case "UpdateListen":
                self._set_listen(message["listen"])
            case "UpdateSpeak":
                self._set_speak(message["speak"])
        told = {"UpdateThink_Live": "ThinkLiveUpdated"}
        self.send({"type": told.get(kind, f"{kind.removeprefix('Update')}Updated")})

    def _set_listen(self, listen: Mapping[str, Any]) -> None:
        assert self.model is not None
        provider = listen.get("provider") or {}
        self.settings["agent"]["listen"] = listen
        own = self.emulator.settings.silence_ms
        patience = provider.get("eot_timeout_ms", 5000)
        sure = provider.get("eot_threshold", 0.7) < _NEVER_SURE
        self.model.configure(silence_ms=min(own, patience) if sure else patience)

    def _set_think(self, think: Any) -> None:
        assert self.model is not None
        self.settings["agent"]["think"] = think
        first = think[0] if isinstance(think, list) else think
        self.model.instructions = first.get("prompt") or ""
        self.model.tools = [tool["name"] for tool in first.get("functions") or ()]

    def _set_speak(self, speak: Any) -> None:
        assert self.model is not None
        self.settings["agent"]["speak"] = speak
        first = speak[0] if isinstance(speak, list) else speak
        provider = first.get("provider") or {}
        self.model.voice_name = provider.get("model") or provider.get("model_id")

    def _command(self, kind: str, message: Mapping[str, Any]) -> None:
        model = self.model
        assert model is not None
        match kind:
            case "InjectUserMessage":
                self._user(message["content"])
            case "InjectAgentMessage":
                self._inject(message["message"], message.get("behavior") or "default")
            case "FunctionCallResponse":
                model.tool_result(message.get("id") or "", message["content"])
            case "ForceEndTurn":
                provider = self.settings["agent"]["listen"].get("provider") or {}
                if provider.get("version") != "v2":
                    self._warn("FORCE_END_TURN_UNSUPPORTED", "that needs Flux")
                elif model.turn is not None:
                    model.commit()

    def _user(self, text: str) -> None:
        assert self.model is not None
        self._say("user", text)
        note = _NOTE.fullmatch(text)
        if note is None:
            self.model.text(text)
        else:  # of the application, as the prompt says
            self.model.interrupt()
            self.model.add("system", note[1])
            self.model.respond(note[1])

    def _inject(self, text: str, behavior: str) -> None:
        assert self.model is not None
        busy = self.model.active is not None or self.model.turn is not None
        if behavior == "default" and busy:
            self.send({"type": "InjectionRefused", "message": "somebody is speaking"})
        else:
            self.model.say(text, queue=behavior == "queue")

    def invalid(self, problems: Sequence[str], message: Any) -> None:
        """A message that is not valid."""
        self.error("UNPARSABLE_CLIENT_MESSAGE", problems[0])

    def _warn(self, code: str, words: str) -> None:
        self.send({"type": "Warning", "code": code, "description": words})

    def error(self, code: str, message: str) -> None:
        """Tell an error, and hang up."""
        self.send({"type": "Error", "code": code.upper(), "description": message})
        self.end(1011, code)

    def expiry_messages(self) -> Iterable[dict[str, Any]]:
        """The longest time of a session has passed: nothing says so."""
        return ()

    # -- the model's ears

    def on_speech_started(self, audio_ms: float) -> None:
        """The user began to speak."""
        self.send({"type": "UserStartedSpeaking"})

    def on_user_text(self, text: str) -> None:
        """All words of a turn."""
        self._asked_at = asyncio.get_running_loop().time()
        if text:
            self._say("user", text)

    def _say(self, role: str, text: str) -> None:
        self.send(
            {
                "type": "ConversationText",
                "role": role,
                "content": text,
                "conversational_behavior": "default",
            }
        )
        flags = self.settings.get("flags") or {}
        if flags.get("history") is not False:
            self.send({"type": "History", "role": role, "content": text})

    # -- the model's mouth

    def on_reply_started(self, reply_id: str) -> None:
        """It thinks."""
        self._began = self._spoke = False
        self.send({"type": "AgentThinking", "content": "what is to be said"})

    def on_reply_text(self, text: str) -> None:
        """It is about to say this."""
        self._sentences = [(part, len(part.split())) for part in _SENTENCE.split(text)]
        self._left = 0

    def on_words(self, text: str, start_ms: float, end_ms: float) -> None:
        """A word: the first of a sentence brings the text of all of it."""
        if not self._left and self._sentences:
            sentence, self._left = self._sentences.pop(0)
            self._say("assistant", sentence)
        self._left -= 1
        if not self._began and self.emulator.settings.tells_beginning:
            passed = asyncio.get_running_loop().time() - self._asked_at
            self.send(
                {
                    "type": "AgentStartedSpeaking",
                    "total_latency": passed,
                    "tts_latency": passed / 2,
                    "ttt_latency": passed / 2,
                }
            )
        self._began = True

    def on_audio(self, audio: bytes, words: Sequence[SpokenWord]) -> None:
        """A chunk of audio."""
        self._spoke = True
        self.send(audio)

    def on_tool_calls(self, calls: list[Call]) -> None:
        """It wants results."""
        self._called.update({call.id: call.name for call in calls})
        functions = [
            {"id": call.id, "name": call.name, "arguments": call.text, "client_side": True}
            for call in calls
        ]
        self.send({"type": "FunctionCallRequest", "functions": functions})

    def on_tools_cancelled(self, call_ids: list[str]) -> None:
        """It does not want them any more."""
        functions = [{"id": call_id, "name": self._called[call_id]} for call_id in call_ids]
        self.send({"type": "FunctionCallCancelled", "functions": functions})

    def on_reply_generated(self) -> None:
        """All of it was sent."""
        if self._spoke:
            self.send({"type": "AgentAudioDone"})

    def on_error(self, code: str, message: str) -> None:
        """The model failed."""
        self.error("FAILED_TO_THINK" if code == "server_error" else code, message)
