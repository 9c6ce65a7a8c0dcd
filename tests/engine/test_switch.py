"""Going over to another provider by the application's wish: when, with what, and what nobody notices."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.engine.caller import LATENCY, SCRIPT, Caller
from voxengine import ConfigurationError, VoiceEngineConfig, register_provider
from voxengine import events as ev
from voxengine.providers.mock import MockProvider

ANSWER = "one two three four five six"


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.fixture(autouse=True)
def other() -> None:
    register_provider("other", lambda config: MockProvider(config))


def config_of(call: Caller, **changes: Any) -> VoiceEngineConfig:
    metadata = {"latency_ms": LATENCY, "mock_responses": SCRIPT, **changes.pop("metadata", {})}
    return call.engine.config.with_changes(provider="other", metadata=metadata, **changes)


def switched(call: Caller) -> ev.ProviderSwitched:
    (event,) = call.of(ev.ProviderSwitched)
    assert isinstance(event, ev.ProviderSwitched)
    return event


@pytest.mark.parametrize("moment", ["mid_word", "turn_over", "answer_due", "first_sound"])
async def test_a_turn_without_an_answer_is_heard_by_the_other(moment: str) -> None:
    async with Caller() as call:
        seconds = call.say("tell me")
        after = {"mid_word": 0.3, "turn_over": 0.05, "answer_due": 0.4, "first_sound": 0.6}
        await asyncio.sleep(after[moment] + (0 if moment == "mid_word" else seconds))
        await call.engine.switch_provider("other", config_of(call))
        event = switched(call)
        assert (event.previous, event.provider, event.reason) == ("mock", "other", "request")
        # What was written down is told as text.
        assert (event.audio_ms > 0) is (moment in ("mid_word", "turn_over"))
        assert event.audio_lost_ms == 0
        await call.quiet()
        (turn,) = [i for i in call.engine.conversation if i.role == "user"]
        assert turn.text == "tell me"
        assert call.answers(turn.id) == [ANSWER]
        call.check_log()
        assert not call.of(ev.ErrorGeneral)
        assert not call.of(ev.ConnectionLost)


async def test_the_old_one_speaks_until_the_other_is_there() -> None:
    async with Caller(realtime_factor=1.0) as call:
        call.say("tell me")
        await call.until(ev.AudioOutputStarted)
        config = config_of(call, metadata={"latency_ms": {**LATENCY, "connect": 950}})
        before = sum(map(len, call.played.values()))
        await call.engine.switch_provider("other", config)
        assert sum(map(len, call.played.values())) > before
        assert len(call.of(ev.ConversationInterrupted)) == 1
        assert call.engine.state == "idle"
        call.check_log()


@pytest.mark.parametrize("when", ["after_response", "after_turn"])
async def test_it_waits_for_the_moment(when: Any) -> None:
    async with Caller() as call:
        call.say("tell me")
        await call.until(ev.AudioOutputStarted)
        began = now()
        await call.engine.switch_provider("other", config_of(call), when=when)
        # The mock sends speech four times as fast as it is spoken: six words are 2.1 s.
        assert now() - began == pytest.approx(0.5 if when == "after_response" else 2.1, abs=0.2)
        await call.quiet()
        assert not call.of(ev.ConversationInterrupted)
        (answer,) = [i for i in call.engine.conversation if i.role == "assistant"]
        assert (answer.text, answer.heard_ms, answer.provider) == (ANSWER, answer.audio_ms, "mock")
        assert switched(call).items in (1, 2)
        await call.engine.send_text("are you there")
        await call.quiet()
        assert call.engine.conversation[-1].provider == "other"
        assert isinstance(call.engine.provider, MockProvider)
        told = [m["text"] for m in call.engine.provider.get_message_history()]
        assert told == ["tell me", ANSWER, "are you there", "yes i am"]
        call.check_log()


async def test_no_moment_comes_for_a_long_time() -> None:
    async with Caller(mock_responses={"tell me": "word " * 400}) as call:
        call.say("tell me")
        await call.until(ev.AudioOutputStarted)
        began = now()
        await call.engine.switch_provider("other", config_of(call), when="after_turn")
        assert now() - began == pytest.approx(60, abs=1)
        assert [w.code for w in call.of(ev.SystemWarning)] == ["no_quiet_moment"]


async def test_hanging_up_does_not_wait_for_the_moment() -> None:
    async with Caller() as call:
        call.say("tell me")
        await call.until(ev.AudioOutputStarted)
        waiting = asyncio.ensure_future(
            call.engine.switch_provider("other", config_of(call), when="after_turn")
        )
        await asyncio.sleep(0.3)
        call.hang_up_microphone()
        began = now()
        await call.engine.disconnect()
        assert now() - began < 0.1
        with pytest.raises(Exception, match="closed"):
            await waiting


async def test_there_is_no_such_moment() -> None:
    async with Caller() as call:
        with pytest.raises(ConfigurationError, match="after_response"):
            await call.engine.switch_provider("other", when="later")  # type: ignore[arg-type]


async def test_a_tool_that_runs_is_answered_to_the_other() -> None:
    async with Caller() as call:
        call.tool_seconds = 2
        call.say("look it up")
        await call.until(ev.FunctionInvoked)
        await call.engine.switch_provider("other", config_of(call))
        assert switched(call).pending_calls == 1
        await call.quiet()
        assert call.looked == ["look"]
        answer = call.engine.conversation[-1]
        assert (answer.text, answer.provider) == ("found it", "other")
        assert not call.of(ev.FunctionCancelled)
        call.check_log()


async def test_what_is_not_carried_is_said() -> None:
    able = {"capabilities": {"tools": False, "history": "none", "turn_detection": ["semantic_vad"]}}
    async with Caller(config={"voice": "alto", "turn_detection": "server_vad"}) as call:
        await call.engine.send_text("are you there")
        await call.quiet()
        config = config_of(call, metadata=able, turn_detection=None, voice=None)
        await call.engine.switch_provider("other", config)
        event = switched(call)
        assert (event.tools, event.items, event.items_left_out) == (0, 0, 2)
        assert (event.voice, event.previous_voice) == (None, "alto")
        assert set(event.left_out) == {
            "history",
            "tools",
            "turn_detection server_vad",
            "voice alto",
        }


async def test_turn_detection_goes_along_in_both_directions() -> None:
    """From one that finds the turns to turns by hand, and back."""
    async with Caller() as call:
        await call.engine.switch_provider("other", config_of(call, turn_detection="none"))
        seconds = call.say("tell me")
        await asyncio.sleep(seconds + 1.5)
        assert not call.of(ev.TurnDetected)
        await call.engine.switch_provider("other", config_of(call, turn_detection="server_vad"))
        await call.quiet()
        (turn,) = [i for i in call.engine.conversation if i.role == "user"]
        assert turn.text == "tell me"
        assert call.answers(turn.id) == [ANSWER]


async def test_the_nearest_voice_and_the_model_of_the_name() -> None:
    async with Caller(config={"voice": "marin"}) as call:
        made: list[Any] = []

        def make(config: Any) -> MockProvider:
            made.append(config)
            return MockProvider({"metadata": {}})

        register_provider("xai", make)
        await call.engine.switch_provider("xai/grok-voice")
        assert call.engine.config.model == "grok-voice"
        assert call.engine.config.voice not in (None, "marin")
        event = switched(call)
        assert event.previous_voice == "marin"
        assert event.voice == call.engine.config.voice
