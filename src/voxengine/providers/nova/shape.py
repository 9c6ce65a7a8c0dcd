"""What Nova Sonic can do, and a session's settings in its words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from voxengine.audio.formats import AudioFormat
from voxengine.config import ProviderConfig
from voxengine.conversation.items import Item
from voxengine.errors import ConfigurationError
from voxengine.providers.capabilities import Capabilities
from voxengine.providers.nova.voices import VOICES
from voxengine.providers.voices import map_voice

__all__ = [
    "CAPABILITIES",
    "DEFAULT_MODEL",
    "capabilities_of",
    "check",
    "formats_of",
    "history_of",
    "inference_of",
    "instructions_of",
    "notes_of",
    "sensitivity_of",
    "tools_of",
    "voice_of",
]

DEFAULT_MODEL = "amazon.nova-2-sonic-v1:0"
#: The model that takes no text in mid-conversation, and has no settings of its turn detection.
FIRST_MODEL = "amazon.nova-sonic-v1:0"

#: Seconds that a stream stays open, and bytes of an earlier conversation, by the user guide.
MAX_SECONDS = 480
MAX_HISTORY_BYTES = 40_000
#: What stands before an answer that nobody seems to have asked for: a history begins with the user.
NOBODY = "(The conversation begins.)"
DEFAULT_INSTRUCTIONS = (
    "You are a friendly assistant. The user and you talk with each other; keep your answers short."
)

_FORMATS = tuple(AudioFormat("pcm16", rate) for rate in (16000, 24000, 8000))
_SPOKEN = tuple(AudioFormat("pcm16", rate) for rate in (24000, 16000, 8000))
_SENSITIVITIES = {"high": "HIGH", "medium": "MEDIUM", "auto": "MEDIUM", "low": "LOW"}

CAPABILITIES = Capabilities(
    input_formats=_FORMATS,
    output_formats=_SPOKEN,
    voices=tuple(voice.name for voice in VOICES),
    languages=("en", "fr", "it", "de", "es", "pt", "hi"),
    turn_detection=("server_vad",),
    turn_options=("eagerness",),
    auto_response=True,
    self_interrupting=True,
    input_transcription=True,
    partial_transcripts=True,
    tools=True,
    continues_after_tool=True,
    history="at_start",
    history_max_bytes=MAX_HISTORY_BYTES,
    max_connection_seconds=MAX_SECONDS,
    usage_unit="tokens",
)


def capabilities_of(config: ProviderConfig) -> Capabilities:
    """What the model that is configured can do."""
    if config.model != FIRST_MODEL:
        return CAPABILITIES
    return msgspec.structs.replace(
        CAPABILITIES, text_input=False, turn_options=(), response_on_request=False
    )


def check(config: ProviderConfig) -> None:
    """Find out what can be wrong with a configuration before anything is opened.

    Raises:
        ConfigurationError: something is.
    """
    if config.turn_detection not in (None, *CAPABILITIES.turn_detection):
        raise ConfigurationError(
            f"turn_detection {config.turn_detection!r}: Nova Sonic finds turns itself; leave it out, or server_vad"
        )
    if config.modalities is not None and "audio" not in config.modalities:
        raise ConfigurationError("Nova Sonic speaks; it does not answer in text alone")
    for name in ("input_format", "output_format"):
        wish = getattr(config, name)
        if wish is not None and not isinstance(wish, AudioFormat):
            raise ConfigurationError(f"{name} is an AudioFormat, not {type(wish).__name__}")
    eagerness = (config.turn_options or {}).get("eagerness")
    if eagerness is not None and eagerness not in _SENSITIVITIES:
        raise ConfigurationError(
            f"eagerness is one of {', '.join(_SENSITIVITIES)}, not {eagerness!r}"
        )


def formats_of(config: ProviderConfig) -> tuple[AudioFormat, AudioFormat]:
    """The formats of what it hears and of what it says."""
    heard, spoken = config.input_format, config.output_format
    return (
        heard if heard in _FORMATS and heard is not None else _FORMATS[0],
        spoken if spoken in _SPOKEN and spoken is not None else _SPOKEN[0],
    )


def voice_of(config: ProviderConfig) -> str:
    """The voice, or the one that is nearest to it."""
    return map_voice(config.voice, VOICES).voice if config.voice else VOICES[0].name


def inference_of(config: ProviderConfig) -> dict[str, Any]:
    """How answers are found. `top_p` is an option."""
    return {
        "maxTokens": config.max_response_tokens or 1024,
        "topP": float(config.option("top_p", 0.9)),
        "temperature": 0.7 if config.temperature is None else min(1.0, config.temperature),
    }


def sensitivity_of(config: ProviderConfig) -> str | None:
    """How early it takes a silence for the end of a turn; None leaves it to the model."""
    eagerness = (config.turn_options or {}).get("eagerness")
    if eagerness is None or config.model == FIRST_MODEL:
        return None
    return _SENSITIVITIES[eagerness]


def tools_of(config: ProviderConfig) -> list[dict[str, Any]]:
    """The tools; the schema of each is JSON in a string."""
    return [
        {
            "toolSpec": {
                "name": tool["name"],
                "description": tool.get("description") or tool["name"],
                "inputSchema": {
                    "json": msgspec.json.encode(
                        tool.get("parameters") or {"type": "object", "properties": {}}
                    ).decode()
                },
            }
        }
        for tool in config.tools or ()
    ]


def notes_of(config: ProviderConfig) -> Iterator[tuple[str, str]]:
    """What of a configuration cannot be done as it stands: a code and words for each."""
    if config.language is not None:
        yield (
            "language_ignored",
            "Nova Sonic finds the language itself; a voice of that language, and the instructions, say what it answers",
        )
    if config.voice:
        mapped = map_voice(config.voice, VOICES)
        if not mapped.exact:
            yield "voice_mapped", mapped.reason
    if config.temperature is not None and config.temperature > 1:
        yield "temperature_limited", "Nova Sonic takes a temperature of at most 1; 1 was sent"
    if config.model == FIRST_MODEL and (config.turn_options or {}).get("eagerness") is not None:
        yield "eagerness_ignored", f"{FIRST_MODEL} has no eagerness; it was not sent"


def instructions_of(config: ProviderConfig, items: Iterable[Item] = ()) -> str:
    """The system prompt: the instructions, and what notes of the application an earlier conversation holds."""
    notes = [item.text for item in items if item.role == "system" and item.text]
    return "\n\n".join([config.instructions or DEFAULT_INSTRUCTIONS, *notes])


def history_of(items: Sequence[Item], limit: int = MAX_HISTORY_BYTES) -> list[tuple[str, str]]:
    """An earlier conversation as roles and texts: the end of it, as much as is taken. It begins with the user.

    Of what was cut only what was heard is told, and tools in words: a call cannot be told as such.
    """
    kept: list[tuple[str, str]] = []
    room = limit - len(NOBODY)
    for role, text in reversed([*_texts(items)]):
        room -= len(text.encode())
        if room < 0:
            break
        kept.append((role, text))
    kept.reverse()
    if kept and kept[0][0] != "USER":
        kept.insert(0, ("USER", NOBODY))
    return kept


def _texts(items: Iterable[Item]) -> Iterator[tuple[str, str]]:
    names: dict[str | None, str] = {}
    for item in items:
        if item.kind == "function_call":
            names[item.call_id] = item.name or "a tool"
            yield "ASSISTANT", f"(I called {item.name} with {item.arguments or '{}'}.)"
        elif item.kind == "function_output":
            name = names.get(item.call_id, "a tool")
            yield "ASSISTANT", f"({name} returned {item.output or 'nothing'}.)"
        elif item.text and item.role in ("user", "assistant"):
            yield item.role.upper(), item.text
