"""A session's settings: what holds where nothing is said, and what a `session.update` makes of them.

They are kept in OpenAI's form (GA, nested). A form that stands flatter on the wire is told and taken as that.
"""

from __future__ import annotations

import copy
from typing import Any, Protocol

from voxengine.realtime import schema
from voxengine.realtime.errors import Complaint

__all__ = ["SessionSettings", "SettingsForm", "turn_detection"]

_INSTRUCTIONS = "You are a helpful assistant. Answer briefly, in the language of the user."
_VADS: dict[str, dict[str, Any]] = {
    "server_vad": {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 500,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    },
    "semantic_vad": {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    },
}
_TRANSCRIPTION_VAD = ("type", "threshold", "prefix_padding_ms", "silence_duration_ms")
#: Settings that can be given, and that the vendor's type of a session as it is told does not have.
_UNTOLD = frozenset({"parallel_tool_calls"})
#: Objects that are taken as they are given, instead of field by field.
_WHOLE = ("format", "tool_choice", "tracing", "prompt", "truncation", "replace", "voice")


class SettingsForm(Protocol):
    """What differs between those who speak this wire."""

    @property
    def voice(self) -> str:
        """The voice where none is named."""

    @property
    def pcm_rates(self) -> tuple[int, ...]:
        """Rates of PCM that are taken, the usual one first."""

    @property
    def flat(self) -> bool:
        """Whether `voice` and `turn_detection` stand at the top of the session."""

    @property
    def session(self) -> type[schema.SessionParams]:
        """The session of a `session.update`."""


def turn_detection(given: dict[str, Any], old: dict[str, Any] | None = None) -> dict[str, Any]:
    """A whole turn detection, from the fields that are given and, if it is of the same kind, the present one."""
    same = old is not None and old.get("type") == given["type"]
    kept = {k: v for k, v in given.items() if v is not None or k == "idle_timeout_ms"}
    return {**_VADS[given["type"]], **((old or {}) if same else {}), **kept}


class SessionSettings:
    """One session's settings, kept as OpenAI's wire has them whatever the form.

    `kind` is "realtime" or "transcription".
    """

    def __init__(
        self, form: SettingsForm, kind: str, model: str, session_id: str, expires_at: int | None
    ) -> None:
        self.form = form
        self.kind = kind
        self.session_id = session_id
        pcm = {"type": "audio/pcm", "rate": 24000}
        self.input: dict[str, Any] = {
            "format": dict(pcm),
            "transcription": None,
            "noise_reduction": None,
            "turn_detection": dict(_VADS["server_vad"]),
        }
        self.output: dict[str, Any] = {"format": dict(pcm), "voice": form.voice, "speed": 1.0}
        self._head: dict[str, Any] = {"id": session_id, "include": None}
        if expires_at is not None:
            self._head["expires_at"] = expires_at
        self.values: dict[str, Any] = {
            "model": model,
            "output_modalities": ["audio"],
            "instructions": _INSTRUCTIONS,
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "tracing": None,
            "truncation": "auto",
            "prompt": None,
        }
        if kind == "transcription":
            self.input["transcription"] = {"model": model}
            if model == "gpt-realtime-whisper":
                self.input["turn_detection"] = None

    # -- what it is

    @property
    def turn_detection(self) -> dict[str, Any] | None:
        """The settings of the turn detection, None where turns are made by hand."""
        found: dict[str, Any] | None = self.input["turn_detection"]
        return found

    @property
    def transcription(self) -> dict[str, Any] | None:
        """The settings of the transcription of the input, None where there is none."""
        found: dict[str, Any] | None = self.input["transcription"]
        return found

    def wire(self) -> dict[str, Any]:
        """The session object as the server tells it."""
        head = dict(self._head)
        if self.kind == "transcription":
            head |= {"object": "realtime.transcription_session", "type": "transcription"}
            inner = {**self.input}
            if self.turn_detection is not None:  # nothing about responses
                vad = self.turn_detection
                inner["turn_detection"] = {k: v for k, v in vad.items() if k in _TRANSCRIPTION_VAD}
            return copy.deepcopy({**head, "audio": {"input": inner}})
        head["object"] = "realtime.session"
        if not self.form.flat:
            head["type"] = "realtime"
            audio = {"input": self.input, "output": self.output}
            values = {k: v for k, v in self.values.items() if k not in _UNTOLD}
            return copy.deepcopy({**head, **values, "audio": audio})
        hidden = {"tracing", "truncation", "prompt", *_UNTOLD}
        values = {name: value for name, value in self.values.items() if name not in hidden}
        inner = {
            k: v for k, v in self.input.items() if k not in ("turn_detection", "noise_reduction")
        }
        outer = {k: v for k, v in self.output.items() if k != "voice"}
        values["voice"] = self.output["voice"]
        values["turn_detection"] = self.turn_detection
        del head["include"]
        return copy.deepcopy({**head, **values, "audio": {"input": inner, "output": outer}})

    # -- what changes it

    def update(self, given: dict[str, Any], *, has_spoken: bool) -> None:
        """Take the session of a `session.update`; `has_spoken`: audio was sent already.

        Raises:
            Complaint: something of it does not do; then nothing was changed.
        """
        self.check(given, has_spoken=has_spoken)
        given = _by_hand(copy.deepcopy(given))
        given.pop("type", None)
        audio = given.pop("audio", {})
        inner, outer = audio.get("input", {}), audio.get("output", {})
        if self.form.flat:
            inner |= {k: given.pop(k) for k in ("turn_detection",) if k in given}
            outer |= {k: given.pop(k) for k in ("voice",) if k in given}
        if "include" in given:
            self._head["include"] = given.pop("include")
        voice = outer.get("voice")
        if isinstance(voice, dict):  # one of the account's own, which is told by its id alone
            outer["voice"] = voice["id"]
        elif voice is None:  # no wish
            outer.pop("voice", None)
        self._take_turn_detection(inner)
        _merge(self.input, inner)
        _merge(self.output, outer)
        _merge(self.values, given)

    def _take_turn_detection(self, inner: dict[str, Any]) -> None:
        wanted = inner.get("turn_detection")
        if wanted:
            self.input["turn_detection"] = turn_detection(wanted, self.turn_detection)
            del inner["turn_detection"]

    def check(self, given: dict[str, Any], *, has_spoken: bool) -> None:
        """Look whether `update` would take it.

        Raises:
            Complaint: it would not.
        """
        kind = given.get("type", None if not self.form.flat else "realtime")
        if kind in ("realtime", "transcription") and kind != self.kind:
            raise Complaint(
                f"Passing a {kind} session update to a {self.kind} session is not allowed.",
                "invalid_value",
                "session.type",
            )
        shape: Any = self.form.session
        if self.kind == "transcription":
            shape = schema.TranscriptionParams
        schema.decode(_by_hand(given) if self.form.flat else given, shape, "session")
        self.check_model(given.get("model"))
        audio = given.get("audio", {})
        for side in ("input", "output"):
            self.check_rate(audio.get(side, {}).get("format"), f"session.audio.{side}.format.rate")
        voice = given.get("voice") if self.form.flat else audio.get("output", {}).get("voice")
        if isinstance(voice, dict):
            voice = voice["id"]
        if has_spoken and voice not in (None, self.output["voice"]):
            raise Complaint(
                "Cannot update a conversation's voice if assistant audio is present.",
                "cannot_update_voice",
                "session.voice" if self.form.flat else "session.audio.output.voice",
            )
        self._check_whisper(audio.get("input", {}))

    def check_model(self, model: str | None) -> None:
        """Look whether the session may go on with this model.

        Raises:
            Complaint: it may not.
        """
        if model not in (None, self.values["model"]):
            raise Complaint(
                f"The model of a session cannot be changed: it is '{self.values['model']}'.",
                "invalid_value",
                "session.model",
            )

    def check_rate(self, format: dict[str, Any] | None, param: str) -> None:
        """Look whether a format has a rate that is taken here.

        Raises:
            Complaint: it has not.
        """
        rate = (format or {}).get("rate", self.form.pcm_rates[0])
        if rate not in self.form.pcm_rates:
            allowed = ", ".join(map(str, self.form.pcm_rates))
            raise Complaint(
                f"Invalid value: {rate}. Supported values are: {allowed}.", "invalid_value", param
            )

    def _check_whisper(self, inner: dict[str, Any]) -> None:
        """The one transcription model that leaves the ends of turns to the client."""
        model = {**(self.transcription or {}), **(inner.get("transcription") or {})}.get("model")
        vad = inner.get("turn_detection", self.turn_detection)
        if self.kind == "transcription" and model == "gpt-realtime-whisper" and vad is not None:
            raise Complaint(
                "Turn detection must be null with 'gpt-realtime-whisper'.",
                "invalid_value",
                "session.audio.input.turn_detection",
            )


def _by_hand(given: dict[str, Any]) -> dict[str, Any]:
    """A flat session, in which a turn detection without a type is none."""
    vad = given.get("turn_detection")
    off = isinstance(vad, dict) and "type" in vad and vad["type"] is None
    return {**given, "turn_detection": None} if off else given


def _merge(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Objects field by field; all else, null and arrays included, as it is given."""
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, dict) and isinstance(before, dict) and name not in _WHOLE:
            _merge(before, value)
        else:
            old[name] = value
