"""Subscription and routing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest

from voxengine.errors import ConfigurationError, SlowConsumerError
from voxengine.events import (
    AudioDropped,
    AudioOutputChunk,
    ErrorGeneral,
    EventBus,
    EventType,
    FunctionCompleted,
    FunctionInvoked,
    ProviderEvent,
    StateChanged,
    Subscription,
    TextOutput,
    TypedEvent,
    make_event,
)
from voxengine.events.queue import HARD_FACTOR

CHUNK = AudioOutputChunk(audio_data=bytes(4800))
ONE_OF_EACH = [make_event(kind) for kind in EventType] + [make_event("mood_detected", {"a": 1})]


def text(words: str) -> TextOutput:
    return TextOutput(text=words)


def words(events: list[Any]) -> list[str]:
    return [e.text for e in events]


def types_seen(selector: Any) -> set[str]:
    bus, seen = EventBus(), list[Any]()
    bus.on(selector, seen.append)
    for event in ONE_OF_EACH:
        bus.publish(event)
    assert len(seen) == len({e.type for e in seen})
    return {str(e.type) for e in seen}


ALL = {str(e.type) for e in ONE_OF_EACH}
FUNCTIONS = {"function_invoked", "function_completed", "function_failed", "function_cancelled"}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (EventType.TEXT_OUTPUT, {"text_chunk"}),
        ("text_chunk", {"text_chunk"}),
        ("text_output", {"text_chunk"}),
        ("TEXT_OUTPUT", {"text_chunk"}),
        ("text.output", {"text_chunk"}),
        (TextOutput, {"text_chunk"}),
        (ErrorGeneral, {"error"}),
        ("error_general", {"error"}),
        ("function.*", FUNCTIONS),
        ("function_*", FUNCTIONS),
        (
            "audio_*",
            {"audio_chunk", "audio_output_started", "audio_output_stopped", "audio_dropped"},
        ),
        ("audio_output_*", {"audio_chunk", "audio_output_started", "audio_output_stopped"}),
        ("*_lost", {"connection_lost"}),
        ("vad?speech?ended", {"vad_speech_ended"}),
        ("[rR]aw", {"raw"}),
        ("mood_detected", {"mood_detected"}),
        ("mood_*", {"mood_detected"}),
        ("no_such_type", set()),
        ("*", ALL),
        (ProviderEvent, ALL),
        (TypedEvent, ALL - {"mood_detected"}),
        ((EventType.RAW, "text_chunk", FunctionInvoked), {"raw", "text_chunk", "function_invoked"}),
        (["text_chunk", "text_*", "*"], ALL),
        ({"text_chunk"}, {"text_chunk"}),
    ],
)
def test_selectors(selector: Any, expected: set[str]) -> None:
    assert types_seen(selector) == expected


@pytest.mark.parametrize("selector", [5, None, dict, int, [5], object()])
def test_what_selects_nothing_is_refused(selector: Any) -> None:
    bus = EventBus()
    with pytest.raises((ConfigurationError, TypeError)):
        bus.on(selector, print)
    bus.publish(text("a"))


def test_no_selector_is_refused_and_not_taken_for_all() -> None:
    with pytest.raises(ConfigurationError):
        EventBus().on([], print)


def test_a_handler_has_to_be_callable() -> None:
    with pytest.raises(ConfigurationError, match="function of one event"):
        EventBus().on("*", cast("Any", "print"))


def test_as_a_decorator_the_function_stays_what_it_was() -> None:
    bus, seen = EventBus(), list[Any]()

    @bus.on("text_chunk")
    def take(event: TextOutput) -> None:
        seen.append(event.text)

    bus.publish(text("a"))
    take(text("b"))
    assert seen == ["a", "b"]


def test_filter_and_once() -> None:
    bus, seen = EventBus(), list[Any]()
    subscription = bus.on("text_chunk", seen.append, filter=lambda e: e.text == "x", once=True)
    for t in ("a", "x", "x"):
        bus.publish(text(t))
    assert words(seen) == ["x"]
    assert not subscription.active


def test_once_counts_also_when_the_handler_publishes_the_same_type() -> None:
    bus, seen = EventBus(), list[Any]()

    def again(event: TextOutput) -> None:
        seen.append(event.text)
        bus.publish(text(event.text + "!"))

    bus.on("text_chunk", again, once=True)
    bus.publish(text("a"))
    assert seen == ["a"]


def test_a_filter_that_raises_is_reported_and_nobody_else_loses_the_event() -> None:
    failures: list[tuple[Any, BaseException]] = []
    bus, seen = (
        EventBus(lambda handler, event, failure: failures.append((event, failure))),
        list[Any](),
    )
    bus.on("*", print, filter=lambda e: e.no_such_field)
    bus.on("*", seen.append)
    bus.publish(text("a"))
    assert words(seen) == ["a"]
    assert isinstance(failures[0][1], AttributeError)


def test_exactly_once_for_several_matching_selectors() -> None:
    bus, seen = EventBus(), list[Any]()
    bus.on(["*", "text_*", TextOutput, EventType.TEXT_OUTPUT], seen.append)
    bus.publish(text("a"))
    assert len(seen) == 1


def test_two_subscriptions_of_one_function_are_two() -> None:
    bus, seen = EventBus(), list[Any]()
    first = bus.on("*", seen.append)
    bus.on("*", seen.append)
    bus.publish(text("a"))
    first.cancel()
    bus.publish(text("b"))
    assert words(seen) == ["a", "a", "b"]


def test_in_order_of_subscription() -> None:
    bus, seen = EventBus(), list[Any]()
    for name in "abc":
        bus.on("*", partial(lambda name, _: seen.append(name), name))
    bus.publish(text(""))
    assert seen == ["a", "b", "c"]


def test_every_consumer_sees_the_same_order_when_a_handler_publishes() -> None:
    bus = EventBus()
    first: list[str] = []
    last: list[str] = []

    def echo(event: TextOutput) -> None:
        first.append(event.text)
        if len(event.text) < 3:
            bus.publish(text(event.text + "x"))
            bus.publish(text(event.text + "y"))

    bus.on("text_chunk", echo)
    bus.on("text_chunk", lambda e: last.append(e.text))
    bus.publish(text("a"))
    assert first == last == ["a", "ax", "ay", "axx", "axy", "ayx", "ayy"]


def test_a_handler_that_raises_is_reported_and_the_others_are_served() -> None:
    failures: list[Any] = []
    bus, seen = EventBus(lambda *report: failures.append(report)), list[Any]()

    def broken(_: Any) -> None:
        raise ValueError("no")

    bus.on("*", broken)
    bus.on("*", seen.append)
    bus.publish(text("a"))
    bus.publish(text("b"))
    assert words(seen) == ["a", "b"]
    handler, event, failure = failures[0]
    assert handler is broken
    assert event.text == "a"
    assert str(failure) == "no"


def test_without_anybody_to_tell_a_failure_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    bus = EventBus()
    bus.on("*", lambda _: 1 // 0)
    with caplog.at_level(logging.ERROR):
        bus.publish(text("a"))
    assert "text_chunk" in caplog.text
    assert "ZeroDivisionError" in caplog.text


class Stop(BaseException):
    """As KeyboardInterrupt, which pytest would take for itself."""


def test_a_handler_that_is_broken_off_leaves_no_event_behind() -> None:
    """Also what is no `Exception` must not put the events into another order."""
    bus, seen = EventBus(), list[Any]()

    def stop(event: TextOutput) -> None:
        if event.text == "a":
            bus.publish(text("b"))
            raise Stop

    bus.on("*", stop)
    bus.on("*", seen.append)
    with pytest.raises(Stop):
        bus.publish(text("a"))
    bus.publish(text("c"))
    assert words(seen) in (["b", "c"], ["a", "b", "c"])


def test_a_sync_handler_may_raise_cancelled_error() -> None:
    failures: list[Any] = []
    bus, seen = EventBus(lambda *report: failures.append(report)), list[Any]()

    def cancelled(_: Any) -> None:
        raise asyncio.CancelledError

    bus.on("*", cancelled)
    bus.on("*", seen.append)
    bus.publish(text("a"))
    assert words(seen) == ["a"]
    assert len(failures) == 1


def test_cancelled_while_an_event_is_being_delivered_it_gets_it_no_more() -> None:
    bus, seen = EventBus(), list[Any]()
    subscriptions: list[Subscription] = []
    bus.on("*", lambda _: subscriptions[0].cancel())
    subscriptions.append(bus.on("*", seen.append))
    bus.publish(text("a"))
    bus.publish(text("b"))
    assert seen == []


def test_cancelled_by_itself_while_an_event_is_being_delivered_the_others_get_it() -> None:
    bus, seen = EventBus(), list[Any]()
    own: list[Subscription] = []
    own.append(bus.on("*", lambda _: own[0].cancel()))
    bus.on("*", seen.append)
    bus.publish(text("a"))
    bus.publish(text("b"))
    assert words(seen) == ["a", "b"]


def test_subscribed_while_an_event_is_being_delivered_it_gets_the_next() -> None:
    bus, seen = EventBus(), list[Any]()

    def subscribe(event: TextOutput) -> None:
        if event.text == "a":
            bus.on("*", seen.append)
            bus.publish(text("b"))

    bus.on("*", subscribe)
    bus.publish(text("a"))
    assert words(seen) == ["b"]


def test_a_subscription_is_a_context_manager_and_may_be_cancelled_again() -> None:
    bus, seen = EventBus(), list[Any]()
    with bus.on("*", seen.append) as subscription:
        bus.publish(text("a"))
    bus.publish(text("b"))
    subscription.cancel()
    assert words(seen) == ["a"]


def test_wanted_tells_whether_an_event_need_be_made() -> None:
    bus = EventBus()
    assert not bus.wanted("raw")
    subscription = bus.on("raw", print)
    assert bus.wanted("raw")
    assert not bus.wanted("text_chunk")
    subscription.cancel()
    assert not bus.wanted("raw")


# -- coroutine functions


class AsyncTaker:
    """An object with an async `__call__`."""

    def __init__(self, seen: list[Any]) -> None:
        self.seen = seen

    async def __call__(self, event: Any) -> None:
        await asyncio.sleep(0.01)
        self.seen.append(event.text)

    async def method(self, event: Any) -> None:
        await self(event)


def plain_async(seen: list[Any]) -> Callable[[Any], Any]:
    async def take(event: Any) -> None:
        await asyncio.sleep(0.01 if event.text == "a" else 0)
        seen.append(event.text)

    return take


async def two_arguments(seen: list[Any], event: Any) -> None:
    await asyncio.sleep(0)
    seen.append(event.text)


@pytest.mark.parametrize(
    "make",
    [
        plain_async,
        AsyncTaker,
        lambda seen: AsyncTaker(seen).method,
        lambda seen: partial(two_arguments, seen),
    ],
)
async def test_async_handlers_get_one_event_after_the_other(make: Any) -> None:
    bus, seen = EventBus(), list[Any]()
    bus.on("*", make(seen))
    for t in "abc":
        bus.publish(text(t))
    assert seen == []
    await bus.drain()
    assert seen == ["a", "b", "c"]
    bus.publish(text("d"))
    await bus.drain()
    assert seen == ["a", "b", "c", "d"]


async def test_an_async_handler_that_raises_goes_on_with_the_next() -> None:
    failures: list[Any] = []
    bus, seen = EventBus(lambda *report: failures.append(report)), list[Any]()

    async def some(event: Any) -> None:
        if event.text == "a":
            raise ValueError("no")
        seen.append(event.text)

    bus.on("*", some)
    for t in "ab":
        bus.publish(text(t))
    await bus.drain()
    assert seen == ["b"]
    assert [(h is some, e.text, str(f)) for h, e, f in failures] == [(True, "a", "no")]


async def test_an_async_handler_that_meets_a_cancelled_future_goes_on_with_the_next() -> None:
    failures: list[Any] = []
    bus, seen = EventBus(lambda *report: failures.append(report)), list[Any]()
    gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    gone.cancel()

    async def some(event: Any) -> None:
        if event.text == "a":
            await gone
        seen.append(event.text)

    bus.on("*", some)
    for t in "abc":
        bus.publish(text(t))
    await bus.drain()
    assert seen == ["b", "c"]
    assert len(failures) == 1


async def test_a_slow_handler_holds_up_nobody_else() -> None:
    bus, quick, slow = EventBus(), list[Any](), list[Any]()

    async def crawl(event: Any) -> None:
        await asyncio.sleep(10)
        slow.append(event.text)

    bus.on("*", crawl)
    bus.on("*", quick.append)
    for t in "abc":
        bus.publish(text(t))
    assert words(quick) == ["a", "b", "c"]
    await bus.drain()
    assert slow == ["a", "b", "c"]


async def test_a_handler_that_publishes_what_it_takes_keeps_the_order() -> None:
    bus, seen = EventBus(), list[Any]()

    async def echo(event: Any) -> None:
        await asyncio.sleep(0.001)
        seen.append(event.text)
        if len(event.text) < 3:
            bus.publish(text(event.text + "x"))

    bus.on("text_chunk", echo)
    bus.publish(text("a"))
    bus.publish(text("b"))
    await bus.drain()
    assert seen == ["a", "b", "ax", "bx", "axx", "bxx"]


async def test_a_handler_may_wait_for_the_others_to_be_done() -> None:
    bus, seen = EventBus(), list[Any]()

    async def last(_: Any) -> None:
        await bus.drain()
        seen.append("drained")

    async def slow(_: Any) -> None:
        await asyncio.sleep(1)
        seen.append("slow")

    bus.on("*", slow)
    bus.on("*", last)
    bus.publish(text("a"))
    await bus.drain()
    assert seen == ["slow", "drained"]


async def test_a_cancelled_async_handler_gets_nothing_that_is_still_queued_for_it() -> None:
    bus, seen = EventBus(), list[Any]()

    async def take(event: Any) -> None:
        await asyncio.sleep(1)
        seen.append(event.text)

    subscription = bus.on("*", take)
    for t in "abc":
        bus.publish(text(t))
    await asyncio.sleep(0.5)
    subscription.cancel()
    await bus.drain()
    assert seen == ["a"]


async def test_an_async_handler_for_audio_gets_nothing_but_audio() -> None:
    """What was dropped is told to those who asked for `AudioDropped`."""
    failures: list[Any] = []
    bus, sizes, drops = EventBus(lambda *report: failures.append(report)), list[Any](), list[Any]()

    async def play(event: AudioOutputChunk) -> None:
        await asyncio.sleep(0.1)
        sizes.append(len(event.audio_data))

    bus.on("audio_chunk", play, size=2)
    bus.on(AudioDropped, drops.append)
    for _ in range(5):
        bus.publish(CHUNK)
    await bus.drain()
    assert not failures
    assert sizes == [4800, 4800]
    assert [(d.chunks, d.audio_ms) for d in drops] == [(3, pytest.approx(300))]


async def test_an_async_handler_that_is_hopelessly_behind_is_let_go_and_reported() -> None:
    failures: list[Any] = []
    bus, seen = EventBus(lambda *report: failures.append(report)), list[Any]()

    async def take(event: Any) -> None:
        await asyncio.sleep(1)
        seen.append(event)

    bus.on("text_chunk", take, size=1)
    for i in range(HARD_FACTOR + 5):
        bus.publish(text(str(i)))
    await bus.drain()
    assert words(seen) == [str(i) for i in range(HARD_FACTOR)]
    assert [type(f) for _, _, f in failures] == [SlowConsumerError]
    bus.publish(text("more"))
    await bus.drain()
    assert len(seen) == HARD_FACTOR


# -- async for


async def take_all(stream: Any) -> list[Any]:
    return [event async for event in stream]


async def test_a_stream_misses_nothing_before_its_loop_begins_and_ends_on_close() -> None:
    bus = EventBus()
    bus.publish(text("before"))
    stream = bus.stream("text_chunk")
    bus.publish(text("a"))
    bus.publish(StateChanged())
    task = asyncio.ensure_future(take_all(stream))
    await asyncio.sleep(1)
    bus.publish(text("b"))
    bus.close()
    bus.publish(text("after"))
    assert words(await task) == ["a", "b"]


async def test_a_stream_gives_what_is_queued_after_the_bus_was_closed() -> None:
    bus = EventBus()
    stream = bus.stream()
    bus.publish(text("a"))
    bus.close()
    assert words(await take_all(stream)) == ["a"]
    assert await take_all(stream) == []


async def test_several_streams_get_each_event() -> None:
    bus = EventBus()
    streams = [bus.stream("text_chunk"), bus.stream(), bus.stream(TextOutput, EventType.RAW)]
    for t in "abc":
        bus.publish(text(t))
    bus.close()
    for stream in streams:
        assert words(await take_all(stream)) == ["a", "b", "c"]


async def test_a_stream_has_a_filter() -> None:
    bus = EventBus()
    stream = bus.stream("text_chunk", filter=lambda e: e.text != "b")
    for t in "abc":
        bus.publish(text(t))
    bus.close()
    assert words(await take_all(stream)) == ["a", "c"]


async def test_a_stream_may_be_closed_before_the_bus() -> None:
    bus = EventBus()
    async with bus.stream() as stream:
        bus.publish(text("a"))
    bus.publish(text("b"))
    assert words(await take_all(stream)) == ["a"]
    await stream.aclose()
    assert not bus.wanted("text_chunk")


async def test_one_who_waits_for_the_next_event_may_be_cancelled() -> None:
    bus = EventBus()
    stream = bus.stream()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await anext(stream)
    bus.publish(text("a"))
    assert (await anext(stream)).text == "a"


async def test_two_may_wait_on_one_stream() -> None:
    bus = EventBus()
    stream = bus.stream()
    takers = [asyncio.ensure_future(anext(stream)) for _ in range(2)]
    await asyncio.sleep(0.1)
    bus.publish(text("a"))
    bus.publish(text("b"))
    assert sorted(words(await asyncio.gather(*takers))) == ["a", "b"]


async def test_a_stream_of_audio_gets_nothing_but_audio() -> None:
    bus, drops = EventBus(), list[Any]()
    bus.on("audio_dropped", drops.append)
    stream = bus.stream("audio_chunk", size=2)
    for _ in range(5):
        bus.publish(CHUNK)
    bus.close()
    assert [type(e) for e in await take_all(stream)] == [AudioOutputChunk] * 2
    assert [(d.chunks, d.direction) for d in drops] == [(3, "output")]


async def test_a_stream_of_everything_is_told_of_its_own_drops_once_and_in_their_place() -> None:
    bus, drops = EventBus(), list[Any]()
    bus.on("audio_dropped", drops.append)
    stream = bus.stream(size=2)
    for _ in range(3):
        bus.publish(CHUNK)
    bus.publish(FunctionCompleted(call_id="c"))
    # The drop is told when the consumer reads on, while the bus is still open.
    got = [await anext(stream)]
    bus.close()
    got += await take_all(stream)
    assert [type(e) for e in got] == [AudioDropped, AudioOutputChunk, FunctionCompleted]
    assert got[0].chunks == 2
    assert drops == [got[0]]


async def test_a_stream_that_is_hopelessly_behind_ends_with_an_error_after_what_is_queued() -> None:
    bus = EventBus()
    stream = bus.stream(size=1)
    for i in range(HARD_FACTOR + 1):
        bus.publish(text(str(i)))
    got = [(await anext(stream)).text for _ in range(HARD_FACTOR)]
    assert got == [str(i) for i in range(HARD_FACTOR)]
    with pytest.raises(SlowConsumerError, match="fell 16 events behind"):
        await anext(stream)
    assert not bus.wanted("text_chunk")
