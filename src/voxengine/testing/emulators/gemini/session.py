"""One session of the emulated Live API."""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pybase64

from voxengine.audio.formats import AudioFormat
from voxengine.providers.cascade.parts import SpokenWord
from voxengine.testing.emulators.model import ScriptedModel
from voxengine.testing.emulators.model_types import Call
from voxengine.testing.emulators.vendor_session import VendorSession

if TYPE_CHECKING:
    from voxengine.testing.emulators.gemini.emulator import GeminiEmulator

__all__ = ["GeminiSession", "in_camel", "text_of"]

_OUTPUT = AudioFormat("pcm16", 24000)
_MIME = re.compile(r"audio/pcm(?:;rate=(\d+))?")
#: The model takes what is marked as a note for one, not for the user's words.
_NOTE = re.compile(r"\[Note[^\]]*\] ?(.*)", re.DOTALL)
_MODEL = re.compile(r"(.*/)?models/gemini[\w.-]*")
#: Below these, names are the application's own.
_OWN = frozenset({"args", "response", "parameters", "parametersJsonSchema", "labels"})


class GeminiSession(VendorSession):
    """The server's side. `setup` is what the client asked for, None before that."""

    emulator: GeminiEmulator

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.setup: dict[str, Any] | None = None
        self._kept: list[tuple[str, str]] = []
        #: An earlier conversation was announced, and is not yet complete.
        self._history_due = False
        #: Words of the user's turn that were told.
        self._told = 0
        #: A turn of ours is under way; it waits for the results of tools.
        self._under_way = False
        self._waits = False
        self._handles = 0

    # -- the wire

    def decode(self, message: str | bytes) -> dict[str, Any]:
        """JSON, in either kind of frame."""
        found = json.loads(message)
        if not isinstance(found, dict):
            raise ValueError("a message is a JSON object")
        return found

    def kind_of(self, message: Mapping[str, Any]) -> str:
        """The name of its first field, and of the first in that."""
        name = next(iter(message), "")
        inner = message.get(name)
        first = next(iter(inner), "") if isinstance(inner, Mapping) else ""
        return f"{name}.{first}" if name in ("serverContent", "realtimeInput") and first else name

    def is_audio(self, message: Mapping[str, Any]) -> bool:
        """Whether it is one of the many that carry the user's voice."""
        return "audio" in (message.get("realtimeInput") or message.get("realtime_input") or ())

    def invalid(self, problems: Sequence[str], message: Any) -> None:
        """There is no message for errors."""
        self.end(1007, f"Request contains an invalid argument: {problems[0]}"[:120])

    def expiry_messages(self) -> list[dict[str, Any]]:
        """The end is announced."""
        return [{"goAway": {"timeLeft": "0s"}}]

    def unknown_message(self, kind: str) -> dict[str, Any]:
        """A field that nobody knows."""
        return {kind: {"mood": "sunny"}}

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send a message as the vendor does."""
        self.send(message, binary=self.emulator.settings.binary)

    # -- what comes

    def received(self, message: dict[str, Any]) -> None:
        """A message of the client."""
        message = in_camel(message)
        kind, body = next(iter(message.items()))
        if (self.setup is None) != (kind == "setup"):
            words = "setup must be the first message and only the first"
            self.invalid([words], message)
        elif kind == "setup":
            self._on_setup(body)
        elif kind == "realtimeInput":
            self._on_input(body)
        elif kind == "clientContent":
            self._on_content(body)
        elif kind == "contextUpdate":
            self._on_context(body)
        else:
            for response in body.get("functionResponses", ()):
                self._on_result(response)

    def _on_setup(self, setup: dict[str, Any]) -> None:
        wrong = self._wrong_with(setup)
        if wrong is not None:
            self.end(*wrong)
            return
        self.setup = setup
        realtime = setup.get("realtimeInputConfig") or {}
        detection = realtime.get("automaticActivityDetection") or {}
        model = self.make_model(
            AudioFormat("pcm16", 16000),
            _OUTPUT,
            detects=not detection.get("disabled", False),
            silence_ms=float(detection.get("silenceDurationMs", self.emulator.settings.silence_ms)),
            interrupts=realtime.get("activityHandling") != "NO_INTERRUPTION",
        )
        voice = (setup.get("generationConfig") or {}).get("speechConfig") or {}
        prebuilt = (voice.get("voiceConfig") or {}).get("prebuiltVoiceConfig") or {}
        model.voice_name = prebuilt.get("voiceName")
        model.instructions = text_of(setup.get("systemInstruction"))
        model.tools = _names_of(setup.get("tools"))
        self._history_due = bool(
            (setup.get("historyConfig") or {}).get("initialHistoryInClientContent")
        )
        model.history(self._kept)
        self.tell({"setupComplete": {"sessionId": self.id}})
        settings = self.emulator.settings
        if settings.go_away_after_s is not None:
            self.later("go away", settings.go_away_after_s, self._go_away)
        model.greet()

    def _wrong_with(self, setup: dict[str, Any]) -> tuple[int, str] | None:
        name = setup.get("model", "")
        if not _MODEL.fullmatch(name):
            return 1008, f"{name} is not found for API version v1beta"
        modalities = (setup.get("generationConfig") or {}).get("responseModalities", ["AUDIO"])
        if modalities != ["AUDIO"]:
            return 1007, "Request contains an invalid argument."
        handle = (setup.get("sessionResumption") or {}).get("handle")
        if handle:
            kept = self.emulator.kept.get(handle)
            if kept is None or self.emulator.settings.forgets:
                return 1007, "Invalid session resumption handle."
            self._kept = kept
        return None

    def _go_away(self) -> None:
        left = self.emulator.settings.time_left_s
        self.tell({"goAway": {"timeLeft": f"{left:g}s"}})
        words = "Deadline expired before operation could complete."
        self.later("end", left, self.end, 1011, words)

    def _on_input(self, body: dict[str, Any]) -> None:
        model = self._model()
        manual = not model.settings.detects
        if "audio" in body:
            self._on_audio(body["audio"])
        elif "text" in body:
            model.text(body["text"])
        elif ("activityStart" in body or "activityEnd" in body) and not manual:
            words = "Explicit activity control is not supported when automatic activity detection is enabled."
            self.end(1007, words)
        elif "activityStart" in body:
            if model.settings.interrupts:
                model.interrupt()
        elif "activityEnd" in body:
            model.commit()

    def _on_audio(self, blob: dict[str, Any]) -> None:
        found = _MIME.fullmatch(blob.get("mimeType", ""))
        try:
            # Google's own client writes the alphabet for addresses: protocol buffers take either.
            data = blob.get("data", "").replace("-", "+").replace("_", "/")
            audio = pybase64.b64decode(data, validate=True)
        except binascii.Error:
            found = None
        if found is None or len(audio) % 2:
            self.invalid(["realtimeInput.audio"], blob)
            return
        if self._history_due:
            return  # it waits for the end of the history first
        rate = int(found[1] or 16000)
        if rate != self._model().input.sample_rate:
            self._model().configure(input=AudioFormat("pcm16", rate))
        self._model().hear(audio)

    def _on_content(self, body: dict[str, Any]) -> None:
        model, contents = self._model(), body.get("turns") or []
        told = [line for content in contents for line in _lines_of(content)]
        complete = bool(body.get("turnComplete"))
        if self._history_due:
            model.history(told)
            self._history_due = not complete
            return
        asked = told[-1] if complete and told and told[-1][0] == "user" else None
        for role, text in told[:-1] if asked is not None else told:
            model.add(role, text)
        if asked is not None:
            model.text(asked[1])
            return
        model.interrupt()
        if complete:
            model.respond(told[-1][1] if told and told[-1][0] == "system" else None)

    def _on_context(self, body: dict[str, Any]) -> None:
        model = self._model()
        if "systemInstruction" in body:
            model.instructions = text_of(body["systemInstruction"])
        if "tools" in body:
            model.tools = _names_of(body["tools"].get("tools"))

    def _on_result(self, response: dict[str, Any]) -> None:
        model = self._model()
        value = response.get("response") or {}
        output = value["output"] if [*value] == ["output"] else value
        text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
        call_id, scheduling = response.get("id", ""), response.get("scheduling")
        if scheduling == "SILENT":
            model.withdraw(call_id)
            model.add("tool", text, call_id=call_id)
            return
        if scheduling == "INTERRUPT":
            model.cancel()
        # A result that is not awaited any more is let go: it may have crossed its cancellation.
        model.tool_result(call_id, text)

    # -- what the model tells

    def on_speech_started(self, audio_ms: float) -> None:
        """The user began to speak."""
        self._told = 0
        self._activity("ACTIVITY_START", audio_ms)

    def on_speech_stopped(self, audio_ms: float) -> None:
        """The user's turn is over."""
        self._activity("ACTIVITY_END", audio_ms)

    def _activity(self, kind: str, audio_ms: float) -> None:
        if self._has("explicitVadSignal"):
            offset = f"{audio_ms / 1000:.3f}s"
            self.tell({"voiceActivity": {"voiceActivityType": kind, "audioOffset": offset}})

    def on_user_partial(self, text: str) -> None:
        """All words of the turn so far: those that are new are told."""
        if self._has("inputAudioTranscription"):
            # Only appended to: a word that was told is not taken back, also when it is understood otherwise later.
            words = text.split()
            piece = " ".join(words[self._told :])
            if piece:
                piece, self._told = (" " if self._told else "") + piece, len(words)
                self.tell({"serverContent": {"inputTranscription": {"text": piece}}})

    def on_user_text(self, text: str) -> None:
        """All words of the turn."""
        self.on_user_partial(text)
        if self._has("inputAudioTranscription") and self.emulator.settings.finishes and text:
            self.tell({"serverContent": {"inputTranscription": {"finished": True}}})

    def on_reply_started(self, reply_id: str) -> None:
        """An answer begins."""
        self._waits = False
        if not self._under_way:
            self._under_way = True
            self._resumable(False)
        thoughts = self.emulator.settings.thoughts
        if thoughts:
            parts = [{"text": thoughts, "thought": True}]
            self.tell({"serverContent": {"modelTurn": {"role": "model", "parts": parts}}})

    def on_words(self, text: str, start_ms: float, end_ms: float) -> None:
        """A word of it."""
        if self._has("outputAudioTranscription"):
            self.tell({"serverContent": {"outputTranscription": {"text": text}}})

    def on_written(self, piece: str) -> None:
        """The script says that it is not spoken: a model that speaks cannot do that."""
        self.on_words(piece, 0.0, 0.0)

    def on_audio(self, audio: bytes, words: Sequence[SpokenWord]) -> None:
        """A chunk of its voice."""
        data = pybase64.b64encode(audio).decode()
        blob = {"mimeType": f"audio/pcm;rate={_OUTPUT.sample_rate}", "data": data}
        turn = {"role": "model", "parts": [{"inlineData": blob}]}
        self.tell({"serverContent": {"modelTurn": turn}})

    def on_tool_calls(self, calls: list[Call]) -> None:
        """It wants results."""
        self._waits = True
        wanted = [{"id": c.id, "name": c.name, "args": c.arguments} for c in calls]
        self.tell({"toolCall": {"functionCalls": wanted}})

    def on_tools_cancelled(self, call_ids: list[str]) -> None:
        """It does not want them any more, nor goes on."""
        self.tell({"toolCallCancellation": {"ids": call_ids}})
        if self._under_way:
            self._turn_over(interrupted=True)

    def on_reply_generated(self) -> None:
        """All was sent."""
        if not self._waits:
            self.tell({"serverContent": {"generationComplete": True}})

    def on_reply_ended(self, status: str, text: str) -> None:
        """An answer is over. One that has called tools goes on when their results are there."""
        if not (self._waits and status == "completed"):
            self._turn_over(interrupted=status != "completed")

    def _turn_over(self, *, interrupted: bool) -> None:
        self._under_way = self._waits = False
        if interrupted:
            self.tell({"serverContent": {"interrupted": True}})
        self.tell({"serverContent": {"turnComplete": True}, "usageMetadata": self._usage()})
        self._resumable(True)

    def _usage(self) -> dict[str, Any]:
        used, settings = self._model().last_usage, self.emulator.settings
        thought = len(settings.thoughts) // 4
        usage = {
            "promptTokenCount": used.input_tokens,
            "responseTokenCount": used.output_tokens,
            "totalTokenCount": used.total_tokens + thought,
            "promptTokensDetails": _details(used.input_text_tokens, used.input_audio_tokens),
            "responseTokensDetails": _details(used.output_text_tokens, used.output_audio_tokens),
        }
        if thought:
            usage["thoughtsTokenCount"] = thought
        if settings.cached_tokens:
            usage["cachedContentTokenCount"] = settings.cached_tokens
            usage["cacheTokensDetails"] = _details(settings.cached_tokens, 0)
        return usage

    def _resumable(self, resumable: bool) -> None:
        if not self._has("sessionResumption"):
            return
        update: dict[str, Any] = {"resumable": resumable}
        if resumable:
            self._handles += 1
            handle = f"{self.id}_handle_{self._handles}"
            self.emulator.keep(handle, self._model().memory)
            update["newHandle"] = handle
        self.tell({"sessionResumptionUpdate": update})

    # -- inside

    def _has(self, name: str) -> bool:
        return self.setup is not None and name in self.setup

    def _model(self) -> ScriptedModel:
        assert self.model is not None
        return self.model


def _details(text: int, audio: int) -> list[dict[str, Any]]:
    counts = (("TEXT", text), ("AUDIO", audio))
    return [{"modality": kind, "tokenCount": n} for kind, n in counts if n]


def _names_of(tools: Any) -> list[str]:
    return [
        declared["name"]
        for tool in tools or ()
        for declared in tool.get("functionDeclarations", ())
    ]


def _lines_of(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What one entry of the conversation says: (role, text) for each of its parts."""
    role = "assistant" if content.get("role") == "model" else "user"
    lines = []
    for part in content.get("parts") or ():
        text = part.get("text", "")
        marked = _NOTE.fullmatch(text) if role == "user" else None
        lines.append(("system", marked[1]) if marked else (role, text))
    return lines


def text_of(content: Any) -> str:
    """The texts of an entry."""
    return "\n\n".join(part.get("text", "") for part in (content or {}).get("parts") or ())


def in_camel(value: Any) -> Any:
    """The one spelling of names for the other: to the vendor both are the same."""
    if isinstance(value, list):
        return [in_camel(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for key, each in value.items():
        head, *rest = key.split("_")
        name = head + "".join(word.capitalize() for word in rest)
        found[name] = each if name in _OWN else in_camel(each)
    return found
