"""What the conversation used and cost, per provider leg, while it goes on.

Counts are added as they are reported. Prices are looked up when somebody asks for them: to read the lists takes half a
second, and each report a quarter of a millisecond, which a call that is under way should not wait for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from voxengine.events import UsageUpdated
from voxengine.session.prices import Cost, load, price
from voxengine.session.rates import own_price
from voxengine.session.replies import Recent

__all__ = ["Ledger", "LegUsage"]

#: US dollars by the model and the count.
Prices: TypeAlias = Mapping[str, Mapping[str, float]]

_COUNTS = (
    "input_text_tokens",
    "input_audio_tokens",
    "input_image_tokens",
    "cached_text_tokens",
    "cached_audio_tokens",
    "cached_image_tokens",
    "output_text_tokens",
    "output_audio_tokens",
    "input_audio_seconds",
    "output_audio_seconds",
    "input_text_messages",
    "characters",
)


class LegUsage(msgspec.Struct):
    """What one provider used of one model, in the units of `UsageUpdated`.

    Costs are in US dollars, None if unknown. `cost` has in it what is neither input nor output, such as the length of a
    session.
    """

    provider: str
    model: str = ""
    responses: int = 0
    input_text_tokens: int = 0
    input_audio_tokens: int = 0
    input_image_tokens: int = 0
    cached_text_tokens: int = 0
    cached_audio_tokens: int = 0
    cached_image_tokens: int = 0
    output_text_tokens: int = 0
    output_audio_tokens: int = 0
    input_audio_seconds: float = 0.0
    output_audio_seconds: float = 0.0
    input_text_messages: int = 0
    characters: int = 0
    cost: float | None = 0.0
    input_cost: float | None = 0.0
    output_cost: float | None = 0.0


class _Entry:
    """One leg, and what is known of its cost."""

    #: Reports whose price may wait to be asked for. Beyond that, the oldest is priced with each that comes.
    LIMIT = 1000

    def __init__(self, provider: str, model: str, prices: Prices) -> None:
        self.leg = LegUsage(provider, model)
        self._prices = prices
        #: None as soon as anything of it has no price.
        self.spent: Cost | None = Cost()
        #: Reports that have no price yet.
        self.unpriced: deque[UsageUpdated] = deque()
        #: The last response that was counted, by session and id: it may be reported in parts.
        self.response: tuple[str | None, str] | None = None

    def book(self, event: UsageUpdated, free: bool) -> None:
        """Count a report. `free`: it cost nothing."""
        leg = self.leg
        if event.response_id is not None:
            response = (event.session_id, event.response_id)
            leg.responses += response != self.response
            self.response = response
        used = False
        for name in _COUNTS:
            n = getattr(event, name)
            if n:
                used = True
                setattr(leg, name, getattr(leg, name) + n)
        if free:
            self._spend(Cost(paid=True))
        elif used:
            self.unpriced.append(event)
            if len(self.unpriced) > self.LIMIT:
                self._spend(self._price(self.unpriced.popleft()))

    def settle(self) -> None:
        """Price what has no price yet."""
        if not self.unpriced:
            return
        while self.unpriced:
            # Each report by itself: the price of a token can depend on the length of one request.
            self._spend(self._price(self.unpriced.popleft()))

    def _price(self, event: UsageUpdated) -> Cost | None:
        own = own_price(event, self._prices)
        return price(event) if own is None else own

    def _spend(self, cost: Cost | None) -> None:
        self.spent = None if cost is None or self.spent is None else self.spent + cost
        # Until something of the kind is reported that the model is paid in, all of this cost an unknown sum, not 0.
        known = self.spent if self.spent is not None and self.spent.paid else None
        leg = self.leg
        leg.cost = None if known is None else known.total
        leg.input_cost = None if known is None else known.input
        leg.output_cost = None if known is None else known.output


class Ledger:
    """Adds up usage. Each entry is a provider and a model; a switch begins another.

    `prices` are the application's own, which come before the public ones: see `voxengine.session.rates`.
    """

    def __init__(self, prices: Prices | None = None) -> None:
        self._prices = prices or {}
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._on_device: set[str] = set()
        self._booked = Recent(256)

    def begin(self, provider: str, on_device: bool) -> None:
        """A provider takes over. What runs on this machine costs nothing."""
        if on_device:
            self._on_device.add(provider)
        else:
            self._on_device.discard(provider)  # one of the same name may have been

    def add(self, event: UsageUpdated) -> None:
        """Book what a provider reports. Of two reports with one id only the first counts."""
        key = (event.provider, event.model)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(*key, self._prices)
        if self._is_new(event):
            entry.book(event, event.provider in self._on_device)

    async def settle(self) -> None:
        """Price what has no price yet, without holding up the loop while the price lists are read."""
        if not self.settled:
            await asyncio.to_thread(load)
            self._settle()

    @property
    def settled(self) -> bool:
        """Whether all that has a price has been given it."""
        return not any(entry.unpriced for entry in self._entries.values())

    def _settle(self) -> None:
        for entry in self._entries.values():
            entry.settle()

    @property
    def empty(self) -> bool:
        """Whether nothing was reported yet."""
        return not self._entries

    @property
    def legs(self) -> list[LegUsage]:
        """One for each provider and model, in the order of their first report."""
        self._settle()
        return [entry.leg for entry in self._entries.values()]

    def _is_new(self, event: UsageUpdated) -> bool:
        # Without the session's id nothing is said: a session that follows may count its events from 1 again.
        if event.event_id is None or event.session_id is None:
            return True
        key = f"{event.provider} {event.session_id} {event.event_id}"
        if key in self._booked:
            return False
        self._booked.add(key)
        return True

    @property
    def cost(self) -> float | None:
        """US dollars so far; None when the price of any part is not known."""
        total = 0.0
        for leg in self.legs:
            if leg.cost is None:
                return None
            total += leg.cost
        return total

    def as_dict(self) -> dict[str, Any]:
        """The totals, the cost, and each leg."""
        legs = self.legs
        totals: dict[str, Any] = {
            name: round(sum(getattr(leg, name) for leg in legs), 3) for name in _COUNTS
        }
        return {
            **totals,
            "cost": self.cost,
            "legs": [msgspec.to_builtins(leg) for leg in legs],
        }
