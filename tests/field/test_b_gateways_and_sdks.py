"""What users of gateways and of vendors' own kits have suffered: openings, ends, limits, and changes of the model.

Each test is named by a number and by what holds here; its docstring says what did not hold elsewhere, and where.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.cascade.fakes import FakeBrain
from tests.engine.caller import LATENCY, SCRIPT, Caller
from tests.field.lines import (
    chain,
    config_for,
    entry,
    pipeline,
    summarise,
    tasks,
    tell_a_lot,
    told,
)
from tests.vendors.call import KEY, Call, Wire, call_to, drop, now, vendor
from voxengine import ConnectionError, Conversation, VoiceEngine, register_provider
from voxengine import events as ev
from voxengine.providers.mock import MockProvider
from voxengine.testing.emulators.faults import Expire, Flap, Stall

GERMAN = "Always speak German. Never introduce yourself twice."
MORNING = [("user", "good morning"), ("assistant", "You said: good morning")]


@pytest.mark.parametrize("fault", [Stall(connect=1), Flap(connect=1)], ids=["mute", "hangs up"])
async def test_b09_a_session_is_open_when_the_vendor_is_ready(fault: Any) -> None:
    """A session was acknowledged before the vendor had taken it, so that nothing went over to another
    (BerriAI/litellm#38401)."""
    async with chain("openai", "azure", faults={"openai": fault}) as vendors:
        call = Call(vendors["openai"], fallback=[entry(vendors["azure"])])
        async with call:
            established = [e.provider for e in call.of(ev.ConnectionEstablished)]
            failed = [e.provider for e in call.of(ev.ConnectionFailed)]
            assert (established, failed) == (["azure"], ["openai"])
            (switched,) = call.of(ev.ProviderSwitched)
            assert (switched.previous, switched.provider) == ("openai", "azure")
            assert await call.ask("good morning") == "You said: good morning"


async def test_b10_turns_leave_no_tasks_behind() -> None:
    """One task a turn was left to write logs, until twelve thousand of them had used up the memory
    (BerriAI/litellm#31779)."""
    async with Caller(record=False) as call:
        counts = []
        for _ in range(40):
            call.say("are you there")
            await call.until(ev.AudioOutputStarted)
            await call.quiet()
            counts.append(len(asyncio.all_tasks()))
        assert len(set(counts)) == 1, counts
        assert len(call.engine.conversation) == 80


async def test_b11_the_vendors_end_is_told() -> None:
    """The vendor's close was not handed on, and the client waited for ever (BerriAI/litellm#39851)."""
    async with call_to(reconnect_timeout=0) as call:
        await call.ask("good morning")
        call.hang_up_microphone()
        began = now()
        drop(call, 1011)
        lost = await call.wait(ev.ConnectionLost)
        assert (lost.provider, lost.close_code, lost.reason) == ("openai", 1011, "upstream")
        with pytest.raises(ConnectionError) as caught:
            await call.engine.send_text("are you there")
        assert caught.value.provider == "openai"
        assert now() - began < 1


async def test_b12_each_vendor_is_addressed_in_its_own_way() -> None:
    """A parameter of one vendor stood in the address of another, and settings of one dialect went to another: 1007,
    or an error about `session.type` (BerriAI/litellm#31708, #40615)."""
    names = ("openai", "azure", "xai", "custom")
    async with chain(*names) as vendors, Call(vendors["openai"]) as call:
        for name in (*names[1:], names[0]):
            await call.engine.switch_provider(name, config_for(vendors[name]))
            assert await call.ask("good morning") == "You said: good morning"
        for name in names:
            emulator = vendors[name]
            assert emulator.judge is not None
            assert emulator.judge.violations == []
            assert [s.refused for s in emulator.sessions if s.refused] == []
            assert "session.update" in emulator.sessions[-1].received
        assert call.of(ev.ErrorGeneral) == []


async def test_b13_a_limit_that_nobody_announced_is_survived() -> None:
    """Sessions ended after an hour, or already after half of one, and what was said was gone
    (pipecat-ai/pipecat#3170, livekit/agents#2358)."""

    sooner = Expire(after_s=1800, times=0)
    async with call_to(
        faults=sooner, microphone=False, history_max_tokens=200, history_summary=summarise
    ) as call:
        await tell_a_lot(call)
        await asyncio.sleep(4 * 3600)
        lost = call.of(ev.ConnectionLost)
        assert len(lost) == 8
        assert {e.code for e in lost} == {"session_expired"}
        assert len(call.of(ev.ConnectionRestored)) == len(lost)
        # Nobody had said anything: but one that lasts for half an hour is no flapping one.
        assert {e.outage_ms for e in call.of(ev.ConnectionRestored)} == {0.0}
        first, *_ = told(call.emulator)
        assert first[0] == "system"
        assert "the caller likes rain" in first[1]
        await call.engine.send_text("good morning")
        await call.quiet()
        assert call.log[-2:] == MORNING


async def test_b14_a_warning_is_heeded_and_an_end_is_an_end() -> None:
    """The vendor's `goAway` was dropped; and a session that was closed went on living (google/adk-python#4996,
    #5226)."""
    made: list[MockProvider] = []

    def make(config: Any) -> MockProvider:
        made.append(MockProvider(config))
        return made[-1]

    before = tasks()
    register_provider("mock", make)
    async with Caller() as call:
        for n in range(1, 4):
            await asyncio.sleep(10)
            made[-1].emit_expiring(20, "go away")
            restored = await call.until(ev.ConnectionRestored)
            assert (restored.reason, restored.outage_ms) == ("rotation", 0)
            assert [e.seconds_left for e in call.of(ev.ConnectionExpiring)] == [20] * n
        await call.engine.send_text("are you there")
        await call.quiet()
        assert [bool(p.is_connected) for p in made] == [False, False, False, True]
    ended = len(call.events)
    await asyncio.sleep(60)
    assert [bool(p.is_connected) for p in made] == [False] * 4
    assert tasks() == before
    assert len(call.events) == ended
    assert not call.engine.is_connected


async def test_b15_another_process_takes_the_call_up_again() -> None:
    """The handle for resuming could not be had, so that a reloaded page began anew (google/adk-python#4357)."""
    async with vendor("xai") as emulator:
        async with Call(emulator) as call:
            await call.ask("good morning")
            provider = call.engine.provider
            assert provider is not None
            handle, kept = provider.resume_handle, call.engine.conversation.to_json()
        assert handle
        later = Call(emulator, metadata={"resume": handle})
        later.engine.conversation = Conversation.from_json(kept)
        async with later as call:
            assert call.engine.provider is not None
            assert call.engine.provider.resumed
            first, second = emulator.sessions
            assert second.conversation is first.conversation
            assert "conversation.item.create" not in second.received
            assert await call.ask("are you there") == "You said: are you there"
            assert call.log[:2] == MORNING


async def test_b16_another_model_is_not_given_the_handle_of_the_first() -> None:
    """A change of the model took the old session's handle along: 1007, invalid session handle
    (google/adk-python#4940)."""
    async with call_to("xai") as call:
        await call.ask("good morning")
        config = call.engine.config.with_changes(model="grok-voice-other")
        await call.engine.switch_provider("xai", config)
        first, second = call.emulator.sessions
        assert second.conversation is not first.conversation
        assert told(call.emulator) == MORNING
        assert call.of(ev.ProviderSwitched)[0].resumed is False
        assert await call.ask("are you there") == "You said: are you there"


async def test_b17_model_after_model_down_to_a_pipeline() -> None:
    """There was no fallback for a realtime model in mid-call: not to another model, not to a pipeline
    (livekit/agents#2342, #4519)."""
    brain = FakeBrain(lambda messages: [f"You said: {messages[-1].text}"])
    async with chain("openai", "azure") as vendors:
        entries = [entry(vendors["azure"]), {"provider": "cascade", "metadata": pipeline(brain)}]
        async with Call(vendors["openai"], fallback=entries) as call:
            await call.ask("good morning")
            for name, then in (("openai", "azure"), ("azure", "cascade")):
                await asyncio.sleep(10)
                call.say("are you there")
                await asyncio.sleep(0.5)  # in the middle of a word
                await vendors[name].kill()
                await call.quiet()
                assert call.engine.config.provider == then
                assert call.log[-2:] == [
                    ("user", "are you there"),
                    ("assistant", "You said: are you there"),
                ]
            assert len(call.log) == 6
            assert [m.text for m in brain.asked[-1] if m.role != "system"] == [
                text for _, text in call.log[:-1]
            ]


async def test_b18_speech_and_writing_are_one_conversation() -> None:
    """What was said was forgotten when the call went from speech to writing, or back (livekit/agents#3194)."""
    async with call_to() as call:
        await call.ask("good morning")
        written = call.engine.config.with_changes(modalities=["text"])
        await call.engine.switch_provider("openai", written)
        assert call.emulator.sessions[-1].config["output_modalities"] == ["text"]
        heard = call.ear.words()
        await call.engine.send_text("in writing")
        await call.quiet()
        assert call.ear.words() == heard
        assert call.log[-1] == ("assistant", "You said: in writing")
        await call.engine.switch_provider("openai", written.with_changes(modalities=["audio"]))
        assert told(call.emulator) == call.log
        assert len(call.log) == 4
        assert await call.ask("are you there") == "You said: are you there"


async def test_b19_the_model_changes_and_the_conversation_stays() -> None:
    """The model of a session could not be changed without losing the conversation
    (huggingface/speech-to-speech#547)."""
    async with call_to(model="gpt-realtime") as call:
        await call.ask("good morning")
        config = call.engine.config.with_changes(model="gpt-realtime-mini")
        await call.engine.switch_provider("openai", config, when="after_turn")
        assert call.emulator.sessions[-1].config["model"] == "gpt-realtime-mini"
        assert told(call.emulator) == MORNING
        assert await call.ask("are you there") == "You said: are you there"
        assert call.of(ev.ConversationInterrupted) == []


@pytest.mark.parametrize("how", ["rotation", "failover"])
async def test_b20_the_next_session_knows_how_to_go_on(how: str) -> None:
    """After the history was replayed the fresh session introduced itself once more, or spoke another language
    (strands-agents/harness-sdk#4104)."""
    wire = Wire()
    async with (
        vendor("openai", on_event=wire) as first,
        vendor("azure", on_event=wire) as second,
        Call(
            first,
            fallback=[entry(second)],
            instructions="Speak English.",
            language="de",
            microphone=False,
        ) as call,
    ):
        await call.engine.update_session(instructions=GERMAN)  # the latest counts
        await call.engine.send_text("good morning")
        await call.quiet()
        if how == "rotation":
            await asyncio.sleep(3400)
            assert len(call.of(ev.ConnectionRestored)) == 1
        else:
            await first.kill()
            await call.wait(ev.ProviderSwitched)
            call.emulator = second
        await asyncio.sleep(5)
        assert call.session.config["instructions"] == GERMAN
        assert call.session.config["audio"]["input"]["transcription"]["language"] == "de"
        assert told(call.emulator) == MORNING
        assert "response.created" not in wire.types(1)
        await call.engine.send_text("are you there")
        await call.quiet()
        assert call.log[-1] == ("assistant", "You said: are you there")


async def test_b20_who_warns_is_believed_and_who_does_not_is_known() -> None:
    """Each vendor ends its sessions at another time, and only one of them warns (strands-agents/harness-sdk#3746)."""
    limits = {}
    async with chain("openai", "azure", "xai") as vendors:
        for name, emulator in vendors.items():
            async with VoiceEngine(
                provider=name, api_key=KEY, metadata=emulator.metadata
            ) as engine:
                assert engine.provider is not None
                limits[name] = engine.provider.capabilities.max_connection_seconds
                assert limits[name] == emulator.dialect.max_session_s
    # Of one that has no limit, a warning is enough.
    async with Caller(latency_ms=LATENCY, mock_responses=SCRIPT) as call:
        assert isinstance(call.engine.provider, MockProvider)
        assert call.engine.provider.capabilities.max_connection_seconds is None
        call.engine.provider.emit_expiring(30)
        assert (await call.until(ev.ConnectionRestored)).reason == "rotation"
