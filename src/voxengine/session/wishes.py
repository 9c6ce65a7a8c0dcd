"""Whether a provider can take turns as the application wishes: who answers, who interrupts, how a turn is found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxengine.config import VoiceEngineConfig
from voxengine.errors import ConfigurationError
from voxengine.providers.base import BaseProvider

__all__ = ["check_wishes", "may_begin_anew"]

#: Settings of OpenAI's turn detection that have a name of their own here.
_ELSEWHERE = {"create_response": "auto_response", "interrupt_response": "interruptions"}


def check_wishes(
    provider: BaseProvider,
    config: VoiceEngineConfig,
    changed: Mapping[str, Any] | None = None,
) -> None:
    """Raise, if it cannot; `changed` are the settings that are new, by default all.

    Raises:
        UnsupportedFeatureError: it answers, or stops, by itself and cannot be told not to.
        ConfigurationError: its turn detection has no such setting.
    """
    can = provider.capabilities
    asked = vars(config) if changed is None else changed
    by_itself = config.turn_detection != "none"
    if by_itself and not {"auto_response", "turn_detection"}.isdisjoint(asked):
        able = can.auto_response_optional or not can.auto_response
        if not config.auto_response and not able:
            raise provider.unsupported("turns that are not answered by themselves")
    if by_itself and not {"interruptions", "turn_detection"}.isdisjoint(asked):
        able = can.interruptions_optional or not can.self_interrupting
        if not config.interruptions and not able:
            raise provider.unsupported("answers that the user's speech does not interrupt")
    if "turn_options" in asked:
        _check_options(provider, config.turn_options)


#: What a vendor may want to know before a conversation begins, and another connection of the same provider can be told.
_AT_THE_START = frozenset(
    {
        "instructions",
        "language",
        "max_response_tokens",
        "temperature",
        "tools",
        "turn_options",
        "vocabulary",
        "voice",
    }
)


def may_begin_anew(provider: BaseProvider, settings: Mapping[str, Any]) -> bool:
    """Whether settings that it cannot change can be had by another connection, which is told the conversation."""
    return provider.capabilities.history != "none" and settings.keys() <= _AT_THE_START


def _check_options(provider: BaseProvider, options: Mapping[str, Any]) -> None:
    known = provider.capabilities.turn_options
    for name, value in options.items():
        if name in _ELSEWHERE:
            raise ConfigurationError(f"turn_options: {name} is the setting {_ELSEWHERE[name]!r}")
        if value is not None and name not in known:
            there = f"it has {', '.join(known)}" if known else "it has none"
            raise ConfigurationError(
                f"turn_options: provider {provider.name!r} has no {name!r}; {there}"
            )
