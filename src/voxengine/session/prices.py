"""What usage costs: the public price lists of genai-prices, where that is installed (the `prices` extra).

There is no list of our own: genai-prices has audio, text, images and what is cached apart, and models that are paid by
the second or the character. What it does not know stays unknown.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import msgspec

from voxengine.events import UsageUpdated

__all__ = ["Cost", "load", "price"]

#: Counts whose price is the text's only where the list says so: it would be several times too low.
_APART = (
    ("input_audio_tokens", "input_audio_mtok", "input_mtok"),
    ("input_image_tokens", "input_image_mtok", "input_mtok"),
    ("output_audio_tokens", "output_audio_mtok", "output_mtok"),
)
#: The date at the end of the name of a snapshot, `-2025-08-28` or `-20250828`.
_DATE = re.compile(r"-20\d{2}-?\d{2}-?\d{2}$")


class Cost(msgspec.Struct, frozen=True):
    """US dollars. What has no direction, such as the length of a session, is in the total alone."""

    total: float = 0.0
    input: float = 0.0
    output: float = 0.0
    #: Whether any of it was of the kind that the model is paid in. What is only told beside that costs nothing.
    paid: bool = False

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.total + other.total,
            self.input + other.input,
            self.output + other.output,
            self.paid or other.paid,
        )


def price(used: UsageUpdated) -> Cost | None:
    """What one report costs; None when the price is not known.

    A model is looked up in the list of the vendor that `provider` names, by its name alone where it names none.
    """
    library = _library()
    if library is None or not used.model:
        return None
    try:
        found = _look_up(library, used)
    except ValueError:  # counts that contradict each other
        return None
    if found is None:
        return None
    rates = found.model_price
    if any(
        getattr(used, count) and _has(rates, text) and not _has(rates, own)
        for count, own, text in _APART
    ):
        return None
    return Cost(
        float(found.total_price),
        float(found.input_price),
        float(found.output_price),
        _is_paid_in(rates, used),
    )


def load() -> None:
    """Read the price lists, once for the process: it takes half a second."""
    _library()


def _look_up(library: Any, used: UsageUpdated) -> Any:
    """The library's answer, None if it does not know the model.

    A snapshot that is not listed costs what its model costs.
    """
    usage = _counts(library, used)
    vendor = _vendor(library, used.provider)
    for model in dict.fromkeys((used.model, _DATE.sub("", used.model))):
        try:
            return library.calc_price(usage, model_ref=model, provider_id=vendor)
        except LookupError:
            continue
    return None


def _counts(library: Any, used: UsageUpdated) -> Any:
    """The same counts by the library's names, with the sums that it does not make by itself."""
    return library.Usage(
        input_tokens=used.input_text_tokens + used.input_audio_tokens + used.input_image_tokens,
        input_text_tokens=used.input_text_tokens,
        input_audio_tokens=used.input_audio_tokens,
        input_image_tokens=used.input_image_tokens,
        cache_read_tokens=used.cached_text_tokens
        + used.cached_audio_tokens
        + used.cached_image_tokens,
        cache_text_read_tokens=used.cached_text_tokens,
        cache_audio_read_tokens=used.cached_audio_tokens,
        cache_image_read_tokens=used.cached_image_tokens,
        output_tokens=used.output_text_tokens + used.output_audio_tokens,
        output_text_tokens=used.output_text_tokens,
        output_audio_tokens=used.output_audio_tokens,
        audio_seconds=used.input_audio_seconds + used.output_audio_seconds,
        input_audio_seconds=used.input_audio_seconds,
        output_audio_seconds=used.output_audio_seconds,
        input_text_messages=used.input_text_messages,
        input_characters=used.characters,
    )


def _vendor(library: Any, provider: str) -> str | None:
    """The vendor that the name of a provider stands for, if any: "azure", "xai", "gemini-live"."""
    lists = library.data_snapshot
    found = lists.find_provider_by_id(lists.get_snapshot().providers, provider)
    return None if found is None else str(found.id)


def _is_paid_in(rates: Any, used: UsageUpdated) -> bool:
    """Whether the report has anything of what the model is paid in: seconds before all else, where it is these."""
    if any(_has(rates, f"{side}audio_hours") for side in ("", "input_", "output_")):
        return bool(used.input_audio_seconds or used.output_audio_seconds)
    if _has(rates, "input_mchars") and used.characters:
        return True
    tokens = any(getattr(used, n) for n in used.__struct_fields__ if n.endswith("_tokens"))
    return tokens and (_has(rates, "input_mtok") or _has(rates, "output_mtok"))


def _has(rates: Any, key: str) -> bool:
    return getattr(rates, key, None) is not None


@cache
def _library() -> Any:
    try:
        import genai_prices
    except ImportError:
        return None
    genai_prices.data_snapshot.get_snapshot()  # else they are read when the first price is asked for
    return genai_prices
