"""A voice that is given the words as they come: when it speaks, what is told of it, and what it costs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.cascade.fakes import Call, FakeBrain, FakeTTS, silence
from tests.cascade.fakes import call as tool_call
from tests.cascade.streaming_voice import RATE, StreamingVoice
from tests.cascade.test_with_engine import Setup
from voxengine import events as ev
from voxengine.errors import ConfigurationError, ProviderError
from voxengine.providers.cascade.parts import Message, Speech, SpokenWord
from voxengine.providers.cascade.settings import APOLOGY


def spoken_ms(call: Call) -> float:
    return sum(len(e.audio_data) for e in call.all(ev.AudioOutputChunk)) / 2 * 1000 / RATE


def stage(call: Call, name: str) -> float:
    return next(t for t, e in call.told if type(e) is ev.TimingStage and e.stage == name)


async def test_it_speaks_before_the_sentence_is_written() -> None:
    voice = StreamingVoice()
    brain = FakeBrain(lambda _: ["One two", " three", 2.0, " four. Five", 2.0, " six."])
    async with Call(brain=brain, metadata={"tts": voice}) as call:
        await call.say("hello", pause_ms=7000)
        asked = call.at(ev.ResponseStarted)
        # 20 ms to open, 20 ms to speak.
        assert call.at(ev.AudioOutputChunk) - asked == pytest.approx(0.04, abs=0.005)
        assert stage(call, "first_audio") - asked == pytest.approx(0.04, abs=0.005)
        assert stage(call, "first_sentence") - asked == pytest.approx(2.0, abs=0.005)
        assert stage(call, "last_token") - asked == pytest.approx(4.0, abs=0.005)
        assert [s.log for s in voice.streams] == ["One two three four.| Five six.|#"]
        assert call.spoken() == "One two three four. Five six."
        assert len(call.all(ev.ResponseCompleted)) == 1


async def test_each_word_is_told_where_it_is_spoken() -> None:
    brain = FakeBrain(lambda _: ["See **the", " docs**, [he", "re](http://x.y). \N{GRINNING FACE}"])
    async with Call(brain=brain, metadata={"tts": StreamingVoice()}) as call:
        await call.provider.send_text("hello")
        await asyncio.sleep(3)
        texts = call.all(ev.TextOutput)
        assert [(e.text, e.audio_start_ms, e.audio_end_ms) for e in texts[:-1]] == [
            ("See", 0.0, 150.0),
            (" **the", 150.0, 350.0),
            (" docs**,", 350.0, 650.0),
            (" [here](http://x.y).", 650.0, 950.0),
        ]
        assert (texts[-1].text, texts[-1].is_partial) == (" \N{GRINNING FACE}", False)
        assert all(e.is_partial for e in texts[:-1])
        assert texts[-1].audio_end_ms == spoken_ms(call)


async def test_a_voice_that_tells_no_words() -> None:
    brain = FakeBrain(lambda _: ["First one. ", "Second", 1.0, " one. Third one."])
    async with Call(brain=brain, metadata={"tts": StreamingVoice(timed=False)}) as call:
        await call.provider.send_text("hello")
        await asyncio.sleep(3)
        texts = call.all(ev.TextOutput)
        assert [e.text for e in texts] == ["First one.", " Second one.", " Third", " one.", ""]
        assert all(e.audio_start_ms is None for e in texts)
        assert [e.is_partial for e in texts] == [True, True, True, True, False]
        # The text comes with the speech that it belongs to, never before there is any.
        assert call.at(ev.TextOutput) >= call.at(ev.AudioOutputChunk)
        n = len(call.told)
        await call.provider.send_text("again")
        await asyncio.sleep(3)
        kinds = [type(e) for _, e in call.told[n:]]
        # Now it is known: the text comes first, with the very first speech.
        assert kinds.index(ev.TextOutput) < kinds.index(ev.AudioOutputChunk)


async def test_an_answer_shorter_than_it_takes_to_know_the_voice() -> None:
    voice = StreamingVoice(timed=False)
    async with Call(brain=FakeBrain(lambda _: ["Yes."]), metadata={"tts": voice}) as call:
        await call.provider.send_text("hello")
        await asyncio.sleep(1)
        (text,) = call.all(ev.TextOutput)
        assert (text.text, text.audio_start_ms, text.audio_end_ms) == ("Yes.", 0.0, 200.0)
        assert not text.is_partial


LONG = "This is a long answer. It has several sentences. You may interrupt it. It would go on for long."


async def test_a_barge_in_silences_the_voice() -> None:
    voice = StreamingVoice()
    brain = FakeBrain(lambda m: [LONG, 100.0, "Never."] if len(m) == 1 else ["Fine."])
    async with Call(brain=brain, metadata={"tts": voice}) as call:
        await call.say("hello", pause_ms=1500)
        began = call.at(ev.AudioOutputChunk)
        await call.say("stop", pause_ms=1500)
        at = call.at(ev.ResponseCancelled)
        (cancelled,) = voice.streams[0].cancelled
        assert cancelled is not None
        assert cancelled == pytest.approx((at - began) * 1000, abs=0.1)
        first = call.all(ev.ResponseStarted)[0].response_id
        late = [e for t, e in call.told if t > at and getattr(e, "response_id", "") == first]
        assert {type(e) for e in late} <= {ev.UsageUpdated}
        heard = call.brain.asked[1][1].text
        # 50 ms a character: exactly the words that were over.
        assert LONG.startswith(heard)
        assert len(heard) * 50 <= cancelled < (len(heard) + 11) * 50
        assert call.spoken().endswith("Fine.")


@pytest.mark.parametrize("says_after", [0.0, 0.3])
async def test_what_the_voice_says_was_heard_counts(says_after: float) -> None:
    voice = StreamingVoice(heard="This is a", says_after=says_after)
    brain = FakeBrain(lambda m: [LONG] if len(m) == 1 else ["Fine."])
    async with Call(brain=brain, metadata={"tts": voice}) as call:
        await call.say("hello", pause_ms=1500)
        await call.say("stop", pause_ms=20)
        item_id = call.all(ev.TextOutput)[0].item_id
        (heard_ms,) = voice.streams[0].cancelled
        assert heard_ms is not None
        await call.provider.truncate_item(item_id, heard_ms + 20, "This is a long")
        await call.send(silence(1000))
        assert call.brain.asked[1][1] == Message("assistant", "This is a")
        (told,) = call.all(ev.ConversationInterrupted)
        assert (told.item_id, told.heard_text) == (item_id, "This is a")
        # The listener's own word on another place is better still.
        await call.provider.truncate_item(item_id, heard_ms - 400, "This")
        await call.provider.send_text("what?")
        await asyncio.sleep(0.1)
        assert call.brain.asked[2][1] == Message("assistant", "This")


async def test_a_listener_who_knows_better_is_believed_before_the_voice() -> None:
    voice = StreamingVoice(heard="This is a", says_after=0.4)
    brain = FakeBrain(lambda m: [LONG] if len(m) == 1 else ["Fine."])
    async with Call(brain=brain, metadata={"tts": voice}) as call:
        await call.say("hello", pause_ms=1500)
        await call.say("stop", pause_ms=20)
        await call.provider.truncate_item(call.all(ev.TextOutput)[0].item_id, 100, "This")
        await call.send(silence(1500))
        assert not call.all(ev.ConversationInterrupted)
        assert call.brain.asked[1][1] == Message("assistant", "This")


async def test_the_log_has_the_words_of_the_voice() -> None:
    setup = Setup(FakeBrain(lambda m: [LONG] if len(m) == 1 else ["Fine."]))
    provider_parts = setup.engine.config.metadata
    provider_parts["tts"] = StreamingVoice(heard="This is a", says_after=0.2)
    async with setup.engine as engine:
        await setup.say("hello", 1500)
        await setup.say("stop it", 3000)
        said = [(i.role, i.text) for i in engine.conversation]
        assert said[1] == ("assistant", "This is a")
        item = engine.conversation.items[1]
        assert (item.text + item.unheard_text).startswith("This is a long answer.")
        assert setup.brain.asked[1][1] == Message("assistant", "This is a")
        assert setup.names().count("conversation_interrupted") == 1
        assert "error" not in setup.names()
        metrics = [e for e in setup.told if type(e) is ev.MetricsUpdated]
        assert metrics[0].first_audio_ms is not None


def errors(call: Call) -> list[str]:
    return [e.code for e in call.all(ev.ResponseError)]


TWO = ["First one. ", "Second one."]


@pytest.mark.parametrize(
    ("timed", "trouble", "said"),
    [
        (True, ["open"], ["First one.| Second one.|#"]),
        (True, [0], ["First one.| Second one.|#"] * 2),
        (False, [0], ["First one.| Second one.|#"] * 2),
        (True, [2], ["First one.| Second one.|#", " Second one.|#"]),
        (True, [2, "open"], None),
        (True, [0, 2], ["First one.| Second one.|#"] * 2 + [" Second one.|#"]),
    ],
    ids=["open", "at once", "untimed", "between sentences", "twice", "again after success"],
)
async def test_a_sentence_that_was_not_begun_is_begun_again(
    timed: bool, trouble: list[Any], said: list[str] | None
) -> None:
    voice = StreamingVoice(timed=timed, trouble=trouble)
    async with Call(brain=FakeBrain(lambda _: TWO), metadata={"tts": voice, "apology": ""}) as call:
        await call.provider.send_text("hello")
        await asyncio.sleep(5)
        if said is None:
            assert errors(call) == ["closed"]
            assert call.spoken() == "First one."
            return
        assert errors(call) == []
        assert [s.log for s in voice.streams] == said
        assert call.spoken() == "First one. Second one."
        assert spoken_ms(call) == len("First one. Second one.") * 50
        warned = [e.code for e in call.all(ev.SystemWarning)]
        assert warned == ["speech_begun_again"] * len(trouble)
        ends = [e.audio_end_ms for e in call.all(ev.TextOutput) if e.text]
        assert not timed or ends == [250.0, 500.0, 850.0, 1100.0]


@pytest.mark.parametrize(
    ("timed", "trouble", "spoken"),
    [
        (True, [1], "First"),
        (True, [3], "First one. Second"),
        (False, [2], "First one. Second one."),
    ],
    ids=["in the first", "in the second", "nobody knows where"],
)
async def test_a_voice_that_breaks_in_a_sentence(
    timed: bool, trouble: list[Any], spoken: str
) -> None:
    voice = StreamingVoice(timed=timed, trouble=trouble)
    async with Call(brain=FakeBrain(lambda _: TWO), metadata={"tts": voice}) as call:
        await call.provider.send_text("hello")
        await asyncio.sleep(8)
        assert errors(call) == ["closed"]
        # Nothing is silent: the caller hears that something is wrong.
        assert call.spoken() == spoken + APOLOGY
        assert len(call.all(ev.ResponseCompleted)) == 1


async def test_what_cannot_be_better_is_not_tried_again() -> None:
    voice = StreamingVoice(
        trouble=["open", "open"], error=ProviderError("no such key", code="auth")
    )
    async with Call(brain=FakeBrain(lambda _: [*TWO, 100.0]), metadata={"tts": voice}) as call:
        await call.provider.send_text("hello")
        await asyncio.sleep(1)
        # Told at once, though the brain still writes; and the apology fails as well.
        assert errors(call) == ["auth", "auth"]
        assert len(voice.opened) == 2
        assert not call.all(ev.SystemWarning)
        assert call.brain.closed == 1


@pytest.mark.parametrize("brain_goes_on", [False, True])
async def test_a_voice_that_hangs(brain_goes_on: bool) -> None:
    voice = StreamingVoice(trouble=["hang", "hang"])
    steps = ["One. ", 2.5, "Two. ", 2.5, "Three. ", 20.0] if brain_goes_on else ["One. Two."]
    metadata = {"tts": voice, "tts_timeout": 3.0, "apology": ""}
    async with Call(brain=FakeBrain(lambda _: steps), metadata=metadata) as call:
        await call.provider.send_text("hello")
        await asyncio.sleep(20)
        assert errors(call) == ["timeout"]
        # Twice 3 s: it is begun again once.
        assert call.at(ev.ResponseError) - call.at(ev.ResponseStarted) == pytest.approx(6, abs=0.1)
        assert voice.streams[0].cancelled == [None]


async def test_a_brain_that_is_slow_is_not_the_voices_fault() -> None:
    voice = StreamingVoice()
    # The second sentence is known to be over when all of it has been spoken already.
    brain = FakeBrain(lambda _: ["One. ", 8.0, "Two", " ", 0.5, "\n\n", 8.0, "Three."])
    async with Call(brain=brain, metadata={"tts": voice, "tts_timeout": 1.0}) as call:
        await call.provider.send_text("hello")
        await asyncio.sleep(20)
        assert errors(call) == []
        assert call.spoken() == "One. Two \n\nThree."
        assert len(voice.streams) == 1


async def test_a_brain_that_fails_in_mid_sentence() -> None:
    answers = iter([["One two. Three four ", ProviderError("cut", code="refused")]])
    brain = FakeBrain(lambda _: next(answers, ["Fine."]))
    voice = StreamingVoice()
    async with Call(brain=brain, metadata={"tts": voice}) as call:
        await call.provider.send_text("hello")
        await asyncio.sleep(8)
        assert errors(call) == ["refused"]
        # What the voice was given is said.
        assert call.spoken() == f"One two. Three four{APOLOGY}"
        assert voice.streams[0].log == "One two.| Three four#"


class Mute(StreamingVoice):
    """Ends without a word."""

    async def open(self, **options: Any) -> Any:
        stream = await super().open(**options)
        stream.push = lambda text: None  # type: ignore[method-assign]
        return stream


async def test_a_voice_that_says_nothing_is_a_failure() -> None:
    voice = Mute()
    async with Call(brain=FakeBrain(lambda _: TWO), metadata={"tts": voice, "apology": ""}) as call:
        await call.provider.send_text("hello")
        await asyncio.sleep(3)
        assert errors(call) == ["no_audio"]


async def test_nothing_that_could_be_said() -> None:
    voice = StreamingVoice()
    async with Call(
        brain=FakeBrain(lambda _: ["\N{GRINNING FACE}"]), metadata={"tts": voice}
    ) as call:
        await call.provider.send_text("hello")
        await asyncio.sleep(1)
        assert call.spoken() == "\N{GRINNING FACE}"
        assert call.all(ev.ResponseCompleted)
        assert voice.pushed == ""
        assert not call.all(ev.AudioOutputChunk)


async def test_tools() -> None:
    def answer(messages: list[Message]) -> list[object]:
        if any(m.role == "tool" for m in messages):
            return ["All done."]
        return ["One moment, ", "please", tool_call("lights", call_id="a"), " Now. ", 0.5, "Soon."]

    voice = StreamingVoice()
    async with Call(
        brain=FakeBrain(answer), tools=[{"name": "lights"}], metadata={"tts": voice}
    ) as call:
        await call.provider.send_text("lights on")
        await asyncio.sleep(2)
        (invoked,) = call.all(ev.FunctionInvoked)
        await call.provider.send_tool_result(invoked.call_id, "ok")
        await asyncio.sleep(2)
        assert [s.log for s in voice.streams] == [
            "One moment, please|#",
            " Now.| Soon.|#",
            "All done.|#",
        ]
        texts = call.all(ev.TextOutput)
        items = list(dict.fromkeys(e.item_id for e in texts))
        assert ["".join(e.text for e in texts if e.item_id == i) for i in items] == [
            "One moment, please",
            " Now. Soon.",
            "All done.",
        ]
        # All of what was said before the call is told before it.
        last = max(t for t, e in call.told if getattr(e, "item_id", "") == items[0])
        assert last <= call.at(ev.FunctionInvoked)
        asked = call.brain.asked[1]
        assert [m.role for m in asked] == ["user", "assistant", "tool", "assistant"]


async def test_speech_is_not_read_far_ahead_of_the_ear() -> None:
    brain = FakeBrain(lambda _: [f"This is sentence number {n} of many. " for n in range(40)])
    async with Call(brain=brain, metadata={"tts": StreamingVoice(), "ahead_s": 5}) as call:
        await call.provider.send_text("hello")
        await asyncio.sleep(10)
        elapsed = asyncio.get_running_loop().time() - call.at(ev.AudioOutputChunk)
        assert elapsed + 4 < spoken_ms(call) / 1000 < elapsed + 5.6
        assert not call.all(ev.ResponseCompleted)


async def test_voice_speed_and_usage() -> None:
    voice = StreamingVoice()
    brain = FakeBrain(lambda _: ["**Hello** there."])
    metadata = {"tts": voice, "speed": 1.5}
    async with Call(brain=brain, voice="two", metadata=metadata) as call:
        assert call.provider.capabilities.voices == ("one", "two")
        await call.provider.send_text("hello")
        await asyncio.sleep(2)
        ((name, speed, session),) = voice.opened
        assert (name, speed, session) == ("two", 1.5, call.provider.session_id)
        (used,) = [e for e in call.all(ev.UsageUpdated) if e.model == "vendor/voice"]
        assert used.characters == len("Hello there.")
        assert used.output_audio_seconds == spoken_ms(call) / 1000
        assert not any(e.characters for e in call.all(ev.UsageUpdated) if e is not used)
        total = await call.provider.get_usage()
        assert total is not None
        assert total["characters"] == len("Hello there.")
        await call.provider.generate_tts("Word for word.")
        await asyncio.sleep(2)
        assert call.spoken() == "**Hello** there.Word for word."
    assert voice.closed == 1


async def test_a_voice_that_lists_none_takes_any_name() -> None:
    voice = StreamingVoice()
    voice.voices = ()
    async with Call(voice="some-id", metadata={"tts": voice}) as call:
        await call.provider.send_text("hello")
        await asyncio.sleep(1)
        assert voice.opened[0][0] == "some-id"
        assert not call.all(ev.SystemWarning)


async def test_an_answer_in_writing_needs_no_voice() -> None:
    voice = StreamingVoice()
    async with Call(metadata={"tts": voice}) as call:
        await call.provider.send_text("hello")
        await asyncio.sleep(1)
        assert len(voice.opened) == 1
        call.clear()
        await call.provider.create_response(modalities=["text"])
        await asyncio.sleep(1)
        assert call.spoken()
        assert len(voice.opened) == 1
        assert not call.all(ev.AudioOutputChunk)


async def test_hanging_up_in_mid_answer_leaves_nothing_behind() -> None:
    voice = StreamingVoice(says_after=0.3)
    async with Call(brain=FakeBrain(lambda _: [LONG, 100.0]), metadata={"tts": voice}) as call:
        await call.provider.send_text("hello")
        await asyncio.sleep(1)
    assert len(voice.streams[0].cancelled) == 1
    assert {t for t in asyncio.all_tasks() if "voxengine" in t.get_name()} == set()


async def test_what_is_no_voice() -> None:
    with pytest.raises(ConfigurationError, match="TTS or StreamingTTS"):
        await Call(metadata={"tts": 7}).provider.connect()


class WordsTTS(FakeTTS):
    """Is called, and says where its words are."""

    async def synthesize(self, text: str, **options: Any) -> Any:
        at = 0.0
        for word in text.split():
            ms = 50.0 * len(word)
            yield Speech(bytes(int(RATE * ms / 1000) * 2), (SpokenWord(word, at, at + ms),))
            at += ms


async def test_a_voice_that_is_called_may_tell_its_words_too() -> None:
    brain = FakeBrain(lambda _: ["One **two**. Three \N{GRINNING FACE}"])
    async with Call(brain=brain, metadata={"tts": WordsTTS()}) as call:
        await call.provider.send_text("hello")
        await asyncio.sleep(2)
        texts = call.all(ev.TextOutput)
        assert [(e.text, e.audio_start_ms, e.audio_end_ms, e.is_partial) for e in texts] == [
            ("One", 0.0, 150.0, True),
            (" **two**.", 150.0, 350.0, True),
            (" Three", 350.0, 600.0, True),
            (" \N{GRINNING FACE}", 600.0, 600.0, False),
        ]
