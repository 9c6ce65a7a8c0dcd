"""Whatever order things arrive in, the log has them in the order in which they were said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.session.driver import Driver
from voxengine import events as ev
from voxengine.providers.capabilities import Capabilities
from voxengine.session import effects as fx


def test_a_transcript_that_comes_after_the_reply_stands_at_its_turn() -> None:
    d = Driver()
    d.user_says(None, item="u1")
    d.answer("the reply")
    d.give(ev.TranscriptCompleted(item_id="u1", text="the question"), 0.3)
    assert d.log == [("user", "the question"), ("assistant", "the reply")]


def test_two_transcripts_in_the_wrong_order() -> None:
    d = Driver()
    d.user_says(None, item="u1")
    d.answer("first reply", ms=100)
    d.wait(1)
    d.user_says(None, item="u2")
    d.answer("second reply", ms=100, n=2)
    d.give(ev.TranscriptCompleted(item_id="u2", text="second"))
    d.give(ev.TranscriptCompleted(item_id="u1", text="first"))
    assert d.log == [
        ("user", "first"),
        ("assistant", "first reply"),
        ("user", "second"),
        ("assistant", "second reply"),
    ]


def test_a_provider_that_tells_of_no_turns_still_gives_order() -> None:
    d = Driver(Capabilities(auto_response=True))
    d.answer("the reply")
    d.give(ev.TranscriptCompleted(item_id="u1", text="the question"))
    assert d.log == [("user", "the question"), ("assistant", "the reply")]


def test_interruption_keeps_the_order() -> None:
    d = Driver()
    d.user_says(None, item="u1")
    d.answer("one two three four", ms=1000, done=False)
    d.wait(0.55)
    d.user_speaks("u2")
    d.give(ev.TranscriptCompleted(item_id="u1", text="question"))
    d.user_stops("u2", None)
    d.answer("another", n=2)
    d.give(ev.TranscriptCompleted(item_id="u2", text="no wait"))
    assert d.log == [
        ("user", "question"),
        ("assistant", "one two"),
        ("user", "no wait"),
        ("assistant", "another"),
    ]


def test_a_cough_is_no_turn() -> None:
    d = Driver()
    d.user_says("")
    assert d.log == []
    assert d.core.state == "idle"
    assert "response" not in d.timers


def test_noise_that_never_became_a_turn_leaves_nothing() -> None:
    d = Driver()
    d.user_speaks("u1")
    d.give(ev.VadSpeechEnded(item_id="u1"), 0.1)
    d.user_says("hello", item="u2")
    assert d.log == [("user", "hello")]


def test_the_length_of_a_turn_is_that_of_its_speech() -> None:
    d = Driver()
    d.give(ev.VadSpeechStarted(item_id="u1", audio_ms=1000))
    d.give(ev.VadSpeechEnded(item_id="u1", audio_ms=1600))
    d.give(ev.VadSpeechStarted(item_id="u1", audio_ms=2000))
    d.give(ev.VadSpeechEnded(item_id="u1", audio_ms=2500))
    assert d.item("u1").audio_ms == pytest.approx(1100)


def test_a_failed_transcript_keeps_the_turn() -> None:
    d = Driver()
    d.user_says(None)
    d.answer("reply")
    d.give(ev.TranscriptFailed(item_id="u1", error="too noisy"))
    assert d.log == [("user", ""), ("assistant", "reply")]
    assert d.item("u1").status == "completed"


def test_an_event_that_comes_twice_counts_once() -> None:
    d = Driver()
    d.user_says()
    for _ in range(2):
        d.give(ev.ResponseStarted(response_id="r1", event_id="e1"))
        d.give(ev.TextOutput(text="hi", item_id="a1", response_id="r1", event_id="e2"))
        d.give(d.chunk(event_id="e3"))
        d.give(ev.ResponseCompleted(response_id="r1", event_id="e4"))
    assert d.item("a1").text == "hi"
    assert d.item("a1").audio_ms == pytest.approx(100)
    assert (
        len(d.of(ev.ResponseStarted))
        == len(d.of(ev.ResponseCompleted))
        == len(d.of(ev.AudioOutputChunk))
        == 1
    )


def test_ends_that_come_twice_without_ids_count_once() -> None:
    d = Driver()
    d.user_says()
    d.answer()
    d.give(ev.ResponseCompleted(response_id="r1"))
    d.give(ev.ResponseStarted(response_id="r1"))
    assert len(d.of(ev.ResponseStarted)) == len(d.of(ev.ResponseCompleted)) == 1


def test_output_before_its_announcement() -> None:
    d = Driver()
    d.user_says()
    d.give(d.chunk())
    d.give(ev.ResponseStarted(response_id="r1"))
    d.give(ev.TextOutput(text="hi", item_id="a1", response_id="r1"))
    d.give(ev.ResponseCompleted(response_id="r1"))
    told = [
        type(e)
        for e in d.effects
        if isinstance(e, (ev.ResponseStarted, ev.AudioOutputChunk, ev.ResponseCompleted))
    ]
    assert told == [ev.ResponseStarted, ev.AudioOutputChunk, ev.ResponseCompleted]


def test_output_after_the_end_of_its_response_is_not_lost() -> None:
    d = Driver()
    d.user_says()
    d.answer("one", ms=100)
    d.give(d.chunk())
    d.give(ev.TextOutput(text=" two", item_id="a1", response_id="r1"))
    assert d.item("a1").text == "one two"
    assert d.item("a1").audio_ms == pytest.approx(200)
    assert len(d.of(ev.ResponseStarted)) == 1


def test_a_provider_that_announces_nothing() -> None:
    d = Driver(Capabilities(audio_output=False))
    d.give(fx.Text("hello"))
    d.give(ev.TextOutput(text="hi there"))
    assert d.log == [("user", "hello"), ("assistant", "hi there")]
    assert d.one(ev.ResponseStarted).response_id == d.one(ev.ResponseCompleted).response_id
    assert d.core.state == "idle"


def test_a_provider_that_announces_nothing_and_speaks() -> None:
    d = Driver(Capabilities())
    d.give(fx.Text("hello"))
    for _ in range(3):
        d.give(ev.AudioOutputChunk(audio_data=b"\0\x20" * 2400))
    assert {e.item_id for e in d.of(ev.AudioOutputChunk)} == {d.core.conversation.messages[-1].id}
    d.wait(0.31)
    d.one(ev.ResponseCompleted)
    assert d.core.state == "idle"


def test_a_response_that_was_never_ended_ends_when_the_next_begins() -> None:
    d = Driver()
    d.user_says()
    d.answer("one", n=1, ms=100, done=False)
    d.wait(1)
    d.give(ev.ResponseStarted(response_id="r2"))
    assert d.one(ev.ResponseCompleted).response_id == "r1"


def test_after_the_end_nothing_counts() -> None:
    d = Driver()
    d.user_says()
    d.give(fx.Close("bye"))
    d.effects.clear()
    d.answer()
    d.user_speaks("u2")
    d.give(fx.Text("hello?"))
    d.give(fx.ToolFinished("c1", "x"))
    assert [e for e in d.effects if not isinstance(e, ev.AudioOutputChunk)] == []
    assert d.log == [("user", "hello")]


_STEPS = st.lists(
    st.sampled_from(
        ["speak", "stop", "transcript", "start", "text", "audio", "done", "cancel", "wait"]
    ),
    max_size=40,
)


class Chaos:
    """Takes steps in any order, as a provider would that has lost all sense of it."""

    def __init__(self) -> None:
        self.d = Driver()
        self.turn = self.response = 0
        self.speaking = False

    def step(self, step: str) -> None:
        d, r, u = self.d, f"r{self.response}", f"u{self.turn}"
        if step == "wait":
            d.wait(0.15)
        elif step == "speak" and not self.speaking:
            self.turn += 1
            self.speaking = True
            d.user_speaks(f"u{self.turn}")
        elif step == "stop" and self.speaking:
            self.speaking = False
            d.user_stops(u)
        elif step == "start":
            self.response += 1
            d.give(ev.ResponseStarted(response_id=f"r{self.response}"))
        elif step == "transcript" and self.turn:
            d.give(ev.TranscriptCompleted(item_id=u, text=f"turn {self.turn}"))
        elif self.response:
            self.output(step, r)

    def output(self, step: str, r: str) -> None:
        d, item = self.d, f"a{self.response}"
        if step == "text":
            d.give(ev.TextOutput(text="word ", is_partial=True, item_id=item, response_id=r))
        elif step == "audio":
            d.give(d.chunk(self.response))
        elif step == "done":
            d.give(ev.ResponseCompleted(response_id=r))
        elif step == "cancel":
            d.give(ev.ResponseCancelled(response_id=r, reason="client_cancelled"))


@given(_STEPS)
@settings(max_examples=300, deadline=None)
def test_in_any_order_each_turn_is_logged_once_and_each_response_ends_once(
    steps: list[str],
) -> None:
    chaos = Chaos()
    for step in steps:
        chaos.step(step)
    d = chaos.d
    users = [i.id for i in d.core.conversation.messages if i.role == "user"]
    assert users == sorted(set(users), key=lambda u: int(u[1:])), "each turn once, in order"
    ends: list[Any] = [
        *d.of(ev.ResponseCompleted),
        *d.of(ev.ResponseCancelled),
        *d.of(ev.ResponseError),
    ]
    for n in range(1, chaos.response + 1):
        started = sum(e.response_id == f"r{n}" for e in d.of(ev.ResponseStarted))
        ended = sum(e.response_id == f"r{n}" for e in ends)
        assert ended <= started <= 1, f"r{n} began {started} times and ended {ended} times"
    for item in d.core.conversation.messages:
        if item.role == "assistant":
            assert item.heard_ms <= item.audio_ms + 0.01
