"""Configuration and log, as the vendor takes them when a call is created. Nothing of it can be changed later."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from voxengine.audio.formats import AudioFormat
from voxengine.config import ProviderConfig
from voxengine.conversation.history import HistoryBudget, fit
from voxengine.conversation.items import Item
from voxengine.providers.capabilities import Capabilities
from voxengine.providers.ultravox import codec
from voxengine.providers.ultravox.voices import VOICES
from voxengine.providers.voices import Mapped, map_voice

__all__ = ["CALLS", "CAPABILITIES", "body_of", "messages_of", "notes_of", "output_format"]

CALLS = "https://api.ultravox.ai/api/calls"

#: Milliseconds of audio that may wait with us: it is sent faster than it is played, and thrown away when that is said.
BUFFER_MS = 30_000
#: Seconds that a tool may take. The vendor's own default is 2.5.
TOOL_TIMEOUT = "30s"
#: Messages of an earlier conversation, and bytes of them. The vendor states no limits; these keep a call's beginning
#: within what its models take well.
MAX_MESSAGES = 500
MAX_HISTORY_BYTES = 64 * 1024

#: What has to stand in the prompt, so that notes among the user's words are taken for what they are.
_ABOUT_NOTES = (
    f"Text like {codec.note('...')} comes from the application, not from the user. "
    "Do as it says, and never read it out."
)

_FORMATS = tuple(AudioFormat("pcm16", rate) for rate in (24000, 16000, 48000, 8000))

CAPABILITIES = Capabilities(
    input_formats=_FORMATS,
    output_formats=_FORMATS,
    text_output=True,
    voices=tuple(voice.name for voice in VOICES),
    turn_detection=("server_vad",),
    vad_events=True,
    auto_response=True,
    self_interrupting=True,
    input_transcription=True,
    cancel=True,
    cancel_requested=True,
    say=True,
    tools=True,
    continues_after_tool=True,
    history="at_start",
    history_max_items=MAX_MESSAGES,
    history_max_bytes=MAX_HISTORY_BYTES,
    system_messages=True,
    resume="handle",
    # The default of `maxDuration`.
    max_connection_seconds=3600,
    usage_unit="seconds",
)

_ID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_ROLES = {"user": "MESSAGE_ROLE_USER", "assistant": "MESSAGE_ROLE_AGENT"}


def output_format(config: ProviderConfig) -> AudioFormat:
    """The format of the agent's audio."""
    wish = config.output_format
    return wish if wish is not None and wish in _FORMATS else _FORMATS[0]


def notes_of(config: ProviderConfig) -> Iterator[tuple[str, str]]:
    """What of a configuration cannot be done as it stands: a code and words for each."""
    if config.max_response_tokens is not None:
        yield (
            "max_response_tokens_ignored",
            "Ultravox has no max_response_tokens; it was not sent",
        )
    if config.voice:
        voice = _voice(config.voice)
        if not voice.exact:
            yield "voice_mapped", voice.reason


def body_of(
    config: ProviderConfig,
    input: AudioFormat,
    history: Sequence[Item] = (),
    *,
    resumed: bool = False,
) -> dict[str, Any]:
    """The call to create. `session` in the configuration adds to it, in the vendor's own words.

    `resumed`: it goes on with an earlier call, whose messages it has.
    """
    prompt = "\n\n".join(part for part in (config.instructions, _ABOUT_NOTES) if part)
    body: dict[str, Any] = {
        "systemPrompt": prompt,
        "medium": {
            "serverWebSocket": {
                "inputSampleRate": input.sample_rate,
                "outputSampleRate": output_format(config).sample_rate,
                "clientBufferSizeMs": BUFFER_MS,
                "dataMessages": {"userStartedSpeaking": True, "userStoppedSpeaking": True},
            }
        },
        "firstSpeakerSettings": {"user": {}},
        "selectedTools": [_tool(tool) for tool in config.tools or ()],
    }
    wishes = {
        "model": config.model,
        "temperature": config.temperature,
        "languageHint": config.language,
        "voice": _voice(config.voice).voice if config.voice else None,
    }
    body |= {name: value for name, value in wishes.items() if value is not None}
    if config.modalities is not None and "audio" not in config.modalities:
        body["initialOutputMedium"] = "MESSAGE_MEDIUM_TEXT"
    told = [] if resumed else messages_of(history)
    if told:
        body["initialMessages"] = told
    return {**body, **(config.option("session") or {})}


def messages_of(items: Sequence[Item]) -> list[dict[str, Any]]:
    """An earlier conversation: the end of it, as much as is taken. Of what was cut, only what was heard."""
    budget = HistoryBudget(max_items=MAX_MESSAGES, max_bytes=MAX_HISTORY_BYTES)
    told = fit(items, budget).told
    names = {item.call_id: item.name or "" for item in told if item.kind == "function_call"}
    return [message for item in told if (message := _message(item, names.get(item.call_id, "")))]


def _message(item: Item, tool: str) -> dict[str, Any] | None:
    if item.kind != "message":
        call = item.kind == "function_call"
        return {
            "role": "MESSAGE_ROLE_TOOL_CALL" if call else "MESSAGE_ROLE_TOOL_RESULT",
            "text": (item.arguments if call else item.output) or "",
            "invocationId": item.call_id or item.id,
            "toolName": tool,
        }
    if not item.text:
        return None
    if item.role == "system":
        return {"role": "MESSAGE_ROLE_USER", "text": codec.note(item.text)}
    return {"role": _ROLES.get(item.role, "MESSAGE_ROLE_USER"), "text": item.text}


def _voice(voice: str) -> Mapped:
    """A voice by its id is taken as it is, for the vendor has more than are known here."""
    if _ID.fullmatch(voice):
        return Mapped(voice, exact=True)
    return map_voice(voice, CAPABILITIES.voices)


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    schema = tool.get("parameters") or {}
    required = schema.get("required") or ()
    # Definitions that parameters refer to have to be with each of them.
    shared = {name: schema[name] for name in ("$defs", "definitions") if name in schema}
    return {
        "temporaryTool": {
            "modelToolName": tool["name"],
            "description": tool.get("description") or "",
            "dynamicParameters": [
                {
                    "name": name,
                    "location": "PARAMETER_LOCATION_BODY",
                    "schema": {**part, **shared},
                    "required": name in required,
                }
                for name, part in (schema.get("properties") or {}).items()
            ],
            "timeout": TOOL_TIMEOUT,
            "client": {},
        }
    }
