"""The settings that only a cascade has, read from `ProviderConfig.metadata` (or further keywords) and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from voxengine.config import ProviderConfig
from voxengine.errors import ConfigurationError

__all__ = ["APOLOGY", "TURN_OPTIONS", "CascadeSettings", "Spec", "check_turn_options"]

#: What the caller is told when an answer failed.
APOLOGY = "I'm sorry, something went wrong. Could you say that again?"

#: A part by name ("whisper/tiny.en"), or the part itself.
Spec = Any


#: How soon a recogniser that finds turns by itself is to declare one over, in OpenAI's words.
EAGERNESS = ("low", "medium", "high", "auto")
#: Settings of OpenAI's turn detection that a cascade has as well.
TURN_OPTIONS = ("threshold", "prefix_padding_ms", "silence_duration_ms")


class CascadeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Parts by name, and the times that rule a conversation.

    Every field is an option of the same name; `vad_options`, `llm_options` and so on go to the part as they are.
    """

    vad: Spec = "silero"
    turn: Spec = "adaptive"
    stt: Spec = "whisper/tiny.en"
    llm: Spec = "scripted"
    tts: Spec = "hibari"
    vad_options: dict[str, Any] = {}
    turn_options: dict[str, Any] = {}
    stt_options: dict[str, Any] = {}
    llm_options: dict[str, Any] = {}
    tts_options: dict[str, Any] = {}

    #: Probability from which a frame is speech, and below which it no longer is, once there was speech.
    vad_start: float = 0.5
    vad_end: float = 0.35
    #: Speech that it takes to count: in silence, and while the assistant is heard (a click is no barge-in).
    min_speech_ms: float = 64.0
    barge_in_ms: float = 96.0
    #: Silence after which the recogniser is started; when the turn is over is the turn detector's affair.
    end_silence_ms: float = 64.0
    #: Audio before the first frame of speech that belongs to the turn: soft first sounds are below the threshold.
    preroll_ms: float = 300.0
    #: The longest stretch that is transcribed at once; what Whisper takes is 30 s.
    segment_s: float = 28.0
    #: Without any audio for so long, silence is taken from the clock: the microphone was muted, or the file is over.
    stall_ms: float = 250.0
    #: Speech between two partial decodes.
    partial_ms: float = 500.0

    #: The pace of the TTS, 1.0 is its normal one.
    speed: float = 1.0
    #: Seconds of speech that are made ahead of what is heard, at least.
    ahead_s: float = 15.0
    chunk_ms: float = 100.0
    #: Said when an answer failed; "" says nothing.
    apology: str = APOLOGY
    #: Rounds of tool calls in one response.
    tool_rounds: int = 8
    #: Messages that the brain is reminded of, at most.
    memory_items: int = 400

    #: Seconds that each part may take.
    load_timeout: float = 60.0
    stt_timeout: float = 10.0
    first_token_timeout: float = 10.0
    token_timeout: float = 10.0
    tts_timeout: float = 10.0
    tool_timeout: float = 120.0

    @classmethod
    def of(cls, config: ProviderConfig) -> CascadeSettings:
        """The settings that were given, the defaults for the rest.

        Raises:
            ConfigurationError: a value is of the wrong kind or out of range; the message names it.
        """
        given = {f: v for f in cls.__struct_fields__ if (v := config.option(f)) is not None}
        if config.option("apology") in (True, False):
            given["apology"] = APOLOGY if config.option("apology") else ""
        try:
            settings = msgspec.convert(given, cls)
        except msgspec.ValidationError as failure:
            raise ConfigurationError(f"a setting of the cascade is wrong: {failure}") from None
        settings.check()
        return settings

    def check(self) -> None:
        """Raise a `ConfigurationError` for numbers that make no sense."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name.endswith(("_ms", "_s", "_timeout", "_rounds", "_items")) and not value > 0:
                raise ConfigurationError(f"{name} is above 0, not {value!r}")
        if not 0 < self.vad_end <= self.vad_start < 1:
            raise ConfigurationError(
                f"0 < vad_end <= vad_start < 1 has to hold, not vad_end={self.vad_end}, vad_start={self.vad_start}"
            )
        if not 0.25 <= self.speed <= 4:
            raise ConfigurationError(f"speed is 0.25 to 4, not {self.speed}")
        if self.segment_s < 5:
            raise ConfigurationError(f"segment_s is at least 5, not {self.segment_s}")

    def with_turn_options(self, options: Mapping[str, Any]) -> CascadeSettings:
        """The settings with those of OpenAI's turn detection that were given: its threshold, and its padding."""
        changes: dict[str, Any] = {}
        threshold, padding = options.get("threshold"), options.get("prefix_padding_ms")
        if threshold is not None:
            start = min(max(float(threshold), 0.01), 0.99)
            # As far below it as the default is: a threshold of its own makes a voice no shorter.
            end = start * self.vad_end / self.vad_start
            changes.update(vad_start=start, vad_end=end)
        if padding is not None:
            changes["preroll_ms"] = max(float(padding), 1.0)
        return msgspec.structs.replace(self, **changes)

    def part(self, kind: str) -> tuple[Spec, Mapping[str, Any]]:
        """How the part of a kind (vad, turn, stt, llm, tts) is to be made."""
        return getattr(self, kind), getattr(self, f"{kind}_options")


def check_turn_options(options: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raise a `ConfigurationError` for what is none of the `known` turn options, or makes no sense."""
    for name, value in options.items():
        if value is None:
            continue
        if name not in known:
            raise ConfigurationError(
                f"turn_options of a cascade are {', '.join(known)}, not {name}"
            )
        if name == "eagerness":
            if value not in EAGERNESS:
                raise ConfigurationError(f"eagerness is {', '.join(EAGERNESS)}, not {value!r}")
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
            raise ConfigurationError(f"{name} is a number from 0 on, not {value!r}")
