"""Who carries the conversation on: the provider of the configuration, then its fallbacks, in their order."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from voxengine.config import OWN, VoiceEngineConfig
from voxengine.errors import ConfigurationError
from voxengine.providers.registry import create_provider
from voxengine.providers.voices import all_voices, map_voice
from voxengine.session.breaker import Breaker, breaker_of

__all__ = ["Candidate", "Chain", "successor_config"]


class Candidate(msgspec.Struct, frozen=True):
    """One of the chain, at its place in it."""

    place: int
    config: VoiceEngineConfig
    breaker: Breaker

    @property
    def name(self) -> str:
        """Registered name of the provider."""
        return self.config.provider


class Chain:
    """The providers of one session. What the application changes meanwhile, such as instructions, holds for all.

    Raises:
        ConfigurationError: an entry has a setting that there is not, or its key is missing.
    """

    def __init__(self, config: VoiceEngineConfig) -> None:
        self._first = {name: getattr(config, name) for name in OWN}
        self._entries = tuple(config.fallback)
        for entry in self._entries:
            config.for_provider(entry)
        #: The place of the one at work.
        self.place = 0

    def __len__(self) -> int:
        return 1 + len(self._entries)

    def candidate(self, place: int, current: VoiceEngineConfig) -> Candidate:
        """The one at this place, with the settings of today."""
        if place == self.place:
            config = current
        elif place == 0:
            config = current.with_changes(**self._first)
        else:
            config = successor_config(current, self._entries[place - 1])
        return Candidate(place, config, _breaker(config))

    def others(self, current: VoiceEngineConfig) -> Iterator[Candidate]:
        """All but the one at work: those after it first, then from the beginning."""
        n = len(self)
        for step in range(1, n):
            yield self.candidate((self.place + step) % n, current)

    def has_other(self, current: VoiceEngineConfig, now: float) -> bool:
        """Whether there is another that may be tried."""
        return any(other.breaker.allows(now) for other in self.others(current))

    def breaker(self, current: VoiceEngineConfig) -> Breaker:
        """That of the provider at work."""
        return _breaker(current)


def _breaker(config: VoiceEngineConfig) -> Breaker:
    endpoint = config.metadata.get("endpoint") or ""
    return breaker_of(config.provider, str(endpoint), config.api_key)


def successor_config(
    current: VoiceEngineConfig, entry: str | dict[str, object]
) -> VoiceEngineConfig:
    """The configuration of another provider: what it shares with the present one, and what the entry says.

    An entry is a name, "name/model", or a dict with `provider` and further settings. The key is taken from the other's
    usual variable. The voice becomes the nearest one of the other's, where its voices are known, and a kind of turn
    detection that the other does not have becomes its default.

    Raises:
        ConfigurationError, UnknownProviderError: the entry names no provider, or a setting that there is not.
    """
    config = current.for_provider(entry)
    given = entry if isinstance(entry, dict) else {}
    changes: dict[str, object] = {}
    if current.voice and config.voice is None and config.provider in all_voices():
        changes["voice"] = map_voice(current.voice, config.provider).voice
    kind = current.turn_detection
    if kind is not None and "turn_detection" not in given:
        changes["turn_detection"] = kind if _detects(config, kind) else None
    return config.with_changes(**changes) if changes else config


def _detects(config: VoiceEngineConfig, kind: str) -> bool:
    """Whether the provider can be made with this kind of turn detection."""
    if kind == "none":
        return True
    try:
        provider = create_provider(config.provider, config.provider_config(turn_detection=None))
    except ConfigurationError:
        return True  # it is about something else, and will be told when it is made in earnest
    return kind in provider.capabilities.turn_detection
