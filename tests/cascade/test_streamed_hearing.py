"""A recogniser that streams: its words, and its turns."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from tests.cascade.fakes import (
    FakeBrain,
    FakeTTS,
    FakeVAD,
    noise,
    silence,
)
from tests.cascade.streaming import FakeStreamingSTT, StreamedCall
from voxengine import events as ev
from voxengine.errors import ConfigurationError
from voxengine.providers.cascade import CascadeProvider
from voxengine.providers.cascade.parts import (
    Message,
    STTEmotion,
    STTFinal,
    STTTurnEnded,
    STTUsage,
)

LONG = "This is a long answer. It has several sentences. You may interrupt it. It would go on for long."


# -- turns that we find


async def test_a_turn_is_heard_and_answered_in_order() -> None:
    async with StreamedCall() as call:
        await call.say("go forward ten meters", pause_ms=2500)
        assert call.heard() == ["go forward ten meters"]
        assert call.spoken() == "You said go forward ten meters."
        assert [n for n in call.names() if n != "transcript_partial"] == [
            "connection_starting",
            "connection_established",
            "vad_speech_started",
            "vad_speech_ended",
            "conversation_turn_detected",
            "transcript_completed",
            "response_started",
            "text_chunk",
            "response_completed",
            "usage_updated",
        ]
        assert call.ears.stream.finalized == 1
        (done,) = call.all(ev.TranscriptCompleted)
        assert done.language == "en"
        # 300 ms of silence, as with a recogniser that is called: its answer was there before.
        ended = call.all(ev.VadSpeechEnded)[0]
        waited = call.at(ev.TurnDetected) - call.at(ev.VadSpeechEnded) + ended.lag_ms / 1000
        assert waited == pytest.approx(0.3, abs=0.04)


async def test_a_slow_recogniser_decides_when_it_answers() -> None:
    async with StreamedCall(delay=0.8) as call:
        await call.say("hello", pause_ms=2000)
        assert call.at(ev.TurnDetected) - call.at(ev.VadSpeechEnded) == pytest.approx(
            0.8, abs=0.001
        )


async def test_partials_never_take_words_back() -> None:
    async with StreamedCall() as call:
        await call.say("one two three,", pause_ms=400)
        await call.say("four five", pause_ms=1500)
        texts = [e.text for e in call.all(ev.TranscriptPartial)]
        assert len(texts) >= 3
        for before, after in pairwise(texts):
            assert after.startswith(before)
            assert after != before
        assert call.heard() == ["one two three, four five"]
        assert call.ears.stream.finalized == 2
        assert len({e.item_id for e in call.all(ev.VadSpeechStarted)}) == 1


async def test_partials_are_not_told_where_they_are_not_wanted() -> None:
    async with StreamedCall(partials=False) as call:
        await call.say("one two three", pause_ms=1500)
        assert not call.all(ev.TranscriptPartial)
        assert call.heard() == ["one two three"]


async def test_a_barge_in_does_not_wait_for_the_recogniser() -> None:
    async with StreamedCall(
        brain=FakeBrain(lambda m: [LONG] if len(m) == 1 else ["Fine."])
    ) as call:
        await call.say("hello", pause_ms=2500)
        call.ears.delay = 5.0
        await call.say("stop it please")
        assert call.all(ev.VadSpeechStarted)[1].item_id != call.all(ev.TurnDetected)[0].item_id
        assert not call.provider._live.mouth.speaking
        call.ears.delay = 0.1
        await call.send(silence(6000))
        assert call.heard() == ["hello", "stop it please"]
        assert call.brain.asked[1][1].text != LONG


async def test_going_on_before_the_answer_is_heard_continues_the_turn() -> None:
    async with StreamedCall(brain=FakeBrain(lambda m: [1.0, f"Doing {m[-1].text}."])) as call:
        await call.say("go forward", pause_ms=800)
        await call.say("ten meters", pause_ms=3000)
        assert call.heard() == ["go forward", "go forward ten meters"]
        assert len({e.item_id for e in call.all(ev.TranscriptCompleted)}) == 1
        assert call.brain.asked[-1] == [Message("user", "go forward ten meters")]


async def test_a_noise_is_no_turn() -> None:
    async with StreamedCall() as call:
        await call.send(noise(200) + silence(2000))
        assert not call.all(ev.TurnDetected)
        assert call.heard() == [""]
        await call.say("hello", pause_ms=1000)
        assert call.heard() == ["", "hello"]


async def test_words_that_come_late_belong_to_their_turn() -> None:
    async with StreamedCall(turn_detection="none", delay=0.5) as call:
        for words in ("one", "two", "three"):
            await call.say(words, pause_ms=50)
            await call.provider.commit_audio()
        await call.provider.create_response()
        await call.send(silence(1500))
        assert call.heard() == ["one", "two", "three"]
        assert len({e.item_id for e in call.all(ev.TranscriptCompleted)}) == 3
        assert [m.text for m in call.brain.asked[0]] == ["one", "two", "three"]
        assert call.ears.stream.finalized == 3
        assert not call.all(ev.VadSpeechStarted)


async def test_what_is_cleared_is_not_heard() -> None:
    async with StreamedCall(turn_detection="none", delay=0.4) as call:
        await call.say("never mind", pause_ms=20)
        await call.provider.clear_audio()
        await call.say("hello", pause_ms=20)
        await call.provider.commit_audio()
        await call.send(silence(1000))
        assert call.heard() == ["hello"]


async def test_audio_faster_than_time_and_in_pieces_of_any_size() -> None:
    async with StreamedCall(input_format=None) as call:
        audio = silence(5000) + call.voice.say("one two three") + silence(100)
        await call.provider.send_audio(audio)
        await asyncio.sleep(2)
        assert call.heard() == ["one two three"]
        for start in range(0, len(audio), 90):
            await call.provider.send_audio(audio[start : start + 90])
        await asyncio.sleep(2)
        assert call.heard()[1:] == ["one two three"]


async def test_history_is_known_to_the_brain_and_settings_to_the_recogniser() -> None:
    call = StreamedCall(
        language="de", vocabulary=["VoxEngine"], turn_options={"silence_duration_ms": 700}
    )
    assert call.provider.capabilities.vocabulary
    async with call:
        assert call.ears.opened == [
            {
                "language": "de",
                "vocabulary": ("VoxEngine",),
                "turn": {"silence_duration_ms": 700},
            }
        ]
        await call.say("hello", pause_ms=2000)
        ended = call.all(ev.VadSpeechEnded)[0]
        waited = call.at(ev.TurnDetected) - call.at(ev.VadSpeechEnded) + ended.lag_ms / 1000
        assert waited == pytest.approx(0.7, abs=0.04)
        assert not call.provider.capabilities.on_device
        await call.provider.configure_session({"turn_options": {"silence_duration_ms": 300}})
        await call.say("again", pause_ms=1000)
        assert call.ears.opened[-1]["turn"] == {"silence_duration_ms": 300}
        assert call.ears.streams[0].closed
        assert call.heard() == ["hello", "again"]
    assert call.ears.stream.closed


async def test_how_the_user_sounds() -> None:
    async with StreamedCall() as call:
        assert call.provider.capabilities.emotion
        await call.say("hello")
        call.ears.stream.tell(STTEmotion({"calm": 0.2, "joy": 0.7}))
        await call.send(silence(1000))
        (felt,) = call.all(ev.EmotionDetected)
        assert list(felt.scores) == ["joy", "calm"]
        assert felt.item_id == call.all(ev.TurnDetected)[0].item_id
    async with StreamedCall(emotion=False) as call:
        assert not call.provider.capabilities.emotion
        await call.say("hello")
        call.ears.stream.tell(STTEmotion({"joy": 0.7}))
        await call.send(silence(1000))
        assert not call.all(ev.EmotionDetected)


async def test_seconds_are_those_that_the_vendor_bills() -> None:
    async with StreamedCall() as call:
        await call.say("hello", pause_ms=1000)
        usage = await call.provider.get_usage()
        assert usage is not None
        assert usage["input_audio_seconds"] == pytest.approx(1.16, abs=0.04)
        call.ears.at_close = [STTUsage(3.0)]
    total = sum(e.input_audio_seconds or 0 for e in call.all(ev.UsageUpdated))
    assert total == pytest.approx(3.0)
    assert call.names()[-2:] == ["usage_updated", "connection_closed"]


async def test_the_rate_of_the_recogniser() -> None:
    class Wide(FakeStreamingSTT):
        sample_rate = 24000

    call = StreamedCall()
    ears = Wide(call.voice)
    provider = CascadeProvider(
        {"metadata": {"vad": FakeVAD(), "stt": ears, "llm": FakeBrain(), "tts": FakeTTS()}}
    )
    await provider.connect()
    await provider.send_audio(silence(1024))
    assert ears.stream.samples == pytest.approx(24576, abs=100)
    await provider.disconnect()


# -- turns that the recogniser finds


async def test_the_recogniser_ends_the_turn() -> None:
    async with StreamedCall(detects_turns=True, wait=100.0) as call:
        assert call.provider.capabilities.turn_detection[0] == "semantic_vad"
        await call.say("go forward", pause_ms=400)
        await call.say("ten meters", pause_ms=3000)
        assert call.heard() == ["Go forward ten meters."]
        ended = call.all(ev.VadSpeechEnded)[-1]
        waited = call.at(ev.TurnDetected) - call.at(ev.VadSpeechEnded, 1) + ended.lag_ms / 1000
        # The silence that it wants, and the way there and back.
        assert waited == pytest.approx(0.6, abs=0.06)
        assert call.ears.stream.finalized == 0


async def test_our_own_detection_where_that_is_asked_for() -> None:
    async with StreamedCall(detects_turns=True, turn_detection="server_vad") as call:
        await call.say("hello", pause_ms=2000)
        ended = call.all(ev.VadSpeechEnded)[0]
        waited = call.at(ev.TurnDetected) - call.at(ev.VadSpeechEnded) + ended.lag_ms / 1000
        assert waited == pytest.approx(0.3, abs=0.04)
        assert call.heard() == ["hello"]
    call = StreamedCall(detects_turns=True, turn_options={"eagerness": "high"})
    assert call.provider.capabilities.turn_options[-1] == "eagerness"
    with pytest.raises(ConfigurationError, match="eagerness is low"):
        StreamedCall(detects_turns=True, turn_options={"eagerness": "very"})
    with pytest.raises(ConfigurationError, match="semantic_vad"):
        StreamedCall(turn_detection="semantic_vad")


async def test_manual_turns_are_not_ended_by_the_recogniser() -> None:
    async with StreamedCall(detects_turns=True, turn_detection="none") as call:
        await call.say("one two", pause_ms=1500)
        assert not call.all(ev.TurnDetected)
        await call.say("three", pause_ms=100)
        await call.provider.commit_audio()
        await call.send(silence(500))
        assert call.heard() == ["One two. three"]
        assert len(call.brain.asked) == 0


async def test_a_recogniser_that_never_ends_the_turn_is_asked() -> None:
    async with StreamedCall(detects_turns=True) as call:
        call.ears.mute = True
        await call.say("hello", pause_ms=5000)
        assert call.heard() == ["hello"]
        # 3 s after its last sign, the eager end (at 200 ms of silence); and 100 ms for each way.
        waited = call.at(ev.TurnDetected) - call.at(ev.VadSpeechEnded)
        assert waited == pytest.approx(3.0 + 0.1 + 0.2, abs=0.15)


async def test_a_turn_ends_also_where_the_audio_does() -> None:
    async with StreamedCall(detects_turns=True) as call:
        await call.say("hello there")
        await asyncio.sleep(1.5)
        assert call.heard() == ["Hello there."]


async def test_words_for_which_there_was_no_speech() -> None:
    async with StreamedCall(detects_turns=True, brain=FakeBrain(lambda _: [LONG])) as call:
        await call.say("hello", pause_ms=2500)
        call.ears.stream.tell(STTTurnEnded("Quietly now.", "en"))
        await call.send(silence(500))
        assert call.heard() == ["Hello.", "Quietly now."]
        assert call.brain.asked[1][1].text != LONG
    async with StreamedCall() as call:
        call.ears.stream.tell(STTFinal("Psst"))
        await call.send(silence(500))
        await call.say("hello", pause_ms=1000)
        assert call.heard() == ["Psst hello"]


async def test_who_goes_on_while_the_turn_is_being_ended_is_heard_out() -> None:
    async with StreamedCall(detects_turns=True, delay=0.3) as call:
        call.ears.eager_ms = 5000
        await call.say("go forward", pause_ms=620)
        await call.say("ten meters", pause_ms=3000)
        assert call.heard() == ["Go forward. Ten meters."]
        assert len(call.all(ev.ResponseStarted)) == 1


async def test_a_noise_before_the_answer_costs_a_second() -> None:
    brain = FakeBrain(lambda m: [1.0, f"Doing {m[-1].text}"])
    async with StreamedCall(detects_turns=True, brain=brain) as call:
        await call.say("go", pause_ms=900)
        await call.send(noise(200) + silence(4000))
        assert call.heard() == ["Go.", "Go."]
        assert call.spoken() == "Doing Go."
        again = call.at(ev.TurnDetected, 1) - call.at(ev.VadSpeechEnded, 1)
        assert again == pytest.approx(1.1, abs=0.1)
