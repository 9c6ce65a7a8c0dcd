"""Makes the five parts of a cascade from its configuration, and loads them all at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voxengine.config import ProviderConfig
from voxengine.errors import (
    ConfigurationError,
    ConnectionError,
    ProviderError,
    VoiceEngineError,
)
from voxengine.providers.cascade.parts import (
    STT,
    TTS,
    VAD,
    Brain,
    StreamingSTT,
    StreamingTTS,
    ToolSpec,
    TurnDetector,
)
from voxengine.providers.cascade.registry import create_part, list_parts, part_settings
from voxengine.providers.cascade.settings import CascadeSettings

__all__ = [
    "Parts",
    "connection_error",
    "is_on_device",
    "listens_for_words",
    "streaming_stt",
    "takes_vocabulary",
    "tool_specs",
]

#: Parts that need no network once they are installed.
_ON_DEVICE = {
    "vad": ("silero", "energy"),
    "turn": ("adaptive",),
    "stt": ("whisper",),
    "llm": ("scripted", "smollm2"),
    "tts": ("hibari",),
}
#: Seconds that a part may take to close.
_CLOSING = 1.0


@dataclass(slots=True)
class Parts:
    """The parts of one session. `tts` is None where nothing is to be spoken."""

    vad: VAD
    turn: TurnDetector
    stt: STT | StreamingSTT
    brain: Brain
    tts: TTS | StreamingTTS | None

    @classmethod
    def make(cls, settings: CascadeSettings, config: ProviderConfig) -> Parts:
        """Make (or share) them; nothing is loaded.

        Raises:
            ConfigurationError: a part or one of its options is unknown.
            MissingDependencyError: what a part is made of is not installed.
        """
        silent = config.modalities is not None and "audio" not in config.modalities
        return cls(
            vad=_part("vad", VAD, settings, config),
            turn=_part("turn", TurnDetector, settings, config),
            stt=_part("stt", (STT, StreamingSTT), settings, config),
            brain=_part("llm", Brain, settings, config),
            tts=None if silent else _part("tts", (TTS, StreamingTTS), settings, config),
        )

    async def load(self) -> None:
        """Load and warm up all of them at once, so that no turn pays for it.

        Raises:
            VoiceEngineError: one of them failed; the others are stopped.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for part in (self.vad, self.stt, self.brain, self.tts):
                    if part is not None:
                        group.create_task(part.load())
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def close(self) -> None:
        """Let go of what the brain and the voice hold on this loop; the others are shared by the sessions."""
        for part in (self.brain, self.tts):
            close = getattr(part, "close", None)
            if close is not None:
                with contextlib.suppress(Exception):
                    async with asyncio.timeout(_CLOSING):
                        await close()


def _part(
    kind: str,
    protocol: type[Any] | tuple[type[Any], ...],
    settings: CascadeSettings,
    config: ProviderConfig,
) -> Any:
    spec, options = settings.part(kind)
    if not isinstance(spec, str):
        if not isinstance(spec, protocol):
            kinds = protocol if isinstance(protocol, tuple) else (protocol,)
            names = " or ".join(one.__name__ for one in kinds)
            raise ConfigurationError(
                f"{kind} is the name of a part or an object with the methods of {names}, "
                f"not {type(spec).__name__}"
            )
        return spec
    if kind == "llm":
        spec = _brain_spec(spec, config.model)
    given: dict[str, Any] = dict(options)
    kind = "brain" if kind == "llm" else kind
    for option, setting in part_settings(kind, spec).items():
        value = getattr(config, setting)
        if value is not None:
            given.setdefault(option, value)
    return create_part(kind, spec, given)


def _brain_spec(spec: str, model: str | None) -> str:
    """The model of a cascade is its brain's: "llama3.2" of the brain that was chosen, or "openai-chat/llama3.2"."""
    if not model or "/" in spec:
        return spec
    return model if model.partition("/")[0] in list_parts("brain") else f"{spec}/{model}"


def streaming_stt(settings: CascadeSettings, config: ProviderConfig) -> StreamingSTT | None:
    """The recogniser, if it is one that streams, as far as that is known before anything is loaded."""
    spec, _ = settings.part("stt")
    if isinstance(spec, str) and spec.partition("/")[0] in _ON_DEVICE["stt"]:
        return None
    try:
        stt = _part("stt", (STT, StreamingSTT), settings, config)
    except VoiceEngineError:
        return None  # connecting tells what is wrong with it
    return stt if isinstance(stt, StreamingSTT) else None


def listens_for_words(settings: CascadeSettings, config: ProviderConfig) -> bool:
    """Whether the recogniser takes words to listen for, as far as that is known before anything is loaded."""
    try:
        return takes_vocabulary(_part("stt", (STT, StreamingSTT), settings, config))
    except VoiceEngineError:
        return False  # connecting tells what is wrong with it


def takes_vocabulary(stt: STT | StreamingSTT) -> bool:
    """Whether a recogniser of either kind takes words to listen for."""
    return bool(getattr(stt, "takes_vocabulary", False))


def is_on_device(settings: CascadeSettings, config: ProviderConfig) -> bool:
    """Whether no part needs a network, as far as that is known."""
    for kind, names in _ON_DEVICE.items():
        spec, _ = settings.part(kind)
        if isinstance(spec, str):
            spec = _brain_spec(spec, config.model) if kind == "llm" else spec
            if spec.partition("/")[0] not in names:
                return False
        elif not getattr(spec, "on_device", False):
            return False
    return True


def tool_specs(tools: list[dict[str, Any]] | None) -> tuple[ToolSpec, ...]:
    """Tools as a brain sees them; each is given flat, or as {"type": "function", "function": {...}}.

    Raises:
        ConfigurationError: one has no name, or its parameters are no JSON schema of an object.
    """
    specs = []
    for tool in tools or ():
        given = tool.get("function", tool) if isinstance(tool, Mapping) else {}
        name, parameters = (
            given.get("name"),
            given.get("parameters") or {"type": "object", "properties": {}},
        )
        if not isinstance(name, str) or not name or not isinstance(parameters, Mapping):
            raise ConfigurationError(
                f"a tool has a name, a description and parameters (a JSON schema), not {tool!r}"
            )
        specs.append(ToolSpec(name, str(given.get("description") or ""), dict(parameters)))
    return tuple(specs)


def silent_tools(tools: list[dict[str, Any]] | None) -> frozenset[str]:
    """Names of the tools whose results are answered on request only."""
    return frozenset(str(t.get("name")) for t in tools or () if t.get("responds") is False)


def connection_error(failure: Exception, provider: str) -> tuple[VoiceEngineError, str, bool]:
    """Why the parts could not be brought to life: the error to raise, its code, and whether trying again can help."""
    error: VoiceEngineError
    if isinstance(failure, ProviderError) and not isinstance(failure, ConnectionError):
        failure.provider = failure.provider or provider
        unreachable = failure.code in ("timeout", "refused", "closed")
        error = (
            ConnectionError(str(failure), provider=provider, code=failure.code)
            if unreachable
            else failure
        )
    elif isinstance(failure, VoiceEngineError):
        error = failure
    else:
        words = f"a part could not be loaded: {failure}"
        error = ConnectionError(words, provider=provider, code="part_failed")
    if isinstance(error, ProviderError):
        return error, error.code, error.retryable
    # "model", "missing_dependency", "configuration"
    name = type(error).__name__.removesuffix("Error")
    return error, "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_"), False
