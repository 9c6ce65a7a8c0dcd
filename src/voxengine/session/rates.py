"""Prices that the application gives: `prices` of the configuration, where the public lists do not know a model."""

from __future__ import annotations

from collections.abc import Mapping

from voxengine.events import UsageUpdated
from voxengine.session.prices import Cost

__all__ = ["own_price"]

#: Counts that have their price for a million; of the others it is for 60 s of audio, or for one message.
_MILLION = ("_tokens", "characters")


def own_price(used: UsageUpdated, prices: Mapping[str, Mapping[str, float]]) -> Cost | None:
    """What one report costs by the application's own prices; None where they say nothing of the model.

    Looked for are "provider/model", the model alone, and "provider/*". What is cached costs what the rest of the input
    does, where it has no price of its own; any other count without a price costs nothing.
    """
    keys = (f"{used.provider}/{used.model}", used.model, f"{used.provider}/*")
    rates = next((prices[key] for key in keys if key in prices), None)
    if rates is None:
        return None
    given = output = 0.0
    paid = False
    for name, rate in rates.items():
        count = getattr(used, name)
        cached = _cached(name)
        if cached in rates:
            count -= getattr(used, cached)
        paid = paid or count > 0
        cost = count * rate / _unit(name)
        if name.startswith("output_"):
            output += cost
        else:
            given += cost
    return Cost(given + output, given, output, paid)


def _cached(name: str) -> str:
    """The count that is a part of this one, and may have a price of its own."""
    part = name.endswith("_tokens") and name.startswith("input_")
    return name.replace("input_", "cached_") if part else ""


def _unit(name: str) -> float:
    if name.endswith(_MILLION):
        return 1e6
    return 60.0 if name.endswith("_seconds") else 1.0
