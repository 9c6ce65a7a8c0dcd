"""Tools: how they are described, called, limited, and what the assistant is told."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import enum
import functools
import json
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal, Optional, TypedDict

import msgspec
import pytest

from voxengine.errors import ToolError
from voxengine.session.effects import ToolFinished
from voxengine.session.tools import MAX_RESULT, MAX_THREADS, Tool, Toolbox


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclasses.dataclass
class Point:
    x: float
    y: float = 0.0


class Address(TypedDict, total=False):
    street: str
    number: int


# -- what a provider is told


def parameter(kind: Any) -> dict[str, Any]:
    """The schema of a parameter of this type, with its definition in the place of a reference."""

    def function(value):
        return value

    function.__annotations__ = {"value": kind}
    whole = Tool(function).parameters
    schema: dict[str, Any] = whole["properties"]["value"]
    if "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return schema


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (str, {"type": "string"}),
        (bool, {"type": "boolean"}),
        (list, {"type": "array"}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (dict, {"type": "object"}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (Optional[int], {"anyOf": [{"type": "integer"}, {"type": "null"}]}),  # noqa: UP045
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (Literal["a", "b"], {"enum": ["a", "b"]}),
        (Any, {}),
    ],
)
def test_plain_types(kind: Any, schema: dict[str, Any]) -> None:
    assert parameter(kind) == schema


def test_enums_and_structures_are_spelt_out() -> None:
    assert parameter(Colour)["enum"] == ["green", "red"]
    assert parameter(Level)["enum"] == [1, 2]
    point = parameter(Point)
    assert point["properties"]["x"] == {"type": "number"}
    assert point["required"] == ["x"]
    assert set(parameter(Address)["properties"]) == {"street", "number"}


def test_annotated_limits_are_told_and_kept() -> None:
    def turn(degrees: Annotated[int, msgspec.Meta(ge=0, le=360, description="How far.")]) -> int:
        return degrees

    tool = Tool(turn)
    schema = tool.parameters["properties"]["degrees"]
    assert (schema["minimum"], schema["maximum"]) == (0, 360)
    assert schema["description"] == "How far."
    assert tool.arguments('{"degrees": 360}') == {"degrees": 360}
    with pytest.raises(ToolError, match="degrees"):
        tool.arguments('{"degrees": 361}')


def test_what_has_a_default_need_not_be_given() -> None:
    def search(query: str, limit: int = 5, *, language: str | None = None) -> str:
        return f"{query} {limit} {language}"

    tool = Tool(search)
    assert tool.parameters["required"] == ["query"]
    assert list(tool.parameters["properties"]) == ["query", "limit", "language"]
    assert tool.parameters["additionalProperties"] is False
    assert tool.arguments('{"query": "x"}') == {"query": "x"}


def test_without_hints_a_parameter_is_text() -> None:
    def old(a, b=1):
        return a

    assert Tool(old).parameters["properties"] == {"a": {"type": "string"}, "b": {"type": "string"}}


def test_without_parameters() -> None:
    def now() -> str:
        """Tell the time."""
        return "noon"

    assert Tool(now).schema() == {
        "name": "now",
        "description": "Tell the time.",
        "parameters": {
            "type": "object",
            "properties": {},
            "required": [],
            "additionalProperties": False,
        },
    }


def test_catch_all_parameters_are_not_offered() -> None:
    def loose(a: int, *args: Any, **more: Any) -> int:
        return a

    assert list(Tool(loose).parameters["properties"]) == ["a"]


def test_methods_and_callables() -> None:
    class Robot:
        def move(self, metres: int) -> str:
            """Drive."""
            return f"{metres} m"

        def __call__(self, metres: int) -> str:
            return self.move(metres)

    assert list(Tool(Robot().move).parameters["properties"]) == ["metres"]
    called = Tool(Robot(), name="robot")
    assert called.parameters["properties"] == {"metres": {"type": "integer"}}


def test_a_function_with_some_arguments_given() -> None:
    tool = Tool(functools.partial(google, 1), name="one_metre")
    assert list(tool.parameters["properties"]) == ["speed", "where"]
    assert tool.parameters["properties"]["speed"]["type"] == "number"
    assert tool.description.startswith("Drive the robot.")


def google(meters: int, speed: float = 1.0, where: str = "forward") -> None:
    """Drive the robot.

    It stops by itself
    in front of a wall.

    Args:
        meters (int): How far to go,
            in whole metres.
        speed: Metres per second: slow is better.
        where (str, optional): The direction.

    Returns:
        meters: not a parameter

    Raises:
        ValueError: never.
    """


def sphinx(meters: int, speed: float = 1.0, where: str = "forward") -> None:
    """Drive the robot.

    It stops by itself
    in front of a wall.

    :param meters: How far to go,
        in whole metres.
    :param float speed: Metres per second: slow is better.
    :param where: The direction.
    :type where: str
    :returns: nothing
    :raises ValueError: never.
    """


@pytest.mark.parametrize("function", [google, sphinx])
def test_docstrings(function: Callable[..., Any]) -> None:
    tool = Tool(function)
    assert tool.description == "Drive the robot. It stops by itself in front of a wall."
    described = {n: s.get("description") for n, s in tool.parameters["properties"].items()}
    assert described == {
        "meters": "How far to go, in whole metres.",
        "speed": "Metres per second: slow is better.",
        "where": "The direction.",
    }


def test_a_docstring_of_one_line_and_none_at_all() -> None:
    def one(a: int) -> None:
        """Do it: now."""

    def none(a: int) -> None: ...

    assert Tool(one).description == "Do it: now."
    assert Tool(none).description == ""


def test_what_is_stated_goes_before_what_is_found() -> None:
    schema = {"type": "object", "properties": {"anything": {}}}
    tool = Tool(google, name="drive", description="Go.", parameters=schema)
    assert tool.schema() == {"name": "drive", "description": "Go.", "parameters": schema}
    # What the schema says is the application's affair then.
    assert tool.arguments('{"anything": [1]}') == {"anything": [1]}


def test_the_schema_is_json_that_any_provider_can_take() -> None:
    def everything(
        a: int, b: Colour, c: Point, d: Address, e: list[Point] | None = None, f: Level = Level.LOW
    ) -> None:
        """Do it all."""

    schema = Tool(everything).schema()
    assert json.loads(json.dumps(schema)) == schema


def positional(a: int, /) -> None: ...


def unknown_hint(a: "NoSuchType") -> None: ...  # type: ignore[name-defined]  # noqa: F821, UP037


def no_json(a: threading.Lock) -> None: ...


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (positional, "'a' cannot be given by name"),
        (unknown_hint, "NoSuchType"),
        (no_json, "'a' has no JSON form"),
        (lambda a: a, "name"),
    ],
)
def test_what_cannot_be_described_is_refused_with_its_reason(
    function: Callable[..., Any], words: str
) -> None:
    with pytest.raises(ToolError, match=words):
        Tool(function)


@pytest.mark.parametrize("name", ["", "two words", "x" * 65, "drôle", "a.b"])
def test_names_that_providers_would_not_take(name: str) -> None:
    with pytest.raises(ToolError, match="name"):
        Tool(google, name=name or " ")


@pytest.mark.parametrize("timeout", [0, -1])
def test_a_limit_is_above_zero(timeout: float) -> None:
    with pytest.raises(ToolError, match="timeout"):
        Tool(google, timeout=timeout)


# -- arguments


def shaped(
    count: int = 0,
    ratio: float = 0.0,
    on: bool = False,
    colour: Colour = Colour.RED,
    where: Point | None = None,
    tags: list[str] | None = None,
    home: Address | None = None,
    side: Literal["left", "right"] = "left",
) -> None: ...


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        ("", {}),
        ("{}", {}),
        ('{"count": 10}', {"count": 10}),
        ('{"count": "10"}', {"count": 10}),
        ('{"ratio": 1}', {"ratio": 1.0}),
        ('{"on": true}', {"on": True}),
        ('{"on": "true"}', {"on": True}),
        ('{"colour": "green"}', {"colour": Colour.GREEN}),
        ('{"where": {"x": 1}}', {"where": Point(1.0, 0.0)}),
        ('{"where": null}', {"where": None}),
        ('{"tags": ["a", "b"]}', {"tags": ["a", "b"]}),
        ('{"home": {"street": "Elm"}}', {"home": {"street": "Elm"}}),
        ('{"side": "right"}', {"side": "right"}),
    ],
)
def test_arguments_come_as_the_types_that_are_named(arguments: str, values: dict[str, Any]) -> None:
    assert Tool(shaped).arguments(arguments) == values


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("{", "not valid JSON"),
        ("not json", "not valid JSON"),
        ('{"count": 1} {"count": 2}', "not valid JSON"),
        ("[1, 2]", "a JSON object"),
        ("null", "a JSON object"),
        ('"text"', "a JSON object"),
        ('{"count": "ten"}', "'count'"),
        ('{"count": 1.5}', "'count'"),
        ('{"count": null}', "'count'"),
        ('{"colour": "blue"}', "'colour'"),
        ('{"where": {"y": 1}}', "'where'"),
        ('{"tags": [1]}', "'tags'"),
        ('{"side": "up"}', "'side'"),
        ('{"cuont": 1}', "no argument 'cuont'; it has count"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_by_name(arguments: str, words: str) -> None:
    with pytest.raises(ToolError, match=words):
        Tool(shaped).arguments(arguments)


def test_what_has_to_be_given_is_missed() -> None:
    with pytest.raises(ToolError, match="lacks its argument 'meters'"):
        Tool(google).arguments("{}")


# -- calls


async def run(function: Callable[..., Any], arguments: str = "{}", **options: Any) -> ToolFinished:
    box = Toolbox(default_timeout=options.pop("default_timeout", 30.0))
    box.add(Tool(function, name="tool", **options))
    return await box.run("call_1", "tool", arguments)


def told(report: ToolFinished) -> Any:
    return json.loads(report.output)


def sync_tool(meters: int) -> str:
    return f"went {meters} m"


async def async_tool(meters: int) -> str:
    await asyncio.sleep(0.25)
    return f"went {meters} m"


def awaitable_tool(meters: int) -> Any:
    return async_tool(meters)


class CallableTool:
    async def __call__(self, meters: int) -> str:
        return f"went {meters} m"


@pytest.mark.parametrize("function", [sync_tool, async_tool, awaitable_tool, CallableTool()])
async def test_all_kinds_of_functions(function: Callable[..., Any]) -> None:
    report = await run(function, '{"meters": 10}')
    assert (report.call_id, report.output, report.code, report.error) == (
        "call_1",
        "went 10 m",
        None,
        None,
    )


async def test_how_long_it_took_is_told() -> None:
    assert (await run(async_tool, '{"meters": 1}')).duration_ms == pytest.approx(250)


async def test_a_plain_function_does_not_run_on_the_loop() -> None:
    def where() -> str:
        return threading.current_thread().name

    assert (await run(where)).output != threading.current_thread().name


async def test_an_async_function_runs_on_the_loop() -> None:
    async def where() -> str:
        asyncio.get_running_loop()
        return threading.current_thread().name

    assert (await run(where)).output == threading.current_thread().name


async def test_context_variables_are_seen_by_all_kinds() -> None:
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user")
    user.set("ada")

    def plain() -> str:
        return user.get()

    async def coroutine() -> str:
        return user.get()

    assert (await run(plain)).output == (await run(coroutine)).output == "ada"


@pytest.mark.parametrize(
    ("result", "output"),
    [
        ("plain text", "plain text"),
        ("", ""),
        (None, '{"ok":true}'),
        (True, "true"),
        (0, "0"),
        (1.5, "1.5"),
        (10**30, str(10**30)),
        ([1, "a", None], '[1,"a",null]'),
        ({"a": {"b": [1]}}, '{"a":{"b":[1]}}'),
        ({1: "one"}, '{"1":"one"}'),
        ((1, 2), "[1,2]"),
        ({"café": "日本 🎉"}, '{"café":"日本 🎉"}'),
        (Point(1.0, 2.0), '{"x":1.0,"y":2.0}'),
        (Colour.RED, '"red"'),
        (Decimal("1.50"), '"1.50"'),
    ],
)
async def test_results(result: Any, output: str) -> None:
    report = await run(lambda: result, parameters={})
    assert report.code is None
    if isinstance(result, str):
        assert report.output == output
    else:
        assert json.loads(report.output) == json.loads(output)


def cycle() -> Any:
    loop: list[Any] = []
    loop.append(loop)
    return loop


def deep() -> Any:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    "make",
    [
        lambda: object(),
        lambda: b"\x00\x01",
        lambda: {"audio": b"\x00"},
        lambda: bytearray(b"x"),
        lambda: cycle(),
        lambda: deep(),
        lambda: float("nan"),
        lambda: [1.0, float("inf")],
        lambda: {("a", "b"): 1},
        lambda: (x for x in "abc"),
        lambda: threading.Lock(),
        lambda: 1 + 2j,
        lambda: "\ud800",
        lambda: {"a": "\udcff"},
        lambda: "x" * (MAX_RESULT + 1),
        lambda: ["x" * 1024] * 300,
        lambda: "日" * (MAX_RESULT // 2),
    ],
    ids=[
        "object",
        "bytes",
        "bytes-inside",
        "bytearray",
        "cycle",
        "deep",
        "nan",
        "infinity",
        "tuple-key",
        "generator",
        "lock",
        "complex",
        "surrogate",
        "surrogate-inside",
        "huge-text",
        "huge-list",
        "huge-in-bytes",
    ],
)
async def test_results_that_json_cannot_hold(make: Callable[[], Any]) -> None:
    async def tool() -> Any:
        return make()

    report = await run(tool, parameters={})
    assert report.code == "bad_result"
    assert "tool" in told(report)["error"]
    assert len(report.output) < 1000
    assert report.error


async def test_a_result_as_long_as_is_allowed() -> None:
    report = await run(lambda: "x" * MAX_RESULT, parameters={})
    assert report.code is None


def raising(error: BaseException) -> Callable[[], None]:
    def plain() -> None:
        raise error

    return plain


def raising_async(error: BaseException) -> Callable[[], Any]:
    async def coroutine() -> None:
        await asyncio.sleep(0)
        raise error

    return coroutine


class BadWords(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize("make", [raising, raising_async])
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("no such room"), "ValueError: no such room"),
        (ValueError(), "ValueError"),
        (TimeoutError("the database"), "TimeoutError: the database"),
        (TimeoutError(), "TimeoutError"),
        (ToolError("ask again"), "ask again"),
        (StopIteration(1), "StopIteration"),
        (StopAsyncIteration(), "StopAsyncIteration"),
        (asyncio.CancelledError(), "CancelledError"),
        (SystemExit(3), "SystemExit: 3"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "UnicodeDecodeError"),
        (OSError(2, "No such file", "/tmp/\udcff"), "No such file"),
        (BadWords(), "BadWords"),
        (ExceptionGroup("many", [ValueError("a")]), "many"),
        (ValueError("x" * 10_000_000), "ValueError: xxx"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
async def test_whatever_it_raises_the_assistant_is_told(
    make: Callable[[BaseException], Callable[[], Any]], error: BaseException, words: str
) -> None:
    async with asyncio.timeout(5):
        report = await run(make(error))
    assert report.code == "raised"
    assert words in told(report)["error"]
    assert len(report.output) < 10_000
    report.output.encode()
    assert report.error
    assert "'tool'" in report.error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [("{", "JSON"), ('{"meters": "far"}', "meters"), ("{}", "lacks"), ('{"m": 1}', "no argument")],
)
async def test_bad_arguments_are_told_and_nothing_is_run(arguments: str, words: str) -> None:
    ran = []

    def tool(meters: int) -> None:
        ran.append(meters)

    report = await run(tool, arguments)
    assert report.code == "bad_arguments"
    assert words in told(report)["error"]
    assert not ran


async def test_an_unknown_tool_is_told_with_those_there_are() -> None:
    box = Toolbox()
    box.add(Tool(sync_tool))
    report = await box.run("c", "fly", "{}")
    assert report.code == "unknown_tool"
    assert "'fly'" in told(report)["error"]
    assert "sync_tool" in told(report)["error"]
    assert (await Toolbox().run("c", "fly", "{}")).code == "unknown_tool"


async def hang() -> None:
    await asyncio.sleep(1e6)


async def test_the_default_limit() -> None:
    report = await run(hang, default_timeout=30.0)
    assert report.code == "timeout"
    assert told(report)["error"] == "no result within 30 s"
    assert report.duration_ms == pytest.approx(30_000)


async def test_a_limit_of_its_own() -> None:
    report = await run(hang, timeout=0.5)
    assert told(report)["error"] == "no result within 0.5 s"
    assert report.duration_ms == pytest.approx(500)


async def test_its_own_timeout_is_not_ours() -> None:
    async def tool() -> None:
        async with asyncio.timeout(1):
            await asyncio.sleep(10)

    report = await run(tool, timeout=5)
    assert report.code == "raised"
    assert "TimeoutError" in told(report)["error"]


async def test_an_awaitable_that_a_plain_function_returns_has_the_limit_too() -> None:
    report = await run(hang_later, timeout=2)
    assert report.code == "timeout"


def hang_later() -> Any:
    return hang()


@pytest.mark.real_clock
async def test_a_plain_function_that_hangs_is_left_to_itself() -> None:
    release = threading.Event()

    def tool() -> str:
        release.wait(30)
        return "too late"

    started = time.monotonic()
    report = await run(tool, timeout=0.05)
    assert report.code == "timeout"
    assert time.monotonic() - started < 5
    release.set()


@pytest.mark.real_clock
async def test_a_thread_that_hangs_does_not_keep_the_program_alive() -> None:
    release = threading.Event()
    daemon = []

    def tool() -> None:
        daemon.append(threading.current_thread().daemon)
        release.wait(30)

    await run(tool, timeout=0.05)
    release.set()
    assert daemon == [True]


@pytest.mark.real_clock
async def test_when_all_threads_hang_the_next_is_told_and_they_come_back() -> None:
    release = threading.Event()
    begun = threading.Semaphore(0)

    def hanging() -> str:
        begun.release()
        release.wait(30)
        return "done"

    box = Toolbox()
    box.add(Tool(hanging))
    box.add(Tool(lambda: "quick", name="quick", parameters={}))
    box.add(Tool(async_tool))
    calls = [asyncio.ensure_future(box.run(f"c{i}", "hanging", "{}")) for i in range(MAX_THREADS)]
    await asyncio.to_thread(lambda: [begun.acquire(timeout=10) for _ in range(MAX_THREADS)])
    report = await box.run("one_more", "quick", "{}")
    assert report.code == "raised"
    assert f"{MAX_THREADS} tools are running" in told(report)["error"]
    assert (await box.run("c", "async_tool", '{"meters": 1}')).code is None
    release.set()
    assert {r.output for r in await asyncio.gather(*calls)} == {"done"}
    assert (await box.run("after", "quick", "{}")).output == "quick"


@pytest.mark.real_clock
async def test_a_thread_that_timed_out_gives_its_place_back_when_it_ends() -> None:
    release = threading.Event()
    ended = threading.Semaphore(0)

    def tool() -> None:
        release.wait(30)
        ended.release()

    box = Toolbox()
    box.add(Tool(tool, timeout=0.01))
    for i in range(2):
        reports = await asyncio.gather(*(box.run(str(n), "tool", "{}") for n in range(MAX_THREADS)))
        assert {r.code for r in reports} == {"timeout"}, f"round {i}"
        release.set()
        await asyncio.to_thread(lambda: [ended.acquire(timeout=10) for _ in range(MAX_THREADS)])
        # The place is free a moment after the function has returned.
        while box._threads._free._value < MAX_THREADS:  # noqa: ASYNC110 - another thread's work
            await asyncio.sleep(0.001)
        release.clear()
    release.set()


async def test_cancelled_it_is_cancelled_and_reports_nothing() -> None:
    cleaned_up = []

    async def tool() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            cleaned_up.append(True)

    task = asyncio.ensure_future(run(tool))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned_up == [True]


async def test_calls_run_side_by_side() -> None:
    box = Toolbox()
    box.add(Tool(async_tool))
    await asyncio.gather(*(box.run(str(i), "async_tool", '{"meters": 1}') for i in range(100)))
    assert asyncio.get_running_loop().time() == pytest.approx(0.25)


def test_the_toolbox() -> None:
    box = Toolbox()
    assert len(box) == 0
    box.add(Tool(sync_tool))
    box.add(Tool(sync_tool, description="newer"))
    assert len(box) == 1
    assert "sync_tool" in box
    assert [s["description"] for s in box.schemas()] == ["newer"]
