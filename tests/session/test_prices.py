"""What a report costs, by hand from the vendors' price pages, and what stays unknown."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest

from voxengine.events import UsageUpdated
from voxengine.session import Ledger

pytest.importorskip("genai_prices", reason="the extra 'prices' is not installed")


def used(model: str, provider: str = "openai", **counts: Any) -> UsageUpdated:
    return UsageUpdated(provider=provider, model=model, **counts)


def cost(*events: UsageUpdated) -> float | None:
    ledger = Ledger()
    for event in events:
        ledger.add(event)
    return ledger.cost


# -- tokens

#: US dollars for a million tokens: text in, cached, out; audio in, cached, out; image in, cached.
#: developers.openai.com/api/docs/models, November 2026.
GA = (4, 0.4, 16, 32, 0.4, 64, 5, 0.5)
GA_2 = (4, 0.4, 24, 32, 0.4, 64, 5, 0.5)
MINI = (0.6, 0.06, 2.4, 10, 0.3, 20, 0.8, 0.08)
PREVIEW = (5, 2.5, 20, 40, 2.5, 80)
RATES: dict[str, tuple[float, ...]] = {
    "gpt-realtime": GA,
    "gpt-realtime-2025-08-28": GA,
    "gpt-realtime-1.5": GA,
    "gpt-realtime-2": GA_2,
    "gpt-realtime-2.1": GA_2,
    "gpt-realtime-2.1-mini": MINI,
    "gpt-realtime-mini": MINI,
    "gpt-realtime-mini-2025-12-15": MINI,
    "gpt-4o-realtime-preview": PREVIEW,
    "gpt-4o-realtime-preview-2024-12-17": PREVIEW,
}
TURN: dict[str, Any] = {
    "input_text_tokens": 1000,
    "cached_text_tokens": 400,
    "output_text_tokens": 200,
    "input_audio_tokens": 2000,
    "cached_audio_tokens": 500,
    "output_audio_tokens": 700,
}
IMAGES: dict[str, Any] = {"input_image_tokens": 300, "cached_image_tokens": 100}


@pytest.mark.parametrize("provider", ["openai", "azure", "custom"])
@pytest.mark.parametrize("model", RATES)
def test_text_audio_images_and_what_is_cached_have_their_own_price(
    model: str, provider: str
) -> None:
    rates = RATES[model]
    tokens = [600, 400, 200, 1500, 500, 700, 200, 100][: len(rates)]
    counts: dict[str, Any] = TURN | (IMAGES if len(rates) > 6 else {})
    expected = sum(n * rate for n, rate in zip(tokens, rates, strict=True)) / 1e6
    assert cost(used(model, provider, **counts)) == pytest.approx(expected, abs=1e-9)


def test_a_turn_reckoned_by_hand() -> None:
    ledger = Ledger()
    ledger.add(used("gpt-realtime-2", **TURN, **IMAGES))
    leg = ledger.legs[0]
    # In: 2400 + 160 of text, 48000 + 200 of audio, 1000 + 50 of images; out: 4800 of text, 44800 of audio.
    assert leg.input_cost == pytest.approx(0.05181)
    assert leg.output_cost == pytest.approx(0.0496)
    assert leg.cost == ledger.cost == pytest.approx(0.10141)


@pytest.mark.parametrize("model", RATES)
def test_each_kind_alone(model: str) -> None:
    """Nothing of one kind is paid at the rate of another."""
    rates = RATES[model]
    alone: list[dict[str, Any]] = [
        {"input_text_tokens": 1000},
        {"input_text_tokens": 1000, "cached_text_tokens": 1000},
        {"output_text_tokens": 1000},
        {"input_audio_tokens": 1000},
        {"input_audio_tokens": 1000, "cached_audio_tokens": 1000},
        {"output_audio_tokens": 1000},
        {"input_image_tokens": 1000},
        {"input_image_tokens": 1000, "cached_image_tokens": 1000},
    ]
    for counts, rate in zip(alone, rates, strict=False):
        assert cost(used(model, **counts)) == pytest.approx(rate / 1000), counts


def test_what_has_no_price_of_its_own_is_not_paid_at_the_rate_of_text() -> None:
    assert cost(used("gpt-4o-audio-preview", input_text_tokens=100)) is not None
    assert cost(used("gpt-4o-audio-preview", input_audio_tokens=100)) is None
    assert cost(used("gpt-4o-audio-preview", output_audio_tokens=100)) is None
    assert cost(used("gpt-4o-realtime-preview", input_image_tokens=100)) is None


def test_gemini_live() -> None:
    counts: dict[str, Any] = {
        "input_text_tokens": 100,
        "input_audio_tokens": 1000,
        "output_audio_tokens": 500,
    }
    expected = (100 * 0.75 + 1000 * 3 + 500 * 12) / 1e6
    assert cost(used("gemini-3.8-live", "gemini", **counts)) == pytest.approx(expected)


# -- names


@pytest.mark.parametrize(
    ("snapshot", "model"),
    [
        ("gpt-realtime-2-2026-05-07", "gpt-realtime-2"),
        ("gpt-realtime-2.1-mini-20260801", "gpt-realtime-2.1-mini"),
        ("GPT-Realtime-2-2026-05-07", "gpt-realtime-2"),
    ],
)
def test_a_snapshot_costs_what_its_model_costs(snapshot: str, model: str) -> None:
    assert cost(used(snapshot, **TURN)) == cost(used(model, **TURN))
    assert cost(used(snapshot, "azure", **TURN)) == cost(used(model, **TURN))


@pytest.mark.parametrize(
    "name", ["my-voice", "realtime-prod", "gpt-realtime-eu", "prod-2025-08-28"]
)
def test_the_name_of_a_deployment_is_not_a_model(name: str) -> None:
    assert cost(used(name, "azure", **TURN)) is None


def test_the_vendor_is_known_by_the_name_of_the_provider() -> None:
    spoken: dict[str, Any] = {"output_audio_tokens": 1000}
    assert cost(used("amazon.nova-2-sonic-v1:0", "bedrock", **spoken)) == pytest.approx(0.012)
    assert cost(used("amazon.nova-2-sonic-v1:0", "mine", **spoken)) is None


def test_a_model_that_its_vendor_does_not_list_is_not_priced_by_another() -> None:
    minute: dict[str, Any] = {"input_audio_seconds": 60.0}
    assert cost(used("grok-voice-latest", "xai", **minute)) is not None
    assert cost(used("grok-voice-latest", "my-gateway", **minute)) is not None
    assert cost(used("grok-voice-latest", "openai", **minute)) is None


# -- seconds, characters, messages


def test_gpt_live_is_paid_by_the_second_of_the_session() -> None:
    ledger = Ledger()
    for _ in range(3):
        ledger.add(used("gpt-live-1", input_audio_seconds=30.0))
        leg = ledger.legs[0]
    assert leg.cost == ledger.cost == pytest.approx(0.075)  # $0.05 a minute
    assert leg.input_cost == leg.output_cost == 0.0, "it has no direction"


def test_its_backend_is_paid_apart() -> None:
    talk = used("gpt-live-1", input_audio_seconds=60.0)
    thought = used("gpt-4o-mini", response_id="r1", input_text_tokens=1000)
    ledger = Ledger()
    for event in (talk, thought):
        ledger.add(event)
    assert [leg.model for leg in ledger.legs] == ["gpt-live-1", "gpt-4o-mini"]
    assert ledger.cost == pytest.approx(0.05 + 0.00015)


def test_grok_is_paid_by_the_audio_in_both_directions_and_by_the_message() -> None:
    one = cost(used("grok-voice-latest", "xai", input_audio_seconds=60.0))
    assert one is not None
    assert one >= 0.05, "it was $0.05 a minute, and rose in August 2026"
    both = used("grok-voice-latest", "xai", input_audio_seconds=60.0, output_audio_seconds=30.0)
    assert cost(both) == pytest.approx(1.5 * one)
    written = used("grok-voice-latest", "xai", input_audio_seconds=60.0, input_text_messages=5)
    assert cost(written) == pytest.approx(one + 5 * 0.004)


@pytest.mark.parametrize("tokens_first", [True, False])
def test_tokens_of_what_is_paid_by_the_second_cost_nothing_beside_the_seconds(
    tokens_first: bool,
) -> None:
    """And without the seconds, which may be missing or come later, the cost is unknown."""
    tokens = used("grok-voice-latest", "xai", response_id="r1", output_audio_tokens=900)
    seconds = used("grok-voice-latest", "xai", input_audio_seconds=60.0)
    assert cost(tokens) is None
    reports = (tokens, seconds) if tokens_first else (seconds, tokens)
    assert cost(*reports) == cost(seconds)


@pytest.mark.parametrize(
    ("model", "a_minute"),
    [
        ("whisper-1", 0.006),
        ("gpt-transcribe", 0.0045),
        ("gpt-realtime-whisper", 0.017),
        ("gpt-live-transcribe", 0.017),
    ],
)
def test_transcription_by_the_minute(model: str, a_minute: float) -> None:
    assert cost(used(model, input_audio_seconds=90.0)) == pytest.approx(1.5 * a_minute)


@pytest.mark.parametrize(
    ("model", "audio", "text", "out"),
    [
        ("gpt-4o-transcribe", 6, 2.5, 10),
        ("gpt-4o-mini-transcribe", 3, 1.25, 5),
        ("gpt-4o-mini-transcribe-2025-12-15", 3, 1.25, 5),
    ],
)
def test_transcription_by_tokens(model: str, audio: float, text: float, out: float) -> None:
    event = used(model, input_audio_tokens=1000, input_text_tokens=50, output_text_tokens=80)
    assert cost(event) == pytest.approx((1000 * audio + 50 * text + 80 * out) / 1e6)
    assert cost(used(model, input_audio_seconds=60.0)) is None, "it has no price for a minute"


def test_speech_by_the_character() -> None:
    assert cost(used("tts-1", characters=2000)) == pytest.approx(0.03)
    assert cost(used("tts-1", output_audio_seconds=9.0)) is None


@pytest.mark.parametrize("model", ["grok-transcribe", "nova-3", "scribe_v2_realtime", "my-whisper"])
def test_what_nobody_knows_stays_unknown(model: str) -> None:
    assert cost(used(model, "mine", input_audio_seconds=60.0)) is None


# -- figures that make no sense


@pytest.mark.parametrize("count", [-5, math.nan, math.inf])
def test_impossible_counts_have_no_price(count: float) -> None:
    for name in ("input_text_tokens", "output_audio_tokens", "input_audio_seconds"):
        assert cost(used("gpt-realtime", **dict[str, Any]({name: count}))) is None


# -- when the lists are read


def test_a_call_does_not_wait_for_the_price_lists() -> None:
    """To read them takes half a second: they are read when somebody asks what it cost, and in a thread then."""
    program = """
import asyncio, sys, threading
from voxengine.events import UsageUpdated
from voxengine.session import Ledger
ledger = Ledger()
ledger.begin("openai", on_device=False)
ledger.add(UsageUpdated(provider="openai", model="gpt-realtime-2", output_audio_tokens=1000))
assert "genai_prices" not in sys.modules
loaded_in = []
class Watch:
    def find_spec(self, name, *_):
        if name == "genai_prices":
            loaded_in.append(threading.current_thread())
sys.meta_path.insert(0, Watch())
asyncio.run(ledger.settle())
assert "genai_prices.data" in sys.modules and loaded_in[0] is not threading.main_thread()
assert abs(ledger.cost - 0.064) < 1e-9
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=50)


def test_reports_that_nobody_asks_the_price_of_do_not_pile_up() -> None:
    ledger = Ledger()
    event = used("gpt-realtime-2", output_text_tokens=1_000_000)
    n = 1100
    for _ in range(n):
        ledger.add(event)
    waiting = next(iter(ledger._entries.values())).unpriced
    assert len(waiting) == 1000
    assert ledger.cost == pytest.approx(24.0 * n)
    assert not waiting
