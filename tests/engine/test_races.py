"""Loss, rotation, switch, commands and the application's own impatience, at the same time."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from tests.engine.caller import LATENCY, Caller
from tests.engine.conftest import MakeEngine
from tests.engine.desk import ABLE, Desk, desk, tone
from voxengine import (
    ConfigurationError,
    ConnectionError,
    VoiceEngine,
    VoiceEngineConfig,
    register_provider,
)
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat

#: Another connection is opened from second 40 on, which takes it two seconds.
ROTATES: dict[str, Any] = {
    "capabilities": {"max_connection_seconds": 60},
    "latency_ms": {**LATENCY, "connect": 2000},
}
#: The same of a desk, where it takes no time.
LIMITED = msgspec.structs.replace(ABLE, max_connection_seconds=60)


def count(p: Desk, *_: Any) -> None:
    p.begin()
    p.words("one two three four")
    p.audio(tone(1000))


# -- a provider whose responses cannot be called off


@pytest.mark.parametrize("how", ["interrupt", "say", "send_text", "speech", "stall"])
async def test_who_cannot_be_stopped_is_silenced_here(make_engine: MakeEngine, how: str) -> None:
    def refuse(p: Desk, *_: Any) -> None:
        raise p.unsupported("calling off a response")

    def once(p: Desk, *_: Any) -> None:
        if len(p.asked("send_text")) == 1:
            count(p)

    kind = desk(msgspec.structs.replace(ABLE, cancel=False), interrupt=refuse, send_text=once)
    played: list[Any] = []
    troubles: list[Any] = []
    async with make_engine(kind, stall_timeout=5) as engine:
        engine.on("audio_chunk", played.append)
        engine.on("error", lambda e: troubles.append(e.code))
        p = kind.made[0]
        await engine.send_text("count")
        await asyncio.sleep(0.5)
        number = p._number
        match how:
            case "interrupt":
                await engine.interrupt()
                assert engine.state == "idle"
            case "speech":
                p.emit(ev.VadSpeechStarted(**p.meta()))
            case "stall":
                await asyncio.sleep(10)
            case _:
                await getattr(engine, how)("something else")
        played.clear()
        p.words("five six", number)
        p.audio(tone(500), number)
        p.end(number)
        assert not played
        assert troubles == (["response_stalled"] if how == "stall" else [])


# -- connect, disconnect


async def test_who_waits_for_an_outage_is_not_caught_by_the_end_of_the_session(
    make_engine: MakeEngine,
) -> None:
    slow = lambda p: asyncio.sleep(5 if len(type(p).made) == 2 else 0)  # noqa: E731
    kind = desk(connect=slow, disconnect=lambda *_: asyncio.sleep(1))
    async with make_engine(kind) as engine:
        kind.made[0].lose()
        waits = asyncio.create_task(engine.connect())
        leaves = asyncio.create_task(engine.disconnect())
        async with asyncio.timeout(30):
            await asyncio.gather(waits, leaves)
        assert engine.is_connected, "it was asked for after the disconnect"


async def test_a_switch_that_is_broken_off_after_it_was_done_is_done(
    make_engine: MakeEngine,
) -> None:
    other = desk()
    register_provider("other", other)
    closed: list[Desk] = []

    async def slowly(p: Desk) -> None:
        await asyncio.sleep(1)
        closed.append(p)

    kind = desk(disconnect=slowly)
    async with make_engine(kind) as engine:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await engine.switch_provider("other")
        assert engine.provider is other.made[0]
        assert engine.config.provider == "other"
        await asyncio.sleep(2)
        assert closed == kind.made
        # And whatever is changed or lost afterwards, it stays with that one.
        await engine.update_session(voice="alto")
        other.made[0].lose()
        await asyncio.sleep(1)
        assert engine.provider is other.made[1]


async def test_a_stand_in_that_is_not_needed_any_more_goes_unheard(
    make_engine: MakeEngine,
) -> None:
    async def leave(p: Desk, *_: Any) -> None:
        await asyncio.sleep(1 if p is kind.made[0] else 0)
        p.emit(ev.ConnectionClosed(**p.meta()))

    async def slow_the_second(p: Desk, *_: Any) -> None:
        await asyncio.sleep(5 if len(type(p).made) == 2 else 0)

    kind = desk(LIMITED, configure_session=slow_the_second, disconnect=leave)
    engine = make_engine(kind)
    closed: list[Any] = []
    engine.on("connection_closed", closed.append)
    async with engine:
        await engine.update_session(eagerness="low")
        await asyncio.sleep(42)
        assert len(kind.made) == 2
        assert engine.provider is kind.made[0]
    assert len(closed) == 1
    assert kind.made[1].closed == 1


async def test_an_attempt_that_is_overtaken_while_it_closes_is_closed_all_the_same(
    make_engine: MakeEngine,
) -> None:
    closed: list[Desk] = []

    def refuse(p: Desk) -> None:
        if p is not kind.made[0]:
            raise ConnectionError("busy", code="refused")

    async def slowly(p: Desk) -> None:
        await asyncio.sleep(1)
        closed.append(p)

    kind = desk(connect=refuse, disconnect=slowly)
    register_provider("other", desk())
    async with make_engine(kind) as engine:
        kind.made[0].lose()
        await asyncio.sleep(0.5)
        assert len(kind.made) == 2
        await engine.switch_provider("other")
        await asyncio.sleep(2)
        assert closed == kind.made


# -- rotation


@pytest.mark.parametrize("settings", [{"instructions": "be brief"}, {"eagerness": "low"}])
async def test_settings_that_change_while_another_connection_opens_are_its_settings(
    settings: dict[str, str], make_engine: MakeEngine
) -> None:
    async def slow_the_second(p: Desk, *_: Any) -> None:
        await asyncio.sleep(2 if len(type(p).made) == 2 else 0)

    kind = desk(LIMITED, connect=slow_the_second)
    async with make_engine(kind) as engine:
        await asyncio.sleep(41)
        assert len(kind.made) == 2
        assert engine.provider is kind.made[0]
        await engine.update_session(**settings)
        await asyncio.sleep(5)
        assert engine.provider is kind.made[1]
        told = {
            k: v
            for (changed,) in kind.made[1].asked("configure_session")
            for k, v in changed.items()
        }
        assert told == settings
        # They are not told to another provider.
        register_provider("other", other := desk())
        kind.hooks["connect"] = lambda *_: asyncio.sleep(5)
        kind.made[1].lose()
        await engine.switch_provider("other")
        assert not other.made[0].asked("configure_session")


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("apart", [1, 3, 4, 5])
async def test_whoever_calls_at_the_very_moment_of_a_rotation_is_heard(
    make_engine: MakeEngine, apart: int, turns: int
) -> None:
    """A call that is put in between the last that the old connection took and the change of connections."""

    async def take(*_: Any) -> None:
        for _n in range(turns):
            await asyncio.sleep(0)

    kind = desk(LIMITED, configure_session=take)
    failures: list[BaseException] = []
    async with make_engine(kind) as engine:
        await asyncio.sleep(39.9999)

        async def note(n: int) -> None:
            for _ in range(n * apart):
                await asyncio.sleep(0)
            await engine.update_session(temperature=n / 100)

        async def opening(_: Desk) -> None:
            tasks.extend(asyncio.create_task(note(n)) for n in range(40))
            for _n in range(5):
                await asyncio.sleep(0)

        tasks: list[asyncio.Task[None]] = []
        kind.hooks["connect"] = opening
        await asyncio.sleep(5)
        failures = [f for t in tasks if (f := t.exception()) is not None]
        assert len(tasks) == 40
        assert engine.provider is kind.made[1]
        assert (
            engine.config.temperature
            == kind.made[1].asked("configure_session")[-1][0]["temperature"]
        )
    assert failures == []


async def test_who_begins_to_speak_right_at_a_rotation_is_heard_however_slow_it_is(
    make_engine: MakeEngine,
) -> None:
    """Neither connection has told of speech. The second takes each piece of audio only after a while."""
    able = msgspec.structs.replace(LIMITED, vad_events=True)
    kind = desk(able, send_audio=lambda p, _: asyncio.sleep(0.3 if p is not kind.made[0] else 0))
    async with make_engine(kind) as engine:
        await asyncio.sleep(39.5)
        for _ in range(500):
            before = asyncio.get_running_loop().time()
            await engine.send_audio(tone(20))
            await asyncio.sleep(max(0, before + 0.02 - asyncio.get_running_loop().time()))
            if len(kind.made) == 2 and asyncio.get_running_loop().time() > 42:
                break
        spoken = (asyncio.get_running_loop().time() - 39.5) * 1000
        await asyncio.sleep(20)
        sent = sum(len(audio) for (audio,) in kind.made[1].asked("send_audio")) / 48
        assert sent == pytest.approx(spoken, abs=40)


async def test_a_stand_in_that_cannot_even_be_made_is_tried_again(make_engine: MakeEngine) -> None:
    kind = desk(LIMITED)
    made: list[float] = []

    class Broken(kind):  # type: ignore[misc, valid-type]
        def __init__(self, config: Any) -> None:
            made.append(asyncio.get_running_loop().time())
            if len(made) == 2:
                raise ConfigurationError("no such voice")
            super().__init__(config)

    warnings: list[Any] = []
    async with make_engine(Broken) as engine:
        engine.on("warning", warnings.append)
        await asyncio.sleep(50)
        assert [w.code for w in warnings] == ["rotation_failed"]
        assert engine.provider is kind.made[1]


# -- giving up, and beginning anew


async def test_who_connects_by_hand_begins_a_new_series(make_engine: MakeEngine) -> None:
    kind = desk()
    failed: list[Any] = []
    async with make_engine(kind) as engine:
        engine.on("connection_failed", lambda e: failed.append(e.code))
        while not failed:
            kind.made[-1].lose()
            await asyncio.sleep(0.5)
        assert failed == ["flapping"]
        await engine.connect()
        kind.made[-1].lose()
        await asyncio.sleep(1)
        assert engine.is_connected
        assert failed == ["flapping"]


# -- another format


def other_format(call: Caller) -> VoiceEngineConfig:
    return call.engine.config.with_changes(input_format="pcm16@8000", output_format="pcm16@8000")


async def test_after_a_switch_the_audio_is_kept_in_the_new_format() -> None:
    async with Caller() as call:
        await asyncio.sleep(1)
        await call.engine.switch_provider("mock", other_format(call))
        seconds = call.say("are you there")
        await asyncio.sleep(seconds / 2)
        call.lose()
        restored = await call.until(ev.ConnectionRestored)
        assert 200 < restored.audio_ms < 3000
        await call.quiet()
        texts = [i.text for i in call.engine.conversation.messages]
        assert texts == ["are you there", "yes i am"]


async def test_of_an_outage_nothing_is_lost_by_a_change_of_formats(
    make_engine: MakeEngine,
) -> None:
    kind = desk(connect=lambda p: asyncio.sleep(60 if len(type(p).made) > 1 else 0))
    register_provider("desk", kind)
    engine = VoiceEngine(provider="desk", turn_detection="none")
    async with engine:
        await engine.send_audio(tone(500))
        kind.made[0].lose()
        for _ in range(25):
            await engine.send_audio(tone(20))
        register_provider("other", other := desk())
        changed = VoiceEngineConfig(
            provider="other", input_format=AudioFormat("g711_ulaw", 8000), turn_detection="none"
        )
        await engine.switch_provider("other", changed)
        await engine.send_audio(b"\x55" * 800)
        await engine.commit_audio()
        # The desk takes pcm16 at 24 kHz.
        sent = sum(len(audio) for (audio,) in other.made[0].asked("send_audio")) / 48
        assert sent == pytest.approx(1100, abs=10)
        assert other.made[0].order[-1] == "commit_audio"
