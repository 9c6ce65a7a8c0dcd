"""What usage costs: the public price lists of genai-prices, where that is installed (the `prices` extra)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxengine.session.ledger import LegUsage

__all__ = ["price"]


def price(leg: LegUsage) -> float | None:
    """US dollars for what a leg used; None when the model's price is not known."""
    library = _library()
    if library is None or not leg.model:
        return None
    usage = library.Usage(
        input_tokens=leg.input_text_tokens + leg.input_audio_tokens,
        cache_read_tokens=leg.cached_text_tokens + leg.cached_audio_tokens,
        output_tokens=leg.output_text_tokens + leg.output_audio_tokens,
        input_audio_tokens=leg.input_audio_tokens,
        cache_audio_read_tokens=leg.cached_audio_tokens,
        output_audio_tokens=leg.output_audio_tokens,
    )
    try:
        return float(library.calc_price(usage, model_ref=leg.model).total_price)
    except (LookupError, ValueError):
        return None  # a model of one's own has no list price


@cache
def _library() -> Any:
    try:
        import genai_prices
    except ImportError:
        return None
    return genai_prices
