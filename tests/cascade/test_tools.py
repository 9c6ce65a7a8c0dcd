"""The brain calls tools in the middle of its answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.cascade.fakes import Call, FakeBrain, silence
from tests.cascade.fakes import call as tool_call
from voxengine import events as ev
from voxengine.conversation import Item
from voxengine.errors import ConfigurationError, MessageError
from voxengine.providers.cascade.parts import Message, ToolCall

MOVE = [
    {"name": "move", "description": "Moves.", "parameters": {"type": "object", "properties": {}}}
]


def after_tools(*before: Any, then: str = "Done.") -> FakeBrain:
    return FakeBrain(lambda m: [then] if m[-1].role == "tool" else list(before))


async def test_a_tool_round() -> None:
    brain = after_tools("I am going. ", tool_call("move", '{"n": 10}'))
    async with Call(brain=brain, tools=MOVE) as call:
        await call.say("go", pause_ms=1000)
        (invoked,) = call.all(ev.FunctionInvoked)
        assert (invoked.name, invoked.arguments) == ("move", '{"n": 10}')
        assert not call.all(ev.ResponseCompleted)
        await call.provider.send_tool_result(invoked.call_id, '{"ok": true}')
        await call.send(silence(2000))
        assert call.spoken() == "I am going. Done."
        assert len({e.response_id for e in call.all(ev.TextOutput)}) == 1
        # Words before and after the call are items of their own, each with an end.
        first, second = dict.fromkeys(e.item_id for e in call.all(ev.TextOutput))
        assert first != second
        assert [e.is_partial for e in call.all(ev.TextOutput)].count(False) == 2
        assert brain.asked[1] == [
            Message("user", "go"),
            Message(
                "assistant",
                "I am going. ",
                tool_calls=(ToolCall(invoked.call_id, "move", '{"n": 10}'),),
            ),
            Message("tool", '{"ok": true}', call_id=invoked.call_id),
        ]
        names = call.names()
        assert (
            names.index("text_chunk")
            < names.index("function_invoked")
            < names.index("response_completed")
        )
        assert brain.tools == [["move"], ["move"]]
        assert names.count("response_started") == names.count("response_completed") == 1


async def test_the_answer_waits_for_all_results() -> None:
    brain = after_tools(tool_call("move", call_id="x"), tool_call("move", call_id="x"))
    async with Call(brain=brain, tools=MOVE) as call:
        await call.provider.send_text("go")
        await asyncio.sleep(0.1)
        one, two = call.all(ev.FunctionInvoked)
        assert one.call_id != two.call_id
        await call.provider.send_tool_result(two.call_id, "2")
        await asyncio.sleep(1)
        assert len(brain.asked) == 1
        await call.provider.send_tool_result(one.call_id, "1")
        await asyncio.sleep(1)
        assert [(m.role, m.text) for m in brain.asked[1]] == [
            ("user", "go"),
            ("assistant", ""),
            ("tool", "1"),
            ("tool", "2"),
        ]
        with pytest.raises(MessageError) as caught:
            await call.provider.send_tool_result("other", "3")
        assert caught.value.code == "unknown_call"
        with pytest.raises(MessageError):
            await call.provider.send_tool_result(one.call_id, "again")
        with pytest.raises(MessageError):
            await call.provider.send_tool_result(one.call_id, {})  # type: ignore[arg-type]


async def test_a_brain_that_calls_for_ever_has_to_answer_at_last() -> None:
    brain = FakeBrain(lambda _: [tool_call("move")])
    async with Call(brain=brain, tools=MOVE, metadata={"tool_rounds": 3, "apology": False}) as call:
        call.provider.on_event(
            "function_invoked",
            lambda e: asyncio.get_running_loop().create_task(
                call.provider.send_tool_result(e.call_id, "ok")
            ),
        )
        await call.provider.send_text("go")
        await asyncio.sleep(1)
        assert brain.tools == [["move"]] * 3 + [[]]
        assert [e.code for e in call.all(ev.ResponseError)] == ["tool_loop"]


async def test_a_tool_that_never_returns() -> None:
    async with Call(
        brain=after_tools(tool_call("move")), tools=MOVE, metadata={"tool_timeout": 30}
    ) as call:
        await call.provider.send_text("go")
        await asyncio.sleep(40)
        assert [e.code for e in call.all(ev.ResponseError)] == ["timeout"]
        assert "sorry" in call.spoken()


async def test_a_barge_in_during_a_tool() -> None:
    async with Call(brain=after_tools("Wait. ", tool_call("move")), tools=MOVE) as call:
        await call.say("go", pause_ms=2500)
        (invoked,) = call.all(ev.FunctionInvoked)
        await call.say("no", pause_ms=600)
        await call.provider.send_tool_result(invoked.call_id, "too late")
        roles = [m.role for m in call.brain.asked[1]]
        assert roles == ["user", "assistant", "tool", "user"]
        assert "interrupted" in call.brain.asked[1][2].text
        await call.send(silence(3000))
        assert [e.reason for e in call.all(ev.ResponseCancelled)] == ["turn_detected"]


async def test_history_with_tools() -> None:
    items = [
        Item(id="1", text="go", status="completed"),
        Item(
            id="2", kind="function_call", role="assistant", call_id="c", name="move", arguments="{}"
        ),
        Item(id="3", kind="function_output", role="tool", call_id="c", output="ok"),
        Item(id="4", role="assistant", text="Done.", status="completed"),
        Item(id="5", role="system", text="The user is in a hurry."),
    ]
    async with Call() as call:
        await call.provider.add_conversation_history(items)
        await call.provider.add_conversation_history(items)
        await call.provider.delete_item("5")
        with pytest.raises(MessageError):
            await call.provider.delete_item("5")
        await call.provider.send_text("again")
        await asyncio.sleep(0.1)
        assert call.brain.asked == [
            [
                Message("user", "go"),
                Message("assistant", "", tool_calls=(ToolCall("c", "move", "{}"),)),
                Message("tool", "ok", call_id="c"),
                Message("assistant", "Done."),
                Message("user", "again"),
            ]
        ]


async def test_the_memory_is_bounded() -> None:
    async with Call(metadata={"memory_items": 10}) as call:
        items = [Item(id=str(n), text=f"text {n}", status="completed") for n in range(50)]
        await call.provider.add_conversation_history(items)
        await call.provider.send_text("last")
        await asyncio.sleep(0.1)
        assert [m.text for m in call.brain.asked[0]] == [f"text {n}" for n in range(41, 50)] + [
            "last"
        ]


async def test_tools_in_either_form() -> None:
    nested = [{"type": "function", "function": MOVE[0]}]
    async with Call(tools=nested) as call:
        await call.provider.send_text("go")
        await asyncio.sleep(0.1)
        await call.provider.update_session(tools=[*MOVE, {"name": "stop"}])
        await asyncio.sleep(3)
        await call.provider.send_text("go")
        await asyncio.sleep(0.1)
        assert call.brain.tools == [["move"], ["move", "stop"]]
        with pytest.raises(ConfigurationError):
            await call.provider.update_session(tools=[{"description": "nameless"}])
    with pytest.raises(ConfigurationError):
        Call(tools=[{"name": ""}])
