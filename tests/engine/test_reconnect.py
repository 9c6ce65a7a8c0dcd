"""What happens during an outage, and what is told of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.engine.caller import FORMAT, LATENCY, Caller
from tests.engine.conftest import MakeEngine
from tests.engine.desk import Desk, desk, tone
from voxengine import (
    ConnectionError,
    SessionClosedError,
    VoiceEngine,
    register_provider,
)
from voxengine import events as ev
from voxengine.audio.level import first_audible_ms
from voxengine.providers.mock import Drop, FaultPlan, Flap, MockProvider, Refuse

#: Connecting again takes two seconds.
SLOW = {**LATENCY, "connect": 2000}


def now() -> float:
    return asyncio.get_running_loop().time()


def mock(call: Caller) -> MockProvider:
    provider = call.engine.provider
    assert isinstance(provider, MockProvider)
    return provider


# -- what is told


async def test_what_is_told_of_an_outage() -> None:
    async with Caller(Refuse(connect=2), Refuse(connect=3)) as call:
        await asyncio.sleep(1)
        call.events.clear()
        call.lose()
        assert str(call.engine.connection_state) == "reconnecting"
        assert not call.engine.is_connected
        restored = await call.until(ev.ConnectionRestored)
        assert str(call.engine.connection_state) == "connected"
        kinds = [str(e.type) for e in call.events if e.type != "state_changed"]
        assert kinds == [
            "connection_lost",
            "connection_reconnecting",
            "connection_reconnecting",
            "connection_reconnecting",
            "connection_restored",
        ]
        first, second, third = call.of(ev.ConnectionReconnecting)
        assert (first.attempt, first.delay_s, first.code) == (1, 0.0, "closed")
        assert (second.attempt, second.code) == (2, "refused")
        assert 0.125 <= second.delay_s <= 0.25
        assert 0.25 <= third.delay_s <= 0.5
        assert restored.attempts == 3
        spent = second.delay_s + third.delay_s
        assert restored.outage_ms == pytest.approx(300 + 1000 * spent, abs=3)
        assert (restored.items, restored.audio_ms, restored.resumed) == (0, 0.0, False)


async def test_what_the_vendor_asks_us_to_wait_is_waited() -> None:
    async with Caller(Refuse("rate_limit", connect=2, retry_after=3.0)) as call:
        call.lose()
        restored = await call.until(ev.ConnectionRestored)
        assert restored.outage_ms == pytest.approx(3200)


async def test_a_wait_beyond_the_budget_is_not_begun() -> None:
    async with Caller(Refuse("rate_limit", connect=2, retry_after=60.0)) as call:
        call.lose()
        began = now()
        failed = await call.until(ev.ConnectionFailed)
        assert (failed.code, failed.retryable) == ("reconnect_timeout", False)
        assert now() - began < 1
        call.hang_up_microphone()


async def test_a_budget_of_nothing_tries_nothing() -> None:
    async with Caller(config={"reconnect_timeout": 0}) as call:
        call.hang_up_microphone()
        await asyncio.sleep(1)
        call.lose()
        await asyncio.sleep(20)
        assert call.plan.connects == 1
        assert not call.of(ev.ConnectionReconnecting)
        (error,) = call.of(ev.ErrorGeneral)
        assert isinstance(error.exception, ConnectionError)
        assert not error.recoverable
        with pytest.raises(ConnectionError, match="is lost"):
            await call.engine.send_text("hello?")


async def test_after_it_was_given_up_one_may_connect_anew() -> None:
    async with Caller(Refuse("auth", connect=2)) as call:
        await call.engine.send_text("tell me")
        await call.quiet()
        call.hang_up_microphone()
        call.lose()
        await call.until(ev.ConnectionFailed)
        assert await call.engine.connect() is True
        await call.engine.send_text("are you there")
        await call.quiet()
        assert [i.text for i in call.engine.conversation] == [
            "tell me",
            "one two three four five six",
            "are you there",
            "yes i am",
        ]


async def test_connecting_during_an_outage_waits_for_its_end() -> None:
    async with Caller(latency_ms=SLOW) as call:
        call.lose()
        began = now()
        assert await call.engine.connect() is True
        assert now() - began == pytest.approx(2)
        assert call.plan.connects == 2


async def test_a_connection_that_has_worked_for_a_while_begins_a_new_series() -> None:
    """Nine losses a minute apart are nine outages, and not one that flaps."""
    async with Caller() as call:
        for _ in range(9):
            await call.engine.send_text("are you there")
            await call.quiet()
            await asyncio.sleep(60)
            call.lose()
            await call.until(ev.ConnectionRestored)
        assert not call.of(ev.ErrorGeneral)


async def test_a_connection_over_which_nothing_came_does_not() -> None:
    async with Caller() as call:
        for _ in range(4):
            await asyncio.sleep(60)
            call.lose()
            await call.until(ev.ConnectionRestored)
        await asyncio.sleep(60)
        call.hang_up_microphone()
        call.lose()
        (failed,) = call.of(ev.ConnectionFailed)
        assert failed.code == "flapping"


# -- what the user says meanwhile


async def test_what_is_said_during_the_outage_is_heard_after_it() -> None:
    async with Caller(latency_ms=SLOW) as call:
        await asyncio.sleep(3)
        call.lose()
        await asyncio.sleep(0.5)
        call.say("are you there")
        restored = await call.until(ev.ConnectionRestored)
        # From shortly before the first sound on, and not the silence before.
        assert restored.audio_ms == pytest.approx(1500 + 300, abs=60)
        await call.quiet()
        assert [(i.role, i.text) for i in call.engine.conversation] == [
            ("user", "are you there"),
            ("assistant", "yes i am"),
        ]
        call.check_log()


async def test_silence_is_not_replayed() -> None:
    async with Caller(latency_ms=SLOW) as call:
        await asyncio.sleep(5)
        call.lose()
        restored = await call.until(ev.ConnectionRestored)
        assert (restored.audio_ms, restored.audio_lost_ms) == (0, 0)
        await asyncio.sleep(1)
        sent = bytes(mock(call).received_audio)
        assert FORMAT.duration_ms(len(sent)) == pytest.approx(1000, abs=40)


async def test_a_turn_that_was_answered_is_not_replayed() -> None:
    async with Caller(latency_ms=SLOW) as call:
        call.say("are you there")
        await call.until(ev.ResponseCompleted)
        call.lose()
        await call.until(ev.ConnectionRestored)
        await call.quiet()
        assert first_audible_ms(bytes(mock(call).received_audio), FORMAT) is None
        assert len(call.engine.conversation) == 2


async def test_live_audio_follows_what_is_replayed() -> None:
    """Words that are being said when the connection comes back are heard in one piece."""
    async with Caller(latency_ms={**LATENCY, "connect": 700}) as call:
        call.say("one two three four five six seven eight")
        await asyncio.sleep(1)
        call.lose()
        await call.until(ev.ConnectionRestored)
        await call.until(ev.TranscriptCompleted)
        await call.quiet()
        users = [i.text for i in call.engine.conversation.messages if i.role == "user"]
        assert users == ["one two three four five six seven eight"]


async def test_replaying_is_faster_than_speaking_and_holds_nobody_up() -> None:
    async with Caller() as call:
        call.say("one two three four five six seven eight nine ten " * 2)
        await asyncio.sleep(6)
        call.lose()
        restored = await call.until(ev.ConnectionRestored)
        assert restored.audio_ms > 5500
        began = now()
        await call.until(ev.VadSpeechStarted)
        assert now() - began < 0.1


async def test_more_than_is_held_is_lost_and_told() -> None:
    faults = [Refuse("rate_limit", connect=2, retry_after=40.0)]
    async with Caller(*faults, config={"reconnect_timeout": 60}, transcripts="a story") as call:
        format = call.engine.config.input_format
        call._words += b"\x00\x20\x00\xe0" * (format.sample_rate // 2 * 60)
        await asyncio.sleep(5)
        call.lose()
        restored = await call.until(ev.ConnectionRestored, 60)
        assert restored.audio_ms == pytest.approx(30_000, abs=30)
        assert restored.audio_lost_ms == pytest.approx(15_100, abs=300)


async def test_audio_that_finds_the_socket_closing_does_not_fail(make_engine: MakeEngine) -> None:
    def closing(p: Desk, *_: Any) -> None:
        if p is kind.made[0]:
            asyncio.get_running_loop().call_later(0.5, p.lose)
            raise ConnectionError("the socket is closing", code="closed")

    kind = desk(send_audio=closing)
    async with make_engine(kind) as engine:
        for _ in range(50):
            await engine.send_audio(tone(20))
            await asyncio.sleep(0.02)
        heard = b"".join(audio for (audio,) in kind.made[1].asked("send_audio"))
        assert heard == tone(1000), "and it is not lost"


async def test_audio_that_never_gets_through_fails(make_engine: MakeEngine) -> None:
    def closing(p: Desk, *_: Any) -> None:
        raise ConnectionError("the socket is closing", code="closed")

    async with make_engine(desk(send_audio=closing)) as engine:
        await engine.send_audio(tone(20))
        await asyncio.sleep(1.1)
        with pytest.raises(ConnectionError, match="closing"):
            await engine.send_audio(tone(20))


# -- what the application asks meanwhile


async def test_commands_wait_for_the_end_of_the_outage() -> None:
    async with Caller(latency_ms=SLOW) as call:
        await asyncio.sleep(1)
        call.lose()
        began = now()
        await call.engine.send_text("are you there")
        assert now() - began == pytest.approx(2)
        await call.quiet()
        assert [i.text for i in call.engine.conversation] == ["are you there", "yes i am"]


async def test_commands_fail_when_it_does_not_end_well() -> None:
    async with Caller(Refuse("quota", connect=2), latency_ms=SLOW) as call:
        call.hang_up_microphone()
        call.lose()
        with pytest.raises(ConnectionError, match="is lost") as caught:
            await call.engine.send_text("are you there")
        assert caught.value.code == "quota"
        assert len(call.engine.conversation) == 0


async def test_a_text_that_is_on_its_way_is_not_lost(make_engine: MakeEngine) -> None:
    """The vendor never took it: the next connection is told it by the log, and asked to answer."""

    def break_down(p: Desk, *_: Any) -> Any:
        asyncio.get_running_loop().call_later(1, p.lose)
        return asyncio.sleep(100)

    kind = desk(send_text=break_down, create_response=lambda p, *_: p.answer("hello"))
    async with make_engine(kind) as engine:
        await engine.send_text("hi")
        assert now() == 1.0
        await asyncio.sleep(1)
        assert [p.closed for p in kind.made] == [1, 0], "the lost one is let go of"
        assert [i.text for i in kind.made[1].history] == ["hi"]
        assert kind.made[1].asked("create_response") == [(None, None)]
        assert [i.text for i in engine.conversation] == ["hi", "hello"]


async def test_a_call_that_fails_just_before_the_loss_is_told_of_is_no_failure(
    make_engine: MakeEngine,
) -> None:
    def closing(p: Desk, *_: Any) -> None:
        if len(kind.made) == 1:
            asyncio.get_running_loop().call_later(0.2, p.lose)
            raise ConnectionError("the socket is closing", code="closed")

    kind = desk(send_text=closing, create_response=lambda p, *_: p.answer("hello"))
    errors: list[Any] = []
    async with make_engine(kind) as engine:
        engine.on("error", errors.append)
        await engine.send_text("hi")
        await asyncio.sleep(1)
        assert engine.conversation[-1].text == "hello"
    assert not errors


async def test_something_to_be_said_word_for_word_is_said(make_engine: MakeEngine) -> None:
    kind = desk(generate_tts=lambda p, text: p.lose() if len(kind.made) == 1 else p.answer(text))
    async with make_engine(kind) as engine:
        await engine.say("Your train leaves at nine.")
        await asyncio.sleep(1)
        assert [i.text for i in engine.conversation] == ["Your train leaves at nine."]


async def test_settings_that_were_changed_hold_for_the_next_connection(
    make_engine: MakeEngine,
) -> None:
    kind = desk()
    async with make_engine(kind) as engine:
        await engine.update_session(voice="alto", noise_reduction="near_field")
        kind.made[0].lose()
        await asyncio.sleep(1)
        assert kind.made[1].config.voice == "alto"
        assert kind.made[1].asked("configure_session") == [({"noise_reduction": "near_field"},)]


async def test_interrupting_during_an_outage_calls_off_what_is_owed() -> None:
    async with Caller(latency_ms=SLOW) as call:
        call.say("tell me")
        await call.until(ev.AudioOutputStarted)
        await asyncio.sleep(0.2)
        call.lose()
        began = now()
        await call.engine.interrupt()
        assert now() == began
        assert call.engine.state == "idle"
        await call.until(ev.ConnectionRestored)
        await asyncio.sleep(5)
        assert len(call.of(ev.ResponseStarted)) == 1
        call.check_log()


async def test_disconnecting_during_an_outage_is_done_at_once() -> None:
    call = Caller(latency_ms=SLOW)
    async with call:
        await asyncio.sleep(1)
        call.lose()
        await asyncio.sleep(0.5)
        waiting = asyncio.ensure_future(call.engine.send_text("hello?"))
        await asyncio.sleep(0.1)
        call.hang_up_microphone()
        began = now()
        await call.engine.disconnect()
        assert now() == began
        with pytest.raises(SessionClosedError):
            await waiting
    assert call.events[-1].type == "state_changed"


async def test_another_provider_during_an_outage_takes_up_what_was_left_open() -> None:
    faults = [Refuse(connect=n) for n in range(2, 9)]
    async with Caller(*faults) as call:
        call.say("tell me")
        await asyncio.sleep(0.4)
        call.lose()
        await asyncio.sleep(0.7)
        register_provider("other", lambda config: MockProvider(config))
        config = call.engine.config.with_changes(
            metadata={**call.engine.config.metadata, "faults": None}
        )
        await call.engine.switch_provider("other", config)
        (restored,) = call.of(ev.ConnectionRestored)
        assert restored.reason == "switch"
        assert restored.outage_ms == pytest.approx(800, abs=1)
        await call.quiet()
        said = [(i.role, i.text, i.provider) for i in call.engine.conversation]
        assert said == [
            ("user", "tell me", "mock"),
            ("assistant", "one two three four five six", "other"),
        ]
        assert not call.of(ev.ErrorGeneral)


async def test_a_switch_that_fails_during_an_outage_leaves_it_to_recover() -> None:
    register_provider("down", lambda config: MockProvider({"faults": "refuse"}))
    async with Caller(latency_ms=SLOW) as call:
        call.lose()
        with pytest.raises(ConnectionError):
            await call.engine.switch_provider("down")
        await call.until(ev.ConnectionRestored)
        assert call.engine.config.provider == "mock"


# -- tools


async def test_a_tool_that_outlasts_the_outage_is_told_with_its_call() -> None:
    async with Caller() as call:
        call.tool_seconds = 3
        call.say("look it up")
        await call.until(ev.FunctionInvoked)
        call.lose()
        await call.until(ev.ConnectionRestored)
        assert call.engine.state == "thinking"
        await call.quiet()
        assert call.looked == ["look"]
        told = mock(call).calls("add_conversation_history")
        assert [[i.kind for i in items] for (items,) in told] == [
            ["message"],
            ["function_call", "function_output"],
        ]
        assert mock(call).calls("send_tool_result") == []
        assert len(mock(call).calls("create_response")) == 1
        assert call.engine.conversation[-1].text == "found it"


async def test_a_tool_that_ends_during_the_outage_is_told_with_the_log() -> None:
    async with Caller(latency_ms=SLOW) as call:
        call.say("look it up")
        await call.until(ev.FunctionInvoked)
        call.lose()
        await call.until(ev.ConnectionRestored)
        ((items,),) = mock(call).calls("add_conversation_history")
        assert [i.kind for i in items] == ["message", "function_call", "function_output"]
        await call.quiet()
        assert call.looked == ["look"]
        assert call.engine.conversation[-1].text == "found it"


async def test_a_tool_that_is_asked_for_again_is_not_run_again() -> None:
    """The turn is known as audio only, so that the next connection hears it and calls the tool itself."""
    async with Caller(transcript_delay_ms=60_000) as call:
        call.tool_seconds = 3
        call.say("look it up")
        await call.until(ev.FunctionInvoked)
        call.lose()
        await call.until(ev.FunctionInvoked)
        await call.quiet()
        assert call.looked == ["look"]
        first, second = call.of(ev.FunctionInvoked)
        assert first.call_id != second.call_id
        assert mock(call).calls("send_tool_result") == [(second.call_id, "it")]
        assert mock(call).calls("add_conversation_history") == [], "that it knows"
        assert call.engine.conversation[-1].text == "found it"


async def test_an_interruption_stops_a_tool_that_has_changed_hands() -> None:
    async with Caller(transcript_delay_ms=60_000) as call:
        call.tool_seconds = 30
        call.say("look it up")
        await call.until(ev.FunctionInvoked)
        call.lose()
        await call.until(ev.FunctionInvoked)
        await call.engine.interrupt()
        await asyncio.sleep(1)
        assert not [t for t in asyncio.all_tasks() if "tool" in t.get_name()]


# -- resuming


RESUMABLE = {"capabilities": {"resume": "handle"}}


async def test_a_session_that_is_resumed_is_told_nothing_twice() -> None:
    async with Caller(**RESUMABLE) as call:
        await call.engine.send_text("are you there")
        await call.quiet()
        first = mock(call)
        call.lose()
        restored = await call.until(ev.ConnectionRestored)
        assert (restored.resumed, restored.items) == (True, 0)
        assert mock(call).config.option("resume") == first.resume_handle
        assert mock(call).calls("add_conversation_history") == []
        assert [m["text"] for m in mock(call).get_message_history()] == [
            "are you there",
            "yes i am",
        ]


async def test_what_came_after_its_last_answer_is_put_to_it_anew() -> None:
    async with Caller(**RESUMABLE) as call:
        await call.engine.send_text("are you there")
        await call.quiet()
        await call.engine.send_text("tell me")
        await asyncio.sleep(0.1)
        call.lose()
        await call.until(ev.ConnectionRestored)
        await call.quiet()
        assert [m["text"] for m in mock(call).get_message_history()] == [
            "are you there",
            "yes i am",
            "tell me",
            "one two three four five six",
        ]
        assert len(call.engine.conversation) == 4


async def test_a_session_that_the_vendor_has_forgotten_is_told_the_log() -> None:
    async with Caller(**RESUMABLE) as call:
        await call.engine.send_text("are you there")
        await call.quiet()
        mock(call).forget_session()
        call.lose()
        restored = await call.until(ev.ConnectionRestored)
        assert (restored.resumed, restored.items) == (False, 2)
        ((items,),) = mock(call).calls("add_conversation_history")
        assert [i.text for i in items] == ["are you there", "yes i am"]


# -- turns that the application ends


@pytest.mark.parametrize("state", ["speaking", "committed", "asked"])
@pytest.mark.parametrize("delay", [0, 60_000], ids=["known", "unknown"])
async def test_turns_of_the_application(state: str, delay: int) -> None:
    manual = {"turn_detection": "none"}
    async with Caller(config=manual, transcript_delay_ms=delay) as call:
        engine = call.engine
        await asyncio.sleep(call.say("tell me"))
        if state != "speaking":
            await engine.commit_audio()
        if state == "asked":
            await engine.create_response()
        await asyncio.sleep(0.1)
        call.lose()
        await call.until(ev.ConnectionRestored)
        await asyncio.sleep(0.2)
        if state == "speaking":
            await engine.commit_audio()
        if state != "asked":
            await engine.create_response()
        await call.until(ev.ResponseCompleted)
        await asyncio.sleep(3)
        (user,) = [i for i in engine.conversation if i.role == "user"]
        assert call.answers(user.id) == ["one two three four five six"]
        assert len(engine.conversation) == 2


# -- several at once, and how it ends


async def test_many_calls_that_are_lost_together_do_not_come_back_in_step() -> None:
    plan = FaultPlan([Refuse(connect=n) for n in range(11, 21)])
    engines = [
        VoiceEngine(provider="mock", metadata={"faults": plan, "latency_ms": {"connect": 100}})
        for _ in range(10)
    ]
    delays: list[float] = []
    for engine in engines:
        engine.on("connection_reconnecting", lambda e: delays.append(e.delay_s))
        await engine.connect()
    for engine in engines:
        engine.provider.simulate_error("closed")  # type: ignore[union-attr]
    await asyncio.sleep(3)
    assert all(engine.is_connected for engine in engines)
    assert len({d for d in delays if d}) > 5
    for engine in engines:
        await engine.disconnect()


async def test_usage_of_all_connections_is_counted() -> None:
    async with Caller(Drop(after_chunks=3), Flap(connect=2)) as call:
        await call.engine.send_text("tell me")
        await call.quiet()
        usage = await call.engine.get_usage()
        assert usage["output_audio_seconds"] >= 2.1
