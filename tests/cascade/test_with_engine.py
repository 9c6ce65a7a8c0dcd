"""The cascade under the engine: what the two say of a conversation is the same."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from tests.cascade.fakes import (
    RATE,
    FakeBrain,
    FakeSTT,
    FakeTTS,
    FakeTurn,
    FakeVAD,
    Voice,
    call,
    noise,
    silence,
)
from voxengine.audio.formats import AudioFormat
from voxengine.config import VoiceEngineConfig
from voxengine.engine import VoiceEngine
from voxengine.providers.cascade.parts import Message


class Setup:
    """An engine on a cascade of fakes."""

    def __init__(self, brain: FakeBrain, **config: Any) -> None:
        self.voice = Voice()
        self.brain = brain
        parts = {
            "vad": FakeVAD(),
            "turn": FakeTurn(),
            "stt": FakeSTT(self.voice),
            "llm": brain,
            "tts": FakeTTS(),
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

    def names(self) -> list[str]:
        return [str(e.type) for e in self.told]


async def test_an_answer_is_cut_to_the_same_words_on_both_sides() -> None:
    long = "This is a long answer. It has several sentences. You may interrupt it."
    setup = Setup(FakeBrain(lambda m: [long] if len(m) == 1 else ["Fine."]))
    async with setup.engine as engine:
        await setup.say("hello", 2500)
        await setup.say("stop it", 3000)
        said = [(i.role, i.text) for i in engine.conversation]
        assert [role for role, _ in said] == ["user", "assistant", "user", "assistant"]
        assert said[0][1] == "hello"
        assert said[2:] == [("user", "stop it"), ("assistant", "Fine.")]
        assert long.startswith(said[1][1])
        assert said[1][1] != long
        assert setup.brain.asked[1][1] == Message("assistant", said[1][1])
        assert "error" not in setup.names()
        assert "warning" not in setup.names()


async def test_a_continued_turn_is_one_item_and_has_one_answer() -> None:
    setup = Setup(FakeBrain(lambda m: [1.0, f"Doing {m[-1].text}."]))
    async with setup.engine as engine:
        await setup.say("go forward", 700)
        await setup.say("ten meters", 3500)
        assert [(i.role, i.text) for i in engine.conversation] == [
            ("user", "go forward ten meters"),
            ("assistant", "Doing go forward ten meters."),
        ]
        assert "error" not in setup.names()


async def test_a_tool_runs_once_though_the_turn_goes_on() -> None:
    ran: list[int] = []

    def answer(messages: list[Message]) -> list[Any]:
        return [1.0, "Moved."] if messages[-1].role == "tool" else [call("move", '{"n": 10}')]

    setup = Setup(FakeBrain(answer))

    @setup.engine.tool
    async def move(n: int) -> str:
        """Move."""
        ran.append(n)
        return "ok"

    async with setup.engine as engine:
        await setup.say("go forward ten meters", 700)
        await setup.say("please", 3500)
        assert ran == [10]
        assert [i.text for i in engine.conversation.messages] == [
            "go forward ten meters please",
            "Moved.",
        ]
        assert "error" not in setup.names()


async def test_a_noise_leaves_no_trace() -> None:
    setup = Setup(FakeBrain())
    async with setup.engine as engine:
        await engine.send_audio(noise(200))
        await setup.say("", 20_000)
        assert len(engine.conversation) == 0
        assert "error" not in setup.names()


async def test_manual_turns() -> None:
    setup = Setup(FakeBrain(), turn_detection="none")
    async with setup.engine as engine:
        await setup.say("hello", 300)
        await engine.commit_audio()
        await engine.create_response()
        await setup.say("", 3000)
        assert [i.text for i in engine.conversation] == ["hello", "You said hello."]
        assert "error" not in setup.names()


async def test_a_failed_answer_is_apologised_for() -> None:
    answers = iter([[ValueError("nonsense")]])
    setup = Setup(FakeBrain(lambda _: next(answers, ["Fine."])))
    async with setup.engine as engine:
        await setup.say("hello", 5000)
        assert [i.role for i in engine.conversation] == ["user", "assistant"]
        assert "sorry" in engine.conversation[1].text
        await setup.say("again", 2000)
        assert engine.conversation[-1].text == "Fine."


@pytest.mark.parametrize("seed", range(30))
async def test_both_sides_remember_the_same(seed: int) -> None:
    rng = random.Random(seed)

    def answer(_: list[Message]) -> list[Any]:
        return [
            rng.choice([0, 0.05, 0.5, 1.5]),
            *(f"Sentence {n} is here. " for n in range(rng.randrange(1, 5))),
        ]

    setup = Setup(FakeBrain(answer))
    async with setup.engine as engine:
        for _ in range(rng.randrange(3, 10)):
            words = " ".join(
                rng.choice(["one", "two", "three"]) for _ in range(rng.randrange(1, 4))
            )
            what = rng.randrange(8)
            if what < 5:
                await setup.say(words, rng.choice([0, 60, 200, 500, 800, 1500, 4000]))
            elif what == 5:
                await engine.send_text(words)
            elif what == 6:
                await engine.interrupt()
            else:
                await engine.say("Let me say this to you.")
        await setup.say("", 1000)
        await asyncio.sleep(30)
        assert not {"error", "warning", "response_error"} & set(setup.names())
        remembered = _dialogue(engine).memory.messages()
        # What is typed into the middle of speech may stand at another place.
        assert sorted((m.role, m.text.strip()) for m in remembered) == sorted(
            (i.role, i.text.strip()) for i in engine.conversation if i.text.strip()
        )


def _dialogue(engine: VoiceEngine) -> Any:
    session: Any = engine._session
    return session.leg.provider._dialogue
