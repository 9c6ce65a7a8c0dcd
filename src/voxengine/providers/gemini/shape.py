"""What Gemini Live can do, and configuration and log in its form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from voxengine.audio.formats import AudioFormat
from voxengine.config import ProviderConfig
from voxengine.conversation.items import Item
from voxengine.errors import ConfigurationError
from voxengine.providers.capabilities import Capabilities
from voxengine.providers.gemini.place import model_path, on_vertex
from voxengine.providers.gemini.voices import VOICES
from voxengine.providers.voices import map_voice

__all__ = [
    "CAPABILITIES",
    "Traits",
    "capabilities_of",
    "check",
    "content",
    "contents_of",
    "instruction_of",
    "note",
    "notes_of",
    "setup_of",
    "tools_of",
    "traits_of",
]

_INPUT = tuple(AudioFormat("pcm16", rate) for rate in (16000, 24000, 8000))
_OUTPUT = (AudioFormat("pcm16", 24000),)

#: What the vendor documents for speech (ai.google.dev/gemini-api/docs/live, as of 2025); newer models know more.
_LANGUAGES = (
    "ar-XA",
    "bn-IN",
    "cmn-CN",
    "de-DE",
    "en-AU",
    "en-GB",
    "en-IN",
    "en-US",
    "es-ES",
    "es-US",
    "fr-CA",
    "fr-FR",
    "gu-IN",
    "hi-IN",
    "id-ID",
    "it-IT",
    "ja-JP",
    "kn-IN",
    "ko-KR",
    "ml-IN",
    "mr-IN",
    "nl-NL",
    "pl-PL",
    "pt-BR",
    "ru-RU",
    "ta-IN",
    "te-IN",
    "th-TH",
    "tr-TR",
    "vi-VN",
)


class Traits(msgspec.Struct, frozen=True):
    """In what the models differ.

    Attributes:
        history_config: an earlier conversation is announced in the setup; otherwise it is just told, unanswered.
        client_content: turns may be put into the conversation at any time. Otherwise only the user's text, and only
            the user's voice ends what is being said.
        context_update: instructions and tools can be changed in mid-conversation.
    """

    history_config: bool = True
    client_content: bool = True
    context_update: bool = True


#: By how the name of the model begins; what is not here is as the latest. Vendor's guides of the models, 2026.
_TRAITS = {
    "gemini-2": Traits(history_config=False, context_update=False),
    "gemini-live-2": Traits(history_config=False, context_update=False),
    "gemini-3.1": Traits(client_content=False, context_update=False),
}

_CAPABILITIES = Capabilities(
    input_formats=_INPUT,
    output_formats=_OUTPUT,
    voices=tuple(voice.wire_name for voice in VOICES),
    languages=_LANGUAGES,
    turn_detection=("server_vad",),
    turn_options=("threshold", "silence_duration_ms", "eagerness"),
    auto_response=True,
    self_interrupting=True,
    input_transcription=True,
    partial_transcripts=True,
    vocabulary=True,
    cancel=True,
    cancel_requested=True,
    tools=True,
    parallel_tools=True,
    continues_after_tool=True,
    history="at_start",
    system_messages=True,
    resume="handle",
    # The connection lasts about ten minutes, the session longer; `goAway` comes about a minute before.
    max_connection_seconds=600,
    usage_unit="tokens",
)

_KINDS = ("server_vad", "none")
_EAGERNESS = {"high": "END_SENSITIVITY_HIGH", "low": "END_SENSITIVITY_LOW"}
_SENSITIVITIES = ("high", "low")
_VAD_OPTIONS = (
    "start_of_speech_sensitivity",
    "end_of_speech_sensitivity",
    "prefix_padding_ms",
    "silence_duration_ms",
)


def traits_of(config: ProviderConfig) -> Traits:
    """What the configured model can do."""
    name = model_path(config).rpartition("/")[2]
    return next((known for start, known in _TRAITS.items() if name.startswith(start)), Traits())


def capabilities_of(config: ProviderConfig) -> Capabilities:
    """What a session with this configuration can do."""
    traits = traits_of(config)
    return msgspec.structs.replace(
        _CAPABILITIES,
        vad_events=on_vertex(config),
        commit=config.turn_detection == "none",
        cancel=traits.client_content,
        cancel_requested=traits.client_content,
        truncate=traits.client_content and bool(config.option("correct_heard")),
        system_messages=traits.client_content,
        response_on_request=traits.client_content,
        instructions_updatable=traits.context_update,
    )


#: With the default model, where Google's AI for developers has it.
CAPABILITIES = capabilities_of(ProviderConfig())


def check(config: ProviderConfig) -> None:
    """Find out what can be wrong with a configuration before anything is opened.

    Raises:
        ConfigurationError: something is.
    """
    if config.modalities is not None and "audio" not in config.modalities:
        raise ConfigurationError("Gemini Live speaks; it does not answer in text alone")
    if config.turn_detection not in (None, *_KINDS):
        raise ConfigurationError(
            f"turn_detection of provider 'gemini' is {' or '.join(_KINDS)}, not {config.turn_detection!r}"
        )
    for name in ("vad", "setup", "compression"):
        if not isinstance(config.option(name) or {}, Mapping):
            raise ConfigurationError(f"{name} is a dict")
    behavior = config.option("tool_behavior")
    if behavior not in (None, "blocking", "non_blocking"):
        raise ConfigurationError(f"tool_behavior is blocking or non_blocking, not {behavior!r}")
    scheduling = config.option("tool_scheduling")
    if scheduling not in (None, "silent", "when_idle", "interrupt"):
        raise ConfigurationError(
            f"tool_scheduling is silent, when_idle or interrupt, not {scheduling!r}"
        )
    _detection(config)


def notes_of(config: ProviderConfig) -> Iterator[tuple[str, str]]:
    """What of a configuration cannot be done as it stands: a code and words for each."""
    if config.voice:
        mapped = map_voice(config.voice, VOICES_NAMES)
        if not mapped.exact:
            yield "voice_mapped", mapped.reason
    if config.auto_response is False:
        yield "auto_response_ignored", "Gemini Live answers every turn; it cannot be told not to"


VOICES_NAMES = _CAPABILITIES.voices


def setup_of(
    config: ProviderConfig, *, handle: str | None, history: bool, notes: Sequence[str] = ()
) -> dict[str, Any]:
    """The first message: the session. `setup` in the configuration adds to it, in the vendor's own words.

    Args:
        config: the settings.
        handle: of the session to take up.
        history: an earlier conversation will be told.
        notes: what the application has told beyond the instructions.
    """
    generation: dict[str, Any] = {"responseModalities": ["AUDIO"]}
    if config.temperature is not None:
        generation["temperature"] = config.temperature
    if config.max_response_tokens is not None:
        generation["maxOutputTokens"] = config.max_response_tokens
    speech = _speech(config)
    if speech:
        generation["speechConfig"] = speech
    if config.option("thinking") is not None:
        generation["thinkingConfig"] = config.option("thinking")
    setup: dict[str, Any] = {
        "model": model_path(config),
        "generationConfig": generation,
        "outputAudioTranscription": {},
        "sessionResumption": {} if handle is None else {"handle": handle},
        "contextWindowCompression": config.option("compression") or {"slidingWindow": {}},
        "realtimeInputConfig": _realtime_input(config),
    }
    if config.transcription is not False:
        setup["inputAudioTranscription"] = _transcription(config)
    instruction = instruction_of(config, notes)
    if instruction is not None:
        setup["systemInstruction"] = instruction
    if config.tools:
        setup["tools"] = tools_of(config)
    if history and traits_of(config).history_config:
        setup["historyConfig"] = {"initialHistoryInClientContent": True}
    if on_vertex(config) and config.vad_events is not False:
        setup["explicitVadSignal"] = True
    return {**setup, **(config.option("setup") or {})}


def _speech(config: ProviderConfig) -> dict[str, Any]:
    speech: dict[str, Any] = {}
    if config.voice:
        name = map_voice(config.voice, VOICES_NAMES).voice
        speech["voiceConfig"] = {"prebuiltVoiceConfig": {"voiceName": name}}
    # A native audio model speaks the language that it is spoken to in, and takes no other wish.
    if config.language and "native-audio" not in model_path(config):
        speech["languageCode"] = config.language
    return speech


def _transcription(config: ProviderConfig) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    if config.language:
        wanted["languageCodes"] = [config.language]
    if config.vocabulary:
        wanted["customVocabulary"] = list(config.vocabulary)
    return wanted


def _realtime_input(config: ProviderConfig) -> dict[str, Any]:
    detection = _detection(config)
    result: dict[str, Any] = {"automaticActivityDetection": detection} if detection else {}
    if config.interruptions is False:
        result["activityHandling"] = "NO_INTERRUPTION"
    return result


def _detection(config: ProviderConfig) -> dict[str, Any]:
    """The vendor's settings of its turn detection.

    `prefix_padding_ms` means here how long speech has to last to be taken for it, and so is not among `turn_options`,
    where it means how much before it is kept.
    """
    if config.turn_detection == "none":
        return {"disabled": True}
    found: dict[str, Any] = {}
    for name, value in (config.turn_options or {}).items():
        if name == "threshold" and value is not None:
            high = float(value) <= 0.5
            found["startOfSpeechSensitivity"] = f"START_SENSITIVITY_{'HIGH' if high else 'LOW'}"
        elif name == "eagerness" and value in _EAGERNESS:
            found["endOfSpeechSensitivity"] = _EAGERNESS[value]
        elif name == "silence_duration_ms" and value is not None:
            found["silenceDurationMs"] = int(value)
    return {**found, **_own_detection(config.option("vad") or {})}


def _own_detection(options: Mapping[str, Any]) -> dict[str, Any]:
    """The same by the vendor's own names, in snake_case."""
    found: dict[str, Any] = {}
    for name, value in options.items():
        if name not in _VAD_OPTIONS:
            raise ConfigurationError(f"vad has {', '.join(_VAD_OPTIONS)}, not {name!r}")
        kind, _, rest = name.partition("_")
        if name.endswith("sensitivity"):
            if value not in _SENSITIVITIES:
                raise ConfigurationError(f"{name} is high or low, not {value!r}")
            key = f"{kind}OfSpeechSensitivity"
            found[key] = f"{kind.upper()}_SENSITIVITY_{value.upper()}"
        elif type(value) is not int or value < 0:
            raise ConfigurationError(f"{name} is a whole number of milliseconds, not {value!r}")
        else:
            found[kind + "".join(word.capitalize() for word in rest.split("_"))] = value
    return found


# -- words


def content(role: str, *texts: str) -> dict[str, Any]:
    """What somebody said: the role is user or model."""
    return {"role": role, "parts": [{"text": text} for text in texts]}


def note(text: str) -> str:
    """Something that the application says, marked as not being said by the user: there is no role for it."""
    return f"[Note to the assistant, not said by the user] {text}"


def instruction_of(config: ProviderConfig, notes: Sequence[str] = ()) -> dict[str, Any] | None:
    """The instructions, and what the application has told since."""
    texts = [config.instructions] if config.instructions else []
    texts += notes
    return {"parts": [{"text": text} for text in texts]} if texts else None


def tools_of(config: ProviderConfig) -> list[dict[str, Any]]:
    """The tools of the application as the vendor declares functions."""
    behavior = config.option("tool_behavior")
    declarations = []
    for tool in config.tools or ():
        declared: dict[str, Any] = {
            "name": tool["name"],
            "description": tool.get("description") or "",
        }
        if tool.get("parameters"):
            declared["parametersJsonSchema"] = tool["parameters"]
        if behavior is not None:
            declared["behavior"] = behavior.upper()
        declarations.append(declared)
    return [{"functionDeclarations": declarations}] if declarations else []


def contents_of(items: Iterable[Item]) -> list[dict[str, Any]]:
    """An earlier conversation, user and model by turns. Of what was cut, only what was heard.

    Calls of tools are told in words: as calls, the latest models take only their own.
    """
    contents: list[dict[str, Any]] = []
    for role, text in _texts(items):
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"].append({"text": text})
        else:
            contents.append(content(role, text))
    return contents


def _texts(items: Iterable[Item]) -> Iterator[tuple[str, str]]:
    names: dict[str | None, str] = {}
    for item in items:
        if item.kind == "function_call":
            names[item.call_id] = item.name or "a tool"
            yield "user", note(f"You called the tool {item.name} with {item.arguments or '{}'}")
        elif item.kind == "function_output":
            name = names.get(item.call_id, "a tool")
            yield "user", note(f"The tool {name} returned {item.output or ''}")
        elif item.text and item.role == "assistant":
            yield "model", item.text
        elif item.text and item.role == "user":
            yield "user", item.text
        elif item.text and item.role == "system":
            yield "user", note(item.text)
