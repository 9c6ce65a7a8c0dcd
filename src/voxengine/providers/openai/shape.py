"""The configuration as a session in the vendor's form.

The session is built in OpenAI's form (GA, nested), then moved into the dialect's. What changed between two
configurations is the difference of their sessions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from voxengine.audio.formats import AudioFormat
from voxengine.config import ProviderConfig
from voxengine.errors import ConfigurationError
from voxengine.providers.capabilities import Capabilities
from voxengine.providers.openai.dialects import Dialect
from voxengine.providers.voices import map_voice

__all__ = [
    "capabilities_of",
    "changes",
    "format_of",
    "is_transcription",
    "notes_of",
    "output_modalities",
    "response_of",
    "session_of",
    "silence_ms",
    "turn_options",
]

_TYPES = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}

#: Settings of a turn detection by its kind, and what they are where nothing is said
#: (`RealtimeAudioInputTurnDetection`).
_TURN_OPTIONS: dict[str, dict[str, Any]] = {
    "server_vad": {
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 500,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    },
    "semantic_vad": {"eagerness": "auto", "create_response": True, "interrupt_response": True},
}
#: Parts of a session that are replaced as a whole, never in part.
_WHOLE = frozenset({"tool_choice", "format", "voice", "prompt", "tracing", "truncation"})
#: Parts of which it is not known whether they are taken whole or field by field.
#: Models that take words to listen for as a text, where the others have a list for them.
_PROMPTED = ("whisper-", "gpt-4o-")
_RESTATED = frozenset({"turn_detection", "transcription", "noise_reduction"})
#: What takes back a setting that is not wanted any more (`RealtimeSessionCreateRequest`); null takes back the others.
_TAKEN_BACK: dict[str, Any] = {
    "instructions": "",
    "tools": [],
    "include": [],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "max_output_tokens": "inf",
    "truncation": "auto",
    "speed": 1.0,
    "transport": "json",
}
#: Options of the session that are handed on as they are.
_OPTIONS = (
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "truncation",
    "tracing",
    "prompt",
    "include",
)


def is_transcription(config: ProviderConfig) -> bool:
    """Whether the session only writes down what it hears."""
    intent = config.option("intent")
    if intent not in (None, "conversation", "transcription"):
        raise ConfigurationError(f"intent is 'conversation' or 'transcription', not {intent!r}")
    return bool(intent == "transcription")


def format_of(
    wish: AudioFormat | None, formats: tuple[AudioFormat, ...], name: str = "format"
) -> AudioFormat:
    """The format that comes nearest to what the application would like: the same, else the first."""
    if wish is not None and not isinstance(wish, AudioFormat):
        raise ConfigurationError(f"{name} is an AudioFormat, not {type(wish).__name__}")
    same = (
        format
        for format in formats
        if wish is not None
        and (format.encoding, format.sample_rate) == (wish.encoding, wish.sample_rate)
    )
    return next(same, formats[0])


def capabilities_of(dialect: Dialect, config: ProviderConfig) -> Capabilities:
    """What the provider can do with this configuration."""
    from msgspec.structs import replace

    can = dialect.capabilities
    if is_transcription(config):
        can = replace(
            can,
            audio_output=False,
            text_output=False,
            text_input=False,
            answers=False,
            auto_response=False,
            self_interrupting=False,
            cancel=False,
            truncate=False,
            say=False,
            tools=False,
            parallel_tools=False,
            history="none",
            system_messages=False,
            instructions_updatable=False,
            history_places=False,
            response_overrides=(),
            response_on_request=False,
            resume="none",
        )
    kind, options = turn_options(dialect, config)
    if kind == "none":
        return replace(can, vad_events=False, auto_response=False, self_interrupting=False)
    return replace(
        can,
        auto_response=can.auto_response and options.get("create_response", True) is not False,
        self_interrupting=can.self_interrupting
        and options.get("interrupt_response", True) is not False,
    )


def turn_options(dialect: Dialect, config: ProviderConfig) -> tuple[str, dict[str, Any]]:
    """The kind of turn detection, and its settings.

    Raises:
        ConfigurationError: the kind, or a setting of it, is unknown here.
    """
    kinds = dialect.capabilities.turn_detection
    kind = config.turn_detection or kinds[0]
    options = config.option("turn_detection_options") or {}
    if isinstance(options, Mapping):
        options = {**options, **_wishes(config)}
    if kind == "none":
        return kind, {}
    if kind not in kinds:
        raise ConfigurationError(
            f"turn_detection {kind!r} is none of {', '.join(('none', *kinds))} of provider {dialect.name!r}"
        )
    if not isinstance(options, Mapping):
        raise ConfigurationError("turn_detection_options is a dict")
    known = _TURN_OPTIONS[kind]
    wrong = [str(name) for name in options if name not in known]
    if wrong:
        raise ConfigurationError(
            f"{kind} has no setting {', '.join(wrong)}; it has {', '.join(known)}"
        )
    silence = options.get("silence_duration_ms")
    if silence is not None and not isinstance(silence, (int, float)):
        raise ConfigurationError(f"silence_duration_ms is a number, not {silence!r}")
    return kind, dict(options)


def _wishes(config: ProviderConfig) -> dict[str, Any]:
    """The settings of the turn detection that every provider has."""
    wished = {name: v for name, v in (config.turn_options or {}).items() if v is not None}
    for name, given in (
        ("create_response", config.auto_response),
        ("interrupt_response", config.interruptions),
    ):
        if given is False:
            wished[name] = False
    return wished


def response_of(
    dialect: Dialect,
    modalities: Iterable[str] | None,
    instructions: str | None,
    overrides: Mapping[str, Any],
) -> dict[str, Any]:
    """The settings of one response.

    Raises:
        ConfigurationError: a modality is unknown.
    """
    wanted: dict[str, Any] = {}
    if modalities is not None:
        wanted["output_modalities"] = output_modalities(modalities)
    if instructions is not None:
        wanted["instructions"] = instructions
    if "voice" in overrides:
        wanted["audio"] = {"output": {"voice": _voice(dialect, overrides["voice"])}}
    if "tools" in overrides:
        wanted["tools"] = [_tool(tool) for tool in overrides["tools"]]
    if "tool_choice" in overrides:
        wanted["tool_choice"] = overrides["tool_choice"]
    if "max_response_tokens" in overrides:
        limit = overrides["max_response_tokens"]
        wanted["max_output_tokens"] = "inf" if limit is None else limit
    return _in_dialect(wanted, dialect)


def silence_ms(dialect: Dialect, config: ProviderConfig) -> float:
    """How long the vendor hears silence before it says that speech has ended; 0 where that is not said."""
    kind, options = turn_options(dialect, config)
    return float(options.get("silence_duration_ms") or 500) if kind == "server_vad" else 0.0


def output_modalities(wanted: Iterable[str] | None) -> list[str]:
    """Speech or text, never both: with speech comes its text anyway.

    Raises:
        ConfigurationError: something else is wanted.
    """
    kinds = list(wanted) if wanted is not None else ["audio"]
    if not kinds or any(kind not in ("audio", "text") for kind in kinds):
        raise ConfigurationError(f"modalities are 'audio' and 'text', not {kinds!r}")
    return ["audio"] if "audio" in kinds else ["text"]


def notes_of(dialect: Dialect, config: ProviderConfig) -> list[tuple[str, str]]:
    """What of the configuration cannot be done as it stands: a code and words for each."""
    notes = []
    if config.temperature is not None:
        notes.append(
            ("temperature_ignored", f"{dialect.title} has no temperature; it was not sent")
        )
    if config.voice and dialect.capabilities.voices:
        mapped = map_voice(config.voice, dialect.capabilities.voices)
        if not mapped.exact:
            notes.append(("voice_mapped", mapped.reason))
    return notes


def session_of(
    dialect: Dialect, config: ProviderConfig, *, given: AudioFormat, taken: AudioFormat
) -> dict[str, Any]:
    """The whole session: `given` is the format of the user's audio, `taken` that of the assistant's."""
    heard = _input(dialect, config, given)
    if is_transcription(config):
        session: dict[str, Any] = {"type": "transcription", "audio": {"input": heard}}
    else:
        session = {
            "type": "realtime",
            "output_modalities": output_modalities(config.modalities),
            "audio": {"input": heard, "output": _output(dialect, config, taken)},
        }
        if config.instructions is not None:
            session["instructions"] = config.instructions
        if config.tools:
            session["tools"] = [_tool(tool) for tool in config.tools]
        if config.max_response_tokens is not None:
            session["max_output_tokens"] = config.max_response_tokens
        for name in _OPTIONS:
            value = config.option(name)
            if value is not None:
                session[name] = value
    session = _in_dialect(session, dialect)
    if not is_transcription(config):
        session = _merged(session, dialect.session)
    if dialect.binary_audio and config.option("transport") == "binary":
        binary = {"transport": "binary"}
        session = _merged(session, {"audio": {"input": binary, "output": binary}})
    extra = config.option("session")
    if extra is not None:
        if not isinstance(extra, Mapping):
            raise ConfigurationError("session is a dict of the vendor's own settings")
        session = _merged(session, extra)
    return session


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What to send so that a session becomes another; empty when nothing changed."""
    changed: dict[str, Any] = {}
    for name, value in after.items():
        old = before.get(name)
        if value == old and name in before:
            continue
        if not isinstance(value, Mapping) or not isinstance(old, Mapping) or name in _WHOLE:
            changed[name] = value
        elif name in _RESTATED:
            changed[name] = _restated(old, value)
        else:
            changed[name] = changes(old, value)
    for name in before.keys() - after.keys():
        changed[name] = _TAKEN_BACK.get(name)
    return changed


def _restated(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """All of an object, and of what it does not name any more the vendor's own setting."""
    kind = old.get("type")
    if kind in _TURN_OPTIONS and new.get("type") != kind:
        return dict(new)
    standard = _TURN_OPTIONS.get(str(kind), {})
    return {**{name: standard.get(name) for name in old if name not in new}, **new}


def _input(dialect: Dialect, config: ProviderConfig, format: AudioFormat) -> dict[str, Any]:
    kind, options = turn_options(dialect, config)
    heard: dict[str, Any] = {
        "format": _format(format),
        "turn_detection": None if kind == "none" else {"type": kind, **options},
        "transcription": _transcription(dialect, config),
    }
    noise = config.option("noise_reduction")
    if noise is not None:
        heard["noise_reduction"] = {"type": noise} if isinstance(noise, str) else noise
    return heard


def _output(dialect: Dialect, config: ProviderConfig, format: AudioFormat) -> dict[str, Any]:
    spoken: dict[str, Any] = {"format": _format(format)}
    if config.voice:
        spoken["voice"] = _voice(dialect, config.voice)
    speed = config.option("speed")
    if speed is not None:
        spoken["speed"] = speed
    return spoken


def _voice(dialect: Dialect, wanted: str) -> str | dict[str, str]:
    voices = dialect.capabilities.voices
    voice = map_voice(wanted, voices).voice if voices else wanted
    # A voice of one's own is named by its id.
    return {"id": voice} if voice.startswith("voice_") else voice


def _transcription(dialect: Dialect, config: ProviderConfig) -> dict[str, Any] | None:
    """On unless it is not wanted: a conversation that changes its provider is told in words."""
    if config.transcription is False and not is_transcription(config):
        return None
    options = config.option("transcription_options") or {}
    if not isinstance(options, Mapping):
        raise ConfigurationError("transcription_options is a dict")
    wanted = dict(options)
    model = config.option("transcription_model") or dialect.transcription_model
    if model is not None:
        wanted.setdefault("model", model)
    if config.vocabulary and str(wanted.get("model", "")).startswith(_PROMPTED):
        wanted.setdefault("prompt", ", ".join(config.vocabulary))
    elif config.vocabulary:
        wanted.setdefault("keywords", list(config.vocabulary))
    if config.language:
        # ISO 639-1: the region is of no interest.
        wanted.setdefault("language", config.language.replace("_", "-").partition("-")[0])
    return wanted


def _format(format: AudioFormat) -> dict[str, Any]:
    kind = {"type": _TYPES[format.encoding]}
    return {**kind, "rate": format.sample_rate} if format.encoding == "pcm16" else kind


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in tool.items() if name != "responds"}
    return known if known.get("type") else {"type": "function", **known}


def _in_dialect(session: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    for path in dialect.unknown:
        _take(session, path)
    for path, target in dialect.moved.items():
        found, value = _take(session, path)
        if found:
            inner = session
            for name in target[:-1]:
                inner = inner.setdefault(name, {})
            inner[target[-1]] = value
    return session


def _take(session: dict[str, Any], path: tuple[str, ...]) -> tuple[bool, Any]:
    """Remove a field; whether it was there, and its value."""
    inner: Any = session
    for name in path[:-1]:
        inner = inner.get(name) if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or path[-1] not in inner:
        return False, None
    return True, inner.pop(path[-1])


def _merged(session: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(session)
    for name, value in extra.items():
        old = result.get(name)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[name] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return result
