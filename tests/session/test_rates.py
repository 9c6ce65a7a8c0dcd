"""Prices that the application gives."""

from __future__ import annotations

from typing import Any

import pytest

from voxengine.events import UsageUpdated
from voxengine.session import Ledger

PER_MINUTE = {"vendor/*": {"input_audio_seconds": 0.06, "output_audio_seconds": 0.24}}


def used(provider: str = "vendor", model: str = "house", **counts: Any) -> UsageUpdated:
    return UsageUpdated(provider=provider, model=model, **counts)


def bill(prices: dict[str, dict[str, float]], *events: UsageUpdated) -> dict[str, Any]:
    ledger = Ledger(prices)
    for event in events:
        ledger.add(event)
    return ledger.as_dict()


def test_a31_a_price_table_of_ones_own() -> None:
    """Users paste their own tables: tokens by the million, each kind at its own price, what is cached apart."""
    rates = {
        "input_text_tokens": 4.0,
        "input_audio_tokens": 32.0,
        "cached_audio_tokens": 0.4,
        "output_text_tokens": 16.0,
        "output_audio_tokens": 64.0,
    }
    event = used(
        input_text_tokens=1000,
        input_audio_tokens=5000,
        cached_audio_tokens=4000,
        cached_text_tokens=500,
        output_text_tokens=200,
        output_audio_tokens=3000,
    )
    plain = bill({"house": rates}, event)
    given = (1000 * 4 + 1000 * 32 + 4000 * 0.4) / 1e6
    output = (200 * 16 + 3000 * 64) / 1e6
    assert plain["cost"] == pytest.approx(given + output)
    assert plain["legs"][0]["input_cost"] == pytest.approx(given)
    assert plain["legs"][0]["output_cost"] == pytest.approx(output)


@pytest.mark.parametrize(
    ("counts", "rates", "dollars"),
    [
        ({"input_audio_seconds": 90.0}, {"input_audio_seconds": 0.06}, 0.09),
        ({"output_audio_seconds": 30.0}, {"output_audio_seconds": 0.5}, 0.25),
        ({"characters": 2000}, {"characters": 15.0}, 0.03),
        ({"input_text_messages": 3}, {"input_text_messages": 0.004}, 0.012),
    ],
)
def test_seconds_by_the_minute_characters_by_the_million_messages_one_by_one(
    counts, rates, dollars
) -> None:
    assert bill({"house": rates}, used(**counts))["cost"] == pytest.approx(dollars)


def test_what_the_price_names_comes_before_what_is_general() -> None:
    second: dict[str, Any] = {"input_audio_seconds": 60.0}
    prices = {
        "vendor/house": {"input_audio_seconds": 1.0},
        "house": {"input_audio_seconds": 2.0},
        "vendor/*": {"input_audio_seconds": 3.0},
    }
    assert bill(prices, used(**second))["cost"] == pytest.approx(1.0)
    assert bill(prices, used("other", **second))["cost"] == pytest.approx(2.0)
    assert bill(prices, used(model="unknown", **second))["cost"] == pytest.approx(3.0)
    assert bill(prices, used("other", "unknown", **second))["cost"] is None


def test_ones_own_price_comes_before_the_list() -> None:
    event = used("openai", "gpt-realtime", output_audio_tokens=1_000_000)
    assert bill({"gpt-realtime": {"output_audio_tokens": 7.0}}, event)["cost"] == pytest.approx(7.0)


def test_what_was_not_of_a_kind_that_is_paid_has_no_known_cost() -> None:
    assert bill(PER_MINUTE, used(input_text_tokens=10))["cost"] is None
    both = bill(PER_MINUTE, used(input_text_tokens=10), used(output_audio_seconds=60.0))
    assert both["cost"] == pytest.approx(0.24)


def test_what_runs_here_is_free_whatever_its_price() -> None:
    ledger = Ledger(PER_MINUTE)
    ledger.begin("vendor", on_device=True)
    ledger.add(used(input_audio_seconds=60.0))
    assert ledger.cost == 0.0
