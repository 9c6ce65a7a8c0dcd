"""Whole calls with a limit: what is told, who takes over, how they end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.engine.caller import Caller
from voxengine import ConfigurationError, SessionClosedError, VoiceEngine
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.sentence import SHIPPED
from voxengine.audio.signal import speak, understand
from voxengine.audio.wav import write_wav
from voxengine.data import SENTENCES
from voxengine.providers.mock import FaultPlan
from voxengine.session.bill import FINISH

#: Answers of one second, which cost a dollar, or a cent.
PRICES = {"mock/dear": {"output_audio_seconds": 60.0}, "mock/cheap": {"output_audio_seconds": 0.6}}
METERED = {"on_device": False, "usage_unit": "seconds"}
VENDOR = {"capabilities": METERED, "mock_responses": "one two", "ms_per_word": 500.0}
#: Every connection but the first is refused.
NEVER_AGAIN = [f"refuse:connect={n}" for n in range(2, 60)]
CHEAP = {"provider": "mock", "model": "cheap", "metadata": VENDOR}


class Metered:
    """A call to the mock that costs a dollar an answer. What happens is noted with the second of the call."""

    def __init__(self, metadata: dict[str, Any] | None = None, **settings: Any) -> None:
        settings = {"model": "dear", "prices": PRICES, "goodbye": None, **settings}
        self.engine = VoiceEngine(
            provider="mock", metadata={**VENDOR, **(metadata or {})}, **settings
        )
        self.events: list[Any] = []
        self.engine.on("*", self.events.append)

    async def ask(self, pause: float = 2.0) -> None:
        await self.engine.send_text("go on")
        await asyncio.sleep(pause)

    def of(self, kind: type[Any]) -> list[Any]:
        return [e for e in self.events if isinstance(e, kind)]

    def at(self, event: Any) -> float:
        begin = self.of(ev.ConversationStarted)[0].timestamp
        return round(float(event.timestamp - begin), 3)

    @property
    def limits(self) -> list[tuple[str, str, float]]:
        return [(e.limit, e.action, round(e.used, 3)) for e in self.of(ev.LimitReached)]

    @property
    def reason(self) -> str | None:
        ended = self.of(ev.ConversationEnded)
        return ended[0].reason if ended else None


# -- what is told


async def test_b28_every_turn_shows_what_it_added() -> None:
    """A call becomes dearer with each turn: the sum is told with each, not found on the invoice."""
    call = Metered()
    async with call.engine:
        for _ in range(3):
            await call.ask()
        costs = call.of(ev.CostUpdated)
        assert [e.cost for e in costs] == pytest.approx([1.0, 2.0, 3.0])
        assert [e.leg_cost for e in costs] == pytest.approx([1.0, 2.0, 3.0])
        assert {(e.provider, e.model, e.currency) for e in costs} == {("mock", "dear", "USD")}
        for usage, cost in zip(call.of(ev.UsageUpdated), costs, strict=True):
            assert call.events.index(usage) < call.events.index(cost)
        assert await call.engine.estimate_cost() == pytest.approx(3.0)
    assert call.reason == ""


async def test_a31_the_cost_of_a_call_by_provider() -> None:
    call = Metered()
    async with call.engine as engine:
        await call.ask()
        await engine.switch_provider("mock", engine.config.with_changes(model="cheap"))
        await call.ask()
        last = call.of(ev.CostUpdated)[-1]
        assert (last.model, last.leg_cost) == ("cheap", pytest.approx(0.01))
        assert last.cost == pytest.approx(1.01)


async def test_nothing_is_priced_where_nobody_wants_to_know(monkeypatch) -> None:
    read: list[str] = []
    monkeypatch.setattr("voxengine.session.ledger.load", lambda: read.append("lists"))
    call = Metered()
    engine = VoiceEngine(call.engine.config)
    usage: list[Any] = []
    engine.on("usage_updated", usage.append)
    async with engine:
        await engine.send_text("go on")
        await asyncio.sleep(2)
        assert usage
        assert not read
        costs: list[Any] = []
        engine.on("cost_updated", costs.append)
        await engine.send_text("go on")
        await asyncio.sleep(2)
        assert read
        assert [e.cost for e in costs] == pytest.approx([2.0])


@pytest.mark.parametrize(
    ("model", "audio_rate"),
    [("gpt-realtime-2025-08-28", 64.0), ("gemini-2.5-flash-native-audio-preview-12-2025", 12.0)],
)
async def test_b3_b5_names_with_a_date_and_audio_have_their_price(model, audio_rate) -> None:
    """A dated name is not free, and audio is not paid at the rate of text."""
    pytest.importorskip("genai_prices")
    call = Metered({"capabilities": {"on_device": False, "usage_unit": "tokens"}}, model=model)
    async with call.engine:
        await call.ask()
        (used,) = call.of(ev.UsageUpdated)
        (told,) = call.of(ev.CostUpdated)
        assert told.cost is not None
        assert told.cost >= used.output_audio_tokens * audio_rate / 1e6 > 0


# -- the limit of cost


async def test_b29_warned_then_ended() -> None:
    call = Metered(max_cost=5.0, warn_at=(0.5, 0.8))
    async with call.engine as engine:
        for _ in range(4):
            await call.ask()
        assert call.limits == [("cost", "warn", 3.0), ("cost", "warn", 4.0)]
        assert engine.is_connected
        await call.ask(3.0)
        assert call.limits[2:] == [("cost", "end", 5.0)]
        assert call.reason == "max_cost"
        assert engine.state == "disconnected"
        with pytest.raises(SessionClosedError):
            await engine.send_text("more")
    told = call.of(ev.LimitReached)
    assert [e.fraction for e in told] == [0.5, 0.8, 1.0]
    assert {(e.maximum, e.provider) for e in told} == {(5.0, "mock")}


async def test_the_answer_under_way_is_heard_to_its_end_before_the_goodbye() -> None:
    call = Metered(max_cost=1.0, warn_at=(), goodbye={"text": "goodbye"})
    async with call.engine as engine:
        await call.ask(5.0)
        ended = call.of(ev.LimitReached)[0]
        assert call.at(ended) == 0.225  # it was reported when all of it was sent
        (stopped,) = call.of(ev.AudioOutputStopped)
        assert (call.at(stopped), stopped.heard_ms, stopped.interrupted) == (1.0, 1000.0, False)
        assert call.reason == "max_cost"
        assert [i.text for i in engine.conversation][-2:] == ["one two", "goodbye"]


async def test_an_answer_that_does_not_come_to_an_end_is_cut() -> None:
    answer = "word " * 60
    call = Metered({"mock_responses": answer, "realtime_factor": 50}, max_cost=1.0, warn_at=())
    async with call.engine as engine:
        await engine.send_text("talk")
        await asyncio.sleep(20)
        cut = call.of(ev.AudioOutputStopped)[0]
        assert cut.interrupted
        assert call.at(cut) == pytest.approx(call.at(call.of(ev.LimitReached)[0]) + FINISH)
        assert call.reason == "max_cost"
        assert engine.conversation[-1].interrupted


async def test_the_goodbye_is_spoken_in_the_format_of_the_application() -> None:
    call = Metered(max_cost=1.0, warn_at=(), output_format="g711_ulaw@8000")
    engine = VoiceEngine(call.engine.config, goodbye=SHIPPED["goodbye"])
    engine.on("*", call.events.append)
    async with engine:
        await engine.send_text("go on")
        await asyncio.sleep(10)
    assert call.reason == "max_cost"
    chunks = [e for e in call.of(ev.AudioOutputChunk) if e.provider == "voxengine"]
    seconds = sum(len(e.audio_data) for e in chunks) / 8000
    assert {(e.encoding, e.sample_rate) for e in chunks} == {("g711_ulaw", 8000)}
    assert seconds == pytest.approx(3.7, abs=0.1)
    stopped = call.of(ev.AudioOutputStopped)[-1]
    assert stopped.heard_ms == pytest.approx(seconds * 1000)
    assert call.at(call.of(ev.ConversationEnded)[0]) == pytest.approx(1.0 + seconds, abs=0.01)
    said = engine.conversation[-1]
    assert (said.text, said.provider) == (SENTENCES["goodbye"], "voxengine")


async def test_a_cost_without_a_price_is_warned_of_once_and_what_is_known_counts() -> None:
    # The second model has no price, and is reported first.
    call = Metered(model="unknown", max_cost=2.0, warn_at=())
    async with call.engine as engine:
        await call.ask()
        await call.ask()
        (warning,) = [w for w in call.of(ev.SystemWarning) if w.code == "cost_unknown"]
        assert "'unknown'" in warning.message
        assert "prices" in warning.message
        assert {e.cost for e in call.of(ev.CostUpdated)} == {None}
        await engine.switch_provider("mock", engine.config.with_changes(model="dear"))
        await call.ask()
        assert call.limits == []
        await call.ask(3.0)
        assert call.reason == "max_cost"
    assert sum(w.code == "cost_unknown" for w in call.of(ev.SystemWarning)) == 1


async def test_what_was_spent_before_counts_when_the_conversation_is_taken_up_again() -> None:
    call = Metered(max_cost=1.0, warn_at=())
    async with call.engine:
        await call.ask(3.0)
    assert call.reason == "max_cost"
    call.events.clear()
    await call.engine.connect()
    await asyncio.sleep(1)
    assert call.reason == "max_cost"


# -- a cheaper provider


async def test_a_cheaper_provider_takes_over_at_a_quiet_moment() -> None:
    call = Metered(max_cost=10.0, economy=CHEAP)
    async with call.engine as engine:
        for _ in range(9):
            await call.ask()
        assert call.limits == [("cost", "warn", 8.0), ("cost", "switch", 9.0)]
        (switched,) = call.of(ev.ProviderSwitched)
        assert switched.reason == "limit"
        step = call.of(ev.LimitReached)[-1]
        assert call.at(step) == 16.225
        assert call.at(switched) == 17.0  # when the answer had been heard
        assert not [e for e in call.of(ev.AudioOutputStopped) if e.interrupted]
        for _ in range(20):
            await call.ask()
        assert engine.is_connected
        assert call.of(ev.CostUpdated)[-1].model == engine.config.model == "cheap"
        assert await engine.estimate_cost() == pytest.approx(9.2)
    assert call.reason == ""


async def test_the_limit_holds_for_whoever_took_over_as_well() -> None:
    other = {**CHEAP, "model": "dear"}
    call = Metered(max_cost=1.0, warn_at=(), economy=other, model="cheap")
    async with call.engine:
        for _ in range(90):
            await call.ask()
        assert call.limits == [("cost", "switch", 0.9)]
        await call.ask(3.0)
        assert call.limits[1:] == [("cost", "end", 1.9)]
        assert call.reason == "max_cost"


async def test_where_the_cheaper_one_is_at_work_there_is_nothing_to_change() -> None:
    call = Metered(max_cost=1.0, warn_at=(), model="cheap", economy=CHEAP)
    async with call.engine:
        for _ in range(95):
            await call.ask()
        assert call.limits == []
        assert not call.of(ev.ProviderSwitched)


async def test_where_the_cheaper_one_cannot_come_the_present_one_stays() -> None:
    refused = {**CHEAP, "metadata": {**VENDOR, "faults": FaultPlan(["refuse"])}}
    call = Metered(max_cost=10.0, warn_at=(), economy=refused)
    async with call.engine:
        for _ in range(9):
            await call.ask()
        (warning,) = [w for w in call.of(ev.SystemWarning) if w.code == "economy_failed"]
        assert "refuse" in warning.message
        await call.ask(3.0)
        assert call.limits[-1] == ("cost", "end", 10.0)
        assert call.reason == "max_cost"
    assert not call.of(ev.ProviderSwitched)


# -- the limit of time


async def test_a_call_has_its_time() -> None:
    call = Metered(max_duration=100.0)
    async with call.engine as engine:
        await asyncio.sleep(99.5)
        assert call.limits == [("duration", "warn", 80.0)]
        assert engine.is_connected
        await asyncio.sleep(1.0)
        assert call.limits[1:] == [("duration", "end", 100.0)]
        assert call.reason == "max_duration"
        assert [call.at(e) for e in call.of(ev.LimitReached)] == [80.0, 100.0]


async def test_the_time_goes_on_over_a_lost_connection_and_a_switch() -> None:
    call = Metered(max_duration=30.0, warn_at=())
    async with call.engine as engine:
        await asyncio.sleep(10)
        engine.provider.simulate_error("closed")  # type: ignore[union-attr]
        await asyncio.sleep(10)
        assert call.of(ev.ConnectionRestored)
        await engine.switch_provider("mock", engine.config.with_changes(model="cheap"))
        await asyncio.sleep(9)
        assert engine.is_connected
        await asyncio.sleep(2)
        assert call.reason == "max_duration"
        assert call.at(call.of(ev.LimitReached)[0]) == 30.0


async def test_it_ends_in_an_outage_too() -> None:
    call = Metered({"faults": FaultPlan(["drop:after_s=29,connect=1", *NEVER_AGAIN])})
    engine = VoiceEngine(
        call.engine.config, max_duration=30.0, goodbye=SHIPPED["goodbye"], apology=None
    )
    engine.on("*", call.events.append)
    async with engine:
        await asyncio.sleep(40)
    assert call.of(ev.ConnectionLost)
    assert call.reason == "max_duration"
    said = [e for e in call.of(ev.AudioOutputStopped) if e.heard_ms > 3000]
    assert len(said) == 1


async def test_who_hangs_up_first_is_not_hung_up_on() -> None:
    call = Metered(max_duration=10.0, goodbye=SHIPPED["goodbye"])
    async with call.engine:
        await asyncio.sleep(11)  # in the middle of the goodbye
        assert call.limits[-1] == ("duration", "end", 10.0)
    assert call.reason == ""
    await asyncio.sleep(60)
    assert len(call.of(ev.ConversationEnded)) == 1


async def test_whoever_listens_comes_to_an_end() -> None:
    call = Metered(max_duration=5.0)
    async with call.engine as engine:
        async with asyncio.timeout(20):
            async for _ in engine.events("audio_chunk"):
                pass
    assert call.reason == "max_duration"


# -- the apology


async def test_when_no_provider_is_left_the_caller_is_told() -> None:
    shipped = {"apology": SHIPPED["apology"]}
    async with Caller("drop:after_s=5,connect=1", *NEVER_AGAIN, config=shipped) as call:
        call.hang_up_microphone()
        await asyncio.sleep(40)
        said = [e for e in call.events if e.provider == "voxengine"]
        assert [e.text for e in said if isinstance(e, ev.TextOutput)] == [SENTENCES["apology"]]
        failed = call.of(ev.ConnectionFailed)[-1]
        assert call.events.index(failed) < call.events.index(said[0])
        assert call.engine.conversation[-1].heard_ms > 4000


async def test_ones_own_words_or_none() -> None:
    for apology, words in (({"text": "one moment"}, ["one moment"]), (None, [])):
        call = Caller(
            "drop:after_s=5,connect=1",
            *NEVER_AGAIN,
            config={"apology": apology, "reconnect_timeout": 1.0},
        )
        async with call:
            call.hang_up_microphone()
            await asyncio.sleep(20)
            said = [e for e in call.events if e.provider == "voxengine"]
            assert [e.text for e in said if isinstance(e, ev.TextOutput)] == words
            assert not [e for e in said if isinstance(e, ev.AudioOutputChunk)]


# -- what the application has announced


async def test_the_application_has_something_said(tmp_path) -> None:
    format = AudioFormat(sample_rate=16000)
    path = tmp_path / "hold.wav"
    write_wav(path, speak("please hold", format), format)
    async with Caller() as call:
        await call.engine.announce({"text": "please hold", "audio": path})
        await call.quiet()
        (item,) = call.engine.conversation.messages
        assert understand(bytes(call.played[item.id]), AudioFormat()) == "please hold"
        assert (item.text, item.heard_ms) == ("please hold", item.audio_ms)
        await call.engine.announce(path)
        await call.quiet()
        assert call.engine.conversation[-1].audio_ms == item.audio_ms


async def test_what_cannot_be_announced() -> None:
    engine = VoiceEngine(provider="mock")
    with pytest.raises(SessionClosedError):
        await engine.announce("hold.wav")
    async with engine:
        with pytest.raises(ConfigurationError, match="No such file"):
            await engine.announce("/no/such/hold.wav")
        await engine.announce(None)
        assert len(engine.conversation) == 0
