"""Who answers, who interrupts, how a turn is found, and items that are put in: as the application wishes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.cascade.fakes import Call, FakeBrain, silence
from tests.cascade.fakes import call as tool_call
from voxengine import events as ev
from voxengine.conversation import Item
from voxengine.errors import ConfigurationError
from voxengine.providers.cascade.parts import Message, ToolCall

LONG = "This is a long answer. It has several sentences. You may not interrupt it."
LOOK: list[dict[str, Any]] = [
    {
        "name": "look",
        "description": "Looks.",
        "parameters": {"type": "object", "properties": {}},
        "responds": False,
    }
]


async def test_a_turn_is_not_answered_by_itself() -> None:
    async with Call(brain=FakeBrain(lambda _: ["Yes."]), auto_response=False) as call:
        assert not call.provider.capabilities.auto_response
        await call.say("hello", pause_ms=2000)
        assert call.heard() == ["hello"]
        assert not call.all(ev.ResponseStarted)
        await call.provider.create_response()
        await call.send(silence(1000))
        assert call.spoken() == "Yes."
        await call.provider.configure_session({"auto_response": True})
        assert call.provider.capabilities.auto_response
        await call.say("and again", pause_ms=2000)
        assert len(call.all(ev.ResponseStarted)) == 2


async def test_a_turn_that_is_committed_is_not_answered_by_itself() -> None:
    async with Call(brain=FakeBrain(lambda _: ["Yes."]), auto_response=False) as call:
        await call.say("hello", pause_ms=50)
        await call.provider.commit_audio()
        await call.send(silence(1000))
        assert call.heard() == ["hello"]
        assert not call.all(ev.ResponseStarted)


async def test_speech_does_not_cut_the_answer() -> None:
    brain = FakeBrain(lambda m: [LONG] if len(m) == 1 else ["Fine."])
    async with Call(brain=brain, interruptions=False) as call:
        assert not call.provider.capabilities.self_interrupting
        await call.say("hello", pause_ms=800)
        await call.say("stop it", pause_ms=6000)
        # The answer was made, and only played, when the turn was over: the next one is heard after it.
        assert call.spoken() == LONG + "Fine."
        assert not call.all(ev.ResponseCancelled)
        assert call.heard() == ["hello", "stop it"]


async def test_a_turn_during_an_answer_is_left_to_be_asked_for() -> None:
    brain = FakeBrain(lambda m: [3.0, "Late."] if len(m) == 1 else ["Fine."])
    async with Call(brain=brain, interruptions=False) as call:
        await call.say("hello", pause_ms=800)
        await call.say("and again", pause_ms=6000)
        assert call.spoken() == "Late."
        assert not call.all(ev.ResponseCancelled)
        await call.provider.create_response()
        await call.send(silence(1000))
        assert call.spoken() == "Late.Fine."


@pytest.mark.parametrize("ms", [200.0, 1500.0])
async def test_the_silence_that_ends_a_turn(ms: float) -> None:
    async with Call(wait=600.0) as call:
        await call.provider.configure_session({"turn_options": {"silence_duration_ms": ms}})
        await call.say("hello", pause_ms=3000)
        turn = call.all(ev.TurnDetected)[0]
        heard = call.all(ev.VadSpeechEnded)[0]
        waited = (call.at(ev.TurnDetected) - call.at(ev.VadSpeechEnded)) * 1000 + heard.lag_ms
        assert turn.item_id == heard.item_id
        assert waited == pytest.approx(ms, abs=60)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"eagerness": "high"}, "not eagerness"),
        ({"threshold": "loud"}, "threshold is a number"),
        ({"silence_duration_ms": -1}, "silence_duration_ms is a number"),
    ],
)
async def test_settings_that_there_are_not(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Call(turn_options=options)
    async with Call(turn_options={"threshold": None}) as call:
        with pytest.raises(ConfigurationError, match=words):
            await call.provider.configure_session({"turn_options": options})


async def test_a_threshold_that_no_speech_reaches() -> None:
    async with Call(turn_options={"threshold": 0.98, "prefix_padding_ms": 100}) as call:
        await call.say("hello", pause_ms=1000)
        loud = len(call.all(ev.TurnDetected))
        await call.provider.configure_session({"turn_options": {"threshold": 0.3}})
        await call.say("hello", pause_ms=1500)
        assert (loud, len(call.all(ev.TurnDetected))) == (0, 1)


async def test_items_are_put_between_others() -> None:
    brain = FakeBrain(lambda _: ["Yes."])
    async with Call(brain=brain) as call:
        provider = call.provider
        for item_id, text, after in (
            ("m2", "two", None),
            ("m4", "four", None),
            ("m3", "three", "m2"),
            ("m1", "one", ""),
            ("m5", "five", "gone"),
        ):
            item = Item(id=item_id, role="user", text=text)
            if after is None:
                await provider.add_conversation_history([item])
            else:
                await provider.add_conversation_history([item], after=after)
        await provider.create_response()
        await asyncio.sleep(1)
        assert [m.text for m in brain.asked[0]] == ["one", "two", "three", "four", "five"]


async def test_a_result_that_is_answered_on_request() -> None:
    brain = FakeBrain(
        lambda m: ["Done."] if m[-1].role == "tool" else ["Wait. ", tool_call("look")]
    )
    async with Call(brain=brain, tools=LOOK) as call:
        await call.say("go", pause_ms=2000)
        (invoked,) = call.all(ev.FunctionInvoked)
        assert len(call.all(ev.ResponseCompleted)) == 1
        await call.provider.send_tool_result(invoked.call_id, "it")
        await call.send(silence(1000))
        assert call.spoken() == "Wait. "
        await call.provider.create_response()
        await call.send(silence(1000))
        assert call.spoken() == "Wait. Done."
        assert brain.asked[1][-2:] == [
            Message("assistant", "Wait. ", tool_calls=(ToolCall(invoked.call_id, "look", "{}"),)),
            Message("tool", "it", call_id=invoked.call_id),
        ]
