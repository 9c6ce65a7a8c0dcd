"""Subscription and routing of events.

`EventBus.publish` calls the handlers of an event one after the other, on the event loop, before it returns: between the
provider and a plain function there is no task and no queue. A handler that is a coroutine function, and every `async
for`, has a bounded queue of its own (see `voxengine.events.queue` for what happens at the bound). Each consumer gets
each event once, in the order in which they were published, also when a handler publishes while another is running.
"""

from __future__ import annotations

import asyncio
import fnmatch
import inspect
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, TypeAlias, TypeVar, overload

from voxengine.errors import ConfigurationError, SlowConsumerError
from voxengine.events.kinds import EventType
from voxengine.events.queue import DEFAULT_SIZE, EventQueue
from voxengine.events.types import AudioDropped, ProviderEvent, TypedEvent

__all__ = ["EventBus", "EventStream", "Handler", "Selector", "Subscription"]

logger = logging.getLogger("voxengine.events")

#: What to subscribe to: a type, its string, a pattern ("audio_*", "function.*", "*"), or a class of events.
Selector: TypeAlias = "EventType | str | type[ProviderEvent]"
#: A function, or a coroutine function, of one event.
Handler: TypeAlias = Callable[[Any], Any]
Filter: TypeAlias = Callable[[Any], bool]

_H = TypeVar("_H", bound=Handler)


def matcher(selector: Selector) -> Callable[[str], bool]:
    """A test of event types for a selector.

    A pattern is matched against both the value of a type ("text_chunk") and the name of its member ("text_output");
    dots and underscores are the same, and so are upper and lower case.

    Raises:
        ConfigurationError: the selector is of another kind.
    """
    if isinstance(selector, type):
        return _class_matcher(selector)
    if not isinstance(selector, str):
        raise ConfigurationError(
            f"subscribe with an EventType, a string or an event class, not {selector!r}"
        )
    if selector == "*":
        return lambda _: True
    if isinstance(selector, EventType):
        return lambda t: t == selector
    text = selector.lower().replace(".", "_")
    if any(c in text for c in "*?["):
        return lambda t: (
            fnmatch.fnmatchcase(str(t).lower().replace(".", "_"), text)
            or fnmatch.fnmatchcase(_member_name(t), text)
        )
    # A custom type has no member; its exact string is compared too.
    return lambda t: t == selector or _member_name(t) == text or str(t) == text


def _member_name(value: str) -> str:
    try:
        return EventType(value).name.lower()
    except ValueError:
        return ""


def _class_matcher(cls: type[Any]) -> Callable[[str], bool]:
    if not issubclass(cls, ProviderEvent):
        raise ConfigurationError(f"{cls.__name__} is not a class of events")
    if cls is ProviderEvent:
        return lambda _: True
    if cls is TypedEvent:
        return lambda t: _member_name(t) != ""
    wanted = cls().type  # type: ignore[call-arg]
    return lambda t: t == wanted


#: Who gets the events of a type, in order: the handler is the subscription's own where nothing stands between.
_Route: TypeAlias = "tuple[tuple[Subscription, Callable[[ProviderEvent], None]], ...]"


class Subscription:
    """A consumer of the bus. Call `cancel` to end it; it may be used as a context manager."""

    def __init__(
        self,
        bus: EventBus,
        selectors: tuple[Selector, ...],
        call: Callable[[ProviderEvent], None],
        filter: Filter | None,
        once: bool,
    ) -> None:
        self._bus = bus
        self._tests = [matcher(s) for s in selectors or ("*",)]
        self._call = call
        self._filter = filter
        self._once = once
        self.active = True
        #: Called when the consumer does not want anything any more, not even what is queued for it.
        self.on_cancel: Callable[[], None] | None = None

    def wants(self, type: str) -> bool:
        """Whether events of this type are subscribed to."""
        return any(test(type) for test in self._tests)

    def deliver(self, event: ProviderEvent) -> None:
        """Pass one event on, unless the filter says no."""
        if not self.active or (self._filter is not None and not self._filter(event)):
            return
        if self._once:
            self._end()
        self._call(event)

    @property
    def direct(self) -> Callable[[ProviderEvent], None] | None:
        """The handler itself where nothing stands between it and the event."""
        return self._call if self._filter is None and not self._once else None

    def cancel(self) -> None:
        """End the subscription: no event reaches it any more. May be called again."""
        self._end()
        if self.on_cancel is not None:
            self.on_cancel()

    def _end(self) -> None:
        self.active = False
        self._bus._remove(self)

    def tell_drop(self, report: AudioDropped) -> bool:
        """Tell all others of audio that this consumer lost; True if it wants to know of it itself."""
        self._bus.publish(report)
        return self.wants(report.type) and (self._filter is None or bool(self._filter(report)))

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()


class EventStream(AsyncIterator[Any]):
    """The `async for` over events. Subscribed from the moment it is made, so nothing is missed before the loop."""

    def __init__(
        self, bus: EventBus, selectors: tuple[Selector, ...], filter: Filter | None, size: int
    ) -> None:
        self._queue = EventQueue(size)
        self._subscription = bus._add(selectors, self._queue.put, filter, once=False)
        self._queue.tell_drop = self._subscription.tell_drop
        bus._streams.append(self)
        self._bus = bus

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._queue.get()
        except SlowConsumerError:
            self.close()
            raise

    def close(self) -> None:
        """End the stream; what is queued can still be read."""
        self._subscription.cancel()
        self._queue.close()
        if self in self._bus._streams:
            self._bus._streams.remove(self)

    async def aclose(self) -> None:
        """As `close`."""
        self.close()

    async def __aenter__(self) -> EventStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


class _AsyncHandler:
    """Runs a coroutine function for one event after the other, from a bounded queue."""

    def __init__(self, bus: EventBus, function: Callable[[Any], Awaitable[Any]], size: int) -> None:
        self._bus = bus
        self._function = function
        self._queue = EventQueue(size)
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[None] | None = None

    def subscribed(self, subscription: Subscription) -> None:
        """What it is subscribed by is known only after it was made."""
        self._subscription = subscription
        self._queue.tell_drop = subscription.tell_drop
        subscription.on_cancel = self._queue.clear

    def __call__(self, event: ProviderEvent) -> None:
        if self._queue.closed:
            return
        self._queue.put(event)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._drain())
            self._bus._tasks.add(self._task)

    async def _drain(self) -> None:
        # The task lives while there is work, so an idle handler costs nothing and nothing is left to clean up.
        task, queue = self._task, self._queue
        try:
            while len(queue):
                event = queue.get_nowait()
                try:
                    await self._function(event)
                except asyncio.CancelledError as failure:
                    # Of something that the handler waited for, unless it is ours.
                    if task is None or task.cancelling():
                        raise
                    self._bus._handler_failed(self._function, event, failure)
                except Exception as failure:
                    self._bus._handler_failed(self._function, event, failure)
                if queue.closed and not len(queue) and self._subscription is not None:
                    self._subscription.cancel()
                    self._bus._handler_failed(self._function, event, queue.failure())
        finally:
            self._task = None
            if task is not None:
                self._bus._tasks.discard(task)


class EventBus:
    """Routes events to those who asked for them.

    `on_handler_error(handler, event, exception)` is told of a handler that raised; the others get the event all the
    same. Without it such an exception is logged.
    """

    def __init__(
        self,
        on_handler_error: Callable[[Handler, ProviderEvent, BaseException], None] | None = None,
    ) -> None:
        self._subscriptions: list[Subscription] = []
        self._routes: dict[str, _Route] = {}
        self._streams: list[EventStream] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._pending: deque[ProviderEvent] = deque()
        self._publishing = False
        self._on_handler_error = on_handler_error

    @overload
    def on(
        self,
        selector: Selector | Iterable[Selector],
        handler: Handler,
        *,
        filter: Filter | None = None,
        once: bool = False,
        size: int = DEFAULT_SIZE,
    ) -> Subscription: ...

    @overload
    def on(
        self,
        selector: Selector | Iterable[Selector],
        handler: None = None,
        *,
        filter: Filter | None = None,
        once: bool = False,
        size: int = DEFAULT_SIZE,
    ) -> Callable[[_H], _H]: ...

    def on(
        self,
        selector: Selector | Iterable[Selector],
        handler: Handler | None = None,
        *,
        filter: Filter | None = None,
        once: bool = False,
        size: int = DEFAULT_SIZE,
    ) -> Any:
        """Call `handler` with each event that the selector names and the filter lets through.

        Returns the `Subscription`; without a handler, a decorator. A plain function is called on the spot and should
        be quick; a coroutine function is run from a queue of `size` events.
        """
        selectors = (selector,) if isinstance(selector, (str, type)) else tuple(selector)
        if not selectors:
            raise ConfigurationError('no selector subscribes to nothing; "*" is for all events')
        if handler is not None:
            return self._add(selectors, self._callable(handler, size), filter, once)

        def decorate(function: _H) -> _H:
            self._add(selectors, self._callable(function, size), filter, once)
            return function

        return decorate

    def stream(
        self, *selectors: Selector, filter: Filter | None = None, size: int = DEFAULT_SIZE
    ) -> EventStream:
        """An `async for` over the events that any of the selectors names (all events without one)."""
        return EventStream(self, selectors, filter, size)

    def wanted(self, type: str) -> bool:
        """Whether anybody would get an event of this type: what nobody wants need not be made."""
        return bool(self._route(type))

    def publish(self, event: ProviderEvent) -> None:
        """Deliver an event to all its consumers, in order."""
        if self._publishing:
            self._pending.append(event)
            return
        if self._pending:  # left over from a handler that was broken off
            self._pending.append(event)
            event = self._pending.popleft()
        self._publishing = True
        try:
            while True:
                route = self._routes.get(event.type)
                if route is None:
                    route = self._route(event.type)
                for subscription, handler in route:
                    if not subscription.active:
                        continue  # cancelled by one before it
                    try:
                        handler(event)
                    except (Exception, asyncio.CancelledError) as failure:
                        self._handler_failed(handler, event, failure)
                if not self._pending:
                    return
                event = self._pending.popleft()
        finally:
            self._publishing = False

    async def drain(self, budget: float | None = None) -> None:
        """Wait until coroutine handlers have worked off what is queued for them.

        With a budget (seconds), those that then still do not end are cancelled.
        """
        current = asyncio.current_task()
        loop = asyncio.get_running_loop()
        end = None if budget is None else loop.time() + budget
        while tasks := [t for t in self._tasks if t is not current]:
            left = None if end is None else max(0.0, end - loop.time())
            done, late = await asyncio.wait(tasks, timeout=left)
            if not done:
                logger.error(
                    "%d handlers did not end within %g s and were cancelled", len(late), budget
                )
                for task in late:
                    task.cancel()
                await asyncio.wait(late, timeout=1.0)
                return

    def close(self) -> None:
        """End every `async for`: each still gets what is queued for it."""
        for stream in list(self._streams):
            stream.close()

    # -- inside

    def _callable(self, handler: Handler, size: int) -> Callable[[ProviderEvent], None]:
        if not callable(handler):
            raise ConfigurationError(f"a handler is a function of one event, not {handler!r}")
        call = getattr(handler, "__call__", None)  # noqa: B004 - an object with an async __call__ is a handler too
        if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(call):
            return _AsyncHandler(self, handler, size)
        return handler

    def _add(
        self,
        selectors: tuple[Selector, ...],
        call: Callable[[ProviderEvent], None],
        filter: Filter | None,
        once: bool,
    ) -> Subscription:
        subscription = Subscription(self, selectors, call, filter, once)
        if isinstance(call, _AsyncHandler):
            call.subscribed(subscription)
        self._subscriptions.append(subscription)
        self._routes.clear()
        return subscription

    def _remove(self, subscription: Subscription) -> None:
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
            self._routes.clear()

    def _route(self, type: str) -> _Route:
        route = self._routes.get(type)
        if route is None:
            route = tuple((s, s.direct or s.deliver) for s in self._subscriptions if s.wants(type))
            self._routes[type] = route
        return route

    def _handler_failed(
        self, handler: Handler, event: ProviderEvent, failure: BaseException
    ) -> None:
        if self._on_handler_error is not None:
            self._on_handler_error(handler, event, failure)
        else:
            logger.error("handler %r failed on %s", handler, event.type, exc_info=failure)
