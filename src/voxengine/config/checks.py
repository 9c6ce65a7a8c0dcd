"""What the settings may be."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from voxengine.audio.formats import AudioFormat
from voxengine.audio.sentence import as_sentence
from voxengine.conversation.summary import Summariser
from voxengine.errors import ConfigurationError
from voxengine.events import UsageUpdated

if TYPE_CHECKING:
    from voxengine.config.settings import VoiceEngineConfig

__all__ = ["Chunking", "Mode", "as_format", "check", "check_names"]

#: fast: least work. big: transcripts, partials, voice activity, metrics. provider: exactly what the provider offers.
Mode: TypeAlias = Literal["fast", "big", "provider"]

#: latency: audio goes out as it comes. density: gathered to 100 ms, which is fewer messages and less work.
Chunking: TypeAlias = Literal["latency", "density"]


def check(config: VoiceEngineConfig) -> None:
    """Raise, if a value is not allowed; formats and sentences become what they stand for.

    Raises:
        ConfigurationError: the message says what is.
    """
    if config.mode not in get_args(Mode):
        raise ConfigurationError(
            f"mode {config.mode!r} is unknown; it is one of {', '.join(get_args(Mode))}"
        )
    if not isinstance(config.provider, str) or not config.provider:
        raise ConfigurationError(
            "provider is the name of a registered provider, such as 'local' or 'mock'"
        )
    config.input_format = as_format("input_format", config.input_format)
    config.output_format = as_format("output_format", config.output_format)
    if config.input_format.channels != 1 or config.output_format.channels != 1:
        raise ConfigurationError(
            "a call is mono in both directions; mix stereo down before it is sent"
        )
    _check_numbers(config)
    if config.chunking not in get_args(Chunking):
        raise ConfigurationError(
            f"chunking {config.chunking!r} is unknown; it is one of {', '.join(get_args(Chunking))}"
        )
    _check_modalities(config)
    _check_history(config)
    _check_fallback(config)
    _check_limits(config)
    config.apology = as_sentence("apology", config.apology)
    config.goodbye = as_sentence("goodbye", config.goodbye)
    _check_kinds(config)


def _check_numbers(config: VoiceEngineConfig) -> None:
    for name in (
        "connect_timeout",
        "response_timeout",
        "stall_timeout",
        "tool_timeout",
        "failover_after",
        "history_summary_timeout",
    ):
        if not _is_number(getattr(config, name)) or getattr(config, name) <= 0:
            raise ConfigurationError(
                f"{name} is a number of seconds above 0, not {getattr(config, name)!r}"
            )
    for name in ("reconnect_timeout", "rotation_margin", "output_latency_ms"):
        if not _is_number(getattr(config, name)) or getattr(config, name) < 0:
            raise ConfigurationError(f"{name} is a number from 0 on, not {getattr(config, name)!r}")


def _check_kinds(config: VoiceEngineConfig) -> None:
    for name in ("metadata", "turn_options"):
        given = getattr(config, name)
        if not isinstance(given, Mapping):
            raise ConfigurationError(f"{name} is a dict, not {type(given).__name__}")
    words = config.vocabulary
    if not isinstance(words, list) or not all(isinstance(w, str) and w.strip() for w in words):
        raise ConfigurationError(f"vocabulary is a list of words and phrases, not {words!r}")
    for name in ("auto_response", "interruptions"):
        if not isinstance(getattr(config, name), bool):
            raise ConfigurationError(f"{name} is true or false, not {getattr(config, name)!r}")
    if config.api_key is not None and not isinstance(config.api_key, str):
        raise ConfigurationError(f"api_key is text, not {type(config.api_key).__name__}")


def _check_history(config: VoiceEngineConfig) -> None:
    for name in ("history_max_items", "history_max_tokens"):
        n = getattr(config, name)
        if n is not None and (type(n) is not int or n < 1):
            raise ConfigurationError(f"{name} is a whole number above 0, not {n!r}")
    most = config.history_max_cost
    if most is not None and (not _is_number(most) or not most > 0):
        raise ConfigurationError(
            f"history_max_cost is a number of US dollars above 0, not {most!r}"
        )
    given = config.history_summary
    named = {"brain": given} if isinstance(given, str) else given
    if isinstance(named, Mapping):
        _check_summary(named)
    elif named is not None and not (callable(named) or isinstance(named, Summariser)):
        raise ConfigurationError(
            "history_summary is the name of a brain, a dict of brain, model and options, or a coroutine function, "
            f"not {type(named).__name__}"
        )


def _check_fallback(config: VoiceEngineConfig) -> None:
    entries = config.fallback
    if isinstance(entries, (str, Mapping)) or not isinstance(entries, (list, tuple)):
        raise ConfigurationError(
            f"fallback is a list of providers, such as ['azure', 'local'], not {entries!r}"
        )
    for entry in entries:
        _check_entry(entry, "an entry of fallback", "in fallback,", config)
    if config.hedge is not None:
        _check_entry(config.hedge, "hedge", "in hedge,", config)


def _check_limits(config: VoiceEngineConfig) -> None:
    for name in ("max_cost", "max_duration"):
        value = getattr(config, name)
        if value is not None and (not _is_number(value) or not 0 < value < float("inf")):
            unit = "US dollars" if name == "max_cost" else "seconds"
            raise ConfigurationError(f"{name} is a number of {unit} above 0, not {value!r}")
    parts = config.warn_at
    if not isinstance(parts, (list, tuple)) or not all(
        _is_number(part) and 0 < part < 1 for part in parts
    ):
        raise ConfigurationError(f"warn_at is a list of parts between 0 and 1, not {parts!r}")
    config.warn_at = tuple(sorted(set(parts)))
    _check_prices(config.prices)
    if config.economy is not None:
        _check_entry(config.economy, "economy", "in economy,", config)


def _check_modalities(config: VoiceEngineConfig) -> None:
    wanted = config.modalities
    if wanted is not None and (not isinstance(wanted, (list, tuple)) or not wanted):
        raise ConfigurationError(f"modalities are a list of 'audio' and 'text', not {wanted!r}")
    unknown = {str(kind) for kind in wanted or ()} - {"audio", "text"}
    if unknown:
        raise ConfigurationError(
            f"modalities are 'audio' and 'text', not {', '.join(sorted(unknown))}"
        )


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


def check_names(given: Iterable[str], where: str, known: Collection[str]) -> None:
    """Raise a `ConfigurationError`, if one of these names is none of those that are known."""
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
            raise ConfigurationError(f"{where} {name!r} is not a setting{hint}")


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


def _check_entry(entry: Any, what: str, where: str, config: VoiceEngineConfig) -> None:
    """Raise, if it is no entry for `VoiceEngineConfig.for_provider`."""
    if isinstance(entry, Mapping):
        if not isinstance(entry.get("provider"), str) or not entry["provider"]:
            raise ConfigurationError(
                f"{what} that is a dict names its provider: {{'provider': 'azure', ...}}"
            )
        check_names((k for k in entry if k != "api_key_env"), where, vars(config))
    elif not isinstance(entry, str) or not entry.strip("/"):
        raise ConfigurationError(f"{what} is a name, 'name/model', or a dict, not {entry!r}")


def _check_prices(prices: Any) -> None:
    if prices == {}:
        return  # which is what most have
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


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value
