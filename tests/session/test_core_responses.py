"""Asking for responses, tools in them, and what happens when they do not come."""

from __future__ import annotations

import pytest

from tests.session.driver import OBEDIENT, SERVER_VAD, Driver
from voxengine import events as ev
from voxengine.providers.capabilities import Capabilities
from voxengine.session import effects as fx


def call(
    n: int = 1, response: str = "r1", arguments: str = '{"n": 10}', name: str = "move"
) -> ev.FunctionInvoked:
    return ev.FunctionInvoked(call_id=f"c{n}", name=name, arguments=arguments, response_id=response)


# -- asking


def test_asking_while_the_provider_answers_by_itself_asks_for_nothing() -> None:
    d = Driver()
    d.user_says()
    d.give(fx.CreateResponse())  # the race: the server has not told of its own response yet
    assert not d.of(fx.RequestResponse)
    d.answer()
    d.wait(3)
    assert not d.of(fx.RequestResponse), "one turn, one answer"
    assert len(d.of(ev.ResponseStarted)) == 1


def test_asking_with_something_new_waits_for_the_end() -> None:
    d = Driver()
    d.user_says()
    d.answer(done=False)
    d.give(fx.CreateResponse(instructions="in French"))
    assert not d.of(fx.RequestResponse)
    d.give(ev.ResponseCompleted(response_id="r1"))
    assert d.one(fx.RequestResponse).instructions == "in French"


def test_a_request_that_lost_the_race_is_made_again_and_nothing_stalls() -> None:
    d = Driver()
    d.give(fx.CreateResponse())
    d.give(ev.ErrorGeneral(code="conversation_already_has_active_response", error="busy"))
    assert not d.of(ev.ErrorGeneral)
    d.give(ev.ResponseStarted(response_id="r1"), 0.05)
    d.give(ev.ResponseCompleted(response_id="r1"))
    assert len(d.of(fx.RequestResponse)) == 2


def test_without_automatic_answers_the_session_asks_after_each_turn() -> None:
    d = Driver(Capabilities(vad_events=True, cancel=True))
    d.user_says()
    d.one(fx.RequestResponse)
    d.answer()
    d.wait(2)
    assert len(d.of(fx.RequestResponse)) == 1


def test_where_the_application_ends_the_turns_it_also_asks_for_the_answer() -> None:
    d = Driver(OBEDIENT, manual_turns=True)
    d.give(ev.TurnDetected(item_id="u1"))
    d.give(ev.TranscriptCompleted(item_id="u1", text="hello"))
    assert not d.of(fx.RequestResponse)
    d.wait(60)
    assert not d.of(ev.ErrorGeneral), "nothing is waited for"
    d.give(fx.CreateResponse())
    d.one(fx.RequestResponse)
    d.give(ev.SessionUpdated(settings={"turn_detection": "server_vad"}))
    d.answer(ms=100)
    d.wait(1)
    d.user_says(item="u2")
    assert d.core.state == "thinking"


def test_text_interrupts_and_is_answered() -> None:
    d = Driver()
    d.user_says()
    d.answer("one two three four", ms=1000, done=False)
    d.wait(0.55)
    d.effects.clear()
    d.give(fx.Text("stop, something else"))
    kinds = [type(e) for e in d.effects if type(e) in (fx.CancelResponse, fx.Truncate, fx.SendText)]
    assert kinds == [fx.CancelResponse, fx.Truncate, fx.SendText]
    assert d.log[-2:] == [("assistant", "one two"), ("user", "stop, something else")]


def test_a_note_of_the_system_interrupts_nothing() -> None:
    d = Driver()
    d.user_says()
    d.answer(done=False)
    d.give(fx.Text("the caller is a gold member", "system"))
    assert not d.of(fx.CancelResponse)
    assert d.one(fx.SendText).role == "system"


def test_say_replaces_what_is_being_said() -> None:
    d = Driver()
    d.user_says()
    d.answer(done=False)
    d.wait(0.3)
    d.give(fx.Say("One moment please."))
    d.one(fx.CancelResponse)
    assert d.one(fx.Speak).text == "One moment please."


# -- tools


def test_a_tool_runs_and_the_answer_goes_on() -> None:
    d = Driver()
    d.user_says()
    d.give(ev.ResponseStarted(response_id="r1"))
    d.give(call())
    assert d.one(fx.RunTool) == fx.RunTool("c1", "move", '{"n": 10}')
    d.give(ev.ResponseCompleted(response_id="r1"))
    assert not d.of(fx.RequestResponse)
    d.give(fx.ToolFinished("c1", '{"ok": true}', duration_ms=5), 0.1)
    assert d.one(fx.SendToolResult).output == '{"ok": true}'
    assert len(d.of(fx.RequestResponse)) == 1, "the provider has to be asked to go on"
    d.answer("done", n=2)
    kinds = [(i.kind, i.text or i.output or i.arguments) for i in d.core.conversation]
    assert kinds == [
        ("message", "hello"),
        ("function_call", '{"n": 10}'),
        ("function_output", '{"ok": true}'),
        ("message", "done"),
    ]


def test_a_fast_tool_waits_for_the_end_of_the_response_that_called_it() -> None:
    d = Driver()
    d.user_says()
    d.give(ev.ResponseStarted(response_id="r1"))
    d.give(call())
    d.give(fx.ToolFinished("c1", "x"))
    assert not d.of(fx.RequestResponse)
    d.give(ev.ResponseCompleted(response_id="r1"))
    assert len(d.of(fx.RequestResponse)) == 1


def test_parallel_tools_are_answered_together() -> None:
    d = Driver()
    d.user_says()
    d.give(ev.ResponseStarted(response_id="r1"))
    d.give(call(1))
    d.give(call(2))
    d.give(ev.ResponseCompleted(response_id="r1"))
    d.give(fx.ToolFinished("c2", "two"))
    assert not d.of(fx.RequestResponse)
    d.give(fx.ToolFinished("c1", "one"))
    assert len(d.of(fx.RequestResponse)) == 1
    assert [r.call_id for r in d.of(fx.SendToolResult)] == ["c2", "c1"]


def test_a_call_that_comes_twice_runs_once() -> None:
    d = Driver()
    d.user_says()
    d.give(call())
    d.give(call())
    assert len(d.of(fx.RunTool)) == 1
    d.give(fx.ToolFinished("c1", "x"))
    d.give(fx.ToolFinished("c1", "x"))
    d.give(call())
    assert len(d.of(fx.RunTool)) == len(d.of(fx.SendToolResult)) == 1


@pytest.mark.parametrize("response_done", [False, True])
def test_barge_in_cancels_a_running_tool_and_leaves_nobody_waiting(response_done: bool) -> None:
    d = Driver()
    d.user_says()
    d.give(ev.ResponseStarted(response_id="r1"))
    d.give(ev.TextOutput(text="Let me see.", item_id="a1", response_id="r1"))
    for _ in range(5):
        d.give(d.chunk())
    d.give(call())
    if response_done:
        d.give(ev.ResponseCompleted(response_id="r1"))
    d.wait(0.3)
    d.user_speaks("u2")
    assert d.one(fx.CancelTool).call_id == "c1"
    assert d.one(ev.FunctionCancelled).name == "move"
    told = d.one(fx.SendToolResult)
    assert told.best_effort
    assert "cancelled" in told.output
    d.give(fx.ToolFinished("c1", "too late"))
    assert len(d.of(fx.SendToolResult)) == 1
    d.user_stops("u2", "never mind")
    assert d.core.replies.in_flight is not None, "the new turn is answered"


def test_a_tool_that_fails_is_told_and_the_answer_goes_on() -> None:
    d = Driver()
    d.user_says()
    d.give(call())
    d.give(ev.ResponseCompleted(response_id="r1"))
    d.give(fx.ToolFinished("c1", '{"error": "boom"}', "raised", "boom"))
    assert d.one(ev.FunctionFailed).code == "raised"
    assert d.one(fx.SendToolResult).output == '{"error": "boom"}'
    d.one(fx.RequestResponse)


def test_a_bot_that_hangs_after_a_tool_is_asked_again_and_then_given_up() -> None:
    d = Driver(response_timeout=5)
    d.user_says()
    d.give(call())
    d.give(ev.ResponseCompleted(response_id="r1"))
    d.give(fx.ToolFinished("c1", "x"))
    assert len(d.of(fx.RequestResponse)) == 1
    d.wait(5.1)
    assert len(d.of(fx.RequestResponse)) == 2
    assert d.one(ev.SystemWarning).code == "response_late"
    assert d.core.state == "thinking"
    d.wait(5.1)
    assert d.one(ev.ErrorGeneral).code == "response_timeout"
    assert d.core.state == "idle"


def test_a_provider_that_goes_on_by_itself_is_watched_too() -> None:
    d = Driver(
        Capabilities(tools=True, continues_after_tool=True, auto_response=True), response_timeout=5
    )
    d.user_says()
    d.give(ev.ResponseStarted(response_id="r1"))
    d.give(call())
    d.give(fx.ToolFinished("c1", "x"))
    assert not d.of(fx.RequestResponse)
    d.wait(5.1)
    assert len(d.of(fx.RequestResponse)) == 1
    d.give(ev.TextOutput(text="ten meters", item_id="a1", response_id="r1"))
    d.wait(10)
    assert not d.of(ev.ErrorGeneral)


def test_a_tool_that_ran_is_not_run_again_when_the_turn_goes_on() -> None:
    d = Driver()
    d.user_says("go forward ten")
    d.give(ev.ResponseStarted(response_id="r1"))
    d.give(call(1, "r1", '{"a": 1, "b": 2}'))
    d.give(fx.ToolFinished("c1", "done it"))
    d.user_speaks("u1")
    d.user_stops("u1", "go forward ten meters")
    d.give(ev.ResponseStarted(response_id="r2"))
    d.give(call(2, "r2", '{"b": 2, "a": 1}'))
    assert len(d.of(fx.RunTool)) == 1
    assert d.of(fx.SendToolResult)[-1] == fx.SendToolResult("c2", "done it")


def test_the_provider_takes_a_call_back() -> None:
    d = Driver()
    d.user_says()
    d.give(call())
    d.give(ev.FunctionCancelled(call_id="c1", reason="not needed"))
    assert d.one(fx.CancelTool).call_id == "c1"
    d.give(fx.ToolFinished("c1", "x"))
    assert not d.of(fx.SendToolResult)


def test_no_answer_to_a_tool_is_asked_for_while_the_user_speaks() -> None:
    d = Driver(OBEDIENT)
    d.user_says()
    d.give(call())
    d.give(ev.ResponseCompleted(response_id="r1"))
    d.user_speaks("u2")
    d.give(fx.ToolFinished("c1", "x"))
    assert not d.of(fx.RequestResponse)


def a_text_calls_a_tool_while_the_user_speaks(d: Driver) -> None:
    d.user_speaks("u1")
    d.give(fx.Text("look it up"))
    d.give(ev.ResponseStarted(response_id="r1"))
    d.give(call())
    d.give(ev.ResponseCompleted(response_id="r1"))


def test_a_tool_returns_after_another_response_and_is_answered() -> None:
    d = Driver()
    a_text_calls_a_tool_while_the_user_speaks(d)
    text = d.core.turn_id
    d.user_stops("u1", "hello")
    d.answer("hello to you", n=2)
    assert not d.of(fx.RequestResponse)
    d.give(fx.ToolFinished("c1", "x"), 2)
    d.one(fx.RequestResponse)
    d.answer("found x", n=3)
    assert d.item("a3").turn_id == text
    assert d.core.state == "speaking"
    d.wait(60)
    assert len(d.of(fx.RequestResponse)) == 1


def test_a_tool_returns_during_another_response_and_is_answered_after_it() -> None:
    d = Driver()
    a_text_calls_a_tool_while_the_user_speaks(d)
    d.user_stops("u1", "hello")
    d.answer("hello to you", n=2, done=False)
    d.give(fx.ToolFinished("c1", "x"))
    assert not d.of(fx.RequestResponse)
    d.give(ev.ResponseCompleted(response_id="r2"))
    d.one(fx.RequestResponse)


def test_a_tool_returns_while_the_user_speaks_and_the_answer_to_the_turn_is_that_to_it() -> None:
    d = Driver()
    a_text_calls_a_tool_while_the_user_speaks(d)
    d.give(fx.ToolFinished("c1", "x"))
    d.user_stops("u1", "hello")
    d.answer("hello, and x", n=2)
    d.wait(60)
    assert not d.of(fx.RequestResponse)
    assert not d.of(ev.ErrorGeneral)


def test_two_tools_of_two_responses_are_both_answered() -> None:
    d = Driver()
    a_text_calls_a_tool_while_the_user_speaks(d)
    d.user_stops("u1", "hello")
    d.give(ev.ResponseStarted(response_id="r2"))
    d.give(call(2, "r2", "{}"))
    d.give(ev.ResponseCompleted(response_id="r2"))
    d.give(fx.ToolFinished("c1", "x"))
    assert not d.of(fx.RequestResponse), "the other has yet to return"
    d.give(fx.ToolFinished("c2", "y"))
    d.one(fx.RequestResponse)
    d.answer("x and y", n=3)
    d.wait(60)
    assert len(d.of(fx.RequestResponse)) == 1


@pytest.mark.parametrize("command", [fx.Interrupt(), fx.Text("never mind"), fx.Say("wait")])
def test_what_is_asked_of_the_assistant_stops_the_tools_of_all_that_was_before(
    command: fx.Interrupt | fx.Text | fx.Say,
) -> None:
    d = Driver()
    a_text_calls_a_tool_while_the_user_speaks(d)
    d.user_stops("u1", "hello")
    d.answer("hello to you", n=2)
    d.wait(5)
    d.give(command)
    assert d.one(fx.CancelTool).call_id == d.one(ev.FunctionCancelled).call_id == "c1"
    d.give(fx.ToolFinished("c1", "x"))
    assert not d.of(fx.RequestResponse)


@pytest.mark.parametrize("recovers", [True, False])
def test_a_tool_of_the_last_provider_asks_the_next_for_nothing(recovers: bool) -> None:
    d = Driver(recovers=recovers)
    a_text_calls_a_tool_while_the_user_speaks(d)
    d.user_stops("u1", "hello")
    d.answer("hello to you", n=2)
    d.give(ev.ConnectionLost())
    d.give(fx.Attached("other", SERVER_VAD), 5)
    d.give(fx.ToolFinished("c1", "x"))
    assert not d.of(fx.RequestResponse)


# -- when it does not come


def test_no_response_to_a_turn_is_an_error_and_not_a_silence() -> None:
    d = Driver(response_timeout=5)
    d.user_says()
    assert d.core.state == "thinking"
    d.wait(5.1)
    error = d.one(ev.ErrorGeneral)
    assert (error.code, error.recoverable) == ("response_timeout", True)
    assert d.core.state == "idle"
    d.give(fx.Text("hello?"))
    d.answer(n=1)
    assert d.log[-1][0] == "assistant", "the session lives on"


def test_a_response_that_stalls_is_given_up() -> None:
    d = Driver(stall_timeout=5)
    d.user_says()
    d.answer("one", ms=300, done=False)
    d.wait(4)
    assert not d.of(ev.ErrorGeneral)
    d.wait(2)
    assert d.one(ev.ErrorGeneral).code == "response_stalled"
    assert d.one(ev.ResponseError).response_id == "r1"
    d.one(fx.CancelResponse)
    assert d.core.state == "idle"


def test_a_long_answer_that_still_plays_has_not_stalled() -> None:
    d = Driver(stall_timeout=5)
    d.user_says()
    d.answer("one", ms=20_000, done=False)
    d.wait(19)
    assert not d.of(ev.ErrorGeneral)
    d.wait(10)
    assert d.one(ev.ErrorGeneral).code == "response_stalled"


def test_a_slow_tool_is_no_stall() -> None:
    d = Driver(stall_timeout=5)
    d.user_says()
    d.give(call())
    d.wait(60)
    assert not d.of(ev.ErrorGeneral)


def test_a_lost_connection_ends_what_was_under_way_once() -> None:
    d = Driver()
    d.user_says()
    d.answer("one two three four", ms=500, done=False)
    d.give(call())
    d.give(ev.ConnectionLost(reason="1011"))
    assert d.one(ev.ResponseError).code == "connection"
    d.one(fx.CancelTool)
    assert d.core.replies.open is None
    assert d.core.state == "speaking", "what was received is still being played"
    d.wait(0.6)
    assert d.core.state == "idle"
    assert not {"response", "stall"} & set(d.timers)


def test_a_request_that_failed_leaves_nothing_due() -> None:
    d = Driver()
    d.give(fx.Text("hello"))
    d.give(fx.CallFailed())
    assert d.core.state == "idle"
    d.wait(60)
    assert not d.of(ev.ErrorGeneral)


# -- figures


def test_the_waterfall_of_a_turn() -> None:
    d = Driver(SERVER_VAD)
    d.user_speaks()
    d.give(ev.VadSpeechEnded(item_id="u1", lag_ms=100), 1)
    d.give(ev.TurnDetected(item_id="u1"), 0.2)
    d.give(ev.TranscriptCompleted(item_id="u1", text="hi"), 0.05)
    d.give(ev.ResponseStarted(response_id="r1"))
    d.give(ev.TextOutput(text="hello", item_id="a1", response_id="r1"), 0.1)
    quiet = ev.AudioOutputChunk(audio_data=bytes(4800), item_id="a1", response_id="r1")
    d.give(quiet, 0.05)
    d.give(
        ev.AudioOutputChunk(
            audio_data=bytes(960) + b"\0\x20" * 1920, item_id="a1", response_id="r1"
        )
    )
    m = d.one(ev.MetricsUpdated)
    assert m.turn_decided_ms == pytest.approx(300)
    assert m.transcript_ms == pytest.approx(350)
    assert m.first_token_ms == pytest.approx(450)
    assert m.first_audio_ms == pytest.approx(500)
    assert m.first_audible_ms == pytest.approx(620), "100 ms and 20 ms of the audio are silence"


def test_states() -> None:
    d = Driver()
    d.user_says()
    d.answer(ms=300)
    d.wait(1)
    states = [e.state for e in d.of(ev.StateChanged)]
    assert states == ["listening", "idle", "thinking", "speaking", "idle"]
