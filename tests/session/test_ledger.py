"""Usage adds up, and costs what it costs."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxengine.events import UsageUpdated
from voxengine.session import Ledger
from voxengine.session import prices as price_lists

genai_prices = pytest.importorskip("genai_prices", reason="the extra 'prices' is not installed")

KNOWN = "gpt-realtime"
COUNTS = [
    n
    for n in UsageUpdated.__struct_fields__
    if n.endswith(("_tokens", "_seconds", "_messages")) or n == "characters"
]


def used(provider: str = "openai", model: str = KNOWN, **counts: Any) -> UsageUpdated:
    return UsageUpdated(provider=provider, model=model, **counts)


def list_price(model: str, **tokens: int) -> float:
    usage = genai_prices.Usage(**tokens)
    return float(genai_prices.calc_price(usage, model_ref=model).total_price)


def test_nothing_used_costs_nothing() -> None:
    ledger = Ledger()
    assert ledger.cost == 0.0
    plain = ledger.as_dict()
    assert plain["legs"] == []
    assert {plain[name] for name in COUNTS} == {0}


def test_every_count_of_the_event_is_booked() -> None:
    ledger = Ledger()
    counts: dict[str, Any] = {name: i for i, name in enumerate(COUNTS, 1)}
    for _ in range(3):
        ledger.add(used(**counts))
    assert len(COUNTS) == 12
    plain = ledger.as_dict()
    assert {name: plain[name] for name in COUNTS} == {n: 3 * v for n, v in counts.items()}
    assert {name: plain["legs"][0][name] for name in COUNTS} == {
        n: 3 * v for n, v in counts.items()
    }


def test_providers_and_models_have_entries_of_their_own() -> None:
    ledger = Ledger()
    ledger.add(used("openai", KNOWN, characters=1))
    ledger.add(used("azure", KNOWN, characters=10))
    ledger.add(used("openai", "gpt-4o-mini", characters=100))
    ledger.add(used("openai", KNOWN, characters=1000))
    legs = ledger.as_dict()["legs"]
    assert [(x["provider"], x["model"], x["characters"]) for x in legs] == [
        ("openai", KNOWN, 1001),
        ("azure", KNOWN, 10),
        ("openai", "gpt-4o-mini", 100),
    ]
    assert ledger.as_dict()["characters"] == 1111


def test_a_known_model_costs_its_list_price() -> None:
    ledger = Ledger()
    ledger.add(
        used(
            input_text_tokens=1000,
            input_audio_tokens=2000,
            cached_text_tokens=500,
            cached_audio_tokens=100,
            output_text_tokens=300,
            output_audio_tokens=4000,
        )
    )
    expected = list_price(
        KNOWN,
        input_tokens=3000,
        cache_read_tokens=600,
        output_tokens=4300,
        input_audio_tokens=2000,
        cache_audio_read_tokens=100,
        output_audio_tokens=4000,
    )
    assert ledger.cost == pytest.approx(expected)
    assert expected > 0.1
    assert ledger.as_dict()["cost"] == ledger.as_dict()["legs"][0]["cost"] == ledger.cost


def test_audio_costs_more_than_text() -> None:
    spoken, written = Ledger(), Ledger()
    spoken.add(used(output_audio_tokens=1000))
    written.add(used(output_text_tokens=1000))
    assert spoken.cost is not None
    assert written.cost is not None
    assert spoken.cost > written.cost > 0


def test_many_small_answers_do_not_cost_the_price_of_one_long_one() -> None:
    """Some models cost more per token beyond a length of the prompt. That is each request's, not the call's."""
    model = "gemini-2.5-pro"
    one = list_price(model, input_tokens=100_000)
    assert list_price(model, input_tokens=400_000) > 4.5 * one
    ledger = Ledger()
    for _ in range(4):
        ledger.add(used("google", model, input_text_tokens=100_000))
    assert ledger.cost == pytest.approx(4 * one)


def test_an_unknown_model_has_no_price_and_so_has_the_sum() -> None:
    ledger = Ledger()
    ledger.add(used(output_text_tokens=100))
    assert ledger.cost is not None
    ledger.add(used("mine", "my-own-model", output_text_tokens=100))
    assert ledger.legs[1].cost is None
    assert ledger.cost is None
    assert ledger.as_dict()["cost"] is None
    ledger.add(used("mine", "my-own-model", output_text_tokens=100))
    assert ledger.legs[1].cost is None


@pytest.mark.parametrize("model", ["", "my-own-model"])
def test_no_model_no_price(model: str) -> None:
    ledger = Ledger()
    ledger.add(used(model=model, output_text_tokens=1))
    assert ledger.cost is None


def test_what_is_paid_by_the_second_or_the_character_is_not_free() -> None:
    """The price list is in tokens. Where a model is not paid in these, the price is unknown, not zero."""
    for counts in ({"input_audio_seconds": 60.0}, {"characters": 1000}):
        ledger = Ledger()
        ledger.add(used(**counts))
        assert ledger.cost is None


def test_seconds_beside_tokens_do_not_hide_the_price() -> None:
    ledger = Ledger()
    ledger.add(used(output_audio_tokens=1000, output_audio_seconds=50.0))
    assert ledger.cost == pytest.approx(
        list_price(KNOWN, output_tokens=1000, output_audio_tokens=1000)
    )


def test_what_runs_on_this_machine_costs_nothing_whatever_its_model() -> None:
    ledger = Ledger()
    ledger.begin("local", on_device=True)
    ledger.begin("openai", on_device=False)
    ledger.add(used("local", "tiny.en", input_audio_seconds=3.0, characters=20))
    ledger.add(used("local", "", characters=1))
    assert ledger.cost == 0.0
    ledger.add(used("openai", KNOWN, output_audio_tokens=1000))
    assert ledger.cost == pytest.approx(
        list_price(KNOWN, output_tokens=1000, output_audio_tokens=1000)
    )


def test_figures_that_contradict_each_other_have_no_price_and_raise_nothing() -> None:
    ledger = Ledger()
    ledger.add(used(input_text_tokens=1, cached_text_tokens=1000))
    assert ledger.as_dict()["cached_text_tokens"] == 1000


def test_without_the_price_list_there_is_no_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    price_lists._library.cache_clear()
    try:
        ledger = Ledger()
        ledger.begin("local", on_device=True)
        ledger.add(used("local", "x", characters=5))
        assert ledger.cost == 0.0
        ledger.add(used(output_text_tokens=1))
        assert ledger.cost is None
    finally:
        price_lists._library.cache_clear()


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 10**6), st.integers(0, 10**6)), max_size=8
    )
)
def test_the_order_does_not_matter(reports: list[tuple[str, int, int]]) -> None:
    one, other = Ledger(), Ledger()
    events = [used(p, KNOWN, input_text_tokens=i, output_text_tokens=o) for p, i, o in reports]
    for event in events:
        one.add(event)
    for event in reversed(events):
        other.add(event)
    left, right = one.as_dict(), other.as_dict()
    assert {n: left[n] for n in COUNTS} == {n: right[n] for n in COUNTS}
    assert left["cost"] == pytest.approx(right["cost"])
    assert left["input_text_tokens"] == sum(i for _, i, _ in reports)


# -- reports that come apart


def test_a_response_and_the_transcription_of_its_input_are_two_entries() -> None:
    ledger = Ledger()
    for n in (1, 2):
        ledger.add(used(model="gpt-transcribe", input_audio_seconds=30.0))
        ledger.add(used(response_id=f"r{n}", output_audio_tokens=1000))
    assert [(x.model, x.responses) for x in ledger.legs] == [("gpt-transcribe", 0), (KNOWN, 2)]
    assert [x.cost for x in ledger.legs] == pytest.approx([0.0045, 0.128])
    assert ledger.cost == pytest.approx(0.1325)


def test_a_response_that_is_reported_in_parts_is_one_response() -> None:
    ledger = Ledger()
    for session_id, response_id in (("s1", "r1"), ("s1", "r1"), ("s1", "r2"), ("s2", "r2")):
        ledger.add(used(session_id=session_id, response_id=response_id, output_text_tokens=1))
    (leg,) = ledger.legs
    assert leg.responses == 3
    assert leg.output_text_tokens == 4


def test_seconds_before_and_after_the_tokens_do_not_hide_the_price() -> None:
    """What was heard after the last answer is reported at the end, without tokens."""
    ledger = Ledger()
    ledger.add(used(input_audio_seconds=2.0))
    assert ledger.cost is None
    ledger.add(used(output_audio_tokens=1000))
    ledger.add(used(input_audio_seconds=3.0))
    assert ledger.cost == pytest.approx(0.064)


def test_a_report_of_nothing_costs_nothing_whatever_its_model() -> None:
    ledger = Ledger()
    ledger.add(used("mine", "my-own-model", response_id="r1"))
    assert ledger.cost == 0.0
    ledger.add(used(output_audio_tokens=1000))
    assert ledger.cost == pytest.approx(0.064)


def test_one_report_without_a_price_makes_the_sum_unknown_for_good() -> None:
    ledger = Ledger()
    ledger.add(used(output_audio_tokens=1000))
    ledger.add(used(input_text_tokens=1, cached_text_tokens=1000))
    ledger.add(used(output_audio_tokens=1000))
    ledger.add(used(model="gpt-4o-mini", output_text_tokens=1000))
    first, second = ledger.legs
    assert first.cost is first.input_cost is first.output_cost is None
    assert second.cost is not None
    assert ledger.cost is None


# -- reports that come twice, and providers that change


def test_of_two_reports_with_one_id_only_the_first_counts() -> None:
    ledger = Ledger()
    for _ in range(2):
        ledger.add(used(session_id="s1", event_id="e1", response_id="r1", output_audio_tokens=1000))
    assert ledger.legs[0].responses == 1
    assert ledger.cost == pytest.approx(0.064)


@pytest.mark.parametrize(
    "one", [{"session_id": "s2"}, {"session_id": None}, {"provider": "azure", "session_id": "s1"}]
)
def test_another_session_counts_its_events_anew(one: dict[str, Any]) -> None:
    ledger = Ledger()
    ledger.add(used(session_id="s1", event_id="e1", output_audio_tokens=1000))
    for _ in range(2):
        ledger.add(used(**one, event_id="e1", output_audio_tokens=1000))
    twice = one["session_id"] is None  # nobody can tell: both count
    assert ledger.cost == pytest.approx(0.064 * (3 if twice else 2))


def test_one_that_takes_over_under_the_same_name_is_not_free_because_the_last_was() -> None:
    """A cascade with everything on this machine, then one whose brain is a vendor's."""
    ledger = Ledger()
    ledger.begin("cascade", on_device=True)
    ledger.add(used("cascade", "scripted", characters=9))
    ledger.begin("cascade", on_device=False)
    ledger.add(used("cascade", "gpt-4o-mini", output_text_tokens=1000))
    assert ledger.cost == pytest.approx(0.0006)
    ledger.begin("cascade", on_device=True)
    ledger.add(used("cascade", "other", characters=9))
    assert ledger.cost == pytest.approx(0.0006)


def test_what_was_spent_before_a_switch_stays() -> None:
    ledger = Ledger()
    ledger.begin("openai", on_device=False)
    ledger.add(used(output_audio_tokens=1000))
    ledger.begin("local", on_device=True)
    ledger.add(used("local", "tiny.en", input_audio_seconds=9.0))
    ledger.add(used(output_audio_tokens=1000))  # late
    assert [x.provider for x in ledger.legs] == ["openai", "local"]
    assert ledger.cost == pytest.approx(0.128)
