"""Whole conversations: VoiceEngine and the official client on the emulator, and the conformance suite."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from tests.providers.openai_live.helpers import KEY, emulated, until
from voxengine import VoiceEngine, VoiceEngineConfig
from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import speak, understand
from voxengine.testing import Scenario, conformance_tests, run_conformance
from voxengine.testing.conformance.vendors import EmulatedVendor
from voxengine.testing.emulators.openai_live import LiveEmulator
from voxengine.testing.oracles.judge import Judge
from voxengine.testing.oracles.openai_live import live_judge

FORMAT = AudioFormat("pcm16", 24000)


def config_on(emulator: LiveEmulator) -> VoiceEngineConfig:
    return VoiceEngineConfig(
        provider="openai-live", api_key=KEY, metadata={"endpoint": emulator.endpoint}
    )


def engine_on(emulator: LiveEmulator) -> VoiceEngine:
    return VoiceEngine(config_on(emulator))


async def say(engine: VoiceEngine, words: str, then_ms: float = 1000.0) -> None:
    audio = speak(words, FORMAT) + silence(then_ms, FORMAT)
    for at in range(0, len(audio), 960):
        await engine.send_audio(audio[at : at + 960])
        await asyncio.sleep(0.02)


def log(engine: VoiceEngine) -> list[tuple[str, str, str]]:
    return [(i.role, i.text or i.output or i.name or "", i.status) for i in engine.conversation]


async def test_the_log_is_what_was_said():
    script = {"hello": "Hi, how are you?", "fine thanks": "Good to hear."}
    async with emulated(script) as emulator:
        engine = engine_on(emulator)
        await engine.connect()
        await say(engine, "hello", 4000)
        await say(engine, "fine thanks", 5000)
        assert log(engine) == [
            ("user", "hello", "completed"),
            ("assistant", "Hi, how are you?", "completed"),
            ("user", "fine thanks", "completed"),
            ("assistant", "Good to hear.", "completed"),
        ]
        assert [i.turn_id for i in engine.conversation if i.role == "assistant"] == [
            i.id for i in engine.conversation if i.role == "user"
        ]
        await engine.disconnect()


async def test_when_the_user_speaks_over_it_the_log_has_what_was_heard():
    story = " ".join(f"word{n}" for n in range(30))
    async with emulated({"tell": story, "enough": "As you wish."}) as emulator:
        engine = engine_on(emulator)
        await engine.connect()
        await say(engine, "tell", 2500)
        await say(engine, "enough", 5000)
        (_, told, _), (_, cut, _), (_, enough, _), (_, wish, _) = log(engine)
        assert (told, enough, wish) == ("tell", "enough", "As you wish.")
        assert story.startswith(cut)
        assert 0 < len(cut.split()) < 30
        await engine.disconnect()


async def test_interrupt_silences_it_here_though_the_model_goes_on():
    story = " ".join(f"word{n}" for n in range(20))
    async with emulated({"tell": story}) as emulator:
        engine = engine_on(emulator)
        played = bytearray()
        engine.on("audio_output_chunk", lambda e: played.extend(e.audio_data))
        await engine.connect()
        await say(engine, "tell", 2500)
        await engine.interrupt()
        heard = len(played)
        await asyncio.sleep(6)
        assert len(played) == heard
        item = engine.conversation.items[-1]
        assert item.interrupted
        assert story.startswith(item.text)
        assert understand(bytes(played), FORMAT).startswith(item.text)
        await engine.disconnect()


async def test_the_tool_delegate_is_run_with_the_users_words():
    script = {"what is the weather": {"tool": {"name": "x"}, "then": "It is {output}."}}
    async with emulated(script) as emulator:
        engine = engine_on(emulator)
        tasks: list[str] = []

        @engine.tool
        def delegate(task: str) -> str:
            """Do what the user asked for."""
            tasks.append(task)
            return "sunny"

        await engine.connect()
        await say(engine, "what is the weather", 5000)
        assert tasks == ["what is the weather"]
        assert [(role, text) for role, text, _ in log(engine)] == [
            ("user", "what is the weather"),
            ("assistant", "delegate"),
            ("tool", "sunny"),
            ("assistant", "It is sunny."),
        ]
        await engine.disconnect()


async def test_a_conversation_moves_to_the_live_model_with_its_history():
    async with emulated() as emulator:
        engine = VoiceEngine(
            VoiceEngineConfig(provider="mock", metadata={"mock_responses": {"hi": "Hello."}})
        )
        await engine.connect()
        await engine.send_text("hi")
        await asyncio.sleep(3)
        await engine.switch_provider("openai-live", config_on(emulator))
        assert emulator.session.config is not None
        told = [(m["role"], m["content"][0]["text"]) for m in emulator.session.config["input"]]
        assert told == [("user", "hi"), ("assistant", "Hello.")]
        await engine.disconnect()


async def test_the_official_client_talks_to_the_emulator():
    from openai import AsyncOpenAI

    async with emulated({"hello": "Hi there"}) as emulator:
        client = AsyncOpenAI(api_key=KEY, base_url=emulator.base_url)
        async with client.live.connect() as connection:
            await connection.session.start(session={"model": "gpt-live-1"})
            started = await connection.recv()
            assert started.type == "session.started"
            received = bytearray()
            text = ""

            async def talk() -> None:
                audio = speak("hello", FORMAT) + silence(800, FORMAT)
                for at in range(0, len(audio), 4800):
                    chunk = base64.b64encode(audio[at : at + 4800]).decode()
                    await connection.session.input_audio.append(audio=chunk)
                    await asyncio.sleep(0.1)

            talking = asyncio.create_task(talk())
            async for event in connection:
                if event.type == "session.output_audio.delta":
                    received += base64.b64decode(event.delta)
                    if understand(bytes(received), FORMAT) == "Hi there":
                        break
                elif event.type == "session.output_transcript.delta":
                    text += event.delta
            await talking
            assert text == "Hi there"
            await connection.session.close()
            async for event in connection:
                if event.type == "session.closed":
                    assert event.reason == "close_requested"
                    break
        await client.close()
        await until(lambda: emulator.session.events[-1]["type"] == "session.close")


SPEECH = "go forward ten meters"


def scenario() -> Scenario:
    def start(judge: Judge) -> LiveEmulator:
        return LiveEmulator({SPEECH: "Yes " * 40}, judge=judge)

    return Scenario(vendor=EmulatedVendor(live_judge(), start), speech=SPEECH)


@conformance_tests("openai-live", scenario=scenario())  # type: ignore[untyped-decorator]
def test_the_provider_passes_the_conformance_suite(check: Any):
    check()


def test_the_suite_applies_and_nothing_on_the_wire_is_wrong():
    report = run_conformance("openai-live", scenario=scenario(), only=["connection", "speech"])
    assert report.ok, report
    passed = {r.name for r in report.results if r.outcome == "passed"}
    assert {"speech_is_a_turn", "turn_is_answered", "disconnects_at_any_time"} <= passed
    assert report.wire["client_events"] == 3
    assert report.wire["server_events_sent"] == report.wire["server_events_valid"] > 100
