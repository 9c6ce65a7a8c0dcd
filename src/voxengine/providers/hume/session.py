"""Configuration and log, as EVI takes them: `session_settings`, and the parameters of the address."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from voxengine.audio.formats import AudioFormat
from voxengine.config import ProviderConfig
from voxengine.conversation.history import HistoryBudget, as_prompt, fit
from voxengine.conversation.items import Item
from voxengine.errors import ConfigurationError
from voxengine.providers.capabilities import Capabilities
from voxengine.providers.hume.audio import OUTPUT

__all__ = [
    "CAPABILITIES",
    "CHANGEABLE",
    "ENDPOINT",
    "changes_of",
    "check_voice",
    "notes_of",
    "settings_of",
    "told_apart",
    "told_of",
]

ENDPOINT = "wss://api.hume.ai/v0/evi/chat"

#: Bytes of an earlier conversation. Hume states no limit; this is about 4,000 tokens, so that the prompt stays one.
MAX_HISTORY_BYTES = 16 * 1024

_FORMATS = tuple(AudioFormat("pcm16", rate) for rate in (24000, 16000, 48000, 44100, 8000))

CAPABILITIES = Capabilities(
    input_formats=_FORMATS,
    output_formats=(OUTPUT,),
    turn_detection=("server_vad",),
    vad_events=True,
    auto_response=True,
    self_interrupting=True,
    input_transcription=True,
    partial_transcripts=True,
    emotion=True,
    say=True,
    tools=True,
    continues_after_tool=True,
    history="prompt",
    history_max_bytes=MAX_HISTORY_BYTES,
    system_messages=True,
    instructions_updatable=True,
    resume="handle",
    # The default of a configuration (`timeouts.max_duration`), which may state another.
    max_connection_seconds=1800,
    usage_unit="seconds",
)

#: Settings that may change in mid-conversation, beside those that are ours alone.
CHANGEABLE = frozenset({"instructions", "voice", "tools"})

#: Settings that the vendor has no counterpart for: they are part of a configuration at Hume's.
_UNKNOWN = ("model", "temperature", "max_response_tokens", "language")

_ID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


def told_of(history: Sequence[Item]) -> str:
    """An earlier conversation as a part of the prompt; "" of none."""
    told = as_prompt(fit(history, HistoryBudget(max_bytes=MAX_HISTORY_BYTES)).told)
    return f"The conversation so far, which goes on now:\n{told}" if told else ""


def told_apart(config: ProviderConfig) -> bool:
    """Whether the prompt is that of the configuration at Hume's, which one of ours would replace."""
    return not config.instructions and bool(config.option("config_id"))


def settings_of(config: ProviderConfig, format: AudioFormat, told: str = "") -> dict[str, Any]:
    """The settings to begin with. `session` in the configuration adds to them, in the vendor's own words."""
    audio = {"encoding": "linear16", "sample_rate": format.sample_rate, "channels": 1}
    wanted = {name: value for name in CHANGEABLE if (value := getattr(config, name)) is not None}
    settings: dict[str, Any] = {"audio": audio}
    if told and told_apart(config):
        settings["context"] = {"text": told, "type": "persistent"}
    elif told:
        wanted.setdefault("instructions", "")
    return {**settings, **changes_of(wanted, told), **(config.option("session") or {})}


def changes_of(changes: Mapping[str, Any], told: str = "") -> dict[str, Any]:
    """Settings by their names here as `session_settings` has them; `told` stays a part of the prompt."""
    settings: dict[str, Any] = {}
    if "instructions" in changes:
        parts = (changes["instructions"], told)
        settings["system_prompt"] = "\n\n".join(part for part in parts if part)
    if "tools" in changes:
        settings["tools"] = [_tool(tool) for tool in changes["tools"] or ()]
    if _is_voice(changes.get("voice")):
        settings["voice_id"] = changes["voice"]
    return settings


def check_voice(voice: str | None) -> None:
    """Look whether it is one that EVI can be asked for in a session.

    Raises:
        ConfigurationError: it is named, and not by its id.
    """
    if voice and not _is_voice(voice):
        raise ConfigurationError(f"EVI's voices are named by their ids, and {voice!r} is none")


def notes_of(config: ProviderConfig) -> Iterator[tuple[str, str]]:
    """What of a configuration cannot be done as it stands: a code and words for each."""
    for name in _UNKNOWN:
        if getattr(config, name) is not None:
            words = f"EVI has no {name} in a session: it is part of the configuration that config_id names"
            yield f"{name}_ignored", words
    if config.voice and not _is_voice(config.voice):
        yield (
            "voice_ignored",
            f"EVI's voices are named by their ids, and {config.voice!r} is none: the voice of the configuration speaks",
        )


def _is_voice(voice: object) -> bool:
    return isinstance(voice, str) and _ID.fullmatch(voice) is not None


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    schema = tool.get("parameters") or {"type": "object", "properties": {}}
    return {
        "type": "function",
        "name": tool["name"],
        "description": tool.get("description") or "",
        # JSON within the JSON.
        "parameters": msgspec.json.encode(schema).decode(),
    }
