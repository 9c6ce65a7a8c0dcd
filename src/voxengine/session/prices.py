"""What usage costs: the public price lists of genai-prices, where that is installed (the `prices` extra)."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

from voxengine.events import UsageUpdated

__all__ = ["preload", "price"]


def price(used: UsageUpdated) -> float | None:
    """US dollars for what a provider reports; None when the price is not known.

    The lists are in tokens: seconds and characters have a price only as what comes beside them.
    """
    library = _library()
    if library is None or not used.model:
        return None
    usage = library.Usage(
        input_tokens=used.input_text_tokens + used.input_audio_tokens,
        cache_read_tokens=used.cached_text_tokens + used.cached_audio_tokens,
        output_tokens=used.output_text_tokens + used.output_audio_tokens,
        input_audio_tokens=used.input_audio_tokens,
        cache_audio_read_tokens=used.cached_audio_tokens,
        output_audio_tokens=used.output_audio_tokens,
    )
    if not (usage.input_tokens or usage.output_tokens) and (
        used.input_audio_seconds or used.output_audio_seconds or used.characters
    ):
        return None
    try:
        return float(library.calc_price(usage, model_ref=used.model).total_price)
    except (LookupError, ValueError):
        return None  # a model of one's own has no list price


def preload() -> None:
    """Read the price lists in the background: it takes half a second, which must not be in the middle of a call."""
    threading.Thread(target=_library, name="voxengine-prices", daemon=True).start()


@cache
def _library() -> Any:
    try:
        import genai_prices
    except ImportError:
        return None
    return genai_prices
