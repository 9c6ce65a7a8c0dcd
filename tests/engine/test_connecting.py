"""Connecting and disconnecting: in order, once, with a typed error, and without leaving anything behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.conftest import MakeEngine
from tests.engine.desk import Desk, desk
from voxengine import (
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    ConnectionState,
    ProviderError,
    SessionClosedError,
    UnknownProviderError,
    VoiceEngine,
    VoiceEngineConfig,
    register_provider,
)
from voxengine import events as ev


def watch(engine: VoiceEngine) -> list[str]:
    """The types of all events, as they come."""
    seen: list[str] = []
    engine.on("*", lambda e: seen.append(str(e.type)))
    return seen


def fail(error: BaseException) -> Callable[..., Any]:
    def hook(*_: Any) -> None:
        raise error

    return hook


async def forever(*_: Any) -> None:
    await asyncio.Event().wait()


async def test_from_one_end_to_the_other(make_engine: MakeEngine) -> None:
    kind = desk()
    engine = make_engine(kind)
    seen = watch(engine)
    assert (engine.state, engine.provider) == ("disconnected", None)
    assert not engine.is_connected
    assert await engine.connect() is True
    assert engine.is_connected
    assert engine.is_connected()
    assert engine.state == "idle"
    assert engine.connection_state.value == "connected"
    assert engine.provider is kind.made[0]
    assert seen == ["connection_starting", "connection_established", "conversation_started"]
    seen.clear()
    await engine.disconnect()
    assert seen == ["connection_closed", "conversation_ended", "state_changed"]
    assert (engine.state, bool(engine.is_connected)) == ("disconnected", False)
    assert engine.connection_state is ConnectionState.DISCONNECTED
    assert kind.made[0].order == ["connect", "disconnect"]


async def test_all_events_say_where_they_are_from_and_when(make_engine: MakeEngine) -> None:
    engine = make_engine()
    events: list[Any] = []
    engine.on("*", events.append)
    async with engine:
        await asyncio.sleep(1)
    assert {e.provider for e in events} == {"desk"}
    start = 1_750_000_000.0
    assert {e.timestamp - start for e in events} == {0.0, 1.0}


async def test_as_a_context_manager(make_engine: MakeEngine) -> None:
    kind = desk()
    engine = make_engine(kind)

    async def application() -> None:
        async with engine as same:
            assert same is engine
            assert engine.is_connected
            raise RuntimeError("of the application")

    with pytest.raises(RuntimeError, match="of the application"):
        await application()
    assert kind.made[0].closed == 1
    assert engine.state == "disconnected"


async def test_connecting_again_has_no_effect(make_engine: MakeEngine) -> None:
    kind = desk()
    async with make_engine(kind) as engine:
        assert await engine.connect() is True
    assert len(kind.made) == 1
    await engine.disconnect()
    assert kind.made[0].closed == 1


async def test_connecting_twice_at_a_time_connects_once(make_engine: MakeEngine) -> None:
    kind = desk(connect=lambda *_: asyncio.sleep(1))
    engine = make_engine(kind)
    seen = watch(engine)
    assert all(await asyncio.gather(engine.connect(), engine.connect()))
    await engine.disconnect()
    assert len(kind.made) == 1
    assert seen.count("conversation_started") == 1


async def test_disconnected_while_connecting_nothing_stays_open(make_engine: MakeEngine) -> None:
    kind = desk(connect=lambda *_: asyncio.sleep(1))
    engine = make_engine(kind)
    connecting = asyncio.ensure_future(engine.connect())
    await asyncio.sleep(0.5)
    await engine.disconnect()
    await asyncio.wait([connecting])
    assert connecting.cancelled() or connecting.exception() or connecting.result()
    assert not engine.is_connected
    assert kind.made[0].closed == 1


async def test_connected_again_it_goes_on_with_the_conversation(make_engine: MakeEngine) -> None:
    kind = desk(send_text=lambda p, *_: p.answer("hello"))
    engine = make_engine(kind)
    seen: list[Any] = []
    engine.on("text_chunk", seen.append)
    for n in (1, 2):
        async with engine:
            await engine.send_text(f"hi {n}")
            await asyncio.sleep(1)
    assert len(seen) == 2
    first, second = kind.made
    assert first.history == []
    assert [(i.role, i.text) for i in second.history] == [("user", "hi 1"), ("assistant", "hello")]
    assert [i.text for i in engine.conversation] == ["hi 1", "hello", "hi 2", "hello"]


async def test_disconnecting_may_be_done_again_and_at_any_time(make_engine: MakeEngine) -> None:
    engine = make_engine()
    await engine.disconnect()
    async with engine:
        await engine.disconnect()
        await engine.disconnect()
    with pytest.raises(SessionClosedError):
        await engine.send_text("hi")


async def test_several_may_disconnect_at_a_time(make_engine: MakeEngine) -> None:
    kind = desk(disconnect=lambda *_: asyncio.sleep(1))
    engine = make_engine(kind)
    await engine.connect()
    await asyncio.gather(engine.disconnect(), engine.disconnect())
    assert kind.made[0].closed == 1


async def test_the_reason_is_told(make_engine: MakeEngine) -> None:
    engine = make_engine()
    ended: list[Any] = []
    engine.on(ev.ConversationEnded, ended.append)
    await engine.connect()
    await engine.disconnect("caller hung up")
    assert [e.reason for e in ended] == ["caller hung up"]
    assert ended[0].conversation_id == engine.conversation.id


# -- when it fails

FAILURES: list[tuple[BaseException, type[Exception], str]] = [
    (ConnectionRefusedError(111, "refused"), ConnectionError, "refused"),
    (OSError(113, "no route to host"), ConnectionError, "connection"),
    (TimeoutError(), ConnectionError, "timeout"),
    (RuntimeError("a bug"), ConnectionError, "connection"),
    (AuthenticationError("wrong key"), AuthenticationError, "auth"),
    (ProviderError("busy", code="rate_limit"), ProviderError, "rate_limit"),
    (ConfigurationError("no endpoint"), ConfigurationError, "configuration"),
]


@pytest.mark.parametrize(
    ("error", "kind_of_error", "code"), FAILURES, ids=[type(e).__name__ for e, _, _ in FAILURES]
)
async def test_a_failure_is_typed_told_and_leaves_nothing(
    make_engine: MakeEngine, error: BaseException, kind_of_error: type[Exception], code: str
) -> None:
    kind = desk(connect=fail(error))
    engine = make_engine(kind)
    failed: list[Any] = []
    seen = watch(engine)
    engine.on("connection_failed", failed.append)
    with pytest.raises(kind_of_error) as caught:
        await engine.connect()
    if isinstance(caught.value, ProviderError):
        assert (caught.value.provider, caught.value.code) == ("desk", code)
    assert caught.value is error or caught.value.__cause__ is error
    assert [(e.code, bool(e.error)) for e in failed] == [(code, True)]
    assert seen == ["connection_starting", "connection_failed"]
    assert engine.state == "disconnected"
    assert kind.made[0].closed == 1
    with pytest.raises(SessionClosedError):
        await engine.send_audio(b"\0\0")


async def test_after_a_failure_one_may_try_again(make_engine: MakeEngine) -> None:
    errors = [OSError("down"), None]

    def connect(*_: Any) -> None:
        error = errors.pop(0)
        if error is not None:
            raise error

    kind = desk(connect=connect)
    engine = make_engine(kind)
    with pytest.raises(ConnectionError):
        await engine.connect()
    async with engine:
        assert engine.is_connected
    assert len(kind.made) == 2


async def test_a_provider_that_says_no(make_engine: MakeEngine) -> None:
    engine = make_engine(desk(connect=lambda *_: False))
    with pytest.raises(ConnectionError, match="did not connect"):
        await engine.connect()


async def test_a_provider_that_never_answers(make_engine: MakeEngine) -> None:
    kind = desk(connect=forever)
    engine = make_engine(kind, connect_timeout=3.0)
    with pytest.raises(ConnectionError, match="within 3 s") as caught:
        await engine.connect()
    assert (caught.value.code, caught.value.retryable) == ("timeout", True)
    assert asyncio.get_running_loop().time() == 3.0
    assert kind.made[0].closed == 1


async def test_a_provider_that_never_takes_the_history(make_engine: MakeEngine) -> None:
    kind = desk(send_text=lambda p, *_: p.answer("hello"), add_conversation_history=forever)
    engine = make_engine(kind, connect_timeout=3.0)
    async with engine:
        await engine.send_text("hi")
        await asyncio.sleep(1)
    with pytest.raises(ConnectionError) as caught:
        await engine.connect()
    assert caught.value.code == "timeout"
    assert kind.made[1].closed == 1


async def test_a_provider_that_is_lost_while_connecting(make_engine: MakeEngine) -> None:
    def flap(provider: Desk) -> None:
        provider.emit(ev.ConnectionEstablished(**provider.meta()))
        provider.lose()

    kind = desk(connect=flap)
    engine = make_engine(kind)
    with pytest.raises(ConnectionError, match="cable cut") as caught:
        await engine.connect()
    assert caught.value.code == "closed"
    assert not engine.is_connected
    assert kind.made[0].closed == 1


async def test_one_who_stops_waiting_leaves_nothing(make_engine: MakeEngine) -> None:
    kind = desk(connect=forever)
    engine = make_engine(kind)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await engine.connect()
    assert kind.made[0].closed == 1
    assert engine.state == "disconnected"


async def test_a_provider_that_cannot_be_made(make_engine: MakeEngine) -> None:
    engine = VoiceEngine(VoiceEngineConfig(provider="desc"))
    register_provider("desk", desk())
    with pytest.raises(UnknownProviderError, match="Did you mean 'desk'"):
        await engine.connect()

    def broken(config: Any) -> Desk:
        return config["metadata"]["endpoint"]  # type: ignore[no-any-return]

    register_provider("broken", broken)
    engine = VoiceEngine(VoiceEngineConfig(provider="broken"))
    with pytest.raises(ConfigurationError, match=r"'broken'.*endpoint"):
        await engine.connect()


async def test_a_provider_that_cannot_be_closed_is_told_of(make_engine: MakeEngine) -> None:
    engine = make_engine(desk(disconnect=fail(RuntimeError("stuck"))))
    warnings: list[Any] = []
    engine.on("warning", warnings.append)
    await engine.connect()
    await engine.disconnect()
    assert [w.code for w in warnings] == ["close_failed"]
    assert "stuck" in warnings[0].message


async def test_a_provider_that_never_closes_is_left(make_engine: MakeEngine) -> None:
    engine = make_engine(desk(disconnect=forever))
    seen = watch(engine)
    await engine.connect()
    await engine.disconnect()
    assert asyncio.get_running_loop().time() == 5.0
    assert "conversation_ended" in seen


async def test_a_provider_that_talks_while_it_is_being_closed_harms_nobody(
    make_engine: MakeEngine,
) -> None:
    async def talk(provider: Desk) -> None:
        provider.answer("one more thing")
        await asyncio.sleep(0.1)
        provider.lose()

    engine = make_engine(desk(disconnect=talk))
    seen = watch(engine)
    errors: list[Any] = []
    engine.on("error", errors.append)
    await engine.connect()
    await engine.send_text("hi")
    await engine.interrupt()
    await engine.disconnect()
    assert not errors
    assert "warning" not in seen
    assert seen.count("conversation_ended") == 1


# -- handlers


async def test_a_handler_that_raises_is_told_and_the_conversation_goes_on(
    make_engine: MakeEngine,
) -> None:
    engine = make_engine(desk(send_text=lambda p, *_: p.answer("hello")))
    errors: list[Any] = []
    seen: list[Any] = []
    engine.on("text_chunk", lambda _: 1 // 0)
    engine.on("text_chunk", seen.append)
    engine.on("error", errors.append)
    async with engine:
        await engine.send_text("hi")
        await engine.send_text("again")
    assert len(seen) == 2
    assert [(e.code, type(e.exception)) for e in errors] == [("handler", ZeroDivisionError)] * 2
    assert "text_chunk raised ZeroDivisionError" in errors[0].error


async def test_a_handler_of_errors_that_raises_does_not_go_round_in_circles(
    make_engine: MakeEngine,
) -> None:
    engine = make_engine(desk(send_text=lambda p, *_: p.answer("hello")))
    errors: list[Any] = []
    engine.on("text_chunk", lambda _: 1 // 0)
    engine.on("error", lambda _: 1 // 0)
    engine.on("error", errors.append)
    async with engine:
        await engine.send_text("hi")
    assert len(errors) == 1


async def test_a_handler_may_end_the_conversation(make_engine: MakeEngine) -> None:
    kind = desk(send_text=lambda p, *_: p.answer("goodbye"))
    engine = make_engine(kind)

    async def hang_up(event: Any) -> None:
        await engine.disconnect("goodbye")

    engine.on("text_chunk", hang_up)
    await engine.connect()
    stream = engine.events()
    await engine.send_text("bye")
    async with asyncio.timeout(10):
        kinds = [event.type async for event in stream]
    assert kinds[-2:] == ["conversation_ended", "state_changed"]
    assert kind.made[0].closed == 1


async def test_disconnecting_waits_for_handlers_but_not_for_ever(make_engine: MakeEngine) -> None:
    engine = make_engine()
    done: list[str] = []

    async def slow(event: Any) -> None:
        await asyncio.sleep(1)
        done.append(event.type)

    engine.on("conversation_*", slow)
    engine.on("conversation_ended", forever)
    async with engine:
        pass
    assert done == ["conversation_started", "conversation_ended"]
    assert asyncio.get_running_loop().time() < 60


async def test_events_end_when_the_engine_is_disconnected(make_engine: MakeEngine) -> None:
    engine = make_engine()
    stream = engine.events("conversation_*")
    async with engine:
        pass
    assert [e.type async for e in stream] == ["conversation_started", "conversation_ended"]
    # And begin anew for the next conversation.
    stream = engine.events("conversation_*")
    async with engine:
        pass
    assert [e.type async for e in stream] == ["conversation_started", "conversation_ended"]


async def test_a_decorator_and_a_subscription(make_engine: MakeEngine) -> None:
    engine = make_engine(desk(send_text=lambda p, *_: p.answer("hello")))
    texts: list[str] = []

    @engine.on(ev.TextOutput, filter=lambda e: bool(e.text))
    def take(event: ev.TextOutput) -> None:
        texts.append(event.text)

    once = engine.on("text_chunk", lambda e: texts.append("once"), once=True)
    gone = engine.on("text_chunk", lambda e: texts.append("never"))
    gone.cancel()
    async with engine:
        await engine.send_text("hi")
        await engine.send_text("hi")
    assert texts == ["hello", "once", "hello"]
    assert not once.active
