"""A lost connection that is not restored, going on with the same provider or with another, and what it costs."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from tests.engine.conftest import MakeEngine
from tests.engine.desk import ABLE, Desk, desk, tone
from voxengine import (
    ConfigurationError,
    ConnectionError,
    RateLimitError,
    UnknownProviderError,
    VoiceEngine,
    VoiceEngineConfig,
    register_provider,
)
from voxengine import events as ev


def half_an_answer(p: Desk, *_: Any) -> None:
    p.begin()
    p.words("one two three four")
    p.audio(tone(1000))


def hello(p: Desk, *_: Any) -> None:
    p.answer("hello")


# -- lost


async def test_lost_in_the_middle_of_an_answer(make_engine: MakeEngine) -> None:
    kind = desk(send_text=half_an_answer)
    kinds: list[str] = []
    async with make_engine(kind, reconnect_timeout=0) as engine:
        engine.on("*", lambda e: kinds.append(str(e.type)))
        await engine.send_text("count")
        await asyncio.sleep(0.5)
        kinds.clear()
        kind.made[0].lose()
        assert not engine.is_connected
        assert engine.connection_state.value == "error"
        assert [k for k in kinds if k != "conversation_updated"] == [
            "connection_lost",
            "response_error",
            "error",
        ]
        # What had come is still being played, and heard.
        assert engine.state == "speaking"
        await asyncio.sleep(1)
        assert engine.state == "idle"
        assert engine.conversation[-1].heard_ms == 1000
        with pytest.raises(ConnectionError, match="is lost") as caught:
            await engine.send_audio(tone(20))
        assert (caught.value.provider, caught.value.code) == ("desk", "closed")
        with pytest.raises(ConnectionError):
            await engine.send_text("hello?")
        assert engine.conversation[-1].role == "assistant"
    assert "conversation_ended" in kinds
    assert "connection_closed" not in kinds


async def test_lost_while_an_answer_is_due(make_engine: MakeEngine) -> None:
    kind = desk()
    errors: list[Any] = []
    async with make_engine(kind, reconnect_timeout=0) as engine:
        engine.on("error", errors.append)
        await engine.send_text("hi")
        assert engine.state == "thinking"
        kind.made[0].lose()
        assert engine.state == "idle"
        await asyncio.sleep(60)
    (error,) = errors
    assert (error.code, error.recoverable, error.provider) == ("closed", False, "desk")
    assert isinstance(error.exception, ConnectionError)
    assert (error.exception.code, error.exception.retryable) == ("closed", False)
    assert "cable cut" in error.error


async def test_lost_while_a_text_is_on_its_way(make_engine: MakeEngine) -> None:
    def break_down(p: Desk, *_: Any) -> Any:
        asyncio.get_running_loop().call_later(1, p.lose)
        return asyncio.sleep(100)

    async with make_engine(desk(send_text=break_down), reconnect_timeout=0) as engine:
        with pytest.raises(ConnectionError) as caught:
            await engine.send_text("hi")
        assert caught.value.code == "closed"
        assert engine.state == "idle"
        assert asyncio.get_running_loop().time() == 1.0


async def test_lost_while_a_tool_runs(make_engine: MakeEngine) -> None:
    def call(p: Desk, *_: Any) -> None:
        p.begin()
        p.emit(ev.FunctionInvoked(call_id="c", name="slow", **p.meta()))
        p.end()

    kind = desk(send_text=call)
    engine = make_engine(kind, reconnect_timeout=0)
    cancelled: list[Any] = []
    engine.on("function_cancelled", cancelled.append)

    @engine.tool
    async def slow() -> None:
        await asyncio.sleep(100)

    async with engine:
        await engine.send_text("go")
        await asyncio.sleep(1)
        kind.made[0].lose()
        await asyncio.sleep(1)
        assert engine.state == "idle"
    assert [e.reason for e in cancelled] == ["connection"]


async def test_connecting_after_a_loss_goes_on_with_the_conversation(
    make_engine: MakeEngine,
) -> None:
    kind = desk(send_text=hello)
    kinds: list[str] = []
    async with make_engine(kind, reconnect_timeout=0) as engine:
        await engine.send_text("hi")
        await asyncio.sleep(1)
        kind.made[0].lose()
        engine.on("connection_*", lambda e: kinds.append(str(e.type)))
        assert await engine.connect() is True
        assert engine.is_connected
        await engine.send_text("again")
        await asyncio.sleep(1)
        assert [i.text for i in engine.conversation] == ["hi", "hello", "again", "hello"]
    first, second = kind.made
    assert first.closed == second.closed == 1
    assert [(i.role, i.text) for i in second.history] == [("user", "hi"), ("assistant", "hello")]
    assert kinds == ["connection_starting", "connection_established", "connection_closed"]


async def test_connecting_after_a_loss_may_fail_and_be_tried_again(make_engine: MakeEngine) -> None:
    refused = [False, True, False]

    def connect(*_: Any) -> None:
        if refused.pop(0):
            raise ConnectionRefusedError("still down")

    kind = desk(connect=connect)
    async with make_engine(kind, reconnect_timeout=0) as engine:
        kind.made[0].lose()
        with pytest.raises(ConnectionError, match="still down"):
            await engine.connect()
        assert not engine.is_connected
        await engine.connect()
        assert engine.is_connected
    assert [p.closed for p in kind.made] == [1, 1, 1]


async def test_what_was_cut_is_told_as_it_was_heard(make_engine: MakeEngine) -> None:
    kind = desk(send_text=half_an_answer)
    async with make_engine(kind) as engine:
        await engine.send_text("count")
        await asyncio.sleep(0.5)
        await engine.interrupt()
        kind.made[0].lose()
        await engine.connect()
    assert [(i.role, i.text) for i in kind.made[1].history] == [
        ("user", "count"),
        ("assistant", "one two"),
    ]


async def test_a_provider_that_takes_no_history_is_not_told_and_we_are(
    make_engine: MakeEngine,
) -> None:
    kind = desk(msgspec.structs.replace(ABLE, history="none"), send_text=hello)
    warnings: list[Any] = []
    engine = make_engine(kind)
    engine.on("warning", warnings.append)
    for _ in range(2):
        async with engine:
            await engine.send_text("hi")
            await asyncio.sleep(1)
    assert kind.made[1].asked("add_conversation_history") == []
    assert [w.code for w in warnings] == ["history_not_carried"]


async def test_events_of_one_that_was_lost_count_no_more(make_engine: MakeEngine) -> None:
    kind = desk()
    async with make_engine(kind) as engine:
        old = kind.made[0]
        old.lose()
        await engine.connect()
        old.answer("a voice from the grave")
        old.lose()
        assert engine.is_connected
        assert len(engine.conversation) == 0


# -- another provider


async def test_switching_keeps_the_conversation(make_engine: MakeEngine) -> None:
    other = desk(send_text=lambda p, *_: p.answer("bonjour"))
    kind = desk(send_text=hello)
    engine = make_engine(kind, instructions="be kind")
    register_provider("other", other)
    kinds: list[tuple[str, str]] = []
    engine.on("connection_*", lambda e: kinds.append((str(e.type), e.provider)))
    async with engine:
        await engine.send_text("hi")
        await asyncio.sleep(1)
        await engine.switch_provider("other")
        assert engine.config.provider == "other"
        assert engine.config.instructions == "be kind"
        assert engine.get_metrics()["provider"] == "other"
        assert kind.made[0].closed == 1
        await engine.send_text("and you?")
        await asyncio.sleep(1)
        log = [(i.provider, i.text) for i in engine.conversation]
    assert log == [("desk", "hi"), ("desk", "hello"), ("other", "and you?"), ("other", "bonjour")]
    assert [i.text for i in other.made[0].history] == ["hi", "hello"]
    assert other.made[0].config.instructions == "be kind"
    # Made before break: the other is there before this one goes.
    assert kinds[2:4] == [("connection_starting", "other"), ("connection_established", "other")]


async def test_switching_with_a_configuration(make_engine: MakeEngine) -> None:
    other = desk()
    register_provider("other", other)
    async with make_engine(voice="alto") as engine:
        config = VoiceEngineConfig(api_key="k", metadata={"region": "eu"}, voice="tenor")
        await engine.switch_provider("other", config)
        assert engine.config == config.with_changes(provider="other")
    assert other.made[0].config.metadata == {"region": "eu"}
    assert other.made[0].config.api_key == "k"


async def test_switching_without_one_takes_no_key_of_the_present_provider_along(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = desk()
    register_provider("other", other)
    for name in ("API_KEY", "MODEL", "VOICE"):
        monkeypatch.setenv(f"VOXENGINE_{name}", "of-desk")
    monkeypatch.setenv("OTHER_API_KEY", "of-other")
    async with make_engine(
        api_key="of-desk", model="of-desk", voice="of-desk", metadata={"token": "of-desk"}
    ) as engine:
        await engine.switch_provider("other")
    config = other.made[0].config
    assert (config.api_key, config.model, config.voice, config.metadata) == (
        "of-other",
        None,
        None,
        {},
    )


@pytest.mark.parametrize(
    ("name", "error"), [("gone", UnknownProviderError), ("down", ConnectionError)]
)
async def test_a_switch_that_fails_changes_nothing(
    make_engine: MakeEngine, name: str, error: type[Exception]
) -> None:
    def refuse(*_: Any) -> None:
        raise ConnectionRefusedError("down")

    register_provider("down", desk(connect=refuse))
    kind = desk(send_text=hello)
    async with make_engine(kind) as engine:
        with pytest.raises(error):
            await engine.switch_provider(name)
        assert engine.config.provider == "desk"
        assert engine.is_connected
        await engine.send_text("still there?")
        assert engine.conversation[-1].text == "hello"


async def test_a_switch_in_mid_answer_cuts_it(make_engine: MakeEngine) -> None:
    other = desk()
    register_provider("other", other)
    async with make_engine(desk(send_text=half_an_answer)) as engine:
        await engine.send_text("count")
        await asyncio.sleep(0.5)
        await engine.switch_provider("other")
        assert engine.state == "idle"
        assert engine.conversation[-1].text == "one two"


async def test_a_switch_before_connecting_begins_with_the_other(make_engine: MakeEngine) -> None:
    other = desk()
    register_provider("other", other)
    kind = desk()
    engine = make_engine(kind)
    await engine.switch_provider("other")
    assert engine.is_connected
    assert kind.made == []
    await engine.disconnect()
    assert other.made[0].closed == 1


async def test_a_switch_after_a_refusal_is_the_way_on(make_engine: MakeEngine) -> None:
    def refuse(*_: Any) -> None:
        raise RateLimitError("slow down", retry_after=5.0)

    register_provider("other", desk())
    engine = make_engine(desk(connect=refuse))
    with pytest.raises(RateLimitError) as caught:
        await engine.connect()
    assert (caught.value.provider, caught.value.code, caught.value.retry_after) == (
        "desk",
        "rate_limit",
        5.0,
    )
    await engine.switch_provider("other")
    assert engine.is_connected
    await engine.disconnect()


async def test_a_switch_to_bad_settings_is_refused(make_engine: MakeEngine) -> None:
    async with make_engine() as engine:
        with pytest.raises(ConfigurationError):
            await engine.switch_provider("")
        assert engine.config.provider == "desk"


# -- usage


def used(p: Desk, *_: Any) -> None:
    p.emit(ev.UsageUpdated(model="gpt-realtime", output_audio_tokens=1000, **p.meta()))


async def test_usage_and_cost_add_up(make_engine: MakeEngine) -> None:
    pytest.importorskip("genai_prices", reason="the extra 'prices' is not installed")
    async with make_engine(desk(send_text=used)) as engine:
        for text in ("one", "two"):
            await engine.send_text(text)
        usage = await engine.get_usage()
        assert usage["output_audio_tokens"] == 2000
        assert usage["legs"][0]["provider"] == "desk"
        cost = await engine.estimate_cost()
        assert cost is not None
        assert cost > 0
        assert usage["cost"] == cost
        assert engine.usage.cost == cost
    # It stays after the end.
    assert (await engine.estimate_cost()) == cost


class Counts(Desk):
    """A provider with accounts of its own."""

    async def estimate_cost(self) -> float | None:
        return 1.25


async def test_a_provider_that_reports_nothing_is_asked(make_engine: MakeEngine) -> None:
    kind: Any = type("Counts", (Counts,), {"hooks": {}, "made": []})
    async with make_engine(kind) as engine:
        assert await engine.estimate_cost() == 1.25


async def test_what_is_not_known_is_not_zero(make_engine: MakeEngine) -> None:
    engine = make_engine()
    assert await engine.estimate_cost() == 0.0
    async with engine:
        await engine.send_text("hi")
        assert await engine.estimate_cost() is None


async def test_metrics_count_what_happened(make_engine: MakeEngine) -> None:
    kind = desk(send_text=half_an_answer)
    async with make_engine(kind) as engine:
        await engine.send_text("count")
        await asyncio.sleep(0.5)
        await engine.interrupt()
        kind.made[0].lose()
        metrics = engine.get_metrics()
    assert {k: v for k, v in metrics.items() if v} == {
        "provider": "desk",
        "state": "idle",
        "responses": 1,
        "responses_cancelled": 1,
        "interruptions": 1,
        "connections_lost": 1,
        "latency": metrics["latency"],
    }
    assert metrics["latency"]["first_audio_ms"]["median"] == 0.0


async def test_lost_audio_of_a_slow_consumer_is_counted() -> None:
    def flood(p: Desk, *_: Any) -> None:
        p.begin()
        for _n in range(2000):
            p.audio(tone(10))
        p.end()

    register_provider("desk", desk(send_text=flood))
    engine = VoiceEngine(VoiceEngineConfig(provider="desk"))
    async with engine:
        stream = engine.events("audio_chunk")
        await engine.send_text("go")
        assert (await anext(stream)).type == "audio_chunk"
        stream.close()
        assert engine.get_metrics()["audio_drops"] == 1


async def test_each_connection_has_ids_of_its_own(make_engine: MakeEngine) -> None:
    """Many vendors number from 1 in each session: what bears a number that was there before is not a repeat."""

    def numbered(p: Desk, *_: Any) -> None:
        ids: dict[str, Any] = {"response_id": "resp_1"}
        p.emit(ev.ResponseStarted(event_id="event_1", **ids, **p.meta()))
        p.emit(
            ev.FunctionInvoked(event_id="event_2", call_id="call_1", name="now", **ids, **p.meta())
        )
        p.emit(ev.TextOutput(event_id="event_3", text="It is noon.", **ids, **p.meta()))
        p.emit(ev.ResponseCompleted(event_id="event_4", **ids, **p.meta()))

    kind = desk(msgspec.structs.replace(ABLE, continues_after_tool=True), send_text=numbered)
    engine = make_engine(kind, reconnect_timeout=0)
    ran: list[int] = []

    @engine.tool
    def now() -> str:
        ran.append(1)
        return "noon"

    texts: list[str] = []
    engine.on("text_chunk", lambda e: texts.append(e.text))
    async with engine:
        for turn in range(3):
            await engine.send_text(f"time? {turn}")
            await asyncio.sleep(1)
            if turn == 0:
                await engine.interrupt()  # or the other would be asked for what follows the tool
                await engine.switch_provider("desk")
            else:
                kind.made[-1].lose()
                await engine.connect()
    assert len(ran) == 3
    assert texts == ["It is noon."] * 3
