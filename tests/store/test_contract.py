"""What every store has to do, whatever is behind it."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from voxengine.conversation import Item, Span
from voxengine.session.ledger import LegUsage
from voxengine.store import (
    AddEvent,
    ClearItems,
    DropItem,
    PutCall,
    PutItem,
    PutUsage,
    SessionStore,
    StoredCall,
    StoreError,
)
from voxengine.testing.clock import EPOCH

Stores = Any


def call(n: int = 1, **values: Any) -> StoredCall:
    return StoredCall(
        **{
            "id": f"call_{n}",
            "session_hash": f"hash{n}",
            "key_id": "key_a",
            "route": "support",
            "provider": "mock",
            "wire": "websocket",
            "started_at": EPOCH + n,
            "settings": {"voice": "ash", "turn_options": {"threshold": 0.5}},
            **values,
        }
    )


def said(id: str, text: str = "", **values: Any) -> Item:
    return Item(id=id, text=text or f"words of {id}", status="completed", **values)


async def texts(store: SessionStore, call_id: str = "call_1") -> list[str]:
    found = await store.load(call_id)
    assert found is not None
    return [item.id for item in found.items]


async def test_a_call_comes_back_as_it_was_begun(stores: Stores) -> None:
    async with stores() as store:
        await store.begin_call(call(session={"voice": "ash", "instructions": "“Grüße” 🙂"}))
        for found in (await store.get("call_1"), await store.by_session("hash1")):
            assert found == call(
                session={"voice": "ash", "instructions": "“Grüße” 🙂"}, seen_at=EPOCH, status="live"
            )
        assert await store.get("call_2") is None
        assert await store.by_session("hash2") is None
        assert await store.load("call_2") is None
        assert await store.events("call_2") == []


async def test_items_come_back_whole_and_in_their_order(stores: Stores) -> None:
    first = said("a", audio_ms=1200.5, created_at=EPOCH, provider="mock")
    cut = Item(
        id="b",
        role="assistant",
        text="What was heard",
        unheard_text=" and what was not",
        status="incomplete",
        audio_ms=900,
        heard_ms=420.25,
        response_id="resp_1",
        turn_id="a",
        spans=[Span(0, 0.0, 300.0), Span(5, 300.0)],
    )
    tool = Item(
        id="c", kind="function_call", role="assistant", call_id="x", name="f", arguments='{"a":"é"}'
    )
    async with stores() as store:
        await store.begin_call(call())
        _ = store.write("call_1", PutItem(first, 1.0), PutItem(tool, 3.0))
        await store.write("call_1", PutItem(cut, 2.0))
        found = await store.load("call_1")
        assert found is not None
        assert found.items == (first, cut, tool)
        _ = store.write("call_1", PutItem(first, 9.0), PutItem(said("d"), 2.5))
        assert await texts(store) == ["b", "d", "c", "a"]
        _ = store.write("call_1", DropItem("c"), DropItem("never there"))
        assert await texts(store) == ["b", "d", "a"]
        _ = store.write("call_1", ClearItems(), PutItem(said("z"), 1.0))
        assert await texts(store) == ["z"]


async def test_what_is_read_is_not_what_is_kept(stores: Stores) -> None:
    async with stores() as store:
        await store.begin_call(call())
        await store.write("call_1", PutItem(said("a", "kept"), 1.0))
        found = await store.load("call_1")
        assert found is not None
        found.items[0].cut(0)
        again = await store.load("call_1")
        assert again is not None
        assert again.items[0].text == "kept"


async def test_usage_is_counted_by_leg_and_by_part(stores: Stores) -> None:
    async with stores() as store:
        await store.begin_call(call())
        assert (await found_call(store)).cost is None
        _ = store.write(
            "call_1", PutUsage(LegUsage("openai", "gpt-realtime", responses=1, cost=0.5))
        )
        _ = store.write(
            "call_1", PutUsage(LegUsage("openai", "gpt-realtime", responses=2, cost=0.75))
        )
        _ = store.write("call_1", PutUsage(LegUsage("local", "whisper", cost=0.0)))
        assert (await found_call(store)).cost == 0.75
        _ = store.begin_call(call())
        _ = store.write(
            "call_1", PutUsage(LegUsage("openai", "gpt-realtime", responses=1, cost=0.25))
        )
        found = await store.load("call_1")
        assert found is not None
        assert found.call.cost == 1.0
        assert found.call.parts == 2
        rows = {(u.part, u.leg.provider, u.leg.responses) for u in found.usage}
        assert rows == {(1, "openai", 2), (1, "local", 0), (2, "openai", 1)}
        _ = store.write("call_1", PutUsage(LegUsage("xai", "unpriced", cost=None)))
        assert (await found_call(store)).cost is None


async def found_call(store: SessionStore, call_id: str = "call_1") -> StoredCall:
    found = await store.get(call_id)
    assert found is not None
    return found


async def test_events_are_numbered_paged_and_bounded(stores: Stores) -> None:
    async with stores(events=5) as store:
        await store.begin_call(call())
        await store.begin_call(call(2))
        _ = store.write("call_2", AddEvent(1.5, "other", {"of": "another call"}))
        for n in range(1, 8):
            _ = store.write(
                "call_1", AddEvent(float(n), "tick", {"n": n, "what": ValueError("as text")})
            )
        found = await store.events("call_1")
        assert [event.seq for event in found] == [3, 4, 5, 6, 7]
        assert found[0].at == 3.0
        assert found[0].data == {"n": 3, "what": "as text"}
        assert [e.seq for e in await store.events("call_1", after=4, limit=2)] == [5, 6]
        assert [(e.seq, e.type) for e in await store.events("call_2")] == [(1, "other")]


async def test_a_call_changes_and_ends(stores: Stores) -> None:
    async with stores() as store:
        await store.begin_call(call())
        _ = store.write("call_1", PutCall(provider="openai", session={"voice": "sage"}))
        _ = store.write("call_1", PutCall(settings={"voice": "verse"}))
        _ = store.end_call("call_1", at=EPOCH + 60, reason="hung up")
        found = await found_call(store)
        assert found == msgspec.structs.replace(
            call(),
            provider="openai",
            session={"voice": "sage"},
            settings={"voice": "verse"},
            status="ended",
            ended_at=EPOCH + 60,
            seen_at=EPOCH + 60,
            reason="hung up",
        )


async def test_a_call_that_is_begun_again_goes_on(stores: Stores) -> None:
    async with stores() as store:
        await store.begin_call(call())
        _ = store.write("call_1", PutItem(said("a"), 1.0), AddEvent(1.0, "first"))
        _ = store.end_call("call_1", at=EPOCH + 9, reason="lost")
        _ = store.begin_call(call(wire="webrtc", started_at=EPOCH + 99))
        _ = store.write("call_1", AddEvent(2.0, "second"))
        found = await found_call(store)
        assert (found.status, found.ended_at, found.reason) == ("live", None, "")
        assert (found.wire, found.parts, found.started_at) == ("webrtc", 2, EPOCH + 1)
        assert await texts(store) == ["a"]
        assert [e.seq for e in await store.events("call_1")] == [1, 2]


async def test_a_beat_is_a_sign_of_life_of_all_live_calls(stores: Stores) -> None:
    async with stores() as store:
        await store.begin_call(call(1))
        await store.begin_call(call(2))
        await store.end_call("call_2", at=EPOCH + 2)
        await store.beat(EPOCH + 5)
        assert (await found_call(store, "call_1")).seen_at == EPOCH + 5
        assert (await found_call(store, "call_2")).seen_at == EPOCH + 2
        assert await store.close_abandoned(EPOCH + 1000) == 0, "its own calls are not abandoned"


async def test_calls_are_listed_by_page_the_latest_first(stores: Stores) -> None:
    async with stores() as store:
        for n in range(7):
            _ = store.begin_call(
                call(n, started_at=EPOCH + n // 2, key_id=f"key_{n % 2}", route=f"route_{n % 3}")
            )
        await store.end_call("call_3", at=EPOCH + 50)
        pages, cursor = [], None
        while page := await store.list(limit=3, cursor=cursor):
            pages.append([c.id for c in page])
            cursor = page[-1].cursor
        assert pages == [["call_6", "call_5", "call_4"], ["call_3", "call_2", "call_1"], ["call_0"]]

        async def ids(**wanted: Any) -> list[str]:
            return [c.id for c in await store.list(**wanted)]

        assert await ids(status="ended") == ["call_3"]
        assert await ids(key_id="key_1") == ["call_5", "call_3", "call_1"]
        assert await ids(key_id="key_1", route="route_2", status="live") == ["call_5"]
        with pytest.raises(StoreError) as refused:
            await store.list(cursor="' OR 1=1 --")
        assert refused.value.code == "bad_value"


async def test_deleted_is_gone_and_stays_gone(stores: Stores) -> None:
    async with stores() as store:
        await store.begin_call(call())
        await store.write(
            "call_1", PutItem(said("a"), 1.0), AddEvent(1.0, "x"), PutUsage(LegUsage("p"))
        )
        assert await store.delete("call_1")
        assert not await store.delete("call_1")
        # It may still be going on; what it has to say is not kept.
        _ = store.write(
            "call_1", PutItem(said("b"), 2.0), AddEvent(2.0, "y"), PutCall(provider="z")
        )
        await store.end_call("call_1", at=EPOCH)
        assert await store.get("call_1") is None
        assert await store.load("call_1") is None
        assert await store.events("call_1") == []
        await store.begin_call(call())
        assert await texts(store) == []
        assert await store.events("call_1") == []


async def test_purge_removes_what_ended_before(stores: Stores) -> None:
    async with stores() as store:
        for n in range(6):
            _ = store.begin_call(call(n))
            if n != 2:
                _ = store.end_call(f"call_{n}", at=EPOCH + 100 + n)
        gone = [c.id for c in await store.purge(EPOCH + 104, limit=2)]
        gone += [c.id for c in await store.purge(EPOCH + 104, limit=9)]
        assert sorted(gone) == ["call_0", "call_1", "call_3"]
        assert await store.purge(EPOCH + 104) == []
        assert sorted(c.id for c in await store.list()) == ["call_2", "call_4", "call_5"]


async def test_one_value_that_cannot_be_stored_harms_no_other(stores: Stores) -> None:
    async with stores() as store:
        await store.begin_call(call())
        good = store.write("call_1", PutItem(said("a"), 1.0))
        bad = store.write("call_1", PutItem(said("b"), 2.0), PutItem(said("c", "\ud800"), 3.0))
        after = store.write("call_1", PutItem(said("d"), 4.0))
        await asyncio.wait([good, bad, after])
        assert good.exception() is None
        assert after.exception() is None
        assert isinstance(bad.exception(), StoreError)
        assert await texts(store) == ["a", "d"], "a write is stored whole, or not at all"
        assert store.health.ok
        assert store.health.dropped == 1


async def test_closing_writes_what_waits_and_may_be_repeated(stores: Stores) -> None:
    async with stores() as store:
        await store.begin_call(call())
        future = store.write("call_1", PutItem(said("a"), 1.0))
        await store.close()
        assert future.done()
        assert future.exception() is None
        await store.close()


# -- more than one process


async def test_the_data_is_there_for_the_next_process(lasting: Stores) -> None:
    async with lasting() as store:
        await store.begin_call(call())
        await store.write("call_1", PutItem(said("a"), 1.0), AddEvent(1.0, "x", {"n": 1}))
    async with lasting() as store:
        assert await texts(store) == ["a"]
        assert [e.data for e in await store.events("call_1")] == [{"n": 1}]
        found = await found_call(store)
        assert (found.status, found.seen_at) == ("live", EPOCH)


async def test_who_takes_a_call_over_has_it_alone(lasting: Stores) -> None:
    async with lasting() as old, lasting() as new:
        await old.begin_call(call())
        await old.write("call_1", PutItem(said("a"), 1.0))
        await new.begin_call(call())
        await new.write("call_1", PutItem(said("b"), 2.0))
        _ = old.write(
            "call_1",
            PutItem(said("c"), 3.0),
            AddEvent(1.0, "x"),
            DropItem("a"),
            PutCall(provider="x"),
        )
        await old.end_call("call_1", at=EPOCH)
        assert await texts(new) == ["a", "b"]
        assert await new.events("call_1") == []
        found = await found_call(new)
        assert (found.status, found.provider) == ("live", "mock")


async def test_calls_of_dead_processes_are_marked(lasting: Stores) -> None:
    async with lasting() as dead:
        await dead.begin_call(call(1))
        await dead.begin_call(call(2))
        await dead.end_call("call_2", at=EPOCH + 1)
        await dead.beat(EPOCH + 20)
    async with lasting() as store:
        await store.begin_call(call(3))
        assert await store.close_abandoned(EPOCH + 20) == 0
        assert await store.close_abandoned(EPOCH + 20.5) == 1
        assert await store.close_abandoned(EPOCH + 20.5) == 0
        found = await found_call(store, "call_1")
        assert (found.status, found.ended_at, found.reason) == (
            "interrupted",
            EPOCH + 20,
            "process_lost",
        )
        assert (await found_call(store, "call_2")).status == "ended"
        assert (await found_call(store, "call_3")).status == "live"
        assert [c.id for c in await store.purge(EPOCH + 21)] == ["call_2", "call_1"]
