"""Configuration: `VoiceEngineConfig` for the application, `ProviderConfig` for a provider.

A setting is taken from the arguments, else from the environment, else from a TOML file, else it has its default
(`VoiceEngineConfig.load`). Keys are never shown: every repr masks them.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from voxengine.audio.formats import AudioFormat
from voxengine.audio.sentence import SHIPPED, SentenceLike, as_sentence
from voxengine.conversation.summary import Summarise, Summariser
from voxengine.errors import ConfigurationError
from voxengine.events import UsageUpdated

__all__ = [
    "OWN",
    "PROVIDER_FIELDS",
    "Chunking",
    "Mode",
    "ProviderConfig",
    "VoiceEngineConfig",
    "as_format",
    "masked",
]

#: fast: least work. big: transcripts, partials, voice activity, metrics. provider: exactly what the provider offers.
Mode: TypeAlias = Literal["fast", "big", "provider"]

#: latency: audio goes out as it comes. density: gathered to 100 ms, which is fewer messages and less work.
Chunking: TypeAlias = Literal["latency", "density"]

_SECRET = ("key", "token", "secret", "pass", "authorization", "credential", "cookie")
#: Settings that hold an address, also where that has no scheme.
_ADDRESSES = ("endpoint", "proxy")
#: In an address: a user with a password, and a parameter that is named like a secret.
_USER = re.compile(r"(?<=://)[^/?#\s]*@|^[^/?#\s:]*:[^/?#\s]*@")
_PARAMETER = re.compile(
    rf"([?&][^=&#\s]*(?:{'|'.join((*_SECRET, 'auth', 'sig'))})[^=&#\s]*=)[^&#\s]*", re.I
)


def masked(values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy fit to be shown: whatever is named like a secret is replaced, also inside what it holds."""
    return {
        name: "***" if _is_secret(str(name), value) else _shown(value, str(name) in _ADDRESSES)
        for name, value in values.items()
    }


def _is_secret(name: str, value: Any) -> bool:
    # A number is a count, such as max_tokens, or a switch.
    return (
        value is not None
        and not isinstance(value, (int, float))
        and any(word in name.lower() for word in _SECRET)
    )


def _shown(value: Any, address: bool = False) -> Any:
    if isinstance(value, Mapping):
        return masked(value)
    if isinstance(value, (list, tuple)):
        return [_shown(v) for v in value]
    if isinstance(value, str) and (address or "://" in value):
        return _PARAMETER.sub(r"\1***", _USER.sub("***@", value))
    return value


class ProviderConfig(Mapping[str, Any]):
    """What a provider is made with: attributes and items are the same, `config["voice"]` and `config.voice`.

    As a mapping it holds only what was set, so `config.get("voice", "marin")` gives the default where nothing was.
    Settings that only one provider knows are given as further keywords or in `metadata`; `option` finds both.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        model: str | None = None,
        voice: str | None = None,
        instructions: str | None = None,
        temperature: float | None = None,
        max_response_tokens: int | None = None,
        modalities: list[str] | None = None,
        language: str | None = None,
        input_format: AudioFormat | None = None,
        output_format: AudioFormat | None = None,
        turn_detection: str | None = None,
        turn_options: Mapping[str, Any] | None = None,
        auto_response: bool | None = None,
        interruptions: bool | None = None,
        transcription: bool | None = None,
        partials: bool | None = None,
        vad_events: bool | None = None,
        tools: list[dict[str, Any]] | None = None,
        metadata: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.api_key = api_key
        self.model = model
        #: One of the provider's voices, or another provider's, which is mapped.
        self.voice = voice
        #: The system prompt.
        self.instructions = instructions
        self.temperature = temperature
        self.max_response_tokens = max_response_tokens
        #: "audio" and "text": what a response is made of.
        self.modalities = modalities
        self.language = language
        #: Formats that the application would like best; None leaves the choice to the provider.
        self.input_format = input_format
        self.output_format = output_format
        #: One of the provider's kinds, "none" for turns that the application ends, None for the provider's default.
        self.turn_detection = turn_detection
        #: Settings of the turn detection in OpenAI's names, such as `silence_duration_ms`; see the capability.
        self.turn_options: Mapping[str, Any] | None = turn_options or None
        #: False: turns that it has found are not answered until that is asked for. None is as True.
        self.auto_response = auto_response
        #: False: the user's speech does not cut an answer short. None is as True.
        self.interruptions = interruptions
        #: Whether the user's words are wanted, finally and while they are said; None is the provider's default.
        self.transcription = transcription
        self.partials = partials
        #: Whether the start and the end of the user's speech are wanted as events.
        self.vad_events = vad_events
        #: JSON schemas of the tools: name, description, parameters.
        self.tools = tools
        self.metadata: dict[str, Any] = dict(metadata or {})
        self.options = options

    @classmethod
    def of(cls, config: Mapping[str, Any] | ProviderConfig | None) -> ProviderConfig:
        """A config from any mapping; one that is a `ProviderConfig` already is used as it is."""
        if isinstance(config, ProviderConfig):
            return config
        if config is not None and not isinstance(config, Mapping):
            raise ConfigurationError(
                f"a provider is made with a ProviderConfig or a dict, not {type(config).__name__}"
            )
        return cls(**dict(config or {}))

    if (
        not TYPE_CHECKING
    ):  # to a type checker, a name that is no setting of every provider is a mistake

        def __getattr__(self, name: str) -> Any:
            # Only for what is not found otherwise. A copy has no options yet.
            options = self.__dict__.get("options", {})
            if name in options:
                return options[name]
            raise AttributeError(f"{type(self).__name__} has no setting {name!r}")

    def option(self, name: str, default: Any = None) -> Any:
        """A setting of one provider only, wherever it was given."""
        if name in self.options:
            return self.options[name]
        return self.metadata.get(name, default)

    def update(self, **settings: Any) -> None:
        """Change settings; a name that is no setting of every provider becomes an option."""
        for name, value in settings.items():
            if name in PROVIDER_FIELDS:
                setattr(self, name, value)
            else:
                self.options[name] = value

    def _set(self) -> dict[str, Any]:
        own = {
            name: value for name in PROVIDER_FIELDS if (value := getattr(self, name)) is not None
        }
        return {**own, **self.options}

    def __getitem__(self, name: str) -> Any:
        return self._set()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._set())

    def __len__(self) -> int:
        return len(self._set())

    def __repr__(self) -> str:
        shown = ", ".join(f"{k}={v!r}" for k, v in masked(self._set()).items() if v != {})
        return f"{type(self).__name__}({shown})"


PROVIDER_FIELDS = (
    "api_key",
    "model",
    "voice",
    "instructions",
    "temperature",
    "max_response_tokens",
    "modalities",
    "language",
    "input_format",
    "output_format",
    "turn_detection",
    "turn_options",
    "auto_response",
    "interruptions",
    "transcription",
    "partials",
    "vad_events",
    "tools",
    "metadata",
)


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
        if self.mode not in get_args(Mode):
            raise ConfigurationError(
                f"mode {self.mode!r} is unknown; it is one of {', '.join(get_args(Mode))}"
            )
        if not isinstance(self.provider, str) or not self.provider:
            raise ConfigurationError(
                "provider is the name of a registered provider, such as 'local' or 'mock'"
            )
        self.input_format = as_format("input_format", self.input_format)
        self.output_format = as_format("output_format", self.output_format)
        if self.input_format.channels != 1 or self.output_format.channels != 1:
            raise ConfigurationError(
                "a call is mono in both directions; mix stereo down before it is sent"
            )
        for name in (
            "connect_timeout",
            "response_timeout",
            "stall_timeout",
            "tool_timeout",
            "failover_after",
            "history_summary_timeout",
        ):
            if not _is_number(getattr(self, name)) or getattr(self, name) <= 0:
                raise ConfigurationError(
                    f"{name} is a number of seconds above 0, not {getattr(self, name)!r}"
                )
        for name in ("reconnect_timeout", "rotation_margin", "output_latency_ms"):
            if not _is_number(getattr(self, name)) or getattr(self, name) < 0:
                raise ConfigurationError(
                    f"{name} is a number from 0 on, not {getattr(self, name)!r}"
                )
        if self.chunking not in get_args(Chunking):
            raise ConfigurationError(
                f"chunking {self.chunking!r} is unknown; it is one of {', '.join(get_args(Chunking))}"
            )
        self._check_modalities()
        self._check_history()
        self._check_fallback()
        self._check_limits()
        self.apology = as_sentence("apology", self.apology)
        self.goodbye = as_sentence("goodbye", self.goodbye)
        self._check_kinds()

    def _check_kinds(self) -> None:
        for name in ("metadata", "turn_options"):
            given = getattr(self, name)
            if not isinstance(given, Mapping):
                raise ConfigurationError(f"{name} is a dict, not {type(given).__name__}")
        for name in ("auto_response", "interruptions"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigurationError(f"{name} is true or false, not {getattr(self, name)!r}")
        if self.api_key is not None and not isinstance(self.api_key, str):
            raise ConfigurationError(f"api_key is text, not {type(self.api_key).__name__}")

    def _check_history(self) -> None:
        for name in ("history_max_items", "history_max_tokens"):
            n = getattr(self, name)
            if n is not None and (type(n) is not int or n < 1):
                raise ConfigurationError(f"{name} is a whole number above 0, not {n!r}")
        most = self.history_max_cost
        if most is not None and (not _is_number(most) or not most > 0):
            raise ConfigurationError(
                f"history_max_cost is a number of US dollars above 0, not {most!r}"
            )
        given = self.history_summary
        named = {"brain": given} if isinstance(given, str) else given
        if isinstance(named, Mapping):
            _check_summary(named)
        elif named is not None and not (callable(named) or isinstance(named, Summariser)):
            raise ConfigurationError(
                "history_summary is the name of a brain, a dict of brain, model and options, or a coroutine function, "
                f"not {type(named).__name__}"
            )

    def _check_fallback(self) -> None:
        entries = self.fallback
        if isinstance(entries, (str, Mapping)) or not isinstance(entries, (list, tuple)):
            raise ConfigurationError(
                f"fallback is a list of providers, such as ['azure', 'local'], not {entries!r}"
            )
        for entry in entries:
            _check_entry(entry, "an entry of fallback", "in fallback,")
        if self.hedge is not None:
            _check_entry(self.hedge, "hedge", "in hedge,")

    def _check_limits(self) -> None:
        for name in ("max_cost", "max_duration"):
            value = getattr(self, name)
            if value is not None and (not _is_number(value) or not 0 < value < float("inf")):
                unit = "US dollars" if name == "max_cost" else "seconds"
                raise ConfigurationError(f"{name} is a number of {unit} above 0, not {value!r}")
        parts = self.warn_at
        if not isinstance(parts, (list, tuple)) or not all(
            _is_number(part) and 0 < part < 1 for part in parts
        ):
            raise ConfigurationError(f"warn_at is a list of parts between 0 and 1, not {parts!r}")
        self.warn_at = tuple(sorted(set(parts)))
        _check_prices(self.prices)
        if self.economy is not None:
            _check_entry(self.economy, "economy", "in economy,")

    def _check_modalities(self) -> None:
        wanted = self.modalities
        if wanted is not None and (not isinstance(wanted, (list, tuple)) or not wanted):
            raise ConfigurationError(f"modalities are a list of 'audio' and 'text', not {wanted!r}")
        unknown = {str(kind) for kind in wanted or ()} - {"audio", "text"}
        if unknown:
            raise ConfigurationError(
                f"modalities are 'audio' and 'text', not {', '.join(sorted(unknown))}"
            )

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
        given = {**_from_env(env), **told}
        values = {**_from_file(Path(path), env, "api_key" in given), **given} if path else given
        provider = values.get("provider", cls.provider)
        if "api_key" not in values:
            key = env.get(f"{str(provider).upper().replace('-', '_')}_API_KEY")
            if key:
                values["api_key"] = key
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
        _check_names(values, where)
        return cls(**values)

    # -- what is made of it

    def provider_config(self, **overrides: Any) -> ProviderConfig:
        """What the provider is made with: the mode decides what is asked of it."""
        wants = {"fast": False, "big": True, "provider": None}[self.mode]
        settings: dict[str, Any] = {name: getattr(self, name) for name in _SHARED}
        # Mode "fast" does not tell of speech, but the session has to know of it: who speaks, interrupts.
        hears = None if wants is None else True
        settings.update(transcription=wants, partials=wants, vad_events=hears)
        settings.update(overrides)
        return ProviderConfig(**settings)

    def for_provider(self, entry: str | Mapping[str, Any]) -> VoiceEngineConfig:
        """A copy for another provider: an entry of `fallback`.

        The key, the model, the voice, the metadata and the turn detection with its options are of one provider only:
        they are not taken along. The key is that of the entry (`api_key`, or `api_key_env`, the name of a variable), or
        of the other's usual variable.

        Raises:
            ConfigurationError: a setting is not allowed.
        """
        if isinstance(entry, str):
            name, _, model = entry.partition("/")
            given: dict[str, Any] = {"model": model} if model else {}
        else:
            given = dict(entry)
            name = given.pop("provider")
        variable = given.pop("api_key_env", None)
        if variable is not None:
            given.setdefault("api_key", os.environ.get(str(variable)))
        kept = {n: v for n, v in vars(self).items() if n not in OWN}
        # Of the environment, the other's own key; what is set there for VoxEngine is the present one's.
        env = {k: v for k, v in os.environ.items() if not k.startswith("VOXENGINE_")}
        return type(self).load(**{**kept, **given, "provider": name}, env=env)

    def with_changes(self, **changes: Any) -> VoiceEngineConfig:
        """A copy with some settings changed."""
        _check_names(changes, "setting")
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
    n for n in PROVIDER_FIELDS if n not in ("transcription", "partials", "vad_events", "tools")
)
#: Settings that belong to one provider.
OWN = ("provider", "api_key", "model", "voice", "metadata", "turn_detection", "turn_options")
_NAMES = tuple(f.name for f in fields(VoiceEngineConfig))
#: Settings of which None is not the default.
_NONE_SAYS = ("apology", "goodbye")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value


def as_format(name: str, value: Any) -> AudioFormat:
    """A format from what may stand for one: itself, its rate, its fields, or text such as "pcm16@16000".

    Raises:
        ConfigurationError: it stands for none; `name` says which setting it was.
    """
    if isinstance(value, AudioFormat):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return AudioFormat(sample_rate=value)
    if isinstance(value, Mapping):
        try:
            return AudioFormat(**value)
        except TypeError as failure:
            raise ConfigurationError(f"{name}: {failure}") from None
    if isinstance(value, str):
        encoding, _, rate = value.partition("@")
        default = 24000 if encoding == "pcm16" else 8000
        try:
            return AudioFormat(encoding, int(rate) if rate else default)
        except ValueError as failure:
            raise ConfigurationError(f"{name} {value!r}: {failure}") from None
    raise ConfigurationError(
        f"{name} is an AudioFormat, a rate, or text like 'pcm16@16000', not {value!r}"
    )


def _check_summary(named: Mapping[str, Any]) -> None:
    """Raise, if it does not say which brain is to write the summaries."""
    unknown = sorted({str(name) for name in named} - {"brain", "model", "options"})
    if unknown:
        raise ConfigurationError(
            f"history_summary has brain, model and options, not {', '.join(unknown)}"
        )
    if not isinstance(named.get("brain"), str) or not named["brain"].strip("/ "):
        raise ConfigurationError("history_summary names its brain, such as 'openai-chat/llama3.2'")
    if not isinstance(named.get("model", ""), str):
        raise ConfigurationError("the model of history_summary is the name of one")
    if not isinstance(named.get("options", {}), Mapping):
        raise ConfigurationError("the options of history_summary are a dict")


def _check_entry(entry: Any, what: str, where: str) -> None:
    """Raise, if it is no entry for `VoiceEngineConfig.for_provider`."""
    if isinstance(entry, Mapping):
        if not isinstance(entry.get("provider"), str) or not entry["provider"]:
            raise ConfigurationError(
                f"{what} that is a dict names its provider: {{'provider': 'azure', ...}}"
            )
        _check_names({k: v for k, v in entry.items() if k != "api_key_env"}, where)
    elif not isinstance(entry, str) or not entry.strip("/"):
        raise ConfigurationError(f"{what} is a name, 'name/model', or a dict, not {entry!r}")


def _check_prices(prices: Any) -> None:
    counts = {
        f
        for f in UsageUpdated.__struct_fields__
        if f.endswith(("_tokens", "_seconds", "_messages", "characters"))
    }
    if not isinstance(prices, Mapping):
        raise ConfigurationError(f"prices are a dict by model, not {prices!r}")
    for model, rates in prices.items():
        if not isinstance(rates, Mapping) or not rates:
            raise ConfigurationError(
                f"prices: that of {model!r} is a dict by what is counted, not {rates!r}"
            )
        for name, rate in rates.items():
            if name not in counts:
                known = ", ".join(sorted(counts))
                raise ConfigurationError(f"prices: {name!r} is not counted; known are {known}")
            if not _is_number(rate) or not 0 <= rate < float("inf"):
                raise ConfigurationError(
                    f"prices: {name} of {model!r} is a number of US dollars, not {rate!r}"
                )


def _check_names(values: Mapping[str, Any], where: str) -> None:
    for name in values:
        if name not in _NAMES:
            near = difflib.get_close_matches(str(name), _NAMES, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(_NAMES)}"
            raise ConfigurationError(f"{where} {name!r} is not a setting{hint}")


def _from_file(path: Path, env: Mapping[str, str], has_key: bool) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as failure:
        raise ConfigurationError(
            f"the configuration {path} cannot be read: {failure.strerror or failure}"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failure:
        raise ConfigurationError(f"the configuration {path} is not valid TOML: {failure}") from None
    values = dict(content.get("voxengine", content))
    variable = values.pop("api_key_env", None)
    if variable and "api_key" not in values and not has_key:
        if not env.get(variable):
            raise ConfigurationError(f"{path} takes the key from {variable}, which is not set")
        values["api_key"] = env[variable]
    _check_names(values, f"{path}:")
    return values


def _from_env(env: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for setting in fields(VoiceEngineConfig):
        text = env.get(f"VOXENGINE_{setting.name.upper()}")
        if text is None or text == "":
            continue
        values[setting.name] = _parse(setting.name, str(setting.type), text)
    return values


def _parse(name: str, type_name: str, text: str) -> Any:
    try:
        if type_name == "bool":
            return tomllib.loads(f"value = {text.lower()}")["value"]
        if type_name.startswith("tuple"):
            return tuple(float(part) for part in text.split(",") if part.strip())
        if type_name.startswith("dict"):
            return tomllib.loads(f"value = {text}")["value"]
        if "float" in type_name:
            return float(text)
        if "int" in type_name:
            return int(text)
        if text.startswith("{") and ("dict" in type_name or type_name == "SentenceLike"):
            return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, tomllib.TOMLDecodeError) as failure:
        raise ConfigurationError(
            f"VOXENGINE_{name.upper()}={text!r} is not valid: {failure}"
        ) from None
    return [part.strip() for part in text.split(",")] if type_name.startswith("list") else text
