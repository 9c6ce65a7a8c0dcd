"""Configuration and log, as the Voice Agent takes them: `Settings` to begin with, and the messages that change them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from voxengine.audio.formats import AudioFormat
from voxengine.config import ProviderConfig
from voxengine.conversation.history import HistoryBudget, fit
from voxengine.conversation.items import Item
from voxengine.errors import ConfigurationError
from voxengine.providers.capabilities import Capabilities
from voxengine.providers.deepgram import codec
from voxengine.providers.deepgram.voices import FLUX, VOICES
from voxengine.providers.voices import Mapped, map_voice

__all__ = [
    "CAPABILITIES",
    "CHANGEABLE",
    "ENDPOINT",
    "capabilities_of",
    "changes_of",
    "notes_of",
    "output_format",
    "settings_of",
]

ENDPOINT = "wss://agent.deepgram.com/v1/agent/converse"

#: What listens and thinks where nothing is said of it.
LISTEN = "flux-general-en"
THINK = "open_ai/gpt-4o-mini"

#: Messages of an earlier conversation, and bytes of them. The vendor states no limits; these keep the beginning of a
#: session within what its language models take well.
MAX_MESSAGES = 500
MAX_HISTORY_BYTES = 64 * 1024

#: The least silence, in milliseconds, that may end a turn whatever Flux thinks.
_LEAST_SILENCE = 500
#: How sure Flux has to be that a turn is over. Its own default is 0.7.
EAGERNESS = {"low": 0.85, "medium": 0.7, "high": 0.5}

#: Our names of encodings, and the vendor's.
ENCODINGS = {"pcm16": "linear16", "g711_ulaw": "mulaw", "g711_alaw": "alaw"}
_LAWS = (AudioFormat("g711_ulaw", 8000), AudioFormat("g711_alaw", 8000))
_INPUTS = tuple(AudioFormat("pcm16", rate) for rate in (24000, 16000, 48000, 44100, 8000))
_OUTPUTS = tuple(AudioFormat("pcm16", rate) for rate in (24000, 16000, 48000, 32000, 8000))

#: Models of language by the beginnings of their names, where no provider is named.
_MAKERS = {"gpt": "open_ai", "claude": "anthropic", "gemini": "google", "openai/": "groq"}

CAPABILITIES = Capabilities(
    input_formats=(*_INPUTS, *_LAWS),
    output_formats=(*_OUTPUTS, *_LAWS),
    voices=tuple(voice.name for voice in VOICES) + FLUX,
    turn_detection=("semantic_vad", "server_vad"),
    turn_options=("eagerness", "silence_duration_ms"),
    vad_events=True,
    auto_response=True,
    self_interrupting=True,
    input_transcription=True,
    vocabulary=True,
    say=True,
    tools=True,
    parallel_tools=True,
    continues_after_tool=True,
    history="at_start",
    history_max_items=MAX_MESSAGES,
    history_max_bytes=MAX_HISTORY_BYTES,
    system_messages=True,
    instructions_updatable=True,
    session_options=("temperature",),
    max_connection_seconds=7200,
    usage_unit="seconds",
)

#: What has to stand in the prompt, so that notes among the user's words are taken for what they are.
_ABOUT_NOTES = (
    f"Text like {codec.note('...')} comes from the application, not from the user. "
    "Do as it says, and never read it out."
)

#: Which settings each of the agent's parts has: a change of one is a message that has all of them.
_THINK = frozenset({"model", "temperature", "tools"})
_LISTEN = frozenset({"vocabulary", "turn_detection", "turn_options", "language"})
CHANGEABLE = _THINK | _LISTEN | {"instructions", "voice"}


def capabilities_of(config: ProviderConfig) -> Capabilities:
    """What the agent can do with the ears that were chosen."""
    if _hears_turns(config):
        return CAPABILITIES
    return msgspec.structs.replace(CAPABILITIES, turn_detection=("server_vad",), turn_options=())


def output_format(config: ProviderConfig) -> AudioFormat:
    """The format of the agent's audio."""
    wish, formats = config.output_format, CAPABILITIES.output_formats
    return wish if wish is not None and wish in formats else formats[0]


def notes_of(config: ProviderConfig) -> Iterator[tuple[str, str]]:
    """What of a configuration cannot be done as it stands: a code and words for each."""
    if config.max_response_tokens is not None:
        words = "the Voice Agent has no max_response_tokens; it was not sent"
        yield "max_response_tokens_ignored", words
    if config.voice and config.option("speak") is None:
        voice = _voice(config.voice)
        if not voice.exact:
            yield "voice_mapped", voice.reason


def settings_of(
    config: ProviderConfig, input: AudioFormat, history: Sequence[Item] = ()
) -> dict[str, Any]:
    """`Settings`. `session` in the configuration adds to it, in the vendor's own words.

    Raises:
        ConfigurationError: `listen`, `think` or `speak` is neither a model nor a dict.
    """
    output = output_format(config)
    agent: dict[str, Any] = {
        "listen": {"provider": _listen(config)},
        "think": _think(config, notes=_notes_in(history)),
        "speak": _speak(config),
    }
    if config.option("greeting"):
        agent["greeting"] = config.option("greeting")
    messages = messages_of(history)
    if messages:
        agent["context"] = {"messages": messages}
    more = dict(config.option("session") or {})
    agent |= more.pop("agent", {})
    return {
        "type": "Settings",
        "flags": {"history": False},
        "audio": {
            "input": _encoding(input),
            "output": {**_encoding(output), "container": "none"},
        },
        **more,
        "agent": agent,
    }


def changes_of(
    config: ProviderConfig, changed: Mapping[str, Any], notes: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """The messages that make a configuration true of which these settings were changed."""
    messages: list[dict[str, Any]] = []
    if _THINK & set(changed):
        messages.append({"type": "UpdateThink", "think": _think(config, notes)})
    elif "instructions" in changed:
        messages.append({"type": "UpdatePrompt", "prompt": prompt_of(config, notes)})
    if _LISTEN & set(changed):
        messages.append({"type": "UpdateListen", "listen": {"provider": _listen(config)}})
    if "voice" in changed:
        messages.append({"type": "UpdateSpeak", "speak": _speak(config)})
    return messages


def prompt_of(config: ProviderConfig, notes: Sequence[str] = ()) -> str:
    """The instructions, and what the application has noted since."""
    return "\n\n".join(part for part in (config.instructions, *notes, _ABOUT_NOTES) if part)


def messages_of(items: Sequence[Item]) -> list[dict[str, Any]]:
    """An earlier conversation: the end of it, as much as is taken. Of what was cut, only what was heard."""
    told = _fitted(items)
    results = {item.call_id: item.output or "" for item in told if item.kind == "function_output"}
    return [message for item in told if (message := _message(item, results))]


def _notes_in(items: Sequence[Item]) -> list[str]:
    """Notes have no place among messages, which are the user's and the assistant's."""
    return [i.text for i in _fitted(items) if i.kind == "message" and i.role == "system" and i.text]


def _fitted(items: Sequence[Item]) -> tuple[Item, ...]:
    budget = HistoryBudget(max_items=MAX_MESSAGES, max_bytes=MAX_HISTORY_BYTES)
    return fit(items, budget).told


def _message(item: Item, results: Mapping[str | None, str]) -> dict[str, Any] | None:
    if item.kind == "function_call":
        call = {
            "id": item.call_id or item.id,
            "name": item.name or "",
            "client_side": True,
            "arguments": item.arguments or "{}",
            "response": results.get(item.call_id, ""),
        }
        return {"type": "History", "function_calls": [call]}
    if item.kind != "message" or item.role not in ("user", "assistant") or not item.text:
        return None
    return {"type": "History", "role": item.role, "content": item.text}


# -- the parts of the agent


def _encoding(format: AudioFormat) -> dict[str, Any]:
    return {"encoding": ENCODINGS[format.encoding], "sample_rate": format.sample_rate}


def _listen_model(config: ProviderConfig) -> Any:
    given = config.option("listen")
    if given is not None:
        return given
    english = (config.language or "en").lower().startswith("en")
    return LISTEN if english else "flux-general-multi"


def _hears_turns(config: ProviderConfig) -> bool:
    """Whether Flux listens, which finds turns by what is said."""
    given = _listen_model(config)
    if isinstance(given, Mapping):
        return given.get("version") == "v2" or str(given.get("model", "")).startswith("flux")
    return str(given).startswith("flux")


def _listen(config: ProviderConfig) -> dict[str, Any]:
    given = _given("listen", _listen_model(config))
    provider: dict[str, Any] = {"type": "deepgram", "version": "v1"}
    if _hears_turns(config):
        provider |= {"version": "v2", **_thresholds(config)}
        if config.language and str(given.get("model", "")).endswith("-multi"):
            provider["language_hints"] = [config.language]
    elif config.language:
        provider["language"] = config.language
    if config.vocabulary:
        provider["keyterms"] = list(config.vocabulary)
    return {**provider, **given}


def _thresholds(config: ProviderConfig) -> dict[str, Any]:
    """When Flux declares a turn over."""
    options = config.turn_options or {}
    found: dict[str, Any] = {}
    eagerness, silence = options.get("eagerness"), options.get("silence_duration_ms")
    if eagerness in EAGERNESS:
        found["eot_threshold"] = EAGERNESS[eagerness]
    if silence is not None:
        found["eot_timeout_ms"] = max(_LEAST_SILENCE, round(silence))
    return found


def _think(config: ProviderConfig, notes: Sequence[str] = ()) -> dict[str, Any]:
    given = config.option("think")
    if isinstance(given, Mapping) and "provider" in given:
        think = dict(given)
    else:
        provider = _given("think", given if given is not None else config.model or THINK)
        if "type" not in provider:
            provider |= _maker(str(provider.get("model", "")))
        if config.temperature is not None:
            provider.setdefault("temperature", config.temperature)
        think = {"provider": provider}
    think["prompt"] = prompt_of(config, notes)
    if config.tools:
        think["functions"] = [_function(tool) for tool in config.tools]
    return think


def _maker(model: str) -> dict[str, Any]:
    """Whose model it is: "open_ai/gpt-4o-mini" says it, and of others the name tells."""
    for beginning, maker in _MAKERS.items():
        if model.startswith(beginning):
            return {"type": maker, "model": model}
    maker, slash, name = model.partition("/")
    return {"type": maker, "model": name} if slash else {"type": "open_ai", "model": model}


def _speak(config: ProviderConfig) -> dict[str, Any]:
    given = config.option("speak")
    if isinstance(given, Mapping) and "provider" in given:
        return dict(given)
    if given is None:
        given = _voice(config.voice).voice if config.voice else VOICES[0].name
    provider = _given("speak", given)
    version = {"version": "v2"} if str(provider.get("model", "")).startswith("flux") else {}
    return {"provider": {"type": "deepgram", **version, **provider}}


def _voice(voice: str) -> Mapped:
    """A voice by its full name is taken as it is, for the vendor has more than are known here."""
    if voice.startswith(("aura-", "flux-")):
        return Mapped(voice, exact=True)
    return map_voice(voice, CAPABILITIES.voices)


def _given(name: str, value: object) -> dict[str, Any]:
    """The settings of a part: its model, or a dict in the vendor's own words."""
    if isinstance(value, str) and value:
        return {"model": value}
    if isinstance(value, Mapping):
        return dict(value)
    raise ConfigurationError(
        f"{name} is the name of a model, or a dict in Deepgram's words, not {value!r}"
    )


def _function(tool: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": tool["name"],
        "description": tool.get("description") or "",
        "parameters": tool.get("parameters") or {"type": "object", "properties": {}},
    }
