"""The settings of a client's session: as they are told, and what of them the engine has to know."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from voxengine.audio.formats import AudioFormat
from voxengine.audio.wire_formats import format_of, wire_format
from voxengine.config import VoiceEngineConfig
from voxengine.gateway.wire.legacy import LegacySession
from voxengine.providers.capabilities import Capabilities
from voxengine.providers.voices import map_voice
from voxengine.realtime import schema
from voxengine.realtime.errors import Complaint
from voxengine.realtime.settings import SessionSettings, turn_detection

if TYPE_CHECKING:
    from voxengine.gateway.call import Call

__all__ = ["OPTIONS", "Form", "Settings", "unsupported"]

#: Settings beyond those of every provider, with what they are where a provider does nothing about them.
OPTIONS: dict[str, Any] = {
    "tool_choice": "auto",
    "parallel_tool_calls": None,
    "reasoning": None,
    "truncation": "auto",
    "tracing": None,
    "prompt": None,
    "include": None,
    "speed": 1.0,
    "noise_reduction": None,
}
#: What a transcription may be told, beside the model's name.
_HINTS = ("language", "languages", "prompt", "keywords", "delay")


class Form(msgspec.Struct, frozen=True):
    """How the gateway's sessions stand on the wire: as OpenAI's. `voice` is that of a provider without names."""

    voice: str = "default"
    pcm_rates: tuple[int, ...] = (24000,)
    flat: bool = False
    session: type[schema.SessionParams] = schema.SessionParams


class Settings(SessionSettings):
    """The settings of one client. Never changed: `changed` makes others.

    `model` is what the client asked for. `expires_at` is the Unix time at which the call has to end, None for none.
    """

    def __init__(
        self, kind: str, model: str, session_id: str, expires_at: int | None, voice: str
    ) -> None:
        super().__init__(Form(voice), kind, model, session_id, expires_at)
        #: Of the turn detection, what somebody asked for; the rest is left to the provider.
        self.asked_of_turns: dict[str, Any] = {}

    @classmethod
    def of_call(cls, call: Call, *, beta: bool = False) -> Settings:
        """Those that a call begins with: what its route says. `beta`: its client may set what only the beta has."""
        config, can = call.engine.config, _can(call)
        voice = config.voice or (can.voices[0] if can.voices else Form().voice)
        limit = config.max_duration
        expires_at = None if limit is None else int(call.started_at + limit)
        kind = "transcription" if call.transcription else "realtime"
        model = "whisper-1" if kind == "transcription" else call.route.name
        new = cls(kind, model, call.session_id, expires_at, voice)
        if beta:
            new.form = Form(voice, session=LegacySession)
        new.values["model"] = call.route.name
        new._begin(config)
        new.values["tools"] = [dict(tool) for tool in call.route.client_tools]
        return new

    def _begin(self, config: VoiceEngineConfig) -> None:
        self.values["instructions"] = config.instructions or ""
        self.values["output_modalities"] = ["text"] if config.modalities == ["text"] else ["audio"]
        self.values["max_output_tokens"] = config.max_response_tokens or "inf"
        self.input["format"] = wire_format(config.input_format)
        self.output["format"] = wire_format(config.output_format)
        match config.turn_detection:
            case "none":
                self.input["turn_detection"] = None
            case kind:
                named = "semantic_vad" if kind == "semantic_vad" else "server_vad"
                self.asked_of_turns = dict(config.turn_options)
                asked = {
                    "create_response": config.auto_response,
                    "interrupt_response": config.interruptions,
                    **self.asked_of_turns,
                }
                known = {k: v for k, v in asked.items() if k in turn_detection({"type": named})}
                self.input["turn_detection"] = turn_detection({"type": named, **known})

    # -- what it is

    @property
    def input_format(self) -> AudioFormat:
        """The format of the client's audio."""
        return format_of(self.input["format"])

    @property
    def output_format(self) -> AudioFormat:
        """The format of the audio that it is sent."""
        return format_of(self.output["format"])

    @property
    def answers(self) -> bool:
        """Whether a turn that was found is answered without being asked."""
        vad = self.turn_detection
        return self.kind == "realtime" and vad is not None and bool(vad["create_response"])

    @property
    def interrupts(self) -> bool:
        """Whether the user's speech cuts an answer."""
        vad = self.turn_detection
        return vad is None or bool(vad["interrupt_response"])

    @property
    def offered_tools(self) -> list[dict[str, Any]]:
        """The tools that the assistant may call: with `tool_choice` "none" there are none."""
        tools: list[dict[str, Any]] = self.values["tools"]
        return [] if self.values["tool_choice"] == "none" else tools

    # -- what changes it

    def check_model(self, model: str | None) -> None:
        """Any will do here: another model is another route, which the gateway looks up."""

    def changed(self, given: Mapping[str, Any], *, has_spoken: bool) -> Settings:
        """Those that a `session.update` makes of them.

        Raises:
            Complaint: something of it does not do.
        """
        new = copy.deepcopy(self)
        new.update(dict(given), has_spoken=has_spoken)
        vad = given.get("audio", {}).get("input", {}).get("turn_detection", False)
        if vad is None:
            new.asked_of_turns = {}
        elif vad:
            same = (self.turn_detection or {}).get("type") == vad["type"]
            rules = ("type", "create_response", "interrupt_response")
            asked = {k: v for k, v in vad.items() if k not in rules and v is not None}
            new.asked_of_turns = {**(self.asked_of_turns if same else {}), **asked}
            if "idle_timeout_ms" in vad and vad["idle_timeout_ms"] is None:
                new.asked_of_turns.pop("idle_timeout_ms", None)
        return new

    def wire(self) -> dict[str, Any]:
        """The session object in the present form, which has no temperature."""
        told = super().wire()
        told.pop("temperature", None)
        return told

    def as_given(self) -> dict[str, Any]:
        """What a client would have to send to get these: for a session that goes on elsewhere."""
        session = {k: v for k, v in self.wire().items() if k not in ("id", "object", "expires_at")}
        vad = session["audio"]["input"]["turn_detection"]
        if vad is not None:
            asked = {"type", "create_response", "interrupt_response", *self.asked_of_turns}
            session["audio"]["input"]["turn_detection"] = {
                name: value for name, value in vad.items() if name in asked
            }
        if self.kind == "transcription":
            return session
        return {**{k: v for k, v in self.values.items() if k not in session}, **session}

    # -- what the engine has to know

    def for_engine(self, can: Capabilities) -> tuple[dict[str, Any], list[Complaint]]:
        """The settings of the engine but those of turns; and what of them this provider cannot do."""
        wanted: dict[str, Any] = {
            "input_format": self.input_format,
            "output_format": self.output_format,
        }
        refused: list[Complaint] = []
        if self.kind == "realtime":
            wanted["instructions"] = self.values["instructions"] or None
            wanted["max_response_tokens"] = _limit(self.values["max_output_tokens"])
            self._say_how(can, wanted, refused)
            self._say_options(can, wanted, refused)
        self._say_transcription(can, wanted, refused)
        return wanted, refused

    def _say_how(self, can: Capabilities, wanted: dict[str, Any], refused: list[Complaint]) -> None:
        """Voice and modality. Speech of one who cannot but speak is told as text where text is wanted."""
        modalities = self.values["output_modalities"]
        if modalities == ["audio"] and not can.audio_output:
            refused.append(unsupported("output_modalities", "speech"))
        elif modalities == ["audio"] or can.text_output:
            wanted["modalities"] = list(modalities)
        voice = self.output["voice"]
        if voice != Form().voice:
            wanted["voice"] = map_voice(voice, can.voices).voice if can.voices else voice

    def _say_options(
        self, can: Capabilities, wanted: dict[str, Any], refused: list[Complaint]
    ) -> None:
        values = {
            **{name: self.values.get(name) for name in OPTIONS},
            "speed": self.output["speed"],
            "noise_reduction": self.input["noise_reduction"],
            "include": self._head["include"],
        }
        temperature = self.values.get("temperature")
        if temperature is not None and "temperature" in can.session_options:
            wanted["temperature"] = temperature
        elif temperature is not None:
            refused.append(unsupported("temperature", "a temperature"))
        for name, value in values.items():
            usual = OPTIONS[name]
            if name in can.session_options:
                wanted[name] = None if value == usual else value
            elif name == "tool_choice" and value == "none":
                continue  # then it is offered none
            elif name == "parallel_tool_calls" and value is not False:
                continue
            elif name == "tracing" and value == "auto":
                continue  # what OpenAI's agents ask for unasked; the gateway keeps a record of every call
            elif value not in (usual, None):
                refused.append(
                    unsupported(_PATHS.get(name, name), f"another {name} than {usual!r}")
                )

    def _say_transcription(
        self, can: Capabilities, wanted: dict[str, Any], refused: list[Complaint]
    ) -> None:
        how = self.transcription or {}
        hints = {k: v for k, v in how.items() if k in _HINTS and v is not None}
        if "transcription_options" in can.session_options:
            model = {"model": how["model"]} if how.get("model") is not None else {}
            wanted["transcription_options"] = {**hints, **model} or None
            return
        if how and not can.input_transcription:
            refused.append(unsupported("audio.input.transcription", "transcripts of the input"))
            return
        language = hints.pop("language", None)
        if language is not None:
            wanted["language"] = language
        refused += [
            unsupported(f"audio.input.transcription.{name}", f"{name} of a transcription")
            for name in hints
        ]


_PATHS = {
    "speed": "audio.output.speed",
    "noise_reduction": "audio.input.noise_reduction",
}


def unsupported(field: str, what: str, of: str = "session") -> Complaint:
    """What is said of a setting that the provider at work does not have; `of` a session, or a response."""
    return Complaint(
        f"The provider of this session does not support {what}; the setting has no effect.",
        "unsupported_setting",
        f"{of}.{field}",
    )


def _limit(value: Any) -> int | None:
    return None if value == "inf" else int(value)


def _can(call: Call) -> Capabilities:
    provider = call.engine.provider
    return provider.capabilities if provider is not None else Capabilities()
