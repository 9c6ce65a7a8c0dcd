"""Configuration and log, as the vendor takes them at the start of a session. Nothing of it can be changed later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from voxengine.audio.formats import AudioFormat
from voxengine.config import ProviderConfig
from voxengine.conversation.items import Item
from voxengine.errors import ConfigurationError
from voxengine.providers.capabilities import Capabilities
from voxengine.providers.openai import address
from voxengine.providers.openai.dialects import Dialect
from voxengine.providers.voices import map_voice

__all__ = [
    "CAPABILITIES",
    "DEFAULT_MODEL",
    "DELEGATE",
    "LIVE",
    "check",
    "format_of",
    "history_of",
    "notes_of",
    "pieces",
    "session_of",
    "url_of",
]

DEFAULT_MODEL = "gpt-live-1"
#: The one tool that the model knows: whoever asked it to do something.
DELEGATE = "delegate"

#: Messages of an earlier conversation, and bytes of them. The limit is 8,192 tokens, which are three bytes or more in
#: the prose of most languages; the server has the last word.
MAX_MESSAGES = 128
MAX_HISTORY_BYTES = 3 * 8192
#: Bytes of one addition in mid-conversation. The limit is 500 tokens.
MAX_APPEND_BYTES = 1200

_FORMATS = (
    AudioFormat("pcm16", 24000),
    AudioFormat("pcm16", 16000),
    AudioFormat("g711_ulaw", 8000),
    AudioFormat("g711_alaw", 8000),
)
_TYPES = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}

CAPABILITIES = Capabilities(
    input_formats=_FORMATS,
    output_formats=_FORMATS,
    # Words cannot be put into the user's mouth once the session has started.
    text_input=False,
    voices=(
        "marin",
        "alloy",
        "ash",
        "ballad",
        "beacon",
        "bossa",
        "cedar",
        "cinder",
        "coral",
        "delta",
        "echo",
        "gleam",
        "meridian",
        "quartz",
        "ripple",
        "sage",
        "shida",
        "shimmer",
        "stone",
        "tempo",
        "verse",
        "vesper",
        "willow",
    ),
    # The model decides when to speak, by what is said.
    turn_detection=("semantic_vad",),
    auto_response=True,
    self_interrupting=True,
    input_transcription=True,
    partial_transcripts=True,
    tools=True,
    parallel_tools=True,
    continues_after_tool=True,
    history="at_start",
    history_max_items=MAX_MESSAGES,
    history_max_bytes=MAX_HISTORY_BYTES,
    system_messages=True,
    response_on_request=False,
    usage_unit="seconds",
)

#: Where it is, and how the key is shown.
LIVE = Dialect(
    name="openai-live",
    title="OpenAI Live",
    endpoint="wss://api.openai.com/v1/live/sessions",
    path=None,
    key_variables=("OPENAI_API_KEY",),
    default_model=DEFAULT_MODEL,
    capabilities=CAPABILITIES,
)

#: Settings that the vendor has no counterpart for.
_UNKNOWN = ("temperature", "max_response_tokens", "language")


def check(config: ProviderConfig) -> None:
    """Find out what can be wrong with a configuration before anything is opened.

    Raises:
        ConfigurationError: something is.
    """
    address.check_auth(LIVE, config)
    url_of(config)
    if config.turn_detection not in (None, *CAPABILITIES.turn_detection):
        raise ConfigurationError(
            f"turn_detection {config.turn_detection!r}: the Live model alone decides when to speak; leave it out"
        )
    if config.modalities is not None and "audio" not in config.modalities:
        raise ConfigurationError("the Live model speaks; it does not answer in text alone")
    if not isinstance(config.option("session") or {}, Mapping):
        raise ConfigurationError("session is a dict of the vendor's own settings")
    for name in ("input_format", "output_format"):
        wish = getattr(config, name)
        if wish is not None and not isinstance(wish, AudioFormat):
            raise ConfigurationError(f"{name} is an AudioFormat, not {type(wish).__name__}")


def url_of(config: ProviderConfig) -> str:
    """The address to connect to. An endpoint may leave out its path, or the end of it.

    Raises:
        ConfigurationError: it is no address.
    """
    parts = urlsplit(address.websocket_url(LIVE, config, {}))
    path = parts.path.rstrip("/")
    if not path.endswith("/live/sessions"):
        path = f"{path or '/v1'}/live/sessions"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def format_of(config: ProviderConfig) -> AudioFormat:
    """The format of the audio, which is the same in both directions."""
    for wish in (config.input_format, config.output_format):
        if wish in _FORMATS:
            assert wish is not None
            return wish
    return _FORMATS[0]


def notes_of(config: ProviderConfig) -> Iterator[tuple[str, str]]:
    """What of a configuration cannot be done as it stands: a code and words for each."""
    for name in _UNKNOWN:
        if getattr(config, name) is not None:
            yield f"{name}_ignored", f"OpenAI Live has no {name}; it was not sent"
    if config.voice:
        mapped = map_voice(config.voice, CAPABILITIES.voices)
        if not mapped.exact:
            yield "voice_mapped", mapped.reason
    others = [str(tool.get("name")) for tool in config.tools or () if tool.get("name") != DELEGATE]
    if others:
        yield (
            "tools_not_offered",
            f"the Live model calls no functions: it hands tasks over, as calls of a tool {DELEGATE!r} with the user's "
            f"words; it is not told of {', '.join(others)}",
        )


def session_of(config: ProviderConfig, history: Sequence[Item] = ()) -> dict[str, Any]:
    """The session to start with. `session` in the configuration adds to it, in the vendor's own words."""
    format = format_of(config)
    audio: dict[str, Any] = {
        "format": {"type": _TYPES[format.encoding], "rate": format.sample_rate}
    }
    if config.voice:
        voice = map_voice(config.voice, CAPABILITIES.voices).voice
        # A voice of one's own is named by its id.
        audio["output"] = {"voice": {"id": voice} if voice.startswith("voice_") else voice}
    session: dict[str, Any] = {
        "model": config.model or DEFAULT_MODEL,
        "audio": audio,
        "delegation": {"type": "client"},
    }
    if config.instructions:
        session["instructions"] = config.instructions
    told = history_of(history)
    if told:
        session["input"] = told
    return {**session, **(config.option("session") or {})}


def history_of(items: Iterable[Item]) -> list[dict[str, Any]]:
    """An earlier conversation as messages: the latest, as many as are taken. Of what was cut, only what was heard."""
    messages: list[dict[str, Any]] = []
    room = MAX_HISTORY_BYTES
    for role, text in reversed([*_texts(items)]):
        room -= len(text.encode())
        if room < 0 or len(messages) == MAX_MESSAGES:
            break
        kind = "output_text" if role == "assistant" else "input_text"
        messages.append({"role": role, "content": [{"type": kind, "text": text}]})
    return messages[::-1]


def _texts(items: Iterable[Item]) -> Iterator[tuple[str, str]]:
    """Roles and words. Tools are told of in words too: there is no other way."""
    roles = {"user": "user", "assistant": "assistant", "system": "developer"}
    names: dict[str | None, str] = {}
    for item in items:
        if item.kind == "function_call":
            names[item.call_id] = item.name or "a tool"
            yield "developer", f"{item.name} was called with {item.arguments or '{}'}"
        elif item.kind == "function_output":
            yield "developer", f"{names.get(item.call_id, 'a tool')} returned {item.output or ''}"
        elif item.text and item.role in roles:
            yield roles[item.role], item.text


def pieces(text: str, limit: int = MAX_APPEND_BYTES) -> list[str]:
    """A text in pieces of at most `limit` bytes, cut between words where there are any."""
    result = []
    while len(text.encode()) > limit:
        head = text.encode()[:limit].decode(errors="ignore")
        cut = head.rfind(" ") + 1 or len(head)
        result.append(text[:cut])
        text = text[cut:]
    return [*result, text]
