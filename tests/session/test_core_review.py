"""Providers without ids, answers that do not come, and what one leg of a call leaves to the next."""

from __future__ import annotations

from typing import Any

import pytest

from tests.session.driver import OBEDIENT, Driver
from voxengine import events as ev
from voxengine.conversation import Item
from voxengine.providers.capabilities import Capabilities
from voxengine.session import effects as fx

GOES_ON = Capabilities(tools=True, continues_after_tool=True, auto_response=True, vad_events=True)
LOUD = b"\0\x20" * 2400


def call(call_id: str = "c1", response: str | None = "r1") -> ev.FunctionInvoked:
    return ev.FunctionInvoked(
        call_id=call_id, name="move", arguments='{"n": 10}', response_id=response
    )


# -- what was heard


def test_words_that_all_came_before_the_audio_are_spread_over_it() -> None:
    item = Item(id="a", role="assistant")
    for word in ("one ", "two ", "three ", "four"):
        item.add_text(word)
    item.audio_ms = 1000
    assert item.text_at(550).rstrip() == "one two"


def test_words_in_batches_are_spread_over_the_audio_of_their_batch() -> None:
    item = Item(id="a", role="assistant")
    for words in (("one ", "two "), ("three ", "four")):
        for word in words:
            item.add_text(word)
        item.audio_ms += 1000
    assert item.text_at(700).rstrip() == "one"
    assert item.text_at(1500).rstrip() == "one two three"


def test_a_writing_without_spaces_is_cut_between_its_signs() -> None:
    item = Item(id="a", role="assistant")
    item.add_text("今天天气很好我们去公园吧")
    item.audio_ms = 1200
    assert item.text_at(600) == "今天天气很好"


# -- a provider that goes on by itself after a tool


@pytest.mark.parametrize("fast", [True, False])
def test_going_on_in_another_response_is_watched(fast: bool) -> None:
    d = Driver(GOES_ON, response_timeout=5)
    d.user_says()
    d.give(ev.ResponseStarted(response_id="r1"))
    d.give(call())
    steps: list[Any] = [fx.ToolFinished("c1", "x"), ev.ResponseCompleted(response_id="r1")]
    for step in steps if fast else reversed(steps):
        d.give(step)
    assert d.core.state == "thinking"
    assert not d.of(fx.RequestResponse)
    d.wait(5.1)
    assert len(d.of(fx.RequestResponse)) == 1
    d.wait(5.1)
    assert d.one(ev.ErrorGeneral).code == "response_timeout"
    assert d.core.state == "idle"


def test_having_gone_on_in_the_same_response_it_is_done() -> None:
    d = Driver(GOES_ON, response_timeout=5)
    d.user_says()
    d.give(ev.ResponseStarted(response_id="r1"))
    d.give(call())
    d.give(fx.ToolFinished("c1", "x"))
    d.give(d.chunk())
    d.give(ev.ResponseCompleted(response_id="r1"))
    d.wait(30)
    assert d.core.state == "idle"
    assert not d.of(fx.RequestResponse)
    assert not d.of(ev.ErrorGeneral)


def test_going_on_in_another_response_is_an_answer_to_the_same_turn() -> None:
    d = Driver(GOES_ON)
    d.user_says()
    d.give(call())
    d.give(ev.ResponseCompleted(response_id="r1"))
    d.give(fx.ToolFinished("c1", "x"))
    d.answer("done", n=2)
    assert d.item("a2").turn_id == "u1"
    d.wait(60)
    assert not d.of(ev.ErrorGeneral)


# -- no ids


def test_leftovers_of_a_response_without_id_are_not_another_response() -> None:
    d = Driver(OBEDIENT)
    d.user_says()
    d.give(ev.ResponseStarted())
    for _ in range(5):
        d.give(ev.AudioOutputChunk(audio_data=LOUD))
    d.wait(0.2)
    d.give(fx.Interrupt())
    d.effects.clear()
    d.give(ev.AudioOutputChunk(audio_data=LOUD))
    d.give(ev.TextOutput(text="leftover"))
    d.give(ev.ResponseCancelled())
    assert not d.effects
    assert d.core.state == "idle"
    d.give(fx.Text("and now?"))
    d.give(ev.ResponseStarted())
    d.give(ev.AudioOutputChunk(audio_data=LOUD))
    assert len(d.of(ev.AudioOutputChunk)) == 1


def test_the_end_of_a_response_without_id_is_not_that_of_the_next() -> None:
    d = Driver(OBEDIENT, response_timeout=5)
    d.user_says()
    d.give(ev.ResponseStarted())
    d.give(ev.AudioOutputChunk(audio_data=LOUD))
    d.give(fx.Text("something else"))
    d.give(ev.ResponseCancelled())
    assert d.core.state == "thinking"
    d.wait(6)
    assert d.one(ev.ErrorGeneral).code == "response_timeout"


def test_unannounced_output_does_not_speak_over_the_user() -> None:
    d = Driver(OBEDIENT)
    d.give(fx.Text("hello"))
    for _ in range(5):
        d.give(ev.AudioOutputChunk(audio_data=LOUD))
    d.wait(0.2)
    d.user_speaks("u1")
    d.effects.clear()
    d.give(ev.AudioOutputChunk(audio_data=LOUD))
    assert not d.of(ev.AudioOutputChunk)
    assert d.core.state == "listening"


def test_words_without_id_after_the_end_belong_to_what_ended() -> None:
    d = Driver(OBEDIENT)
    d.user_says()
    d.give(ev.ResponseStarted())
    d.give(ev.AudioOutputChunk(audio_data=LOUD))
    d.give(ev.ResponseCompleted())
    d.give(ev.TextOutput(text="what it said"))
    assert d.log == [("user", "hello"), ("assistant", "what it said")]
    assert len(d.of(ev.ResponseStarted)) == 1
    d.wait(1)
    assert d.core.state == "idle"


def test_calls_without_id_are_not_one_call() -> None:
    d = Driver(OBEDIENT)
    d.user_says()
    d.give(call(""))
    run = d.one(fx.RunTool)
    d.give(ev.ResponseCompleted(response_id="r1"))
    d.give(fx.ToolFinished(run.call_id, "x"))
    d.answer(n=2, ms=100)
    d.wait(1)
    d.user_says(item="u2")
    d.give(call("", "r3"))
    assert len(d.of(fx.RunTool)) == 2


def test_a_response_that_fails_before_it_began_is_told_at_once() -> None:
    d = Driver()
    d.user_says()
    d.give(ev.ResponseError(response_id="r1", code="rate_limit", error="slow down"))
    assert d.one(ev.ResponseError).response_id == "r1"
    assert d.core.state == "idle"
    d.wait(60)
    assert not d.of(ev.ErrorGeneral)


def test_without_turns_each_transcript_stands_before_its_answer() -> None:
    d = Driver(Capabilities(auto_response=True))
    for n in (1, 2, 3):
        d.answer(f"reply {n}", ms=100, n=n)
        d.give(ev.TranscriptCompleted(item_id=f"u{n}", text=f"question {n}"))
        d.wait(1)
    assert d.log == [
        (r, f"{w} {n}")
        for n in (1, 2, 3)
        for r, w in (("user", "question"), ("assistant", "reply"))
    ]


# -- asked for later


def test_what_waited_for_a_response_that_is_given_up_is_asked_for() -> None:
    d = Driver(stall_timeout=5)
    d.user_says()
    d.give(ev.ResponseStarted(response_id="r1"))
    d.give(fx.CreateResponse(instructions="in French"))
    d.wait(6)
    assert d.one(ev.ErrorGeneral).code == "response_stalled"
    assert d.one(fx.RequestResponse).instructions == "in French"


def test_a_request_that_a_newer_turn_has_met_is_not_made_again() -> None:
    d = Driver()
    d.give(fx.CreateResponse())
    d.give(ev.ErrorGeneral(code="conversation_already_has_active_response", error="busy"))
    d.answer(done=False)
    d.wait(0.3)
    d.user_says("something else", item="u2")
    d.answer(n=2)
    d.wait(5)
    assert len(d.of(fx.RequestResponse)) == 1


# -- from one provider to the next


def test_who_spoke_to_the_last_provider_does_not_speak_for_ever() -> None:
    d = Driver(OBEDIENT)
    d.user_speaks("u1")
    d.give(fx.Attached("other", OBEDIENT))
    assert d.core.state == "idle"
    d.give(ev.ResponseStarted(response_id="r1"))
    assert not d.of(fx.CancelResponse)


def test_what_the_last_provider_had_under_way_is_ended() -> None:
    d = Driver()
    d.user_says()
    d.answer(done=False)
    d.wait(0.3)
    d.give(fx.Attached("other", OBEDIENT))
    assert d.one(ev.ResponseCancelled).response_id == "r1"
    assert d.item("a1").status == "incomplete"
    assert not d.of(fx.CancelResponse), "the other knows nothing of it"
    assert not {"response", "stall"} & set(d.timers)
