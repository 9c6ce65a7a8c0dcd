"""The emulator of Nova Sonic: the order in which things have to come, and contents for what the model does."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec
import pybase64

from voxengine.audio.formats import AudioFormat
from voxengine.providers.cascade.parts import SpokenWord
from voxengine.testing.emulators.aws.emulator import AmazonEmulator, AmazonSession
from voxengine.testing.emulators.aws.frames import encode_frame
from voxengine.testing.emulators.http import Request
from voxengine.testing.emulators.metering import ModelUsage, text_tokens
from voxengine.testing.emulators.model_types import Call, ModelSettings
from voxengine.testing.oracles.nova import nova_judge
from voxengine.testing.oracles.shapes import ShapeJudge

__all__ = ["NovaEmulator", "NovaSession", "NovaSettings"]

_PATH = re.compile(r"/model/(?P<model>[^/]+)/invoke-with-bidirectional-stream")
_SENTENCE = re.compile(r".+?(?:[.!?]+(?=\s|$)|$)", re.DOTALL)

#: The models that there are; the first takes no text in mid-conversation.
MODELS = ("amazon.nova-sonic-v1:0", "amazon.nova-2-sonic-v1:0")
#: Bytes of one text input, and of all history.
MAX_TEXT = 1024
MAX_HISTORY = 40_000
#: How the mark of an interruption is written.
MARK = '{ "interrupted" : true }'
#: Words of the application in the user's place.
_NOTE = re.compile(r"\[A note from the application, not said by the user: (.*)\]", re.DOTALL)
#: How a note begins that wants no answer to itself.
_GO_ON = "Go on:"


class NovaSettings(ModelSettings, frozen=True, kw_only=True):
    """How the model behaves, beside what every emulated model has."""

    #: Of an answer that is interrupted only that is said which was played.
    plays_out: bool = True
    #: Seconds without audio after which the stream is ended, and seconds of the longest stream.
    idle_s: float = 55.0
    session_s: float = 480.0


class NovaEmulator(AmazonEmulator):
    """Amazon Nova Sonic of one's own, on a port of this machine. See `VendorEmulator`."""

    path = f"/model/{quote(MODELS[1], safe='')}/invoke-with-bidirectional-stream"
    settings_type = NovaSettings
    exceptions = {  # noqa: RUF012 - declared as one in the class that it overrides
        1011: "internalServerException",
        1001: "serviceUnavailableException",
        1008: "validationException",
        1013: "throttlingException",
        1012: "modelStreamErrorException",
        1014: "modelTimeoutException",
    }

    def make_judge(self) -> ShapeJudge:
        """By the documented shape."""
        return nova_judge()

    def opens(self, request: Request) -> bool:
        """Whether it is a model's address."""
        found = _PATH.fullmatch(request.path)
        return found is not None and found["model"].replace("%3A", ":") in MODELS

    def make_session(self, request: Request, session_id: str) -> NovaSession:
        """A session with the model of the address."""
        return NovaSession(self, request, session_id)


class _Order:
    """Where the client is in the order of things; a method raises ValueError where something comes out of it."""

    def __init__(self) -> None:
        self.session = self.ended = False
        self.prompt: str | None = None
        #: Contents that are open: kind, role, interactive, text so far.
        self.contents: dict[str, dict[str, Any]] = {}
        self.audio = False
        self.history: list[tuple[str, str]] = []
        self.history_bytes = 0

    def check(self, name: str, body: Mapping[str, Any]) -> None:
        """Whether this may come now."""
        if name == "sessionStart":
            self._need(not self.session, "the session has started")
            self.session = True
            return
        self._need(self.session and not self.ended, "there is no session")
        if name == "promptStart":
            self._need(self.prompt is None, "there is a prompt already")
            self.prompt = body["promptName"]
            return
        if name == "sessionEnd":
            self.ended = True
            return
        self._need(body["promptName"] == self.prompt, "no such prompt")
        if name == "contentStart":
            self._start(body)
        elif name != "promptEnd":
            content = self.contents.get(body["contentName"])
            self._need(content is not None, f"{name}: no such content")
            kinds = {"textInput": "TEXT", "audioInput": "AUDIO", "toolResult": "TOOL"}
            right = kinds.get(name, content["type"]) == content["type"] if content else False
            self._need(right, f"{name} in a content of another type")

    def _start(self, body: Mapping[str, Any]) -> None:
        name, kind, role = body["contentName"], body["type"], body["role"]
        self._need(name not in self.contents, "the content name is taken")
        if kind == "AUDIO":
            self._need(not self.audio, "audio is open already")
            self.audio = True
        elif kind == "TEXT" and role == "ASSISTANT":
            self._need(not self.audio, "a history has to come before audio")
            self._need(bool(self.history), "a history begins with the user")
        elif kind == "TEXT" and role == "SYSTEM":
            self._need(not self.history and not self.audio, "the system prompt comes first")
        self.contents[name] = {**body, "text": ""}

    @staticmethod
    def _need(holds: bool, words: str) -> None:
        if not holds:
            raise ValueError(words)


class NovaSession(AmazonSession):
    """One stream."""

    def __init__(self, emulator: NovaEmulator, request: Request, session_id: str) -> None:
        super().__init__(emulator, request, session_id)
        found = _PATH.fullmatch(request.path)
        assert found is not None
        self.model_id = found["model"].replace("%3A", ":")
        self.order = _Order()
        self._names = 0
        self._completion = False
        #: The sentence that is being spoken, and those that were sent and have not been said for good.
        self._sentences: list[str] = []
        self._left = ""
        self._audio_id: str | None = None
        self._ends: list[tuple[str, float]] = []
        self._sent_ms = self._billed_ms = 0.0
        self._rate = 24000
        self._spent = ModelUsage()

    # -- the wire

    def unwrap(self, headers: Mapping[str, Any], payload: bytes) -> str:
        """The event in a chunk."""
        if headers.get(":event-type") != "chunk" or headers.get(":message-type") != "event":
            raise ValueError("a frame that is no chunk")
        try:
            chunk = msgspec.json.decode(payload, type=_Chunk, strict=True)
            return chunk.data.decode()
        except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as failure:
            raise ValueError(f"a chunk that cannot be read: {failure}") from None

    def wrap(self, message: str | bytes) -> bytes:
        """An event as a chunk."""
        raw = message.encode() if isinstance(message, str) else message
        headers = {
            ":event-type": "chunk",
            ":content-type": "application/json",
            ":message-type": "event",
        }
        return encode_frame(headers, msgspec.json.encode(_Chunk(raw)))

    def kind_of(self, message: Mapping[str, Any]) -> str:
        """The name of an event."""
        event = message.get("event") or {}
        return str(next(iter(event), ""))

    def is_audio(self, message: Mapping[str, Any]) -> bool:
        """Whether it is the microphone's."""
        return self.kind_of(message) == "audioInput"

    def unknown_message(self, kind: str) -> dict[str, Any]:
        """An event of a name that no client knows yet."""
        return {"event": {kind: {"mood": "sunny"}}}

    def error(self, code: str, message: str) -> None:
        """Errors are exceptions, after which the stream has ended."""
        self.end(1008 if code == "invalid_request" else 1011, message)

    # -- what comes

    def opened(self) -> None:
        """The stream is open."""
        self.later("idle", self.emulator.settings.idle_s, self.end, 1014, "no audio came in time")
        self.make_model(AudioFormat("pcm16", 16000), AudioFormat("pcm16", self._rate))
        words = "the stream has been open for as long as it may"
        self.later("limit", self.emulator.settings.session_s, self.end, 1014, words)

    def received(self, message: dict[str, Any]) -> None:
        """An event came that is valid by itself."""
        ((name, body),) = message["event"].items()
        try:
            self.order.check(name, body)
            self._obey(name, body)
        except ValueError as failure:
            self.end(1008, str(failure))

    def _obey(self, name: str, body: Mapping[str, Any]) -> None:
        match name:
            case "promptStart":
                self._prompt(body)
            case "contentStart" if body["type"] == "AUDIO":
                self._listen(body)
            case "audioInput":
                idle = self.emulator.settings.idle_s
                self.later("idle", idle, self.end, 1014, "no audio came in time")
                if self.model is not None:
                    self.model.hear(pybase64.b64decode(body["content"], validate=True))
            case "textInput":
                if len(body["content"].encode()) > MAX_TEXT:
                    raise ValueError("a text input is too long")
                self.order.contents[body["contentName"]]["text"] += body["content"]
            case "toolResult":
                self.order.contents[body["contentName"]]["text"] = body["content"]
            case "contentEnd":
                self._content_ended(self.order.contents.pop(body["contentName"]))
            case "sessionEnd":
                self.end(1000)

    def _prompt(self, body: Mapping[str, Any]) -> None:
        settings = body["audioOutputConfiguration"]
        self._rate = settings["sampleRateHertz"]
        self._voice = settings["voiceId"]
        tools = (body.get("toolConfiguration") or {}).get("tools") or []
        self._tools = [tool["toolSpec"]["name"] for tool in tools]
        for tool in tools:
            msgspec.json.decode(tool["toolSpec"]["inputSchema"]["json"], type=dict[str, Any])

    def _listen(self, body: Mapping[str, Any]) -> None:
        rate = body["audioInputConfiguration"]["sampleRateHertz"]
        model = self.model
        assert model is not None
        model.configure(AudioFormat("pcm16", rate), AudioFormat("pcm16", self._rate))
        model.voice_name, model.tools, model.parallel = self._voice, self._tools, False
        for role, text in self.order.history:
            if role == "SYSTEM":
                model.instructions = text
            else:
                model.add(role.lower(), text)
        model.greet()

    def _content_ended(self, content: Mapping[str, Any]) -> None:
        kind, role, text = content["type"], content["role"], content["text"]
        if kind == "TOOL":
            call_id = content["toolResultInputConfiguration"]["toolUseId"]
            result = msgspec.json.decode(text, type=dict[str, Any])
            if [*result] == ["output"] and isinstance(result["output"], str):
                text = result["output"]  # as a model reads it
            if self.model is None or not self.model.tool_result(call_id, text):
                raise ValueError(f"no tool use {call_id}")
        elif kind == "TEXT" and not self.order.audio:
            self.order.history.append((role, text))
            self.order.history_bytes += len(text.encode()) if role != "SYSTEM" else 0
            if self.order.history_bytes > MAX_HISTORY:
                raise ValueError("the history is too long")
        elif kind == "TEXT":
            if role != "USER" or not content["interactive"] or self.model_id == MODELS[0]:
                raise ValueError("text cannot come here")
            self._written(text)

    def _written(self, text: str) -> None:
        """What comes in writing is answered; a model takes a note of the application's for what it is."""
        assert self.model is not None
        note = _NOTE.fullmatch(text)
        if note is None:
            self.model.text(text)
        else:
            self.model.interrupt()
            self.model.respond(None if note[1].startswith(_GO_ON) else note[1])

    # -- what goes

    def _tell(self, name: str, **fields: Any) -> None:
        if not self._completion:
            self._completion = True
            self._tell("completionStart")
        where = {
            "sessionId": self.id,
            "promptName": self.order.prompt,
            "completionId": f"{self.id}_c",
        }
        self.send({"event": {name: {**where, **fields}}})

    def _begin(self, kind: str, role: str, stage: str | None = None) -> str:
        self._names += 1
        content_id = f"{self.id}_content_{self._names}"
        settings: dict[str, Any] = {"textOutputConfiguration": {"mediaType": "text/plain"}}
        if kind == "AUDIO":
            settings = {
                "audioOutputConfiguration": {
                    "mediaType": "audio/lpcm",
                    "sampleRateHertz": self._rate,
                    "sampleSizeBits": 16,
                    "encoding": "base64",
                    "channelCount": 1,
                }
            }
        elif kind == "TOOL":
            settings = {"toolUseOutputConfiguration": {"mediaType": "application/json"}}
        if stage is not None:
            settings["additionalModelFields"] = f'{{"generationStage":"{stage}"}}'
        self._tell("contentStart", contentId=content_id, type=kind, role=role, **settings)
        return content_id

    def _end_content(self, content_id: str, kind: str, reason: str) -> None:
        self._tell("contentEnd", contentId=content_id, type=kind, stopReason=reason)

    def _text(self, role: str, stage: str, text: str, reason: str = "PARTIAL_TURN") -> None:
        content_id = self._begin("TEXT", role, stage)
        if text:
            self._tell("textOutput", contentId=content_id, content=text, role=role)
        self._end_content(content_id, "TEXT", reason)

    # -- told by the model

    def on_user_text(self, text: str) -> None:
        """What the user said."""
        if text:
            self._text("USER", "FINAL", text)

    def on_reply_text(self, text: str) -> None:
        """What it is about to say: sentence by sentence."""
        self._sentences = [found.strip() for found in _SENTENCE.findall(text) if found.strip()]
        self._ends, self._left, self._sent_ms = [], "", 0.0

    def on_words(self, text: str, start_ms: float, end_ms: float) -> None:
        """A word: the first of a sentence begins one."""
        if not self._left and self._sentences:
            if self._audio_id is not None:
                self._end_content(self._audio_id, "AUDIO", "PARTIAL_TURN")
            sentence = self._left = self._sentences.pop(0)
            self._text("ASSISTANT", "SPECULATIVE", sentence)
            self._ends.append((sentence, end_ms))
            self._audio_id = self._begin("AUDIO", "ASSISTANT")
        self._left = self._left.removeprefix(text.strip()).lstrip()
        if self._ends:
            self._ends[-1] = (self._ends[-1][0], end_ms)

    def on_audio(self, audio: bytes, words: Sequence[SpokenWord]) -> None:
        """Some of its audio."""
        if self._audio_id is None:
            self._audio_id = self._begin("AUDIO", "ASSISTANT")
        self._sent_ms += len(audio) / 2 / self._rate * 1000
        content = pybase64.b64encode(audio).decode()
        self._tell("audioOutput", contentId=self._audio_id, content=content, role="ASSISTANT")

    def on_tool_calls(self, calls: list[Call]) -> None:
        """It wants results of tools."""
        self._close_audio("PARTIAL_TURN")
        for call in calls:
            content_id = self._begin("TOOL", "TOOL")
            self._tell(
                "toolUse",
                contentId=content_id,
                content=call.text,
                toolName=call.name,
                toolUseId=call.id,
                role="TOOL",
            )
            self._end_content(content_id, "TOOL", "TOOL_USE")

    def on_reply_generated(self) -> None:
        """All of it was sent."""
        self._close_audio("END_TURN")
        self._usage()

    def on_reply_ended(self, status: str, text: str) -> None:
        """It has been played, or was called off: what was said of it."""
        interrupted = status in ("interrupted", "cancelled")
        if interrupted:
            self._close_audio("END_TURN")
        rest = text
        for sentence, _ in self._ends:
            said = sentence if rest.startswith(sentence) else rest
            rest = rest.removeprefix(said).lstrip()
            cut = interrupted and not rest
            if said and not cut:
                self._text("ASSISTANT", "FINAL", said, "END_TURN" if not rest else "PARTIAL_TURN")
            elif said:
                self._text("ASSISTANT", "FINAL", said)
        if interrupted:
            self._text("ASSISTANT", "FINAL", MARK, "INTERRUPTED")
        if self._sent_ms:
            self._usage()
        self._ends, self._sentences, self._left = [], [], ""

    def _close_audio(self, reason: str) -> None:
        if self._audio_id is not None:
            self._end_content(self._audio_id, "AUDIO", reason)
            self._audio_id = None

    def _usage(self) -> None:
        """Reports come again and again, and tell all of the session so far."""
        model = self.model
        if model is None:
            return
        per_ms = self.emulator.settings.audio_tokens_s / 1000
        heard_ms, self._billed_ms = model.heard_ms - self._billed_ms, model.heard_ms
        said = sum(len(sentence) for sentence, _ in self._ends)
        delta = ModelUsage(
            input_audio_tokens=round(heard_ms * per_ms),
            input_text_tokens=sum(text_tokens(text) for _, text in model.memory),
            output_audio_tokens=round(self._sent_ms * per_ms),
            output_text_tokens=said // 4,
        )
        self._sent_ms = 0.0
        self._spent.add(delta)
        total = self._spent
        self._tell(
            "usageEvent",
            details={"delta": _kinds(delta), "total": _kinds(total)},
            totalInputTokens=total.input_tokens,
            totalOutputTokens=total.output_tokens,
            totalTokens=total.total_tokens,
        )


class _Chunk(msgspec.Struct, forbid_unknown_fields=True):
    """What a frame holds."""

    data: bytes = msgspec.field(name="bytes")


def _kinds(usage: Any) -> dict[str, Any]:
    return {
        "input": {
            "speechTokens": usage.input_audio_tokens,
            "textTokens": usage.input_text_tokens,
        },
        "output": {
            "speechTokens": usage.output_audio_tokens,
            "textTokens": usage.output_text_tokens,
        },
    }
