"""What the session says by itself, on the core alone."""

from __future__ import annotations

import pytest

from tests.session.driver import Driver
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.session import effects as fx
from voxengine.session.effects import Effect
from voxengine.session.telling import tellable

FORMAT = AudioFormat()
WORDS = "please hold the line"


def sentence(ms: int = 1000, text: str = WORDS) -> fx.Announce:
    return fx.Announce(text, b"\x00\x20" * (24 * ms), FORMAT)


def spoken(driver: Driver) -> list[Effect]:
    kinds = (ev.AudioOutputStarted, ev.TextOutput, ev.AudioOutputChunk, ev.AudioOutputStopped)
    return [e for e in driver.effects if isinstance(e, kinds)]


def test_it_is_said_in_pieces_and_heard_to_its_end() -> None:
    call = Driver()
    call.give(sentence(250))
    started, words, *chunks = spoken(call)
    (item,) = call.core.conversation
    assert isinstance(started, ev.AudioOutputStarted)
    assert isinstance(words, ev.TextOutput)
    assert (words.text, words.is_partial) == (WORDS, False)
    assert [len(c.audio_data) for c in chunks] == [4800, 4800, 2400]  # type: ignore[union-attr]
    assert b"".join(c.audio_data for c in chunks) == sentence(250).audio  # type: ignore[union-attr]
    assert {e.item_id for e in spoken(call)} == {item.id}  # type: ignore[union-attr]
    assert {e.provider for e in spoken(call)} == {"voxengine"}  # type: ignore[union-attr]
    assert call.core.state == "speaking"
    call.wait(0.25)
    assert call.core.state == "idle"
    stopped = call.one(ev.AudioOutputStopped)
    assert (stopped.item_id, stopped.heard_ms, stopped.interrupted) == (item.id, 250.0, False)
    assert (item.role, item.provider, item.text) == ("assistant", "voxengine", WORDS)
    assert (item.status, item.heard_ms) == ("completed", 250.0)


def test_it_is_no_response() -> None:
    call = Driver()
    call.give(sentence())
    call.wait(5)
    assert not [e for e in call.effects if type(e).__name__.startswith("Response")]
    assert not call.of(fx.RequestResponse)
    assert not call.of(fx.CancelResponse)


def test_it_plays_after_what_came_before() -> None:
    call = Driver()
    call.user_says()
    call.answer(ms=1000)
    call.give(sentence(500), 0.2)
    call.wait(0.7)
    assert not call.of(ev.AudioOutputStopped)
    call.wait(0.2)
    assert call.one(ev.AudioOutputStopped).item_id == "a1"
    call.wait(0.5)
    assert [e.heard_ms for e in call.of(ev.AudioOutputStopped)] == [1000.0, 500.0]
    assert call.core.state == "idle"


def test_in_the_middle_of_an_answer_all_is_accounted_for() -> None:
    call = Driver()
    call.user_says()
    call.answer(ms=500, done=False)
    call.give(sentence(500))
    for _ in range(5):
        call.give(call.chunk())
    call.give(ev.ResponseCompleted(response_id="r1"))
    call.wait(1.4)
    assert call.core.state == "speaking"
    call.wait(0.2)
    assert call.core.state == "idle"
    assert call.item("a1").heard_ms == 1000.0
    assert sorted(e.heard_ms for e in call.of(ev.AudioOutputStopped)) == [500.0, 1000.0]


@pytest.mark.parametrize(("after", "words"), [(0.6, "please hold"), (0.0, None)])
def test_the_user_may_cut_it(after, words) -> None:
    call = Driver()
    call.give(sentence())
    call.wait(after)
    call.user_speaks()
    stopped = call.one(ev.AudioOutputStopped)
    assert stopped.interrupted
    assert stopped.heard_ms == pytest.approx(after * 1000)
    said = [i.text for i in call.core.conversation.messages if i.role == "assistant"]
    assert said == ([words] if words else [])
    # The provider has never said it, so that there is nothing to stop and nothing to truncate there.
    assert not call.of(fx.CancelResponse)
    assert not call.of(fx.Truncate)


def test_nobody_need_be_connected() -> None:
    call = Driver(recovers=True)
    call.give(ev.ConnectionLost())
    call.give(sentence())
    call.wait(2)
    assert call.one(ev.AudioOutputStopped).heard_ms == 1000.0
    call.give(fx.GaveUp("closed", "cable cut"))
    call.give(sentence())
    call.wait(2)
    assert len(call.of(ev.AudioOutputStopped)) == 2


def test_after_the_end_nothing_is_said() -> None:
    call = Driver()
    call.give(fx.Close())
    assert not call.give(sentence())


def test_where_answers_are_text_so_is_this() -> None:
    call = Driver(text_only=True)
    call.give(sentence())
    (words,) = spoken(call)
    assert isinstance(words, ev.TextOutput)
    assert words.text == WORDS
    assert call.core.state == "idle"
    assert call.log == [("assistant", WORDS)]


def test_a_recording_without_words() -> None:
    call = Driver()
    call.give(sentence(200, text=""))
    assert not call.of(ev.TextOutput)
    assert len(call.of(ev.AudioOutputChunk)) == 2


def test_the_next_provider_is_told_of_it() -> None:
    call = Driver()
    call.give(sentence())
    call.wait(2)
    assert [i.text for i in tellable(call.core.conversation)] == [WORDS]
