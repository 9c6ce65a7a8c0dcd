"""A recogniser that streams: an answer that begins before the turn is over, and the whole with the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.cascade.fakes import (
    RATE,
    FakeBrain,
    FakeTTS,
    FakeTurn,
    FakeVAD,
    Voice,
    silence,
)
from tests.cascade.fakes import call as tool_call
from tests.cascade.streaming import FakeStreamingSTT, StreamedCall
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.config import VoiceEngineConfig
from voxengine.engine import VoiceEngine
from voxengine.errors import ProviderError
from voxengine.providers.cascade.parts import (
    Message,
    Speech,
)


async def test_the_brain_begins_before_the_turn_is_over() -> None:
    brain = FakeBrain(lambda m: [0.1, f"You said {m[-1].text}."])
    async with StreamedCall(detects_turns=True, brain=brain) as call:
        await call.say("go forward", pause_ms=3000)
        assert call.heard() == ["Go forward."]
        assert call.brain.asked == [[Message("user", "go forward")]]
        assert call.spoken() == "You said go forward."
        stages = {e.stage: e for e in call.all(ev.TimingStage)}
        (final,) = call.all(ev.TranscriptCompleted)
        (begun,) = call.all(ev.ResponseStarted)
        assert stages["brain_started"].timestamp == pytest.approx(final.timestamp - 0.3, abs=0.04)
        assert stages["first_token"].timestamp == pytest.approx(final.timestamp - 0.2, abs=0.04)
        assert stages["first_token"].response_id == begun.response_id
        # Nothing was told before the turn was over.
        kinds = [type(e) for _, e in call.told]
        assert kinds.index(ev.TurnDetected) < kinds.index(ev.TranscriptCompleted)
        assert kinds.index(ev.TranscriptCompleted) < kinds.index(ev.ResponseStarted)
        assert kinds.index(ev.ResponseStarted) < kinds.index(ev.TimingStage)
        assert brain.finished == brain.closed == 1


async def test_a_turn_that_goes_on_throws_the_draft_away() -> None:
    brain = FakeBrain(lambda m: [tool_call("lights"), 0.05, 100.0])
    async with StreamedCall(
        detects_turns=True, brain=brain, tools=[{"name": "lights"}], wait=100.0
    ) as call:
        await call.say("go forward", pause_ms=420)
        assert len(brain.asked) == 1
        brain.answer = lambda m: [f"Doing {m[-1].text}."]
        await call.say("ten meters")
        assert brain.closed == 1
        await call.send(silence(2000))
        assert brain.asked[-1] == [Message("user", "go forward ten meters")]
        assert len(brain.asked) == 2
        assert brain.closed == 2
        assert not call.all(ev.FunctionInvoked)
        assert not call.all(ev.ResponseCancelled)
        assert len(call.all(ev.ResponseStarted)) == 1
        assert call.spoken() == "Doing go forward ten meters."


async def test_other_words_at_the_end_throw_the_draft_away() -> None:
    brain = FakeBrain(lambda m: [f"You said {m[-1].text}"])
    async with StreamedCall(detects_turns=True, brain=brain) as call:
        call.ears.spelled = lambda words: "Go backward."
        await call.say("go forward", pause_ms=2000)
        assert [m[-1].text for m in brain.asked] == ["go forward", "Go backward."]
        assert call.spoken() == "You said Go backward."


async def test_what_changed_since_throws_the_draft_away() -> None:
    async with StreamedCall(detects_turns=True) as call:
        await call.say("hello", pause_ms=400)
        assert len(call.brain.asked) == 1
        await call.provider.send_text("Be brief.", role="system")
        await call.send(silence(1500))
        assert len(call.brain.asked) == 2
        assert len(call.all(ev.ResponseStarted)) == 1


async def test_a_draft_that_fails_is_made_again() -> None:
    answers: Iterator[list[Any]] = iter([[ValueError("nonsense")], ["Better now."]])
    async with StreamedCall(detects_turns=True, brain=FakeBrain(lambda _: next(answers))) as call:
        await call.say("hello", pause_ms=2000)
        assert call.spoken() == "Better now."
        assert not call.all(ev.ResponseError)


async def test_a_draft_with_tools_goes_on_with_their_results() -> None:
    def answer(messages: list[Message]) -> list[object]:
        if messages[-1].role == "tool":
            return ["Done."]
        return [tool_call("lights", call_id="a")]

    brain = FakeBrain(answer)
    async with StreamedCall(detects_turns=True, brain=brain, tools=[{"name": "lights"}]) as call:
        await call.say("lights on", pause_ms=1000)
        (invoked,) = call.all(ev.FunctionInvoked)
        await call.provider.send_tool_result(invoked.call_id, "ok")
        await call.send(silence(1000))
        assert call.spoken() == "Done."
        assert [m.role for m in brain.asked[1]] == ["user", "assistant", "tool"]


async def test_no_draft_is_left_when_the_call_ends() -> None:
    brain = FakeBrain(lambda _: [100.0, "Never."])
    async with StreamedCall(detects_turns=True, brain=brain) as call:
        await call.say("hello", pause_ms=400)
        assert len(brain.asked) == 1
    assert brain.closed == 1
    async with StreamedCall(detects_turns=True, brain=FakeBrain(), auto_response=False) as call:
        await call.say("hello", pause_ms=1500)
        assert call.heard() == ["Hello."]
        assert not call.brain.asked


# -- with the engine


class Loud(FakeTTS):
    """One that can be heard."""

    async def synthesize(
        self, text: str, *, voice: str | None, speed: float, session: str
    ) -> AsyncIterator[Speech]:
        async for speech in super().synthesize(text, voice=voice, speed=speed, session=session):
            yield Speech(b"\0\x20" * (len(speech.audio) // 2))


class Setup:
    """An engine on a cascade whose recogniser streams."""

    def __init__(self, brain: FakeBrain, **config: Any) -> None:
        self.voice = Voice()
        self.ears = FakeStreamingSTT(self.voice, detects_turns=True)
        parts = {
            "vad": FakeVAD(),
            "turn": FakeTurn(),
            "stt": self.ears,
            "llm": brain,
            "tts": Loud(),
        }
        pcm = AudioFormat(sample_rate=RATE)
        self.engine = VoiceEngine(
            VoiceEngineConfig(provider="cascade", metadata=parts, input_format=pcm, **config)
        )
        self.told: list[Any] = []
        self.engine.on("*", self.told.append)

    async def say(self, text: str, pause_ms: float) -> None:
        audio = self.voice.say(text) + silence(pause_ms)
        for start in range(0, len(audio), 640):
            await asyncio.sleep(0.02)
            await self.engine.send_audio(audio[start : start + 640])

    def all(self, kind: type[Any]) -> list[Any]:
        return [e for e in self.told if type(e) is kind]


async def test_the_waterfall_of_an_answer_that_was_begun_early() -> None:
    setup = Setup(FakeBrain(lambda _: [0.1, "Right away."]))
    async with setup.engine as engine:
        await setup.say("hello", 2500)
        (metrics,) = setup.all(ev.MetricsUpdated)
        assert metrics.first_token_ms == pytest.approx(400, abs=50)
        assert metrics.transcript_ms == pytest.approx(600, abs=50)
        assert metrics.turn_decided_ms <= metrics.transcript_ms < metrics.first_audio_ms
        assert [(i.role, i.text) for i in engine.conversation] == [
            ("user", "Hello."),
            ("assistant", "Right away."),
        ]
        assert "error" not in [str(e.type) for e in setup.told]


async def test_words_to_listen_for_are_not_complained_about() -> None:
    setup = Setup(FakeBrain(), vocabulary=["VoxEngine"])
    async with setup.engine:
        assert setup.ears.opened[0]["vocabulary"] == ("VoxEngine",)
        await setup.say("hello", 1000)
    assert not setup.all(ev.SystemWarning)


async def test_a_conversation_moves_to_another_cascade_and_back() -> None:
    setup = Setup(FakeBrain(lambda m: [f"You said {m[-1].text}"]))
    other = Setup(FakeBrain(lambda m: [f"Again {m[0].text}"]))
    async with setup.engine as engine:
        await setup.say("hello", 2500)
        other.ears.voice = setup.voice
        first = setup.engine.config
        await engine.switch_provider("cascade", other.engine.config)
        assert setup.ears.stream.closed
        await setup.say("world", 2500)
        await engine.switch_provider("cascade", first)
        await setup.say("bye", 2500)
        assert [i.text for i in engine.conversation] == [
            "Hello.",
            "You said hello",
            "World.",
            "Again Hello.",
            "Bye.",
            "You said bye",
        ]


async def test_a_lost_recogniser_is_had_again_with_the_turn_that_was_being_said() -> None:
    setup = Setup(FakeBrain(lambda m: [f"You said {m[-1].text}"]))
    setup.engine.config.metadata["stt_timeout"] = 0.5
    async with setup.engine as engine:
        await setup.say("go forward", 0)
        setup.ears.refusals = [ProviderError("busy", code="rate_limit", retryable=True)] * 5
        setup.ears.stream.fail()
        await setup.say("ten meters", 5000)
        assert setup.all(ev.ConnectionLost)
        assert setup.ears.attempts > 4
        assert [(i.role, i.text) for i in engine.conversation] == [
            ("user", "Go forward ten meters."),
            ("assistant", "You said go forward ten meters"),
        ]
