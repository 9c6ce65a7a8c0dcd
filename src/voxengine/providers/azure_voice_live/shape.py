"""What Azure Voice Live can do, and configuration and log in its form: a session that is flat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from voxengine.audio.formats import AudioFormat
from voxengine.config import ProviderConfig
from voxengine.conversation.items import Item
from voxengine.errors import ConfigurationError
from voxengine.providers.azure_voice_live import voices
from voxengine.providers.capabilities import Capabilities
from voxengine.providers.openai import history
from voxengine.providers.openai.shape import format_of, output_modalities

__all__ = [
    "CAPABILITIES",
    "DEFAULT_MODEL",
    "DEFAULT_VOICE",
    "agent_of",
    "capabilities_of",
    "changes",
    "format_of",
    "message_item",
    "notes_of",
    "response_of",
    "session_of",
    "silence_ms",
    "turn_detection_of",
    "vendor_items",
    "wants_places",
]

DEFAULT_MODEL = "gpt-realtime"
DEFAULT_VOICE = voices.NAMES[0]
#: What writes down the user's words by default: the one that takes a list of phrases, and that all models have.
TRANSCRIPTION_MODEL = "azure-speech"
#: Seconds of one connection.
LONGEST_S = 3600

_G711 = (AudioFormat("g711_ulaw", 8000), AudioFormat("g711_alaw", 8000))
_FORMATS = (
    AudioFormat("pcm16", 24000),
    AudioFormat("pcm16", 16000),
    AudioFormat("pcm16", 8000),
    *_G711,
)
_OUTPUT_NAMES = {
    _FORMATS[0]: "pcm16",
    _FORMATS[1]: "pcm16_16000hz",
    _FORMATS[2]: "pcm16_8000hz",
    _G711[0]: "g711_ulaw",
    _G711[1]: "g711_alaw",
}

_COMMON = frozenset(
    {
        "threshold",
        "prefix_padding_ms",
        "silence_duration_ms",
        "end_of_utterance_detection",
        "auto_truncate",
        "create_response",
        "interrupt_response",
    }
)
_SEMANTIC = _COMMON | {"speech_duration_ms", "remove_filler_words"}
#: Settings of a turn detection by its kind.
_TURN_OPTIONS: Mapping[str, frozenset[str]] = {
    "server_vad": _COMMON,
    "azure_semantic_vad": _SEMANTIC | {"languages"},
    "azure_semantic_vad_en": _SEMANTIC,
    "azure_semantic_vad_multilingual": _SEMANTIC | {"languages"},
}
#: Settings of the session that an option of ours is handed on as.
_OPTIONS = {
    "tool_choice": "tool_choice",
    "parallel_tool_calls": "parallel_tool_calls",
    "reasoning_effort": "reasoning_effort",
    "interim_response": "interim_response",
    "include": "include",
}
#: What takes back a setting that is not wanted any more; null takes back the others.
_TAKEN_BACK: Mapping[str, Any] = {
    "instructions": "",
    "tools": [],
    "include": [],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "max_response_output_tokens": "inf",
    "output_audio_timestamp_types": [],
}

CAPABILITIES = Capabilities(
    input_formats=_FORMATS,
    output_formats=_FORMATS,
    text_output=True,
    voices=voices.NAMES,
    turn_detection=("server_vad", "semantic_vad"),
    vad_events=True,
    auto_response=True,
    self_interrupting=True,
    auto_response_optional=True,
    interruptions_optional=True,
    turn_options=("threshold", "prefix_padding_ms", "silence_duration_ms"),
    input_transcription=True,
    partial_transcripts=True,
    vocabulary=True,
    cancel=True,
    cancel_requested=True,
    truncate=True,
    commit=True,
    clear=True,
    delete=True,
    say=True,
    tools=True,
    parallel_tools=True,
    history="items",
    history_places=True,
    system_messages=True,
    instructions_updatable=True,
    response_overrides=("voice", "tools", "max_response_tokens"),
    session_options=(
        "tool_choice",
        "parallel_tool_calls",
        "temperature",
        "speed",
        "noise_reduction",
        "transcription_options",
    ),
    max_connection_seconds=LONGEST_S,
    usage_unit="tokens",
)


def agent_of(config: ProviderConfig) -> dict[str, str] | None:
    """The parameters of the address that name an agent of Foundry; None where a model answers.

    Raises:
        ConfigurationError: an agent has no project.
    """
    name, project = config.option("agent_name"), config.option("project_name")
    if name is None:
        return None
    if not project:
        raise ConfigurationError("an agent_name needs the project_name of its project")
    named = {
        "agent-name": name,
        "agent-project-name": project,
        "agent-version": config.option("agent_version"),
        "agent-authentication-identity-client-id": config.option(
            "authentication_identity_client_id"
        ),
        "foundry-resource-override": config.option("foundry_resource_override"),
    }
    return {parameter: str(value) for parameter, value in named.items() if value}


def capabilities_of(config: ProviderConfig) -> Capabilities:
    """What it can do with this configuration."""
    kind, options = turn_detection_of(config)
    can = CAPABILITIES
    if agent_of(config) is not None:
        can = replace(can, resume="handle")
    if kind == "none":
        return replace(can, vad_events=False, auto_response=False, self_interrupting=False)
    return replace(
        can,
        auto_response=options.get("create_response") is not False,
        self_interrupting=options.get("interrupt_response") is not False,
    )


def turn_detection_of(config: ProviderConfig) -> tuple[str, dict[str, Any]]:
    """The vendor's kind of turn detection ("none" for none) and its settings.

    "semantic_vad" is Azure's of the kind that the option `semantic_vad` says: "azure_semantic_vad" (the default), its
    "azure_semantic_vad_en" or its "azure_semantic_vad_multilingual". These names are taken directly, too.

    Raises:
        ConfigurationError: the kind, or a setting of it, is unknown.
    """
    wanted = config.turn_detection or CAPABILITIES.turn_detection[0]
    if wanted == "none":
        return wanted, {}
    kind = (
        str(config.option("semantic_vad", "azure_semantic_vad"))
        if wanted == "semantic_vad"
        else wanted
    )
    known = _TURN_OPTIONS.get(kind)
    if known is None:
        kinds = ", ".join(("none", "semantic_vad", *_TURN_OPTIONS))
        raise ConfigurationError(
            f"turn_detection {kind!r} is none of {kinds} of provider 'azure-voice-live'"
        )
    given = config.option("turn_detection_options") or {}
    if not isinstance(given, Mapping):
        raise ConfigurationError("turn_detection_options is a dict")
    options = {**given, **{n: v for n, v in (config.turn_options or {}).items() if v is not None}}
    # There is no eagerness here: it is the one setting of the other vendors' semantic detection.
    options.pop("eagerness", None)
    truncate = config.option("auto_truncate")
    if truncate is not None:
        options["auto_truncate"] = bool(truncate)
    if config.auto_response is False:
        options["create_response"] = False
    if config.interruptions is False:
        options["interrupt_response"] = False
    wrong = [str(name) for name in options if name not in known]
    if wrong:
        raise ConfigurationError(
            f"{kind} has no setting {', '.join(wrong)}; it has {', '.join(sorted(known))}"
        )
    return kind, options


def silence_ms(config: ProviderConfig) -> float:
    """How long the vendor hears silence before it says that speech has ended; 0 where that is not said."""
    kind, options = turn_detection_of(config)
    return float(options.get("silence_duration_ms") or 500) if kind == "server_vad" else 0.0


def wants_places(config: ProviderConfig) -> bool:
    """Whether to ask where in the audio the words are: of Azure's voices, which are made from the words."""
    if config.option("word_timestamps") is not None:
        return bool(config.option("word_timestamps"))
    return isinstance(_voice(config), dict) and "audio" in output_modalities(config.modalities)


def notes_of(config: ProviderConfig) -> Iterator[tuple[str, str]]:
    """What of the configuration cannot be done as it stands: a code and words for each."""
    wanted = _wanted_voice(config)
    if config.option("voice_options") is None:
        mapped = voices.resolve(wanted)
        if not mapped.exact:
            yield "voice_mapped", mapped.reason
    model = config.option("transcription_model")
    if config.vocabulary and model not in (None, TRANSCRIPTION_MODEL):
        yield (
            "vocabulary_ignored",
            f"only {TRANSCRIPTION_MODEL!r} takes words to listen for; {model!r} was asked for, and is not told",
        )


def session_of(config: ProviderConfig, *, given: AudioFormat, taken: AudioFormat) -> dict[str, Any]:
    """The whole session: `given` is the format of the user's audio, `taken` that of the assistant's."""
    kind, options = turn_detection_of(config)
    spoken = output_modalities(config.modalities) == ["audio"]
    session: dict[str, Any] = {
        "modalities": ["text", "audio"] if spoken else ["text"],
        "voice": _voice(config),
        "input_audio_format": given.encoding,
        "input_audio_sampling_rate": given.sample_rate,
        "output_audio_format": _OUTPUT_NAMES[taken],
        "turn_detection": None if kind == "none" else {"type": kind, **options},
        "input_audio_transcription": _transcription(config),
    }
    if wants_places(config):
        session["output_audio_timestamp_types"] = ["word"]
    if config.instructions is not None:
        session["instructions"] = config.instructions
    if config.tools:
        session["tools"] = [_tool(tool) for tool in config.tools]
    if config.temperature is not None:
        session["temperature"] = config.temperature
    if config.max_response_tokens is not None:
        session["max_response_output_tokens"] = config.max_response_tokens
    for option, name in _OPTIONS.items():
        value = config.option(option)
        if value is not None:
            session[name] = value
    for option, name, usual in (
        ("noise_reduction", "input_audio_noise_reduction", "azure_deep_noise_suppression"),
        ("echo_cancellation", "input_audio_echo_cancellation", "server_echo_cancellation"),
    ):
        wanted = _processing(config.option(option), usual)
        if wanted is not None:
            session[name] = wanted
    extra = config.option("session")
    if extra is not None and not isinstance(extra, Mapping):
        raise ConfigurationError("session is a dict of the vendor's own settings")
    return {**session, **(extra or {})}


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What to send so that a session becomes another; empty when nothing changed."""
    changed = {
        name: value for name, value in after.items() if name not in before or before[name] != value
    }
    gone = {name: _TAKEN_BACK.get(name) for name in before.keys() - after.keys()}
    return {**changed, **gone}


def response_of(
    config: ProviderConfig,
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
        spoken = output_modalities(modalities) == ["audio"]
        wanted["modalities"] = ["text", "audio"] if spoken else ["text"]
    if instructions is not None:
        wanted["instructions"] = instructions
    if "voice" in overrides:
        wanted["voice"] = voices.voice_of(overrides["voice"], speed=config.option("speed"))
    if "tools" in overrides:
        wanted["tools"] = [_tool(tool) for tool in overrides["tools"]]
    if "max_response_tokens" in overrides:
        limit = overrides["max_response_tokens"]
        wanted["max_output_tokens"] = "inf" if limit is None else limit
    return wanted


def message_item(role: str, text: str) -> dict[str, Any]:
    """Somebody's words in writing."""
    return _with_content(history.message_item(role, text))


def vendor_items(items: Iterable[Item]) -> Iterator[dict[str, Any]]:
    """An earlier conversation, in its order, under its ids. Of what was cut short, only what was heard."""
    for item in history.vendor_items(items):
        yield _with_content(item)


def _with_content(item: dict[str, Any]) -> dict[str, Any]:
    """What the assistant said is "text" here, as it was in the preview."""
    if item.get("role") == "assistant":
        item["content"] = [{**part, "type": "text"} for part in item["content"]]
    return item


def _wanted_voice(config: ProviderConfig) -> str:
    wanted = config.voice or config.metadata.get("voice") or DEFAULT_VOICE
    if not isinstance(wanted, str):
        raise ConfigurationError(f"voice is a name, not {type(wanted).__name__}")
    return wanted


def _voice(config: ProviderConfig) -> str | dict[str, Any]:
    return voices.voice_of(
        _wanted_voice(config), config.option("voice_options"), config.option("speed")
    )


def _transcription(config: ProviderConfig) -> dict[str, Any] | None:
    """On unless it is not wanted: a conversation that changes its provider is told in words."""
    if config.transcription is False:
        return None
    options = config.option("transcription_options") or {}
    if not isinstance(options, Mapping):
        raise ConfigurationError("transcription_options is a dict")
    model = config.option("transcription_model") or TRANSCRIPTION_MODEL
    wanted = {"model": model, **options}
    if config.language:
        wanted.setdefault("language", config.language.replace("_", "-"))
    if config.vocabulary and wanted["model"] == TRANSCRIPTION_MODEL:
        wanted.setdefault("phrase_list", list(config.vocabulary))
    return wanted


def _processing(wanted: Any, usual: str) -> dict[str, Any] | None:
    """How the user's audio is treated: True is the usual way, a name is another, a dict has settings."""
    if wanted is None or wanted is False:
        return None
    if wanted is True:
        return {"type": usual}
    return dict(wanted) if isinstance(wanted, Mapping) else {"type": str(wanted)}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in tool.items() if name != "responds"}
    return known if known.get("type") else {"type": "function", **known}
