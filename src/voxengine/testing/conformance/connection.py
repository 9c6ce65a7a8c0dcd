"""Checks of opening and closing."""

from __future__ import annotations

import asyncio

from voxengine.events import (
    AudioOutputChunk,
    ConnectionClosed,
    ConnectionEstablished,
    ProviderEvent,
    ResponseStarted,
    TextOutput,
)
from voxengine.providers.base import ConnectionState
from voxengine.testing.conformance.case import Case, of
from voxengine.testing.conformance.checks import check, expect
from voxengine.testing.conformance.laws import nothing_after_closed, responses_end_once
from voxengine.testing.leaks import settle, waiting_at


@check()
async def connects_once(case: Case) -> None:
    """connect() leads to CONNECTION_ESTABLISHED, exactly once, and to the state "connected"."""
    provider = case.create()
    expect(provider.state == ConnectionState.DISCONNECTED, f"a new provider is {provider.state}")
    expect(not provider.is_connected, "a new provider says that it is connected")
    result = await case.within(provider.connect(), "connect()")
    expect(result is not False, "connect() returned False instead of raising")
    await case.quiet()
    established = of(case.events, ConnectionEstablished)
    expect(len(established) == 1, f"CONNECTION_ESTABLISHED came {len(established)} times")
    expect(provider.state == ConnectionState.CONNECTED, f"a connected provider is {provider.state}")
    expect(provider.is_connected, "is_connected, read, is not true")
    expect(provider.is_connected() is True, "is_connected(), called, is not True")


@check()
async def refuses_before_connect(case: Case) -> None:
    """What is sent before connect() is refused with a typed error."""
    provider = case.create()
    await case.refused(provider.send_text("Hello"), "send_text() before connect()")
    frame = bytes(provider.get_audio_format().n_bytes(20))
    await case.refused(provider.send_audio(frame), "send_audio() before connect()")


@check()
async def disconnects_at_any_time(case: Case) -> None:
    """disconnect() may come before connect(), in a response, and again; it ends with one CONNECTION_CLOSED."""
    await case.within(case.create().disconnect(), "disconnect() before connect()")
    case.events.clear()
    provider = await case.open()
    await case.provoke(provider, case.scenario.long)
    await case.wait_for(ResponseStarted)
    for _ in range(2):
        await case.within(provider.disconnect(), "disconnect()")
    await case.quiet()
    closed = of(case.events, ConnectionClosed)
    expect(len(closed) == 1, f"CONNECTION_CLOSED came {len(closed)} times")
    expect(
        provider.state == ConnectionState.DISCONNECTED, f"after disconnect() it is {provider.state}"
    )
    expect(not provider.is_connected, "after disconnect() it says that it is connected")
    responses_end_once(case.events)


@check()
async def silent_after_disconnect(case: Case) -> None:
    """After disconnect() no event comes, and what is sent is refused."""
    provider = await case.open()
    await case.provoke(provider, case.scenario.long)
    await case.wait_for(TextOutput)
    await case.within(provider.disconnect(), "disconnect()")
    told = len(case.events)
    await case.quiet(2.0)
    late = [str(e.type) for e in case.events[told:]]
    expect(not late, f"after disconnect() had returned came {', '.join(late)}")
    nothing_after_closed(case.events)
    await case.refused(provider.send_text("Hello"), "send_text() after disconnect()")


@check()
async def stream_of_events_ends(case: Case) -> None:
    """`async for event in events()` gives the events in order, and ends when the provider is disconnected."""
    provider = case.create()
    provider.on_event = None
    await case.within(provider.connect(), "connect()")
    seen: list[ProviderEvent] = []
    words = asyncio.Event()

    async def read() -> None:
        async for event in provider.events():
            seen.append(event)
            if isinstance(event, TextOutput):
                words.set()

    reader = asyncio.ensure_future(read())
    try:
        await case.provoke(provider, case.scenario.hello)
        await case.within(words.wait(), "the first TEXT_OUTPUT from events()")
        await case.within(provider.disconnect(), "disconnect()")
        await case.within(reader, "the end of events()")
    finally:
        reader.cancel()
    expect(of(seen, ConnectionEstablished), "events() did not give what came before it was read")
    expect(isinstance(seen[-1], ConnectionClosed), f"the last event of events() is {seen[-1].type}")


@check()
async def leaves_no_tasks(case: Case) -> None:
    """After disconnect() no task of the provider is left."""
    before = asyncio.all_tasks()
    provider = await case.open()
    await case.ask(provider, case.scenario.hello)
    await case.provoke(provider, case.scenario.long)
    await case.wait_for(AudioOutputChunk if provider.capabilities.audio_output else TextOutput)
    await case.within(provider.disconnect(), "disconnect()")
    await settle()
    await case.quiet()
    left = [waiting_at(task) for task in asyncio.all_tasks() - before]
    expect(not left, f"tasks were left: {'; '.join(left)}")


@check()
async def two_do_not_mix(case: Case) -> None:
    """Two connections at once are two conversations: each is answered once, and no id is used by both."""
    cases = (case.another(), case.another())
    providers = [await c.open() for c in cases]
    await asyncio.gather(
        *(c.provoke(p, case.scenario.hello) for c, p in zip(cases, providers, strict=True))
    )
    for one in cases:
        await one.end_of_response()
        await one.quiet()
        n = len(of(one.events, ResponseStarted))
        expect(n == 1, f"of two connections, one began {n} responses to one text")
    records = [one.events for one in cases]
    ids = [
        {getattr(e, "item_id", None) for e in r} | {getattr(e, "response_id", None) for e in r}
        for r in records
    ]
    common = ids[0] & ids[1] - {None}
    expect(not common, f"two connections used the same ids: {', '.join(map(str, common))}")
