"""Tools, from the assistant's call to its answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from tests.engine.conftest import MakeEngine
from tests.engine.desk import ABLE, Desk, desk, tone
from voxengine import ToolError, VoiceEngine
from voxengine import events as ev

GOES_ON = msgspec.structs.replace(ABLE, continues_after_tool=True)


def call(name: str = "move", arguments: str = '{"meters": 10}', **fields: Any) -> Any:
    """A hook: the provider answers a text with a call, and the result with words."""

    def answer(p: Desk, *_: Any) -> None:
        response = p.begin()
        p.emit(
            ev.FunctionInvoked(
                call_id=fields.get("call_id", f"call_{response}"),
                name=name,
                arguments=arguments,
                response_id=response,
                **p.meta(),
            )
        )
        p.end()

    return answer


def went(p: Desk, *_: Any) -> None:
    p.answer("I went.")


def add_move(engine: VoiceEngine, result: Any = None) -> list[int]:
    ran: list[int] = []

    @engine.tool
    def move(meters: int) -> Any:
        """Go forward.

        Args:
            meters: How far.
        """
        ran.append(meters)
        return {"moved": meters} if result is None else result

    assert move(0)
    ran.clear()
    return ran


async def test_the_provider_is_told_of_the_tools(make_engine: MakeEngine) -> None:
    kind = desk()
    engine = make_engine(kind)
    add_move(engine)
    async with engine:
        [schema] = kind.made[0].config.tools or []
        assert (schema["name"], schema["description"]) == ("move", "Go forward.")
        assert schema["parameters"]["properties"]["meters"]["description"] == "How far."


async def test_without_tools_it_is_told_of_none(make_engine: MakeEngine) -> None:
    kind = desk()
    async with make_engine(kind):
        assert kind.made[0].config.tools is None


@pytest.mark.parametrize("goes_on", [False, True])
async def test_a_call_its_result_and_the_answer(make_engine: MakeEngine, goes_on: bool) -> None:
    if goes_on:
        kind = desk(GOES_ON, send_text=call(), send_tool_result=went)
    else:
        kind = desk(send_text=call(), create_response=went)
    engine = make_engine(kind)
    ran = add_move(engine)
    events: list[Any] = []
    engine.on("function_*", events.append)
    async with engine:
        await engine.send_text("go ten meters")
        await asyncio.sleep(2)
        assert engine.state == "idle"
        log = [(i.kind, i.role, i.text or i.output or i.arguments) for i in engine.conversation]
    assert ran == [10]
    assert log == [
        ("message", "user", "go ten meters"),
        ("function_call", "assistant", '{"meters": 10}'),
        ("function_output", "tool", '{"moved":10}'),
        ("message", "assistant", "I went."),
    ]
    assert [e.type for e in events] == ["function_invoked", "function_completed"]
    assert (events[1].name, events[1].output) == ("move", '{"moved":10}')
    order = [n for n in kind.made[0].order if n in ("send_tool_result", "create_response")]
    assert order == (["send_tool_result"] if goes_on else ["send_tool_result", "create_response"])


@pytest.mark.parametrize(
    ("name", "arguments", "code", "words"),
    [
        ("fly", "{}", "unknown_tool", "there is no tool 'fly'"),
        ("move", '{"meters": "far"}', "bad_arguments", "meters"),
        ("move", "{", "bad_arguments", "JSON"),
    ],
)
async def test_a_call_that_cannot_be_made_is_answered_all_the_same(
    make_engine: MakeEngine, name: str, arguments: str, code: str, words: str
) -> None:
    kind = desk(send_text=call(name, arguments), create_response=went)
    engine = make_engine(kind)
    ran = add_move(engine)
    failed: list[Any] = []
    engine.on("function_failed", failed.append)
    async with engine:
        await engine.send_text("go")
        await asyncio.sleep(2)
        assert engine.conversation[-1].text == "I went."
        assert engine.state == "idle"
    assert not ran
    assert [e.code for e in failed] == [code]
    ((_, output),) = kind.made[0].asked("send_tool_result")
    assert words in json.loads(output)["error"]


@pytest.mark.parametrize(
    "result",
    [object(), b"bytes", float("nan"), "x" * 300_000],
    ids=["object", "bytes", "nan", "huge"],
)
async def test_a_result_that_cannot_be_told_is_told_as_an_error(
    make_engine: MakeEngine, result: Any
) -> None:
    kind = desk(send_text=call(), create_response=went)
    engine = make_engine(kind)
    add_move(engine, result)
    failed: list[Any] = []
    engine.on("function_failed", failed.append)
    async with engine:
        await engine.send_text("go")
        await asyncio.sleep(2)
        assert engine.state == "idle"
    assert [e.code for e in failed] == ["bad_result"]
    ((_, output),) = kind.made[0].asked("send_tool_result")
    assert "error" in json.loads(output)


async def test_a_tool_that_hangs(make_engine: MakeEngine) -> None:
    kind = desk(send_text=call("hang", "{}"), create_response=went)
    engine = make_engine(kind, tool_timeout=8.0)
    failed: list[Any] = []
    engine.on("function_failed", failed.append)

    @engine.tool
    async def hang() -> None:
        await asyncio.sleep(1e9)

    async with engine:
        await engine.send_text("go")
        await asyncio.sleep(10)
        assert engine.conversation[-1].text == "I went."
    assert [(e.code, e.duration_ms) for e in failed] == [("timeout", pytest.approx(8000))]


async def test_a_tool_that_waits_for_what_was_cancelled_does_not_hang_the_conversation(
    make_engine: MakeEngine,
) -> None:
    kind = desk(send_text=call("lost", "{}"), create_response=went)
    engine = make_engine(kind)

    @engine.tool
    async def lost() -> None:
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        gone.cancel()
        await gone

    async with engine:
        await engine.send_text("go")
        await asyncio.sleep(2)
        assert engine.conversation[-1].text == "I went."
        assert engine.state == "idle"


async def test_the_user_speaks_while_a_tool_runs(make_engine: MakeEngine) -> None:
    kind = desk(send_text=call("slow", "{}"))
    engine = make_engine(kind)
    events: list[Any] = []
    ended: list[str] = []
    engine.on("function_*", events.append)

    @engine.tool
    async def slow() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            ended.append("stopped")

    async with engine:
        await engine.send_text("go")
        await asyncio.sleep(1)
        kind.made[0].emit(ev.VadSpeechStarted(item_id="u9", **kind.made[0].meta()))
        await asyncio.sleep(0.1)
        assert ended == ["stopped"]
        assert engine.state == "listening"
    assert [e.type for e in events] == ["function_invoked", "function_cancelled"]


async def test_disconnecting_stops_the_tools(make_engine: MakeEngine) -> None:
    kind = desk(send_text=call("slow", "{}"))
    engine = make_engine(kind)
    ended: list[str] = []

    @engine.tool
    async def slow() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            ended.append("stopped")

    async with engine:
        await engine.send_text("go")
        await asyncio.sleep(1)
    assert ended == ["stopped"]
    assert asyncio.get_running_loop().time() == 1.0


async def test_a_tool_that_will_not_stop_does_not_hold_up_the_end(make_engine: MakeEngine) -> None:
    kind = desk(send_text=call("stubborn", "{}"))
    engine = make_engine(kind)
    release = asyncio.Event()

    @engine.tool
    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    async with engine:
        await engine.send_text("go")
        await asyncio.sleep(1)
    assert asyncio.get_running_loop().time() < 60
    release.set()


async def test_a_tool_may_hang_up(make_engine: MakeEngine) -> None:
    kind = desk(send_text=call("hang_up", "{}"))
    engine = make_engine(kind)
    done: list[str] = []

    @engine.tool
    async def hang_up() -> str:
        """End the call."""
        await engine.disconnect("the assistant hung up")
        done.append("hung up")
        return "bye"

    await engine.connect()
    stream = engine.events()
    await engine.send_text("goodbye")
    async with asyncio.timeout(20):
        events = [event async for event in stream]
    assert done == ["hung up"]
    assert events[-2].reason == "the assistant hung up"
    assert kind.made[0].closed == 1
    assert engine.state == "disconnected"


async def test_several_calls_at_once_run_side_by_side_and_are_answered_once(
    make_engine: MakeEngine,
) -> None:
    def two(p: Desk, *_: Any) -> None:
        response = p.begin()
        for n in (1, 2):
            p.emit(
                ev.FunctionInvoked(
                    call_id=f"c{n}",
                    name="wait",
                    arguments=json.dumps({"seconds": n}),
                    response_id=response,
                    **p.meta(),
                )
            )
        p.end()

    kind = desk(send_text=two, create_response=went)
    engine = make_engine(kind)

    @engine.tool
    async def wait(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    async with engine:
        await engine.send_text("go")
        await asyncio.sleep(2.05)
        assert engine.conversation[-1].text == "I went."
    provider = kind.made[0]
    assert provider.asked("send_tool_result") == [("c1", "1.0"), ("c2", "2.0")]
    assert len(provider.asked("create_response")) == 1


async def test_a_call_that_is_told_twice_is_run_once(make_engine: MakeEngine) -> None:
    def twice(p: Desk, *_: Any) -> None:
        call(call_id="same")(p)
        p.emit(
            ev.FunctionInvoked(call_id="same", name="move", arguments='{"meters": 10}', **p.meta())
        )

    kind = desk(send_text=twice, create_response=went)
    engine = make_engine(kind)
    ran = add_move(engine)
    async with engine:
        await engine.send_text("go")
        await asyncio.sleep(1)
    assert ran == [10]
    assert len(kind.made[0].asked("send_tool_result")) == 1


async def test_a_result_that_the_provider_does_not_take_is_told(make_engine: MakeEngine) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("no such call")

    kind = desk(send_text=call(), send_tool_result=refuse, create_response=went)
    engine = make_engine(kind)
    add_move(engine)
    errors: list[Any] = []
    engine.on("error", errors.append)
    async with engine:
        await engine.send_text("go")
        await asyncio.sleep(60)
        assert engine.state == "idle"
    assert [str(e.exception) for e in errors] == ["no such call"]


async def test_tools_in_all_forms_of_the_decorator(make_engine: MakeEngine) -> None:
    kind = desk()
    engine = make_engine(kind)

    @engine.tool(name="drive", description="Drive on.", timeout=5)
    def some_function(meters: int) -> None: ...

    @engine.tool()
    def plain() -> None: ...

    engine.tool(lambda: 1, name="third", parameters={})  # type: ignore[call-overload]
    with pytest.raises(ToolError, match="name"):
        engine.tool(lambda: 1)
    async with engine:
        assert [t["name"] for t in kind.made[0].config.tools or ()] == ["drive", "plain", "third"]


async def test_a_tool_that_comes_late_is_for_the_next_provider(
    make_engine: MakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    kind = desk()
    engine = make_engine(kind)
    async with engine:
        add_move(engine)
        assert "next provider" in caplog.text
        assert kind.made[0].config.tools is None
        await engine.switch_provider("desk")
        assert [t["name"] for t in kind.made[1].config.tools or ()] == ["move"]


async def test_words_before_a_call_are_heard_and_the_answer_follows(
    make_engine: MakeEngine,
) -> None:
    def words_first(p: Desk, *_: Any) -> None:
        response = p.begin()
        p.words("One moment.")
        p.audio(tone(400))
        p.emit(
            ev.FunctionInvoked(
                call_id="c",
                name="move",
                arguments='{"meters": 1}',
                response_id=response,
                **p.meta(),
            )
        )
        p.end()

    kind = desk(send_text=words_first, create_response=went)
    engine = make_engine(kind)
    add_move(engine)
    async with engine:
        await engine.send_text("go")
        await asyncio.sleep(2)
        said = [(i.text, i.heard_ms, i.status) for i in engine.conversation.messages[1:]]
    assert said == [("One moment.", 400, "completed"), ("I went.", 100, "completed")]
