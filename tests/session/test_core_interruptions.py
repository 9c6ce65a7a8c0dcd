"""What happens when the user speaks while the assistant does, or is about to."""

from __future__ import annotations

import msgspec
import pytest

from tests.session.driver import OBEDIENT, SERVER_VAD, Driver
from voxengine import events as ev
from voxengine.conversation import Item
from voxengine.providers.capabilities import Capabilities
from voxengine.session import effects as fx


def test_the_item_ends_where_the_listener_stopped_hearing_it() -> None:
    d = Driver()
    d.user_says()
    d.answer("one two three four", ms=1000)
    d.wait(0.55)
    d.effects.clear()
    d.user_speaks("u2")
    cut = d.one(ev.ConversationInterrupted)
    assert (cut.item_id, cut.reason) == ("a1", "speech")
    assert cut.heard_ms == pytest.approx(550, abs=1)
    assert cut.heard_text == "one two"
    assert d.item("a1").text == "one two"
    assert d.item("a1").unheard_text == " three four"
    assert d.item("a1").status == "incomplete"
    assert d.one(fx.Truncate) == fx.Truncate("a1", cut.heard_ms, "one two")


def test_barge_in_is_told_in_order_and_once() -> None:
    d = Driver()
    d.user_says()
    d.answer(done=False)
    d.wait(0.3)
    out = d.user_speaks("u2")
    told = [
        type(e)
        for e in out
        if isinstance(e, ev.ProviderEvent) and not isinstance(e, ev.ConversationUpdated)
    ]
    assert told == [
        ev.VadSpeechStarted,
        ev.ResponseCancelled,
        ev.AudioOutputStopped,
        ev.ConversationInterrupted,
        ev.StateChanged,
    ]
    d.give(ev.ResponseCancelled(response_id="r1", reason="turn_detected"))
    d.give(ev.ResponseCompleted(response_id="r1"))
    assert len(d.of(ev.ResponseCancelled)) == 1
    assert len(d.of(ev.ConversationInterrupted)) == 1
    assert not d.of(ev.ResponseCompleted)


@pytest.mark.parametrize(("capabilities", "cancels"), [(SERVER_VAD, 0), (OBEDIENT, 1)])
def test_a_provider_that_does_not_stop_by_itself_is_told_to(
    capabilities: Capabilities, cancels: int
) -> None:
    d = Driver(capabilities)
    d.user_says()
    d.answer(done=False)
    d.wait(0.3)
    d.user_speaks("u2")
    assert len(d.of(fx.CancelResponse)) == cancels


def test_nothing_of_a_cancelled_response_is_passed_on_or_recorded() -> None:
    d = Driver(OBEDIENT)
    d.user_says()
    d.answer(done=False)
    d.wait(0.3)
    d.user_speaks("u2")
    d.effects.clear()
    before = d.item("a1").audio_ms
    d.give(d.chunk())
    d.give(ev.TextOutput(text=" leftover", item_id="a1", response_id="r1"))
    d.give(ev.FunctionInvoked(call_id="c1", name="f", response_id="r1"))
    d.give(ev.ResponseStarted(response_id="r1"))
    assert not d.effects
    assert d.item("a1").audio_ms == before
    assert "leftover" not in d.item("a1").text


def test_an_answer_that_was_heard_to_its_end_is_not_truncated() -> None:
    d = Driver()
    d.user_says()
    d.answer(ms=1000)
    d.wait(1.2)
    d.user_speaks("u2")
    assert not d.of(fx.Truncate)
    assert not d.of(ev.ConversationInterrupted)
    assert d.item("a1").status == "completed"
    assert d.item("a1").heard_ms == pytest.approx(1000)


def test_truncation_never_goes_past_what_was_received() -> None:
    # The client may play slower or faster than our clock: whatever it says, the vendor is told no more than it sent.
    d = Driver()
    d.user_says()
    d.answer(ms=300, done=False)
    d.give(fx.PlaybackAck("a1", 9000.0), 0.1)
    d.user_speaks("u2")
    for t in d.of(fx.Truncate):
        assert t.heard_ms <= 300
    assert d.item("a1").heard_ms <= 300


def test_no_truncation_before_the_first_audio() -> None:
    d = Driver(OBEDIENT)
    d.user_says()
    d.give(ev.ResponseStarted(response_id="r1"))
    d.give(ev.TextOutput(text="One", is_partial=True, item_id="a1", response_id="r1"))
    d.user_speaks("u2")
    assert not d.of(fx.Truncate)
    assert d.one(fx.CancelResponse).response_id == "r1"
    assert "a1" not in d.core.conversation, "words that were never spoken are not in the log"


def test_audio_that_was_received_but_not_heard_is_taken_back_whole() -> None:
    d = Driver()
    d.user_says()
    d.answer(ms=500, done=False)
    d.user_speaks("u1")
    assert d.one(fx.Truncate) == fx.Truncate("a1", 0.0, "")
    assert "a1" not in d.core.conversation


def test_client_reports_win_over_the_clock() -> None:
    d = Driver()
    d.user_says()
    d.answer("one two three four", ms=1000)
    d.give(fx.PlaybackAck("a1", 300.0), 0.5)
    d.user_speaks("u2")
    assert d.one(ev.ConversationInterrupted).heard_ms == pytest.approx(300, abs=1)


def test_a_second_item_that_was_not_reached_is_not_in_the_log() -> None:
    d = Driver()
    d.user_says()
    d.give(ev.ResponseStarted(response_id="r1"))
    for item in ("a1", "a2"):
        d.give(ev.TextOutput(text="some words", item_id=item, response_id="r1"))
        for _ in range(5):
            d.give(ev.AudioOutputChunk(audio_data=b"\0\x20" * 2400, item_id=item, response_id="r1"))
    d.wait(0.35)
    d.user_speaks("u2")
    assert d.log == [("user", "hello"), ("assistant", "some"), ("user", "")]
    assert {t.item_id: t.heard_ms for t in d.of(fx.Truncate)}["a2"] == 0


@pytest.mark.parametrize("capabilities", [SERVER_VAD, OBEDIENT])
def test_interrupt_without_a_response_does_nothing(capabilities: Capabilities) -> None:
    d = Driver(capabilities)
    assert d.give(fx.Interrupt()) == []
    d.user_says()
    d.answer(ms=200)
    d.wait(1.0)
    d.effects.clear()
    assert d.give(fx.Interrupt()) == []


def test_interrupt_silences_and_keeps_what_was_heard() -> None:
    d = Driver()
    d.user_says()
    d.answer("one two three four", ms=1000, done=False)
    d.wait(0.55)
    d.give(fx.Interrupt())
    assert d.one(ev.ResponseCancelled).reason == "client_cancelled"
    assert d.one(fx.CancelResponse).response_id == "r1"
    assert d.item("a1").text == "one two"
    assert d.core.state == "idle"


def test_cancel_before_the_response_was_created() -> None:
    d = Driver()
    d.give(fx.CreateResponse())
    d.one(fx.RequestResponse)
    d.give(fx.Interrupt())
    # The provider has been asked, so that it is told; what it does not know of yet, it has to be told of again.
    assert d.one(fx.CancelResponse).response_id is None
    assert d.core.state == "idle"
    d.give(ev.ResponseStarted(response_id="r1"), 0.1)
    assert [c.response_id for c in d.of(fx.CancelResponse)] == [None, "r1"]
    d.give(d.chunk())
    d.give(ev.ResponseCancelled(response_id="r1"))
    assert not d.of(ev.ResponseStarted)
    assert not d.of(ev.AudioOutputChunk)
    assert not d.core.conversation.messages
    d.give(fx.CreateResponse())
    d.give(ev.ResponseStarted(response_id="r2"))
    assert d.one(ev.ResponseStarted).response_id == "r2"


def two_texts(capabilities: Capabilities) -> Driver:
    """The second comes before anything of the answer to the first."""
    d = Driver(capabilities)
    d.give(fx.Text("first"))
    d.give(fx.Text("second"), 0.05)
    sent = [e for e in d.effects if isinstance(e, (fx.SendText, fx.CancelResponse))]
    assert sent == [
        fx.SendText("first", "user"),
        fx.CancelResponse(),
        fx.SendText("second", "user"),
    ]
    return d


def test_what_begins_first_is_not_the_answer_to_the_second_text() -> None:
    d = two_texts(OBEDIENT)
    d.give(ev.ResponseStarted(response_id="r1"), 0.1)
    d.give(ev.TextOutput(text="to the first", item_id="a1", response_id="r1"))
    d.give(d.chunk())
    d.give(ev.ResponseCancelled(response_id="r1"))
    assert len(d.of(fx.CancelResponse)) == 1, "another one would hit the second"
    assert not d.of(ev.ResponseStarted)
    d.give(ev.ResponseStarted(response_id="r2"))
    d.give(ev.TextOutput(text="to the second", item_id="a2", response_id="r2"))
    assert d.one(ev.ResponseStarted).response_id == "r2"
    assert d.log == [("user", "first"), ("user", "second"), ("assistant", "to the second")]


def test_what_ends_without_having_begun_is_not_the_answer_either() -> None:
    for end in (
        ev.ResponseCancelled(response_id="r1"),
        ev.ResponseCancelled(),
        ev.ResponseError(response_id="r1", code="cancelled", error="x"),
    ):
        d = two_texts(OBEDIENT)
        d.give(end)
        assert d.core.state == "thinking"
        d.answer("to the second", n=2)
        assert d.log[-1] == ("assistant", "to the second")


def test_a_provider_that_takes_back_what_was_asked_for_tells_nothing_of_it() -> None:
    d = two_texts(msgspec.structs.replace(OBEDIENT, cancel_requested=True))
    d.answer("to the second", n=2)
    assert d.log[-1] == ("assistant", "to the second")


def test_three_texts_leave_one_answer() -> None:
    d = two_texts(OBEDIENT)
    d.give(fx.Text("third"))
    for n in (1, 2):
        d.give(ev.ResponseStarted(response_id=f"r{n}"))
        d.give(ev.ResponseCancelled(response_id=f"r{n}"))
    d.answer("to the third", n=3)
    assert [e.response_id for e in d.of(ev.ResponseStarted)] == ["r3"]


def test_one_that_cannot_be_stopped_is_not_heard() -> None:
    d = Driver(Capabilities())
    d.give(fx.Text("first"))
    d.give(fx.Text("second"))
    assert d.of(fx.CancelResponse)  # it is asked; a refusal means nothing
    d.answer("to the first")
    d.answer("to the second", n=2)
    assert d.log == [("user", "first"), ("user", "second"), ("assistant", "to the second")]


def test_where_the_first_never_begins_the_second_is_asked_for_again() -> None:
    """A provider that says neither that it has taken it back nor what has become of it: ours may be the wrong one."""
    d = two_texts(OBEDIENT)
    d.answer("to the second", n=2)
    assert not d.of(ev.ResponseStarted)
    d.wait(2.1)
    assert d.one(ev.SystemWarning).code == "response_late"
    d.one(fx.RequestResponse)
    d.answer("to the second once more", n=3)
    assert d.log[-1] == ("assistant", "to the second once more")


def test_a_provider_that_announces_nothing_is_heard_all_the_same() -> None:
    d = Driver(Capabilities(audio_output=False))
    d.give(fx.Text("first"))
    d.give(fx.Text("second"))
    d.give(ev.TextOutput(text="an answer"))
    assert d.log[-1] == ("assistant", "an answer")


def test_a_turn_of_the_user_after_it_is_answered_by_what_begins() -> None:
    """By the time that somebody has spoken, what was called off before has begun, or never will."""
    d = Driver(OBEDIENT)
    d.give(fx.CreateResponse())
    d.give(fx.Interrupt())
    d.wait(2)
    d.user_says("hello")
    d.answer("hi")
    assert d.log[-1] == ("assistant", "hi")


def test_there_was_nothing_to_cancel_is_no_error() -> None:
    d = Driver()
    d.user_says()
    d.answer(ms=300)
    d.give(ev.ErrorGeneral(code="response_cancel_not_active", error="no active response"))
    assert not d.of(ev.ErrorGeneral)
    assert d.one(ev.SystemWarning).code == "response_cancel_not_active"
    d.user_says("again", item="u2")
    d.answer(n=2)
    assert d.log[-1] == ("assistant", "one two three four"), "the session lives on"


def test_a_pause_that_was_taken_for_the_end() -> None:
    """The user goes on before any of the answer was heard: no half answer, and the turn is one."""
    d = Driver()
    d.user_says("go forward", item="u1")
    d.give(ev.ResponseStarted(response_id="r1"))
    d.give(ev.TextOutput(text="How far?", item_id="a1", response_id="r1"))
    d.effects.clear()
    d.user_speaks("u1")
    assert d.one(ev.ResponseCancelled).response_id == "r1"
    d.user_stops("u1", "go forward ten meters")
    d.answer("Going.", n=2)
    assert d.log == [("user", "go forward ten meters"), ("assistant", "Going.")]


def test_a_turn_without_an_id_goes_on_after_such_a_pause_too() -> None:
    d = Driver(OBEDIENT)
    d.give(ev.VadSpeechStarted())
    d.give(ev.VadSpeechEnded())
    d.give(ev.TurnDetected())
    d.give(ev.VadSpeechStarted(), 0.2)
    d.give(ev.VadSpeechEnded(), 0.5)
    d.give(ev.TurnDetected())
    d.give(ev.TranscriptCompleted(text="all of it"))
    assert d.log == [("user", "all of it")]


def test_a_response_that_begins_while_the_user_speaks_is_stopped() -> None:
    d = Driver(OBEDIENT)
    d.user_says("go forward")
    d.user_speaks("u1")
    d.give(ev.ResponseStarted(response_id="late"))
    assert d.one(fx.CancelResponse).response_id == "late"
    assert not d.of(ev.ResponseStarted)


def test_provider_cancels_for_speech_that_it_does_not_tell_of() -> None:
    d = Driver()
    d.user_says()
    d.answer("one two three four", ms=1000, done=False)
    d.give(ev.ResponseCancelled(response_id="r1", reason="turn_detected"), 0.55)
    assert d.one(ev.ConversationInterrupted).heard_text == "one two"
    assert d.one(fx.Truncate).item_id == "a1"
    assert not d.of(fx.CancelResponse)
    assert d.core.playout.remaining_ms(d.now) == 0


def test_state_does_not_stay_at_speaking_without_audio() -> None:
    d = Driver()
    d.user_says()
    d.answer(ms=400)
    assert d.core.state == "speaking"
    d.wait(0.41)
    assert d.core.state == "idle"
    assert d.one(ev.AudioOutputStopped).heard_ms == pytest.approx(400)


def test_an_underrun_is_not_the_end_of_the_item() -> None:
    d = Driver()
    d.user_says()
    d.answer(ms=200, done=False)
    d.wait(1.0)
    assert d.core.state == "thinking"
    assert not d.of(ev.AudioOutputStopped)
    for _ in range(3):
        d.give(d.chunk())
    d.give(ev.ResponseCompleted(response_id="r1"))
    assert d.core.state == "speaking"
    d.wait(0.31)
    assert d.one(ev.AudioOutputStopped).heard_ms == pytest.approx(500)
    assert len(d.of(ev.AudioOutputStarted)) == 1


def test_text_that_was_written_is_perceived_when_answers_are_text() -> None:
    d = Driver(text_only=True)
    d.give(fx.Text("hello"))
    d.give(ev.ResponseStarted(response_id="r1"))
    d.give(ev.TextOutput(text="half an ans", is_partial=True, item_id="a1", response_id="r1"))
    d.give(fx.Text("stop"))
    assert [i.text for i in d.core.conversation.messages] == ["hello", "half an ans", "stop"]
    assert d.item("a1").status == "incomplete"


def test_what_was_heard_is_known_to_the_word_where_the_provider_says_so() -> None:
    item = Item(id="a", role="assistant")
    item.add_text("Good morning. ", 0.0, 900.0)
    item.audio_ms = 900
    item.add_text("It rains.", 900.0, 1500.0)
    item.audio_ms = 1500
    assert item.text_at(800) == "Good "
    assert item.text_at(900).strip() == "Good morning."
    assert item.text_at(1500) == "Good morning. It rains."
