"""`VoiceEngineConfig`: everything that an application sets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from voxengine.audio.formats import AudioFormat
from voxengine.audio.sentence import SHIPPED, SentenceLike
from voxengine.config import sources
from voxengine.config.checks import Chunking, Mode, check, check_names
from voxengine.config.masking import masked
from voxengine.config.provider import PROVIDER_FIELDS, ProviderConfig
from voxengine.conversation.summary import Summarise, Summariser

__all__ = ["CHANGEABLE", "OWN", "VoiceEngineConfig"]


@dataclass(kw_only=True, repr=False)
class VoiceEngineConfig:
    """Everything an application sets.

    Raises:
        ConfigurationError: a value is not allowed; the message says which are.
    """

    #: Registered name of the provider. The default needs neither a key nor a network.
    provider: str = "local"
    api_key: str | None = None
    mode: Mode = "big"
    model: str | None = None
    voice: str | None = None
    #: The system prompt.
    instructions: str | None = None
    temperature: float | None = None
    max_response_tokens: int | None = None
    #: ["audio"], or ["text"] for answers that are not spoken.
    modalities: list[str] | None = None
    language: str | None = None
    #: A kind that the provider has (see its capabilities), or "none": then the application ends each turn.
    turn_detection: str | None = None
    #: Settings of it in OpenAI's names: threshold, prefix_padding_ms, silence_duration_ms, eagerness, idle_timeout_ms.
    turn_options: dict[str, Any] = field(default_factory=dict)
    #: Words and phrases that the provider should listen for: names, products, terms of a trade.
    vocabulary: list[str] = field(default_factory=list)
    #: Whether a turn of the user's is answered by itself; else only `create_response` asks for an answer.
    auto_response: bool = True
    #: Whether the user's speech cuts an answer short.
    interruptions: bool = True
    #: How the application's audio is laid out, in and out. The engine converts where the provider differs.
    input_format: AudioFormat = field(default_factory=AudioFormat)
    output_format: AudioFormat = field(default_factory=AudioFormat)
    #: Settings that only this provider knows.
    metadata: dict[str, Any] = field(default_factory=dict)

    #: Seconds that opening a connection may take.
    connect_timeout: float = 10.0
    #: Seconds after the end of a turn within which an answer has to begin.
    response_timeout: float = 15.0
    #: Seconds that an answer may pause before it is given up.
    stall_timeout: float = 20.0
    #: Seconds that a tool may take, unless it states its own limit.
    tool_timeout: float = 30.0
    #: Seconds within which a connection that was lost is to be restored; 0: it is not tried.
    reconnect_timeout: float = 10.0
    #: Seconds before the longest time of a connection from which on another one takes over, at a quiet moment.
    rotation_margin: float = 300.0
    #: Providers that take over where the present one fails, in order: names, "name/model", or dicts of settings with
    #: `provider`. What they do not say is as here, but for the key, the model, the voice and the metadata.
    fallback: list[str | dict[str, Any]] = field(default_factory=list)
    #: Seconds that a provider with a fallback may take to come back, or to show any sign of an answer.
    failover_after: float = 0.8
    #: Whether the next of the chain is kept connected all the time, so that it can take over at once.
    warm_standby: bool = False
    #: Whether to go back to the first choice at a quiet moment, when it works again.
    return_to_primary: bool = False
    #: A second provider, as an entry of `fallback`, that hears the user as well: the first of the two to answer speaks.
    hedge: str | dict[str, Any] | None = None
    #: US dollars that the call may cost, and seconds that it may last, over all providers; then it ends. None: any.
    max_cost: float | None = None
    max_duration: float | None = None
    #: The parts of either limit at which the application is told that so much is used up.
    warn_at: tuple[float, ...] = (0.8,)
    #: A cheaper provider, as an entry of `fallback`, that takes over before `max_cost` is reached.
    economy: str | dict[str, Any] | None = None
    #: US dollars by model, or "provider/*", and by what is counted: for models that the public lists do not know.
    prices: dict[str, dict[str, float]] = field(default_factory=dict)
    #: What is said, without any provider, when none is left, and when a limit ends the call: the path of a WAV file, a
    #: dict of `text` and `audio`, or None to say nothing.
    apology: SentenceLike = SHIPPED["apology"]
    goodbye: SentenceLike = SHIPPED["goodbye"]
    #: How much of the conversation a provider is told at most: items, tokens (by an estimate), and US dollars by its
    #: price of input in writing. None: as much as it takes.
    history_max_items: int | None = None
    history_max_tokens: int | None = None
    history_max_cost: float | None = None
    #: Who sums up what is too much: the brain of a cascade ("openai-chat/llama3.2", or a dict of `brain`, `model` and
    #: `options`), or a function or object of the application. None: nobody, it is left out.
    history_summary: str | dict[str, Any] | Summariser | Summarise | None = None
    #: Seconds that a summary may take.
    history_summary_timeout: float = 5.0
    #: Whether the user's audio goes out at once ("latency"), or gathered to 100 ms ("density").
    chunking: Chunking = "latency"
    #: Milliseconds between handing audio to the application and its being heard (the buffer of the sound card).
    output_latency_ms: float = 0.0

    def __post_init__(self) -> None:
        check(self)

    # -- where it comes from

    @classmethod
    def load(
        cls,
        file: str | Path | None = None,
        *,
        env: Mapping[str, str] | None = None,
        **arguments: Any,
    ) -> VoiceEngineConfig:
        """Arguments before environment before file.

        `file` is TOML: the settings at the top or under `[voxengine]`; `api_key_env` names the variable that holds
        the key. Without it `VOXENGINE_CONFIG` names the file. Variables are `VOXENGINE_` and the setting's name in
        capitals; the key is also taken from the provider's usual variable, such as `OPENAI_API_KEY`.

        Raises:
            ConfigurationError: the file cannot be read, or a name or a value in it is not allowed.
        """
        env = os.environ if env is None else env
        path = file or env.get("VOXENGINE_CONFIG")
        told = {k: v for k, v in arguments.items() if v is not None or k in _NONE_SAYS}
        given = {**sources.from_env(env, fields(cls)), **told}
        values = (
            {**sources.from_file(Path(path), env, "api_key" in given, _NAMES), **given}
            if path
            else given
        )
        provider = values.get("provider", cls.provider)
        if "api_key" not in values:
            values["api_key"] = sources.usual_key(provider, env)
        return cls._checked(values, "argument")

    @classmethod
    def from_file(cls, file: str | Path) -> VoiceEngineConfig:
        """As `load`, from this file and the environment."""
        return cls.load(file)

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> VoiceEngineConfig:
        """As `load`, from the environment alone."""
        return cls.load(env=env)

    @classmethod
    def _checked(cls, values: dict[str, Any], where: str) -> VoiceEngineConfig:
        check_names(values, where, _NAMES)
        return cls(**values)

    # -- what is made of it

    def provider_config(self, **overrides: Any) -> ProviderConfig:
        """What the provider is made with: the mode decides what is asked of it."""
        wants = {"fast": False, "big": True, "provider": None}[self.mode]
        settings: dict[str, Any] = {name: getattr(self, name) for name in _SHARED}
        # Mode "fast" does not tell of speech, but the session has to know of it: who speaks, interrupts.
        hears = None if wants is None else True
        settings.update(transcription=wants, partials=wants, emotion=wants, vad_events=hears)
        settings.update(overrides)
        return ProviderConfig(**settings)

    def for_provider(self, entry: str | Mapping[str, Any]) -> VoiceEngineConfig:
        """A copy for another provider: an entry of `fallback`.

        The key, the model, the voice, the metadata and the turn detection with its options are of one provider only:
        they are not taken along. The key is that of the entry (`api_key`, or `api_key_env`, the name of a variable), or
        of the other's usual variable.

        Raises:
            ConfigurationError: a setting is not allowed, or the variable that `api_key_env` names is not set.
        """
        if isinstance(entry, str):
            name, _, model = entry.partition("/")
            given: dict[str, Any] = {"model": model} if model else {}
        else:
            given = dict(entry)
            name = given.pop("provider")
        variable = given.pop("api_key_env", None)
        if variable is not None and given.get("api_key") is None:
            given["api_key"] = sources.key_in(str(variable), f"provider {name!r}")
        if given.get("api_key") is None:
            given["api_key"] = sources.usual_key(name, os.environ)
        given = {n: v for n, v in given.items() if v is not None or n in _NONE_SAYS}
        kept = {n: v for n, v in vars(self).items() if n not in OWN}
        return self._checked({**kept, **given, "provider": name}, "argument")

    def with_changes(self, **changes: Any) -> VoiceEngineConfig:
        """A copy with some settings changed."""
        check_names(changes, "setting", _NAMES)
        return replace(self, **changes)

    def __repr__(self) -> str:
        defaults = {f.name: f.default for f in fields(self)}
        shown = {
            f.name: v
            for f in fields(self)
            if (v := getattr(self, f.name)) != defaults[f.name] and v != {}
        }
        return (
            "VoiceEngineConfig(" + ", ".join(f"{k}={v!r}" for k, v in masked(shown).items()) + ")"
        )


_SHARED = tuple(
    n
    for n in PROVIDER_FIELDS
    if n not in ("transcription", "partials", "emotion", "vad_events", "tools")
)
#: Settings that belong to one provider.
OWN = ("provider", "api_key", "model", "voice", "metadata", "turn_detection", "turn_options")
#: Settings that `VoiceEngine.update_session` changes for good.
CHANGEABLE = frozenset(
    {
        "auto_response",
        "input_format",
        "instructions",
        "interruptions",
        "language",
        "max_response_tokens",
        "modalities",
        "model",
        "output_format",
        "temperature",
        "turn_detection",
        "turn_options",
        "voice",
    }
)
_NAMES = dict.fromkeys(f.name for f in fields(VoiceEngineConfig))
#: Settings of which None is not the default.
_NONE_SAYS = ("apology", "goodbye")
