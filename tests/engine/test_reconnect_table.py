"""The connection is lost in each state of a conversation, in each way: the conversation goes on as if nothing was."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.engine.caller import Caller
from voxengine import ConnectionError
from voxengine import events as ev
from voxengine.providers.mock import Drop, Flap, Refuse

State = Callable[[Caller], Awaitable[None]]


async def idle(call: Caller) -> None:
    await asyncio.sleep(1)


async def listening(call: Caller) -> None:
    call.say("tell me")
    await asyncio.sleep(0.3)


async def pausing(call: Caller) -> None:
    """The user has stopped, and nobody has noticed yet."""
    await asyncio.sleep(call.say("tell me") + 0.1)


async def thinking(call: Caller) -> None:
    call.say("tell me")
    await call.until(ev.ResponseStarted)
    await asyncio.sleep(0.1)


async def thinking_about_text(call: Caller) -> None:
    await call.engine.send_text("tell me")
    await asyncio.sleep(0.1)


async def speaking(call: Caller) -> None:
    call.say("tell me")
    await call.until(ev.AudioOutputStarted)
    await asyncio.sleep(0.15)


async def all_was_sent(call: Caller) -> None:
    call.say("tell me")
    await call.until(ev.ResponseCompleted)
    await asyncio.sleep(0.1)
    assert call.engine.state == "speaking"


async def a_tool_runs(call: Caller) -> None:
    call.say("look it up")
    await call.until(ev.FunctionInvoked)
    await asyncio.sleep(0.1)


async def barging_in(call: Caller) -> None:
    """The user says something else while the answer is being spoken."""
    await call.engine.send_text("hello")
    await call.until(ev.AudioOutputStarted)
    await asyncio.sleep(0.3)
    call.say("tell me")
    await asyncio.sleep(0.3)


STATES = (
    idle,
    listening,
    pausing,
    thinking,
    thinking_about_text,
    speaking,
    all_was_sent,
    a_tool_runs,
    barging_in,
)

#: What happens to the connections after the first, which is lost in any case.
FAULTS: dict[str, tuple[list[Any], str]] = {
    "drop": ([], "closed"),
    "session_expired": ([], "session_expired"),
    "flap": ([Flap(connect=2)], "closed"),
    "refused twice": ([Refuse(connect=2), Refuse(connect=3)], "closed"),
    "rate limited": ([Refuse("rate_limit", connect=2, retry_after=1.5)], "closed"),
    "lost at once": ([Drop(connect=2, after_s=0.0)], "closed"),
    "lost soon": ([Drop(connect=2, after_s=0.15)], "closed"),
    "lost later": ([Drop(connect=2, after_s=0.7)], "closed"),
    "lost twice": ([Drop(connect=2, after_s=0.3), Drop(connect=3, after_s=0.6)], "closed"),
}


@pytest.mark.parametrize(
    ("faults", "transcripts"),
    [
        *((faults, "at once") for faults in FAULTS),
        *((faults, "late") for faults in ("drop", "rate limited", "lost soon", "lost twice")),
    ],
)
@pytest.mark.parametrize("state", STATES, ids=lambda f: f.__name__)
async def test_the_conversation_goes_on(state: State, faults: str, transcripts: str) -> None:
    later, code = FAULTS[faults]
    delay = 0 if transcripts == "at once" else 1500
    async with Caller(*later, transcript_delay_ms=delay) as call:
        await loses_and_goes_on(call, state, code)


#: Providers that can do less, and conversations that are led in another way.
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "has to be stopped": ({"self_interrupting": False}, {}),
    "has to be asked": ({"auto_response": False}, {}),
    "tells of no speech": ({"vad_events": False}, {}),
    "takes no history": ({"history": "none"}, {}),
    "takes history at the start": ({"history": "at_start"}, {}),
    "does not go on after tools": ({"continues_after_tool": False}, {}),
    "can be resumed": ({"resume": "handle"}, {}),
    "does not cancel": ({"cancel": False, "self_interrupting": True}, {}),
    "transcribes nothing": ({"input_transcription": False, "partial_transcripts": False}, {}),
    "fast": ({}, {"mode": "fast"}),
    "gathered audio": ({}, {"chunking": "density"}),
    "another format": ({}, {"input_format": "pcm16@48000", "output_format": "pcm16@24000"}),
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("state", "times"),
    [
        *((state, "once") for state in STATES),
        *((state, "twice") for state in (listening, thinking, speaking, a_tool_runs)),
    ],
)
async def test_it_goes_on_with_other_providers(state: State, times: str, variant: str) -> None:
    capabilities, config = VARIANTS[variant]
    later = [Drop(connect=2, after_s=0.15)] if times == "twice" else []
    async with Caller(*later, capabilities=capabilities, config=config) as call:
        await loses_and_goes_on(call, state, "closed")


async def loses_and_goes_on(call: Caller, state: State, code: str) -> None:
    await state(call)
    call.lose(code)
    await call.until(ev.ConnectionRestored)
    await call.quiet()
    call.say("are you there")
    await call.until(ev.ResponseCompleted)
    await call.quiet()
    await asyncio.sleep(2)  # for the last transcript
    asked = [] if state is idle else ["look it up" if state is a_tool_runs else "tell me"]
    told = call.engine.config.mode != "fast" and call.capabilities.input_transcription
    turns = [i for i in call.engine.conversation.messages if i.role == "user" and i.text != "hello"]
    assert len(turns) == len(asked) + 1, call.engine.conversation.transcript()
    if told:
        assert [i.text for i in turns] == [*asked, "are you there"]
    answers = {"look it up": "found it", "tell me": "one two three four five six"}
    for turn, wanted in zip(turns, [*(answers[a] for a in asked), "yes i am"], strict=True):
        assert call.answers(turn.id) == [wanted], call.engine.conversation.transcript()
    assert len(call.looked) == (1 if state is a_tool_runs else 0)
    call.check_log()
    assert not call.of(ev.ErrorGeneral)
    for lost, restored in zip(
        call.of(ev.ConnectionLost), call.of(ev.ConnectionRestored), strict=True
    ):
        assert restored.reason == lost.code
        assert restored.outage_ms <= 10_000
        assert restored.audio_lost_ms == 0


@pytest.mark.parametrize("state", STATES, ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    ("faults", "code", "within"),
    [
        ([Flap(connect=n) for n in range(2, 30)], "flapping", 10),
        ([Drop(connect=n, after_s=0.2) for n in range(2, 30)], "flapping", 20),
        ([Refuse(connect=n) for n in range(2, 30)], "reconnect_timeout", 10),
        ([Refuse("auth", connect=2)], "auth", 1),
        ([Refuse("quota", connect=2)], "quota", 1),
    ],
    ids=["flaps", "drops", "refused", "auth", "quota"],
)
async def test_it_ends_within_the_budget(
    state: State, faults: list[Any], code: str, within: float
) -> None:
    async with Caller(*faults) as call:
        await state(call)
        call.hang_up_microphone()
        began = asyncio.get_running_loop().time()
        call.lose()
        failed = await call.until(ev.ConnectionFailed)
        assert failed.code == code
        assert asyncio.get_running_loop().time() - began <= within + 1
        (error,) = call.of(ev.ErrorGeneral)
        assert (error.code, error.recoverable) == (code, False)
        assert not call.engine.is_connected
        with pytest.raises(ConnectionError):
            await call.engine.send_text("hello?")
        with pytest.raises(ConnectionError):
            await call.engine.send_audio(bytes(960))
        await asyncio.sleep(10)
        assert call.engine.state == "idle"
        call.check_log()
