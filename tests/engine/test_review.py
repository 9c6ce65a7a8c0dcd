"""What goes wrong between the session and its providers, and what must not come of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.engine.conftest import MakeEngine
from tests.engine.desk import Desk, desk, tone
from voxengine import ConnectionError, ProviderError, register_provider
from voxengine import events as ev


def half_an_answer(p: Desk, *_: Any) -> None:
    p.begin()
    p.words("one two three four")
    p.audio(tone(1000))


def end_of_call(p: Desk, *_: Any) -> None:
    p.begin()
    p.emit(ev.FunctionInvoked(call_id="c", name="slow", **p.meta()))
    p.end()


# -- switching


async def test_a_switch_that_is_broken_off_leaves_nothing_open(make_engine: MakeEngine) -> None:
    other = desk()
    register_provider("other", other)
    kind = desk(configure_session=lambda *_: asyncio.sleep(5))
    async with make_engine(kind) as engine:
        waiting = asyncio.ensure_future(engine.update_session(eagerness="low"))
        await asyncio.sleep(0.1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await engine.switch_provider("other")
        assert other.made[0].closed == 1
        assert engine.provider is kind.made[0]
        await waiting


async def test_a_switch_to_one_that_is_lost_meanwhile_is_none(make_engine: MakeEngine) -> None:
    other = desk()
    register_provider("other", other)

    async def slow(*_: Any) -> None:
        await asyncio.sleep(1)
        other.made[0].lose()
        await asyncio.sleep(1)

    kind = desk(configure_session=slow)
    async with make_engine(kind) as engine:
        waiting = asyncio.ensure_future(engine.update_session(eagerness="low"))
        await asyncio.sleep(0.1)
        with pytest.raises(ConnectionError, match="cable cut"):
            await engine.switch_provider("other")
        await waiting
        assert engine.config.provider == "desk"
        assert engine.is_connected
        await engine.send_audio(tone(20))
        assert kind.made[0].asked("send_audio")


# -- calls that fail


@pytest.mark.parametrize("method", ["truncate_item", "interrupt"])
async def test_what_fails_beside_a_request_does_not_take_back_the_request(
    make_engine: MakeEngine, method: str
) -> None:
    def fail(*_: Any) -> None:
        raise ProviderError("no such item")

    texts: list[str] = []

    def answer_once(p: Desk, text: str, *_: Any) -> None:
        texts.append(text)
        if len(texts) == 1:
            half_an_answer(p)

    kind = desk(send_text=answer_once)
    kind.hooks[method] = fail
    errors: list[Any] = []
    async with make_engine(kind) as engine:
        engine.on("error", errors.append)
        await engine.send_text("count")
        await asyncio.sleep(0.5)
        kind.made[0].emit(ev.VadSpeechStarted(**kind.made[0].meta()))
        kind.made[0].emit(ev.TurnDetected(**kind.made[0].meta()))
        assert engine.state == "thinking"
        await asyncio.sleep(1)
        assert len(errors) == 1
        assert engine.state == "thinking", "the answer is still due"
        await asyncio.sleep(60)
        assert [e.code for e in errors[1:]] == ["response_timeout"]


async def test_usage_that_is_reported_twice_counts_once(make_engine: MakeEngine) -> None:
    def used(p: Desk, *_: Any) -> None:
        for _n in range(2):
            p.emit(ev.UsageUpdated(event_id="e1", output_audio_tokens=10, **p.meta()))

    async with make_engine(desk(send_text=used)) as engine:
        await engine.send_text("hi")
        assert (await engine.get_usage())["output_audio_tokens"] == 10


# -- tools


async def test_a_tool_of_the_last_provider_does_not_answer_a_call_of_the_next(
    make_engine: MakeEngine,
) -> None:
    kind = desk(send_text=end_of_call)
    other = desk(send_text=end_of_call)
    register_provider("other", other)
    engine = make_engine(kind)
    runs: list[int] = []

    @engine.tool
    async def slow() -> str:
        runs.append(1)
        n = len(runs)
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await asyncio.sleep(5)  # takes its time, and then will not be stopped
        return f"result {n}"

    async with engine:
        await engine.send_text("go")
        await asyncio.sleep(1)
        await engine.switch_provider("other")
        await engine.send_text("go")
        await asyncio.sleep(30)
    assert other.made[0].asked("send_tool_result") == [("c", "result 2")]


# -- races of the application


async def test_two_changes_of_settings_at_once_are_both_kept(make_engine: MakeEngine) -> None:
    kind = desk(configure_session=lambda *_: asyncio.sleep(1))
    async with make_engine(kind) as engine:
        await asyncio.gather(
            engine.update_session(voice="alto"), engine.update_session(temperature=0.5)
        )
        assert (engine.config.voice, engine.config.temperature) == ("alto", 0.5)


async def test_an_end_that_is_broken_off_is_an_end(make_engine: MakeEngine) -> None:
    engine = make_engine(desk(send_text=end_of_call, disconnect=lambda *_: asyncio.sleep(3)))
    stopped: list[str] = []

    @engine.tool
    async def slow() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            stopped.append("slow")

    await engine.connect()
    stream = engine.events("conversation_ended")
    await engine.send_text("go")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await engine.disconnect()
    async with asyncio.timeout(1):
        assert [e.type async for e in stream] == ["conversation_ended"]
    await asyncio.sleep(0.1)
    assert stopped == ["slow"]
