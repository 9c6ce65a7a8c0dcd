"""A recogniser that streams and fails: the caller notices nothing, or is told; and who provides is replaced."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from tests.cascade.fakes import FakeBrain, silence
from tests.cascade.streaming import DOWN, StreamedCall
from voxengine import events as ev
from voxengine.errors import AuthenticationError, ConnectionError, ProviderError
from voxengine.providers.base import ConnectionState
from voxengine.providers.cascade.settings import APOLOGY

BUSY = ProviderError("too many streams", code="rate_limit", retryable=True)


@pytest.mark.parametrize("detects_turns", [False, True])
@pytest.mark.parametrize("settles", [False, True])
@pytest.mark.parametrize("refusals", [0, 2])
async def test_a_stream_that_fails_in_a_turn_is_replaced_unnoticed(
    detects_turns: bool, settles: bool, refusals: int
) -> None:
    async with StreamedCall(detects_turns=detects_turns) as call:
        call.ears.settles = settles
        await call.say("well,", pause_ms=350)
        await call.say("one two three")
        shown = [e.text for e in call.all(ev.TranscriptPartial)]
        assert shown
        call.ears.refusals = [DOWN] * refusals
        call.ears.stream.fail()
        await call.say("four five", pause_ms=2500)
        words = ["well, one two three four five", "Well, one two three four five."]
        assert call.heard() == [words[detects_turns]]
        texts = [e.text for e in call.all(ev.TranscriptPartial)]
        assert len(texts) > len(shown)
        assert all(b.startswith(a) for a, b in pairwise(texts))
        assert call.ears.attempts == 2 + refusals
        assert call.ears.streams[0].closed
        for kind in (ev.SystemWarning, ev.ErrorGeneral, ev.TranscriptFailed, ev.ConnectionLost):
            assert not call.all(kind)


async def test_a_stream_that_fails_while_it_is_asked() -> None:
    async with StreamedCall(delay=0.2) as call:
        await call.say("hello", pause_ms=150)
        assert call.ears.stream.finalized == 1
        call.ears.stream.fail()
        await call.send(silence(1500))
        assert call.heard() == ["hello"]
        assert call.ears.stream.finalized == 1
        assert len(call.ears.streams) == 2


async def test_turns_that_were_committed_are_heard_again_in_their_order() -> None:
    async with StreamedCall(turn_detection="none", delay=0.5) as call:
        for words in ("one", "two"):
            await call.say(words, pause_ms=50)
            await call.provider.commit_audio()
        await call.say("three")
        call.ears.stream.fail()
        await call.send(silence(300))
        await call.provider.commit_audio()
        await call.send(silence(1500))
        assert call.heard() == ["one", "two", "three"]


async def test_what_was_written_down_is_not_heard_again() -> None:
    async with StreamedCall() as call:
        await call.say("hello", pause_ms=3000)
        call.ears.stream.fail()
        await call.say("world", pause_ms=1500)
        assert call.heard() == ["hello", "world"]
        # What came during the second of silence that is held, and from then on.
        assert call.ears.stream.samples / 16000 == pytest.approx(2.7, abs=0.2)


async def test_a_turn_that_is_too_long_to_be_held() -> None:
    async with StreamedCall(detects_turns=True) as call:
        words = [f"w{n}" for n in range(100)]
        for word in words:
            await call.send(call.voice.say(word, word_ms=400), chunk_ms=100)
        call.ears.stream.fail()
        await call.send(silence(2500))
        (text,) = call.heard()
        heard = text.lower().replace(".", "").split()
        # What was known is kept, and of the second that is heard again no more than a few words come twice.
        assert heard[: len(words) - 1] == words[:-1]
        assert len(heard) <= len(words) + 4


@pytest.mark.parametrize("detects_turns", [False, True])
async def test_a_turn_on_which_every_stream_fails_is_given_up(detects_turns: bool) -> None:
    async with StreamedCall(
        detects_turns=detects_turns, brain=FakeBrain(lambda m: [f"You said {m[-1].text}"])
    ) as call:
        call.voice.say("poison")
        call.ears.fails_on = "poison"
        await call.say("poison", pause_ms=4000)
        assert [e.error for e in call.all(ev.TranscriptFailed)] == [str(DOWN)]
        assert [e.code for e in call.all(ev.ResponseError)] == ["closed"]
        assert call.spoken() == APOLOGY
        assert not call.all(ev.ConnectionLost)
        assert call.ears.attempts <= 6
        await call.say("hello", pause_ms=3000)
        assert [text.lower().strip(".") for text in call.heard()] == ["hello"]


async def test_a_recogniser_that_does_not_answer() -> None:
    async with StreamedCall(metadata={"stt_timeout": 2}, partials=False) as call:
        call.ears.deaf = True
        await call.say("one two", pause_ms=3500)
        # What it had shown so far has to do.
        assert call.heard() == ["one two"]
        assert [e.code for e in call.all(ev.SystemWarning)] == ["transcript_incomplete"]
        assert call.at(ev.TurnDetected) - call.at(ev.VadSpeechEnded) == pytest.approx(2, abs=0.01)
        assert call.spoken() == "You said one two."
        call.ears.deaf = False
        await call.send(silence(1500))
        await call.say("three", pause_ms=1500)
        assert call.heard()[1:] == ["three"]
        assert len(call.ears.streams) == 2


async def test_a_recogniser_that_cannot_be_had_any_more_is_the_loss_of_the_connection() -> None:
    brain = FakeBrain(lambda _: ["Begun. ", 100.0])
    async with StreamedCall(brain=brain, metadata={"stt_timeout": 5}) as call:
        await call.say("hello", pause_ms=1000)
        call.ears.refusals = [BUSY] * 100
        at = asyncio.get_running_loop().time()
        call.ears.stream.fail()
        await asyncio.sleep(10)
        (lost,) = call.all(ev.ConnectionLost)
        assert (lost.code, lost.retryable) == ("rate_limit", True)
        assert "too many streams" in lost.error
        assert 2 < call.at(ev.ConnectionLost) - at <= 5.1
        assert 4 < call.ears.attempts < 12
        assert [e.code for e in call.all(ev.ResponseError)] == ["rate_limit"]
        assert call.provider.state is ConnectionState.ERROR
        assert not call.all(ev.TranscriptFailed)
        with pytest.raises(ConnectionError):
            await call.provider.send_audio(silence(20))
        assert brain.closed == 1
    assert call.names()[-1] == "connection_closed"


async def test_a_failure_that_will_not_pass_is_not_tried_again() -> None:
    async with StreamedCall() as call:
        await call.say("hello")
        call.ears.stream.fail(AuthenticationError("the key was withdrawn", code="auth"))
        await asyncio.sleep(1)
        (lost,) = call.all(ev.ConnectionLost)
        assert (lost.code, lost.retryable) == ("auth", False)
        assert call.ears.attempts == 1


async def test_streams_that_fail_one_after_the_other() -> None:
    async with StreamedCall() as call:
        for _ in range(6):
            call.ears.stream.fail()
            await asyncio.sleep(0.5)
        assert len(call.all(ev.ConnectionLost)) == 1
    async with StreamedCall() as call:
        for _ in range(8):
            await asyncio.sleep(30)
            call.ears.stream.fail()
        assert not call.all(ev.ConnectionLost)


async def test_failures_with_words_in_between() -> None:
    async with StreamedCall() as call:
        for _ in range(7):
            call.ears.stream.fail()
            await call.say("hello", pause_ms=1500)
        assert not call.all(ev.ConnectionLost)
        assert call.heard() == ["hello"] * 7


@pytest.mark.parametrize(
    ("failure", "error", "code"),
    [
        (AuthenticationError("no such key", code="auth"), AuthenticationError, "auth"),
        (ProviderError("nobody there", code="refused"), ConnectionError, "refused"),
        (ValueError("a bug"), ProviderError, "internal"),
    ],
)
async def test_a_recogniser_that_cannot_be_opened(
    failure: Exception, error: type[Exception], code: str
) -> None:
    call = StreamedCall()
    call.ears.refusals = [failure]
    with pytest.raises(error):
        await call.provider.connect()
    assert [e.code for e in call.all(ev.ConnectionFailed)] == [code]
    await call.provider.disconnect()
    assert not call.all(ev.ConnectionLost)


async def test_a_recogniser_that_takes_too_long_to_open() -> None:
    call = StreamedCall(metadata={"stt_timeout": 0.01})
    with pytest.raises(ConnectionError, match=r"took longer than 0\.01 s"):
        await call.provider.connect()
    await call.provider.disconnect()


async def test_the_call_ends_while_a_stream_is_being_opened() -> None:
    async with StreamedCall() as call:
        await call.say("hello")
        call.ears.refusals = [DOWN] * 100
        call.ears.stream.fail()
        await asyncio.sleep(0.3)
    assert not call.all(ev.ConnectionLost)
