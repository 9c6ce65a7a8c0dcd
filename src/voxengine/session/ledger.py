"""What the conversation used and cost, per provider leg, while it goes on."""

from __future__ import annotations

from typing import Any

import msgspec

from voxengine.events import UsageUpdated
from voxengine.session.prices import preload, price

__all__ = ["Ledger", "LegUsage"]

_COUNTS = (
    "input_text_tokens",
    "input_audio_tokens",
    "cached_text_tokens",
    "cached_audio_tokens",
    "output_text_tokens",
    "output_audio_tokens",
    "input_audio_seconds",
    "output_audio_seconds",
    "characters",
)


class LegUsage(msgspec.Struct):
    """What one provider used of one model, in the units of `UsageUpdated`. `cost` is in US dollars, None if unknown."""

    provider: str
    model: str = ""
    responses: int = 0
    input_text_tokens: int = 0
    input_audio_tokens: int = 0
    cached_text_tokens: int = 0
    cached_audio_tokens: int = 0
    output_text_tokens: int = 0
    output_audio_tokens: int = 0
    input_audio_seconds: float = 0.0
    output_audio_seconds: float = 0.0
    characters: int = 0
    cost: float | None = 0.0


class Ledger:
    """Adds up usage. Each entry is a provider and a model; a switch begins another."""

    def __init__(self) -> None:
        self.legs: list[LegUsage] = []
        self._on_device: set[str] = set()

    def begin(self, provider: str, on_device: bool) -> None:
        """A provider takes over. What runs on this machine costs nothing."""
        if on_device:
            self._on_device.add(provider)
        else:
            preload()

    def add(self, event: UsageUpdated) -> LegUsage:
        """Book what a provider reports."""
        leg = next(
            (x for x in self.legs if x.provider == event.provider and x.model == event.model), None
        )
        if leg is None:
            leg = LegUsage(event.provider, event.model)
            self.legs.append(leg)
        leg.responses += event.response_id is not None
        for name in _COUNTS:
            setattr(leg, name, getattr(leg, name) + getattr(event, name))
        # Each report by itself: the price of a token can depend on the length of one request.
        cost = 0.0 if event.provider in self._on_device else price(event)
        leg.cost = None if cost is None or leg.cost is None else leg.cost + cost
        return leg

    @property
    def cost(self) -> float | None:
        """US dollars so far; None when the price of any part is not known."""
        if not self.legs:
            return 0.0
        costs = [leg.cost for leg in self.legs]
        return None if any(c is None for c in costs) else sum(c for c in costs if c is not None)

    def as_dict(self) -> dict[str, Any]:
        """The totals, the cost, and each leg."""
        totals: dict[str, Any] = {
            name: round(sum(getattr(leg, name) for leg in self.legs), 3) for name in _COUNTS
        }
        return {
            **totals,
            "cost": self.cost,
            "legs": [msgspec.to_builtins(leg) for leg in self.legs],
        }
