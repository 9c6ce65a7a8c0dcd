"""What users of voice frameworks have suffered when a session ended, was taken up again, or changed its model.

Each test is named by a number and by what holds here; its docstring says what did not hold elsewhere, and where.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.cascade.fakes import FakeBrain
from tests.engine.caller import Caller
from tests.engine.desk import desk
from tests.field.lines import (
    chain,
    config_for,
    entry,
    mock_entry,
    pipeline,
    summarise,
    tell_a_lot,
    told,
)
from tests.vendors.call import Call, call_to, drop, now, until
from voxengine import ConnectionError, VoiceEngine, VoiceEngineConfig, register_provider
from voxengine import events as ev
from voxengine.providers.mock import Drop, MockProvider, Refuse
from voxengine.testing.emulators.faults import Stall, UnknownEvent

MORNING = [("user", "good morning"), ("assistant", "You said: good morning")]


async def test_a01_the_session_that_ends_after_an_hour_goes_on_with_a_summary() -> None:
    """The vendor ended each session after 60 minutes, and the talk with it (pipecat-ai/pipecat#3170)."""

    async with call_to(microphone=False, history_max_tokens=200, history_summary=summarise) as call:
        await tell_a_lot(call)
        await asyncio.sleep(3700)
        assert call.of(ev.ConnectionLost) == []
        (restored,) = call.of(ev.ConnectionRestored)
        assert (restored.reason, restored.outage_ms) == ("rotation", 0)
        summary, *rest = told(call.emulator)
        assert summary[0] == "system"
        assert "the caller likes rain" in summary[1]
        assert rest[-1] == call.log[-1]
        await call.engine.send_text("good morning")
        await call.quiet()
        assert call.log[-2:] == MORNING
        assert len(call.log) == 14
        call.check_vendor()


@pytest.mark.parametrize("minutes", [15, 30])
async def test_a02_the_context_is_handed_over_before_the_limit(minutes: int) -> None:
    """At 15 or 30 minutes the session was gone before anybody had thought of it (livekit/agents#2341, #2358)."""
    limit = minutes * 60
    call = Caller(
        Drop(after_s=limit, times=0), capabilities={"max_connection_seconds": limit}, record=False
    )
    async with call:
        call.hang_up_microphone()
        await call.engine.send_text("are you there")
        await asyncio.sleep(3 * limit)
        assert call.of(ev.ConnectionLost) == []
        restored = call.of(ev.ConnectionRestored)
        assert len(restored) >= 3
        assert {(e.reason, e.outage_ms, e.items) for e in restored} == {("rotation", 0, 2)}
        await call.engine.send_text("tell me")
        await call.quiet()
        assert call.engine.conversation[-1].text == "one two three four five six"


async def test_a03_the_same_conversation_is_extended_not_begun_anew() -> None:
    """At ten minutes the whole pipeline was built anew, without what had been said (pipecat-ai/pipecat#3112)."""
    can = {"max_connection_seconds": 600, "resume": "handle"}
    async with Caller(capabilities=can) as call:
        await call.engine.send_text("are you there")
        await call.quiet()
        conversation = call.engine.conversation
        restored = await call.until(ev.ConnectionRestored, 700)
        assert (restored.reason, restored.resumed) == ("rotation", True)
        assert call.engine.conversation is conversation
        assert len(call.of(ev.ConversationStarted)) == 1
        assert call.of(ev.ConversationEnded) == []
        await call.engine.send_text("tell me")
        await call.quiet()
        provider = call.engine.provider
        assert isinstance(provider, MockProvider)
        known = [m["text"] for m in provider.get_message_history()]
        assert known == [item.text for item in conversation.messages]


@pytest.mark.parametrize("dialect", ["openai", "xai"])
async def test_a04_nobody_is_greeted_a_second_time(dialect: str) -> None:
    """After a resumption the model greeted in mid-talk, its context was lost, and nobody was told
    (livekit/agents-js#2346)."""
    async with call_to(dialect) as call:
        await call.ask("good morning")
        heard = call.ear.words()
        drop(call)
        restored = await call.wait(ev.ConnectionRestored)
        # It is told which of the two it was: taken up again, or told anew.
        assert (restored.resumed, restored.items) == ((True, 0) if dialect == "xai" else (False, 2))
        await asyncio.sleep(30)
        assert call.ear.words() == heard
        assert "response.create" not in call.session.received
        assert told(call.emulator) == MORNING
        assert await call.ask("are you there") == "You said: are you there"


async def test_a05_no_dead_socket_is_left_behind() -> None:
    """An abnormal close left the socket parked: thousands of them within two months (livekit/agents-js#2366)."""
    async with call_to() as call:
        for _ in range(3):
            await asyncio.sleep(10)
            await call.ask("good morning")
            drop(call, 1006)
            await call.wait(ev.ConnectionRestored, len(call.of(ev.ConnectionLost)) + 1)
        assert [session.closed for session in call.emulator.sessions] == [True] * 3 + [False]
    assert all(session.closed for session in call.emulator.sessions)

    async with (
        chain("openai", "azure", faults={"openai": Stall(response=2, after_chunks=0)}) as vendors,
        Call(vendors["openai"], fallback=[entry(vendors["azure"])]) as call,
    ):
        await call.ask("good morning")
        await call.speak("are you there")
        await call.wait(ev.ProviderSwitched)
        await call.quiet()
        # The one that was silent is still there, and is hung up on all the same.
        await until(lambda: vendors["openai"].sessions[0].closed, 10)


async def test_a06_after_each_recycle_there_is_an_answer_or_an_error() -> None:
    """After the recycling at eight minutes the agent was silent, without an error (livekit/agents#3472, #5879)."""
    async with Caller(capabilities={"max_connection_seconds": 480}) as call:
        for n in range(4):
            while len(call.of(ev.ConnectionRestored)) < n:
                await call.until(ev.ConnectionRestored, 480)
            call.say("are you there")
            await call.until(ev.AudioOutputStarted)
            await call.quiet()
            assert call.engine.conversation[-1].text == "yes i am"
        assert {e.reason for e in call.of(ev.ConnectionRestored)} == {"rotation"}
        call.check_log()

    made = desk(send_text=lambda p, *_: p.answer("yes") if len(type(p).made) == 1 else None)
    register_provider("mute", made)
    async with VoiceEngine(provider="mute") as engine:
        errors: list[str] = []
        engine.on(ev.ErrorGeneral, lambda e: errors.append(e.code))
        await engine.send_text("are you there")
        await asyncio.sleep(10)
        made.made[0].lose()
        await asyncio.sleep(1)
        await engine.send_text("and now")
        await asyncio.sleep(16)
        assert errors == ["response_timeout"]


async def test_a07_an_agent_without_context_rather_than_a_silent_end() -> None:
    """When the model failed the call ended without a word: "rather an agent with no context"
    (livekit/agents#2342)."""
    register_provider("forgetful", lambda config: MockProvider(config))
    entries = [mock_entry("forgetful", capabilities={"history": "none"})]
    spoken = "We are sorry."
    config = {"fallback": entries, "apology": {"text": spoken}}
    async with Caller(config=config) as call:
        await call.engine.send_text("are you there")
        await call.quiet()
        call.plan.add(Refuse(times=0))
        call.lose()
        event = await call.until(ev.ProviderSwitched)
        assert (event.items, event.items_left_out, event.left_out) == (0, 2, ("history",))
        call.say("tell me")
        await call.until(ev.AudioOutputStarted)
        await call.quiet()
        assert call.engine.conversation[-1].text == "one two three four five six"
        # And if there is nobody at all, that is said, too.
        call.hang_up_microphone()
        register_provider("forgetful", desk(connect=lambda p: False))
        await asyncio.sleep(10)
        call.lose()
        failed = await call.until(ev.ConnectionFailed)
        assert failed.code == "exhausted"
        await asyncio.sleep(1)
        assert call.engine.conversation[-1].text == spoken


async def test_a08_from_speech_to_speech_to_a_pipeline_in_mid_call() -> None:
    """A call could not go over from a realtime model to recogniser, model and voice, nor its turn detection
    (livekit/agents#4519)."""
    brain = FakeBrain(lambda messages: [f"You said: {messages[-1].text}"])
    async with call_to(turn_detection="semantic_vad") as call:
        await call.ask("good morning")
        call.say("are you there")
        await asyncio.sleep(0.5)  # in the middle of a word
        config = VoiceEngineConfig(provider="cascade", metadata=pipeline(brain), apology=None)
        await call.engine.switch_provider("cascade", config)
        await call.quiet()
        assert call.log == [
            *MORNING,
            ("user", "are you there"),
            ("assistant", "You said: are you there"),
        ]
        assert [m.text for m in brain.asked[-1] if m.role != "system"] == [
            "good morning",
            "You said: good morning",
            "are you there",
        ]
        (event,) = call.of(ev.ProviderSwitched)
        assert "turn_detection semantic_vad" in event.left_out
        assert event.audio_lost_ms == 0
        # The turns are found by the pipeline now.
        assert await call.ask("what a day") == "You said: what a day"


async def test_a09_a_restart_by_hand_keeps_the_conversation() -> None:
    """A session that had met an unrecoverable `server_error` could not be begun anew with its context
    (livekit/agents#6040)."""
    broken = Drop(code="server_error", retryable=False, response=2, after_chunks=0)
    async with Caller(broken) as call:
        await call.engine.send_text("are you there")
        await call.quiet()
        call.hang_up_microphone()
        await call.engine.send_text("tell me")
        failed = await call.until(ev.ConnectionFailed)
        assert failed.code == "server_error"
        with pytest.raises(ConnectionError):
            await call.engine.send_text("tell me")
        await call.engine.connect()
        await call.engine.send_text("tell me once more")
        await call.quiet()
        assert [i.text for i in call.engine.conversation] == [
            "are you there",
            "yes i am",
            "tell me",
            "tell me once more",
            "You said: tell me once more",
        ]


async def test_a10_handlers_of_a_vendors_own_events_stay() -> None:
    """After a failover the handlers of provider-specific events were gone (livekit/agents#6556, #6559)."""
    strange = UnknownEvent(response=1, after_chunks=1)
    async with (
        chain("openai", "azure", faults={"openai": strange, "azure": strange}) as vendors,
        Call(vendors["openai"], fallback=[entry(vendors["azure"])]) as call,
    ):
        seen: list[tuple[str, str]] = []
        call.engine.on("raw", lambda e: seen.append((e.provider, e.name)))
        await call.ask("good morning")
        await vendors["openai"].kill()
        await call.wait(ev.ProviderSwitched)
        await call.ask("are you there")
        names = [(who, what) for who, what in seen if what == "response.mood.updated"]
        assert names == [("openai", "response.mood.updated"), ("azure", "response.mood.updated")]


async def test_a11_it_is_said_who_is_at_work() -> None:
    """Metrics and logs named the adapter, not the model that had answered (livekit/agents#4600)."""
    async with (
        chain("openai", "azure") as vendors,
        Call(vendors["openai"], fallback=[entry(vendors["azure"])]) as call,
    ):
        await call.ask("good morning")
        await vendors["openai"].kill()
        await call.wait(ev.ProviderSwitched)
        await call.ask("are you there")
        assert [item.provider for item in call.answers] == ["openai", "azure"]
        assert [e.provider for e in call.of(ev.ResponseStarted)] == ["openai", "azure"]
        assert [e.provider for e in call.of(ev.MetricsUpdated)] == ["openai", "azure"]
        assert call.engine.get_metrics()["provider"] == "azure"
        assert call.engine.config.provider == "azure"
        usage = await call.engine.get_usage()
        assert {leg["provider"] for leg in usage["legs"]} == {"openai", "azure"}


async def test_a12_another_family_of_models_can_read_the_context() -> None:
    """After a failover to another vendor the messages of the first could not be read (pipecat-ai/pipecat#4181)."""
    brain = FakeBrain(lambda messages: [f"You said: {messages[-1].text}"])
    entries = [{"provider": "cascade", "metadata": pipeline(brain)}]
    async with chain("openai") as vendors, Call(vendors["openai"], fallback=entries) as call:
        await call.ask("look it up")
        await vendors["openai"].kill()
        await call.wait(ev.ProviderSwitched)
        assert await call.ask("good morning") == "You said: good morning"
        asked = [m for m in brain.asked[-1] if m.role != "system"]
        assert [(m.role, m.text) for m in asked if m.text and m.role != "tool"] == [
            ("user", "look it up"),
            ("assistant", "found it"),
            ("user", "good morning"),
        ]
        assert [m.tool_calls[0].name for m in asked if m.tool_calls] == ["look"]
        assert [m.text for m in asked if m.role == "tool"] == ["it"]
        assert call.looked == ["it"]


async def test_a13_nothing_is_heard_of_the_one_that_was_left() -> None:
    """The old model was not called off: what it still said was spoken, and stood in the context
    (pipecat-ai/pipecat#5337)."""
    async with chain("openai", "azure") as vendors, Call(vendors["openai"]) as call:
        await call.speak("tell me more")
        await call.wait(ev.AudioOutputStarted)
        await asyncio.sleep(1.5)
        await call.engine.switch_provider("azure", config_for(vendors["azure"]))
        switched = call.at(call.of(ev.ProviderSwitched)[0])
        await asyncio.sleep(20)
        late = [e for e in call.of(ev.AudioOutputChunk) if call.at(e) > switched]
        assert [e for e in late if e.provider == "openai"] == []
        assert vendors["openai"].sessions[0].closed
        heard = call.answers[0].text
        assert 1 <= len(heard.split()) <= 7
        assert told(vendors["azure"]) == [("user", "tell me more"), ("assistant", heard)]
        assert await call.ask("good morning") == "You said: good morning"
        call.check()


async def test_a14_a_harmless_refusal_does_not_end_the_call() -> None:
    """`response_cancel_not_active`, which means nothing, ended the loop that received (pipecat-ai/pipecat#3755)."""
    async with call_to() as call:
        await call.ask("good morning")
        provider: Any = call.engine.provider
        began = now()
        await provider.send_event({"type": "response.cancel"})
        await until(lambda: bool(call.session.refused), 5)
        assert call.session.refused == [("response.cancel", "response_cancel_not_active")]
        assert await call.ask("are you there") == "You said: are you there"
        assert now() - began < 10
        assert call.of(ev.ErrorGeneral) == []
        assert call.of(ev.ConnectionLost) == []
