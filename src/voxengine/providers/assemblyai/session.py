"""Configuration and log, as the Voice Agent takes them: `session.update`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from voxengine.audio.formats import AudioFormat
from voxengine.config import ProviderConfig
from voxengine.conversation.history import HistoryBudget, as_prompt, fit
from voxengine.conversation.items import Item
from voxengine.errors import ConfigurationError
from voxengine.providers.assemblyai.voices import VOICES
from voxengine.providers.capabilities import Capabilities

__all__ = [
    "CAPABILITIES",
    "CHANGEABLE",
    "ENDPOINT",
    "changes_of",
    "notes_of",
    "output_format",
    "prompt",
    "session_of",
    "told_of",
    "written",
]

ENDPOINT = "wss://agents.assemblyai.com/v1/ws"

#: Bytes of an earlier conversation, and of what was written. The vendor states no limit; this is about 4,000 tokens.
MAX_TOLD_BYTES = 16 * 1024
#: Words to listen for that the vendor takes.
MAX_VOCABULARY = 100

#: Our formats, and the vendor's names for them.
_ENCODINGS = {
    AudioFormat("pcm16", 24000): "audio/pcm",
    AudioFormat("g711_ulaw", 8000): "audio/pcmu",
    AudioFormat("g711_alaw", 8000): "audio/pcma",
}

CAPABILITIES = Capabilities(
    input_formats=tuple(_ENCODINGS),
    output_formats=tuple(_ENCODINGS),
    voices=tuple(voice.name for voice in VOICES),
    turn_detection=("server_vad",),
    turn_options=("threshold", "silence_duration_ms"),
    vad_events=True,
    auto_response=True,
    self_interrupting=True,
    interruptions_optional=True,
    input_transcription=True,
    partial_transcripts=True,
    vocabulary=True,
    tools=True,
    continues_after_tool=True,
    history="prompt",
    history_max_bytes=MAX_TOLD_BYTES,
    system_messages=True,
    instructions_updatable=True,
    resume="handle",
    # By `expires_at` of its server, which the pages put at three hours.
    max_connection_seconds=3600,
    usage_unit="seconds",
)

#: Settings that may change in mid-conversation, beside those that are ours alone.
CHANGEABLE = frozenset(
    {
        "instructions",
        "tools",
        "vocabulary",
        "turn_detection",
        "turn_options",
        "interruptions",
    }
)
_HEARD = frozenset({"vocabulary", "turn_options", "interruptions"})

#: Settings that the vendor has no counterpart for: it chooses its model itself, and answers every turn.
_UNKNOWN = ("model", "temperature", "max_response_tokens")


def told_of(history: Sequence[Item]) -> str:
    """An earlier conversation as a part of the prompt; "" of none."""
    told = _as_text(history)
    return f"The conversation so far, which goes on now:\n{told}" if told else ""


def written(notes: Sequence[Item]) -> str:
    """What was written beside what is spoken, as a part of the prompt; "" of nothing."""
    told = _as_text(notes)
    return f"Beside what is spoken, this was written since:\n{told}" if told else ""


def _as_text(items: Sequence[Item]) -> str:
    return as_prompt(fit(items, HistoryBudget(max_bytes=MAX_TOLD_BYTES)).told)


def prompt(instructions: str | None, *more: str) -> str:
    """The prompt: what the agent is to be, and what it is to know."""
    return "\n\n".join(part for part in (instructions, *more) if part)


def output_format(config: ProviderConfig) -> AudioFormat:
    """The format that the agent speaks in."""
    wish = config.output_format
    return wish if wish is not None and wish in _ENCODINGS else next(iter(_ENCODINGS))


def session_of(config: ProviderConfig, format: AudioFormat, system_prompt: str) -> dict[str, Any]:
    """The settings to begin with. `session` in the configuration adds to them, in the vendor's own words.

    Raises:
        ConfigurationError: a setting of the turn detection is none.
    """
    output: dict[str, Any] = {"format": {"encoding": _ENCODINGS[output_format(config)]}}
    if config.voice:
        output["voice"] = config.voice
    session: dict[str, Any] = {
        "input": {"format": {"encoding": _ENCODINGS[format]}},
        "output": output,
    }
    if system_prompt:
        session["system_prompt"] = system_prompt
    if config.option("greeting"):
        session["greeting"] = config.option("greeting")
    if config.language:
        language = config.language.replace("_", "-").partition("-")[0]
        session["input"]["language_codes"] = [language]
    wanted = {name: value for name in CHANGEABLE if (value := getattr(config, name)) is not None}
    session = _merged(session, changes_of(wanted, config))
    return _merged(session, config.option("session") or {})


def changes_of(changes: Mapping[str, Any], config: ProviderConfig) -> dict[str, Any]:
    """Settings by their names here as `session.update` has them; the prompt is not among them.

    `config` has them already: the turn detection is stated whole.

    Raises:
        ConfigurationError: a setting of the turn detection is none.
    """
    session: dict[str, Any] = {}
    if "tools" in changes:
        session["tools"] = [_tool(tool) for tool in changes["tools"] or ()]
    heard: dict[str, Any] = {}
    if "vocabulary" in changes:
        heard["keyterms"] = list(changes["vocabulary"] or ())[:MAX_VOCABULARY]
    if changes.keys() & _HEARD - {"vocabulary"} and (detection := _turn_detection(config)):
        heard["turn_detection"] = detection
    if heard:
        session["input"] = heard
    return session


def _turn_detection(config: ProviderConfig) -> dict[str, Any]:
    options = config.turn_options or {}
    detection: dict[str, Any] = {}
    if options.get("threshold") is not None:
        detection["vad_threshold"] = _number("threshold", options["threshold"], 1.0)
    if options.get("silence_duration_ms") is not None:
        silence = _number("silence_duration_ms", options["silence_duration_ms"], math.inf)
        detection["min_silence"] = round(silence)
    if config.interruptions is not None:
        detection["interrupt_response"] = config.interruptions
    return detection


def _number(name: str, value: Any, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        raise ConfigurationError(f"turn_options: {name} cannot be {value!r}")
    return float(value)


def notes_of(config: ProviderConfig) -> Iterator[tuple[str, str]]:
    """What of a configuration cannot be done as it stands: a code and words for each."""
    for name in _UNKNOWN:
        if getattr(config, name) is not None:
            yield f"{name}_ignored", f"the Voice Agent has no setting for the {name}"
    if config.vocabulary and len(config.vocabulary) > MAX_VOCABULARY:
        yield (
            "vocabulary_cut",
            f"the Voice Agent listens for {MAX_VOCABULARY} words and phrases; the first are taken",
        )
    if config.option("agent_id") and (config.voice or config.option("greeting")):
        yield (
            "voice_ignored",
            "voice and greeting are those of the stored agent: they cannot be changed in a session",
        )


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "function",
        "name": tool["name"],
        "description": tool.get("description") or "",
        "parameters": tool.get("parameters") or {"type": "object", "properties": {}},
    }


def _merged(session: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(session)
    for name, value in extra.items():
        old = result.get(name)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[name] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return result
