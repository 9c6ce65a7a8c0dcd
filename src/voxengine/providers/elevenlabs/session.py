"""Configuration and log, as an agent takes them: the message that begins a conversation, and what is told later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from voxengine.config import ProviderConfig
from voxengine.conversation.history import HistoryBudget, as_prompt, fit
from voxengine.conversation.items import Item
from voxengine.providers.capabilities import Capabilities
from voxengine.providers.elevenlabs.access import FORMATS, voice_of
from voxengine.providers.elevenlabs.voices import VOICES

__all__ = [
    "CAPABILITIES",
    "CHANGEABLE",
    "INSTRUCTIONS",
    "PATH",
    "contexts_of",
    "initiation_of",
    "instructed",
    "notes_of",
    "told_of",
    "writes",
]

PATH = "/v1/convai/conversation"
#: Under which changed instructions are told, each in the place of those before.
INSTRUCTIONS = "instructions"

#: Bytes of an earlier conversation. The vendor states no limit; this is about 4,000 tokens.
MAX_HISTORY_BYTES = 16 * 1024

CAPABILITIES = Capabilities(
    # Those of an agent, unless it is made with others: it says so when the conversation begins.
    input_formats=(FORMATS["pcm_16000"],),
    output_formats=(FORMATS["pcm_16000"],),
    voices=tuple(voice.name for voice in VOICES),
    turn_detection=("server_vad",),
    vad_events=True,
    auto_response=True,
    self_interrupting=True,
    input_transcription=True,
    partial_transcripts=True,
    vocabulary=True,
    tools=True,
    parallel_tools=True,
    continues_after_tool=True,
    # With the connection: the agent would begin with its first message otherwise.
    history="at_start",
    history_max_bytes=MAX_HISTORY_BYTES,
    system_messages=True,
    instructions_updatable=True,
    # The default of an agent (`max_duration_seconds`), which may state another.
    max_connection_seconds=600,
    usage_unit="seconds",
)

#: Settings that may change in mid-conversation, beside those that are ours alone.
CHANGEABLE = frozenset({"instructions", "tools"})

#: Settings that the vendor has no counterpart for in a conversation: they are part of the agent.
_UNKNOWN = ("temperature", "max_response_tokens")
#: Settings that are overrides, which the agent has to permit.
_OVERRIDES = ("voice", "language", "vocabulary")

_TOLD = "The conversation so far, which goes on now:"


def told_of(history: Sequence[Item]) -> str:
    """An earlier conversation as a part of the prompt; "" of none."""
    told = as_prompt(fit(history, HistoryBudget(max_bytes=MAX_HISTORY_BYTES)).told)
    return f"{_TOLD}\n{told}" if told else ""


def initiation_of(config: ProviderConfig, told: str = "") -> dict[str, Any]:
    """The message that begins a conversation. `session` in the configuration adds to it, in the vendor's own words."""
    message: dict[str, Any] = {"type": "conversation_initiation_client_data"}
    if overrides(config):
        message["conversation_config_override"] = _override_of(config, told)
    if config.option("dynamic_variables"):
        message["dynamic_variables"] = dict(config.option("dynamic_variables"))
    if config.option("user_id"):
        message["user_id"] = str(config.option("user_id"))
    message["source_info"] = {"source": "voxengine"}
    message = _merged(message, config.option("session") or {})
    if not message.get("conversation_config_override"):
        message.pop("conversation_config_override", None)
    return message


def contexts_of(config: ProviderConfig, told: str = "") -> Iterator[tuple[str, str | None]]:
    """What is told right after that, where it could not be a part of the prompt: texts, and what they replace."""
    if overrides(config):
        if told and not config.instructions:
            # A prompt of ours would take the place of the agent's.
            yield told, None
        return
    if config.instructions:
        yield instructed(config.instructions), INSTRUCTIONS
    if told:
        yield told, None


def instructed(instructions: str) -> str:
    """Instructions as something to know."""
    return f"From now on these are your instructions, in the place of earlier ones: {instructions}"


def overrides(config: ProviderConfig) -> bool:
    """Whether settings of the agent's may be overridden."""
    return config.option("overrides") is not False


def writes(message: Mapping[str, Any]) -> bool:
    """Whether the agent is begun as one that writes, and does not speak."""
    override = message.get("conversation_config_override") or {}
    return (override.get("conversation") or {}).get("text_only") is True


def notes_of(config: ProviderConfig) -> Iterator[tuple[str, str]]:
    """What of a configuration cannot be done as it stands: a code and words for each."""
    for name in _UNKNOWN:
        if getattr(config, name) is not None:
            yield (
                f"{name}_ignored",
                f"ElevenLabs has no {name} in a conversation: it is part of the agent",
            )
    if not overrides(config):
        for name in _OVERRIDES:
            if getattr(config, name) is not None:
                yield f"{name}_ignored", f"{name} is an override, and those are turned off"
    elif config.voice:
        mapped = voice_of(config.voice)
        if not mapped.exact:
            yield "voice_mapped", mapped.reason


def _override_of(config: ProviderConfig, told: str) -> dict[str, Any]:
    """What is to be other than at the agent. Only what is asked for: each is refused where the agent forbids it."""
    agent: dict[str, Any] = {}
    prompt: dict[str, Any] = {}
    if config.instructions:
        prompt["prompt"] = "\n\n".join(part for part in (config.instructions, told) if part)
    if config.option("llm"):
        prompt["llm"] = str(config.option("llm"))
    if prompt:
        agent["prompt"] = prompt
    first = config.option("first_message")
    if told:
        # It has been said, in the conversation that goes on now.
        first = ""
    if first is not None:
        agent["first_message"] = str(first)
    if config.language:
        agent["language"] = _language(config.language)
    tts: dict[str, Any] = {}
    if config.voice:
        tts["voice_id"] = voice_of(config.voice).voice
    for name in ("speed", "stability", "similarity_boost"):
        if config.option(name) is not None:
            tts[name] = float(config.option(name))
    found = {
        "agent": agent,
        "tts": tts,
        "asr": {"keywords": list(config.vocabulary)} if config.vocabulary else {},
    }
    return {name: part for name, part in found.items() if part}


def _language(language: str) -> str:
    """A language as the vendor has it: of a locale the language, but for Brazilian Portuguese."""
    wanted = language.replace("_", "-").lower()
    return wanted if wanted == "pt-br" else wanted.partition("-")[0]


def _merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Both, at all depths; where they differ, `more`."""
    result = dict(base)
    for name, value in more.items():
        old = result.get(name)
        deep = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[name] = _merged(old, value) if deep else value  # type: ignore[arg-type]
    return result
