"""The races of an outage, event by event."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.session.driver import OBEDIENT, SERVER_VAD, Driver
from voxengine import events as ev
from voxengine.providers.capabilities import Capabilities
from voxengine.session import effects as fx

TELLABLE = msgspec.structs.replace(SERVER_VAD, history="items", continues_after_tool=True)


def driver(capabilities: Capabilities = TELLABLE, **options: Any) -> Driver:
    return Driver(capabilities, recovers=True, **options)


def back(d: Driver, capabilities: Capabilities = TELLABLE, **facts: Any) -> None:
    """Another connection is there; with audio to be replayed, if a turn is held."""
    facts.setdefault("audio_ms", 1000.0 if d.core.kept else 0.0)
    d.give(fx.Reattached("vendor", capabilities, "closed", opened_at=d.now, **facts))


def call(n: int = 1, response: str = "r1") -> ev.FunctionInvoked:
    return ev.FunctionInvoked(
        call_id=f"c{n}", name="move", arguments='{"n": 10}', response_id=response
    )


# -- whose audio is kept


def test_the_audio_of_a_turn_is_kept_until_its_words_are_known() -> None:
    d = driver()
    d.user_speaks()
    assert d.one(fx.KeepAudio).item_id == "u1"
    d.user_stops()
    assert not d.of(fx.ForgetAudio)
    d.give(ev.TranscriptCompleted(item_id="u1", text="hello"))
    assert d.one(fx.ForgetAudio).item_id == "u1"


def test_where_words_cannot_be_told_it_is_kept_until_the_answer_is_complete() -> None:
    d = driver(SERVER_VAD)
    d.user_says("hello")
    d.give(ev.ResponseStarted(response_id="r1"))
    d.give(d.chunk())
    assert not d.of(fx.ForgetAudio)
    d.give(ev.ResponseCompleted(response_id="r1"))
    d.one(fx.ForgetAudio)


def test_a_turn_that_goes_on_is_kept_again() -> None:
    d = driver()
    d.user_says("go forward")
    d.give(ev.VadSpeechStarted(item_id="u1"))
    assert len(d.of(fx.KeepAudio)) == 2
    d.user_stops("u1", "go forward ten")
    assert not d.core.kept


def test_noise_that_was_no_turn_is_let_go_of() -> None:
    d = driver()
    d.user_says("")
    assert not d.core.kept


def test_an_interruption_settles_the_turn_whose_answer_it_stops() -> None:
    d = driver(SERVER_VAD)
    d.user_says(None)
    d.answer(done=False)
    d.wait(0.3)
    d.user_speaks("u2")
    assert list(d.core.kept) == ["u2"]


# -- turns that are heard once more


def test_a_turn_that_is_heard_again_is_the_same_item() -> None:
    d = driver()
    d.user_speaks("u1")
    d.give(ev.TranscriptPartial(item_id="u1", text="tell"))
    d.give(ev.ConnectionLost())
    assert d.core.state == "listening"
    back(d)
    assert d.one(fx.Replay) == fx.Replay(commit=False)
    d.effects.clear()
    d.user_speaks("x7")
    d.give(ev.TranscriptPartial(item_id="x7", text="te"))
    d.give(ev.TranscriptPartial(item_id="x7", text="tell me"))
    d.user_stops("x7", "tell me")
    assert [i.id for i in d.core.conversation] == ["u1"]
    assert d.log == [("user", "tell me")]
    assert {e.item_id for e in d.of(ev.VadSpeechStarted)} == {"u1"}
    assert [e.text for e in d.of(ev.TranscriptPartial)] == ["tell me"], "words do not go back"
    assert d.one(ev.TurnDetected).item_id == "u1"


def test_two_turns_that_are_heard_again_are_taken_in_their_order() -> None:
    d = driver(OBEDIENT)
    d.user_says(None, item="u1")
    d.user_speaks("u2")
    d.give(ev.ConnectionLost())
    back(d, OBEDIENT)
    d.user_says("first", item="x1")
    d.user_says("second", item="x2")
    assert [(i.id, i.text) for i in d.core.conversation] == [("u1", "first"), ("u2", "second")]


def test_a_turn_that_was_told_of_is_not_told_of_again() -> None:
    d = driver()
    d.user_says(None)
    d.give(ev.ConnectionLost())
    back(d)
    d.effects.clear()
    d.user_says("hello", item="x1")
    assert not d.of(ev.TurnDetected)
    d.answer("hi", n=2)
    assert d.item("a2").turn_id == "u1"
    assert d.log == [("user", "hello"), ("assistant", "hi")]


def test_a_turn_that_the_next_connection_does_not_hear_is_watched_for() -> None:
    d = driver(response_timeout=5)
    d.user_says(None)
    d.give(ev.ConnectionLost())
    d.wait(30)
    assert not d.of(ev.ErrorGeneral), "the outage has a budget of its own"
    back(d)
    assert d.core.state == "thinking"
    d.wait(5.1)
    assert d.one(ev.ErrorGeneral).code == "response_timeout"


@pytest.mark.parametrize("answering", [False, True])
def test_where_answers_have_to_be_asked_for_that_is_done_when_it_was_heard(answering: bool) -> None:
    asked = msgspec.structs.replace(TELLABLE, auto_response=False)
    d = driver(asked)
    d.user_says(None)
    d.one(fx.RequestResponse)
    if answering:
        d.answer(ms=300, done=False)
    d.give(ev.ConnectionLost())
    back(d, asked)
    assert len(d.of(fx.RequestResponse)) == 1, "it has not heard the turn yet"
    d.user_says("hello", item="x1")
    assert len(d.of(fx.RequestResponse)) == 2


def test_so_it_is_where_speech_is_not_told_of() -> None:
    asked = msgspec.structs.replace(TELLABLE, auto_response=False, vad_events=False)
    d = driver(asked)
    d.give(ev.TurnDetected(item_id="u1"))
    d.give(ev.ConnectionLost())
    back(d, asked)
    d.give(ev.TurnDetected(item_id="x1"))
    assert len(d.of(fx.RequestResponse)) == 2
    d.answer("hi", n=2)
    assert d.item("a2").turn_id == "u1"


def test_turns_without_ids_are_heard_again_too() -> None:
    d = driver(OBEDIENT)
    d.give(ev.VadSpeechStarted())
    d.give(ev.ConnectionLost(), 0.3)
    back(d, OBEDIENT)
    d.give(ev.VadSpeechStarted())
    d.give(ev.TurnDetected(), 0.5)
    d.give(ev.TranscriptCompleted(text="all of it"))
    assert d.log == [("user", "all of it")]


# -- answers that are owed


def test_an_answer_that_was_due_is_asked_for() -> None:
    d = driver()
    d.user_says("hello")
    d.give(ev.ConnectionLost())
    assert d.core.state == "thinking"
    back(d)
    assert d.one(fx.RequestResponse) == fx.RequestResponse()
    d.answer("hi", n=2)
    assert d.item("a2").turn_id == "u1"


def test_an_answer_that_was_cut_by_the_loss_is_asked_for_and_what_was_heard_stays() -> None:
    d = driver()
    d.user_says("hello")
    d.give(ev.ResponseStarted(response_id="r1"))
    d.give(
        ev.TextOutput(
            text="one two", item_id="a1", response_id="r1", audio_start_ms=0, audio_end_ms=400
        )
    )
    d.give(
        ev.TextOutput(
            text=" three", item_id="a1", response_id="r1", audio_start_ms=400, audio_end_ms=800
        )
    )
    for _ in range(5):
        d.give(d.chunk())
    d.give(ev.ConnectionLost(), 0.1)
    assert d.one(ev.ResponseError).code == "connection"
    assert d.core.state == "speaking", "what was received is still being played"
    assert (d.item("a1").text, d.item("a1").unheard_text) == ("one two", " three")
    d.wait(1)
    assert d.item("a1").heard_ms == 500
    assert d.core.state == "thinking"
    back(d)
    d.one(fx.RequestResponse)
    assert d.log == [("user", "hello"), ("assistant", "one two")]


def test_words_of_which_nothing_was_spoken_are_not_in_the_log() -> None:
    d = driver()
    d.user_says("hello")
    d.give(ev.ResponseStarted(response_id="r1"))
    d.give(ev.TextOutput(text="one two", item_id="a1", response_id="r1"))
    d.give(ev.ConnectionLost())
    assert d.log == [("user", "hello")]


def test_an_answer_that_was_complete_is_not_asked_for() -> None:
    d = driver()
    d.user_says("hello")
    d.answer(ms=1000)
    d.give(ev.ConnectionLost(), 0.1)
    back(d)
    d.wait(60)
    assert not d.of(fx.RequestResponse)
    assert d.item("a1").heard_ms == 1000


@pytest.mark.parametrize(("after", "asked"), [(0.5, 1), (1.5, 0)])
def test_an_error_that_was_the_loss_is_told_from_one_that_was_not(after: float, asked: int) -> None:
    d = driver()
    d.user_says("hello")
    d.give(ev.ResponseStarted(response_id="r1"))
    d.give(ev.ResponseError(response_id="r1", code="server_error", error="oh"))
    d.give(ev.ConnectionLost(), after)
    back(d)
    assert len(d.of(fx.RequestResponse)) == asked


def test_what_was_asked_for_is_asked_for_again_as_it_was() -> None:
    d = driver()
    d.give(fx.CreateResponse(("text",), "in French"))
    d.give(ev.ConnectionLost())
    back(d)
    assert d.of(fx.RequestResponse) == [fx.RequestResponse(("text",), "in French")] * 2
    d = driver()
    d.give(fx.Say("One moment."))
    d.give(ev.ConnectionLost())
    back(d)
    assert d.of(fx.Speak) == [fx.Speak("One moment.")] * 2


def test_what_waits_for_the_end_of_an_answer_waits_on() -> None:
    d = driver()
    d.user_says("hello")
    d.answer(done=False)
    d.give(fx.CreateResponse(instructions="in French"))
    d.give(ev.ConnectionLost())
    back(d)
    assert d.one(fx.RequestResponse) == fx.RequestResponse()
    d.answer("hi", n=2)
    assert d.of(fx.RequestResponse)[1].instructions == "in French"


def test_ids_are_counted_anew() -> None:
    """Response r1 of the next connection is not the one that was lost."""
    d = driver()
    d.user_says("hello")
    d.give(ev.ResponseStarted(response_id="r1", event_id="e1"))
    d.give(ev.ConnectionLost(event_id="e2"))
    back(d)
    d.give(ev.ResponseStarted(response_id="r1", event_id="e1"))
    d.give(ev.TextOutput(text="hi", item_id="a9", response_id="r1"))
    d.give(ev.ResponseCompleted(response_id="r1"))
    assert d.log[-1] == ("assistant", "hi")


def test_what_it_still_had_to_stop_is_forgotten_with_the_connection() -> None:
    d = driver()
    d.give(fx.CreateResponse())
    d.give(fx.Interrupt())
    d.give(ev.ConnectionLost())
    back(d)
    d.give(fx.Text("hello"))
    d.give(ev.ResponseStarted(response_id="r1"))
    d.one(ev.ResponseStarted)


def test_interrupting_during_the_outage_tells_nobody_and_owes_nothing() -> None:
    d = driver()
    d.user_says("hello")
    d.give(ev.ConnectionLost())
    d.give(fx.Interrupt())
    assert not d.of(fx.CancelResponse)
    assert d.core.state == "idle"
    back(d)
    d.wait(60)
    assert not d.of(fx.RequestResponse)


def test_an_item_of_another_connection_is_not_truncated_there() -> None:
    d = driver()
    d.user_says("hello")
    d.answer(ms=3000)
    d.give(ev.ConnectionLost(), 0.2)
    back(d)
    d.wait(0.3)
    d.user_speaks("u2")
    assert d.one(ev.ConversationInterrupted).item_id == "a1"
    assert not d.of(fx.Truncate)


# -- tools


def test_a_tool_goes_on_and_its_result_is_told_with_the_call() -> None:
    d = driver()
    d.user_says("go")
    d.give(ev.ResponseStarted(response_id="r1"))
    d.give(call())
    d.give(ev.ResponseCompleted(response_id="r1"))
    d.give(ev.ConnectionLost())
    assert not d.of(fx.CancelTool)
    assert not d.of(ev.FunctionCancelled)
    back(d)
    assert not d.of(fx.RequestResponse)
    d.give(fx.ToolFinished("c1", "went"), 1)
    assert not d.of(fx.SendToolResult), "that connection has not made the call"
    told = [d.item(i) for i in d.one(fx.TellItems).item_ids]
    assert [(i.kind, i.call_id, i.output) for i in told] == [
        ("function_call", "c1", None),
        ("function_output", "c1", "went"),
    ]
    d.one(fx.RequestResponse)


@pytest.mark.parametrize(
    ("capabilities", "effect"),
    [({"system_messages": True}, fx.SendText), ({}, ev.SystemWarning)],
)
def test_where_items_cannot_be_told_it_is_told_as_a_note(
    capabilities: dict[str, Any], effect: type[Any]
) -> None:
    can = msgspec.structs.replace(SERVER_VAD, history="before_audio", **capabilities)
    d = driver(can)
    d.user_says("go")
    d.give(call())
    d.give(ev.ResponseCompleted(response_id="r1"))
    d.give(ev.ConnectionLost())
    back(d, can)
    d.give(fx.ToolFinished("c1", "went"))
    told = d.one(effect)
    if effect is fx.SendText:
        assert (told.role, told.text) == (
            "system",
            "The call of the tool 'move' has returned: went",
        )
    else:
        assert told.code == "tool_result_not_told"
    d.one(fx.RequestResponse)


def test_a_call_that_the_next_connection_numbers_alike_is_another_call() -> None:
    d = driver()
    d.user_says("go")
    d.give(call())
    d.give(ev.ResponseCompleted(response_id="r1"))
    d.give(fx.ToolFinished("c1", "went"))
    d.give(ev.ConnectionLost())
    back(d)
    d.answer("gone", n=1)
    d.wait(2)
    d.user_says("go again", item="u2")
    d.give(ev.ResponseStarted(response_id="r2"))
    d.give(call(1, "r2"))
    first, second = d.of(fx.RunTool)
    assert first.call_id == "c1"
    assert second.call_id != "c1"
    d.give(fx.ToolFinished(second.call_id, "went again"))
    assert d.of(fx.SendToolResult)[-1] == fx.SendToolResult("c1", "went again"), "its own id there"


def test_a_result_during_the_outage_is_owed_an_answer() -> None:
    d = driver()
    d.user_says("go")
    d.give(call())
    d.give(ev.ResponseCompleted(response_id="r1"))
    d.give(ev.ConnectionLost())
    d.give(fx.ToolFinished("c1", "went"))
    assert d.core.state == "thinking"
    back(d)
    d.one(fx.RequestResponse)
    assert not d.of(fx.TellItems), "the log has told it"


@pytest.mark.parametrize("during", [True, False])
def test_a_result_that_comes_when_another_response_has_followed_is_owed_an_answer(
    during: bool,
) -> None:
    capabilities = msgspec.structs.replace(SERVER_VAD, history="items")
    d = driver(capabilities)
    d.user_speaks("u1")
    d.give(fx.Text("look it up"))
    d.give(ev.ResponseStarted(response_id="r1"))
    d.give(call())
    d.give(ev.ResponseCompleted(response_id="r1"))
    d.user_stops("u1", "hello")
    d.answer("hello to you", n=2)
    d.give(ev.ConnectionLost(), 5)
    if during:
        d.give(fx.ToolFinished("c1", "x"))
    back(d, capabilities)
    if not during:
        assert not d.of(fx.RequestResponse)
        d.give(fx.ToolFinished("c1", "x"))
    d.one(fx.RequestResponse)


# -- the end


def test_when_it_is_given_up_all_is_as_after_a_loss() -> None:
    d = driver()
    d.user_says("go")
    d.give(call())
    d.give(ev.ConnectionLost())
    d.give(fx.GaveUp("auth", "wrong key"), 3)
    assert d.one(fx.CancelTool).call_id == "c1"
    assert d.one(ev.FunctionCancelled).reason == "connection"
    error = d.one(ev.ErrorGeneral)
    assert (error.code, error.recoverable) == ("auth", False)
    failed = d.one(ev.ConnectionFailed)
    assert (failed.code, failed.retryable) == ("auth", False)
    assert d.core.state == "idle"
    assert not d.timers


def test_a_loss_that_is_told_twice_is_one() -> None:
    d = driver()
    d.user_says("hello")
    d.give(ev.ConnectionLost())
    d.give(ev.ConnectionLost(reason="again"))
    d.one(ev.ConnectionLost)


def test_what_is_told_when_it_is_restored() -> None:
    d = driver()
    d.give(ev.ConnectionLost())
    back(d, attempts=3, outage_ms=1234.5, items=7, resumed=True, audio_lost_ms=10.0)
    told = d.one(ev.ConnectionRestored)
    assert (told.reason, told.attempts, told.outage_ms, told.items) == ("closed", 3, 1234.5, 7)
    assert (told.resumed, told.audio_ms, told.audio_lost_ms) == (True, 0.0, 10.0)


# -- in any order


_STEPS = st.lists(
    st.sampled_from(
        [
            *("speak", "stop", "words", "start", "text", "audio", "done", "tool", "result"),
            *("lose", "back", "back_resumed", "give_up", "interrupt", "write", "wait"),
        ]
    ),
    max_size=40,
)


class Chaos:
    """A call over connections that come and go at any moment; each counts its ids anew."""

    def __init__(self) -> None:
        self.d = driver(response_timeout=5, stall_timeout=5)
        self.leg = 1
        self.turn = self.response = self.calls = 0
        self.speaking = False

    def step(self, step: str) -> None:
        d = self.d
        if step == "wait":
            d.wait(0.4)
        elif step == "interrupt":
            d.give(fx.Interrupt())
        elif step == "result":
            for run in d.of(fx.RunTool):
                d.give(fx.ToolFinished(run.call_id, "done"))
        elif not d.core.connected:
            self.without_connection(step)
        elif step == "lose":
            d.give(ev.ConnectionLost())
            self.speaking = False
        elif step == "write":
            d.give(fx.Text("written"))
        elif step in ("speak", "stop", "words"):
            self.of_the_user(step)
        elif step in ("start", "text", "audio", "done", "tool"):
            self.of_the_assistant(step)

    def without_connection(self, step: str) -> None:
        if step in ("back", "back_resumed"):
            self.leg += 1
            self.turn = self.response = self.calls = 0
            if self.d.core.recovering:
                back(self.d, resumed=step == "back_resumed")
            else:
                self.d.give(fx.Attached("vendor", TELLABLE))
        elif step == "give_up" and self.d.core.recovering:
            self.d.give(fx.GaveUp("refused", "down"))

    def of_the_user(self, step: str) -> None:
        if step == "speak" and not self.speaking:
            self.turn += 1
            self.speaking = True
            self.d.user_speaks(f"{self.leg}u{self.turn}")
        elif step == "stop" and self.speaking:
            self.speaking = False
            self.d.user_stops(f"{self.leg}u{self.turn}")
        elif step == "words" and self.turn and not self.speaking:
            item = f"{self.leg}u{self.turn}"
            self.d.give(ev.TranscriptCompleted(item_id=item, text=f"said {item}"))

    def of_the_assistant(self, step: str) -> None:
        d, response = self.d, f"r{self.response}"
        item = f"{self.leg}a{self.response}"
        if step == "start":
            self.response += 1
            d.give(ev.ResponseStarted(response_id=f"r{self.response}"))
        elif not self.response:
            return
        elif step == "text":
            d.give(ev.TextOutput(text="word ", is_partial=True, item_id=item, response_id=response))
        elif step == "audio":
            audio = b"\x00\x20" * 2400
            d.give(ev.AudioOutputChunk(audio_data=audio, item_id=item, response_id=response))
        elif step == "done":
            d.give(ev.ResponseCompleted(response_id=response))
        elif step == "tool":
            self.calls += 1
            d.give(call(self.calls, response))


@given(_STEPS)
@settings(max_examples=400, deadline=None)
def test_in_any_order_nothing_is_told_twice_and_nothing_is_left_waiting(steps: list[str]) -> None:
    chaos = Chaos()
    for step in steps:
        chaos.step(step)
    d = chaos.d
    spoken = [i for i in d.core.conversation.messages if i.role == "user" and i.text != "written"]
    assert len({i.text for i in spoken if i.text}) == len([i for i in spoken if i.text])
    ran = [e.call_id for e in d.of(fx.RunTool)]
    assert len(ran) == len(set(ran)), "a tool was run twice"
    began = len(d.of(ev.ResponseStarted))
    ends = [*d.of(ev.ResponseCompleted), *d.of(ev.ResponseCancelled), *d.of(ev.ResponseError)]
    assert len(ends) <= began + len(d.of(ev.ConnectionLost))
    for kind in (ev.ConnectionRestored, ev.ConnectionFailed):
        assert len(d.of(kind)) <= len(d.of(ev.ConnectionLost))
    for item in d.core.conversation.messages:
        if item.role == "assistant":
            assert item.heard_ms <= item.audio_ms + 0.01
    # Whatever it was, it comes to an end: with the vendor silent from now on, no answer is waited for for ever.
    if d.core.recovering:
        d.give(fx.GaveUp("refused", "down"))
    chaos.step("result")
    if chaos.speaking and d.core.connected:
        chaos.step("stop")
    d.wait(120)
    assert d.core.state in ("idle", "listening")
    assert d.core.replies.in_flight is None


def test_where_nothing_settles_a_turn_not_all_of_them_are_kept() -> None:
    """Nobody answers, and no transcript comes: a long evening of such turns is no more than the last of them."""
    d = Driver(Capabilities(vad_events=True, answers=False, history="items"), recovers=True)
    for n in range(1000):
        d.user_says(None, f"u{n}")
    kept = [e.item_id for e in d.effects if isinstance(e, fx.KeepAudio)]
    forgotten = [e.item_id for e in d.effects if isinstance(e, fx.ForgetAudio)]
    assert kept == [f"u{n}" for n in range(1000)]
    assert forgotten == kept[: len(forgotten)]
    assert 0 < len(kept) - len(forgotten) < 20
    assert len(d.core.kept) == len(kept) - len(forgotten)
