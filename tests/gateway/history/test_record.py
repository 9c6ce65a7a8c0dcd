"""What of a call is stored, at every moment of it, and how it is taken up again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.engine.caller import LATENCY, SCRIPT, Caller
from voxengine import events as ev
from voxengine import register_provider
from voxengine.conversation import Conversation, Item
from voxengine.gateway.positions import Positions
from voxengine.gateway.record import BEAT, CallRecord, find_resumable, session_hash
from voxengine.gateway.refusal import Refused
from voxengine.providers.mock import MockProvider
from voxengine.store import SQLiteStore, StoredCall, StoredConversation
from voxengine.testing.clock import EPOCH

SESSION = "sess_0123456789abcdef0123456789abcdef"


def stored_call(**values: Any) -> StoredCall:
    given = {
        "id": "call_1",
        "session_hash": session_hash(SESSION),
        "key_id": "key_a",
        "started_at": EPOCH,
    }
    return StoredCall(**{**given, "route": "support", "provider": "mock", **values})


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(path / "calls.db")
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def load(store: SQLiteStore) -> StoredConversation:
    found = await store.load("call_1")
    assert found is not None
    return found


async def test_the_store_has_the_log_whenever_it_says_so(tmp_path: Path) -> None:
    """A conversation with a tool, a barge-in, a note, a deletion: what is acknowledged is what was told."""
    async with opened(tmp_path) as store, Caller(realtime_factor=8.0) as caller:
        engine = caller.engine
        record = CallRecord(store, stored_call(), engine)
        record.begin()
        changes = []

        async def told(event: ev.ConversationUpdated) -> None:
            # As a client's outbox does: it is told only when this is done.
            saved = record.saved()
            if saved is not None:
                await saved
            changes.append(event)
            found = {item.id: item for item in (await load(store)).items}
            if event.action != "removed" and event.item.id in engine.conversation:
                assert found[event.item.id].status in (event.item.status, "completed", "incomplete")
                assert len(found[event.item.id].text + found[event.item.id].unheard_text) >= len(
                    event.item.text
                )

        engine.on("conversation_updated", told)
        caller.say("look it up")
        await caller.quiet()
        caller.say("tell me")
        await caller.until(ev.AudioOutputStarted)
        await asyncio.sleep(0.9)
        caller.say("are you there")
        await caller.until(ev.ConversationInterrupted)
        await caller.quiet()
        await engine.send_text("Be brief.", "system")
        await asyncio.sleep(1)
        log = engine.conversation.items
        assert record.saved() is None
        assert (await load(store)).items == log
        assert {i.kind for i in log} == {"message", "function_call", "function_output"}
        assert any(i.interrupted and i.unheard_text for i in log)
        await engine.delete_item(log[0].id)
        await asyncio.sleep(1)
        assert [i.id for i in (await load(store)).items] == [i.id for i in engine.conversation]
        kinds = [e.type for e in await store.events("call_1")]
        assert "conversation_interrupted" in kinds
        assert kinds.count("function_completed") == 1
        assert "audio_chunk" not in kinds
        assert len(changes) > 10
        await engine.disconnect()
        await record.end("hung up")
        call = (await load(store)).call
        assert (call.status, call.reason) == ("ended", "hung up")


async def test_half_a_sentence_is_there_as_far_as_it_went(tmp_path: Path) -> None:
    long = " ".join(f"word{n}" for n in range(60))
    async with opened(tmp_path) as store:
        script = {"tell me": long}
        async with Caller(realtime_factor=1.0, mock_responses=script) as caller:
            record = CallRecord(store, stored_call(), caller.engine)
            record.begin()
            caller.say("tell me")
            await caller.until(ev.AudioOutputStarted)
            lengths = []
            for _ in range(4):
                await asyncio.sleep(2)
                said = (await load(store)).items[-1]
                now = caller.engine.conversation.items[-1]
                assert said.status == now.status == "in_progress"
                assert now.audio_ms - said.audio_ms <= 1100, "at most a second is missing"
                assert long.startswith(said.text)
                lengths.append(len(said.text))
            assert lengths == sorted(set(lengths)), "it grows"
            await record.leave()
        # The process ends here, without a word; the next one takes the call up.
        found = await find_resumable(store, SESSION, key_id="key_a", window=30, now=EPOCH + 30)
        last = found.conversation.items[-1]
        assert (last.role, last.status) == ("assistant", "incomplete")
        assert long.startswith(last.text)
        assert len(last.text) >= lengths[-1] - 8
        assert found.conversation.items[0].text == "tell me"


async def test_a_resumed_call_goes_on_with_its_context(tmp_path: Path) -> None:
    async with opened(tmp_path) as dead, Caller() as caller:
        record = CallRecord(dead, stored_call(), caller.engine)
        record.begin()
        record.put_session({"type": "realtime", "instructions": "Be kind."})
        caller.say("tell me")
        await caller.quiet()
        before = caller.engine.conversation.items
        await record.leave()
    async with opened(tmp_path) as store:
        found = await find_resumable(store, SESSION, key_id="key_a", window=30, now=EPOCH + 30)
        assert found.call.id == "call_1"
        assert found.session == {"type": "realtime", "instructions": "Be kind."}
        assert found.conversation.items == before
        again = Caller()
        again.engine.conversation = found.conversation
        async with again:
            record = CallRecord(store, found.call, again.engine)
            record.begin()
            again.say("are you there")
            await again.quiet()
            await record.end()
            items = (await load(store)).items
            assert items == again.engine.conversation.items
            assert items[: len(before)] == before
            assert [i.text for i in items[len(before) :]] == ["are you there", "yes i am"]
        with pytest.raises(Refused) as over:
            await find_resumable(store, SESSION, key_id="key_a", window=30, now=EPOCH + 30)
        assert over.value.status == 410


@pytest.mark.parametrize(
    ("session", "key", "later", "status"),
    [
        (SESSION, "key_a", 30 + BEAT, None),
        (SESSION, "key_a", 30 + BEAT + 0.1, 410),
        (SESSION, "key_b", 1, 404),
        ("sess_other", "key_a", 1, 404),
        ("\ud800", "key_a", 1, 404),
        ("call_1", "key_a", 1, 404),
    ],
)
async def test_who_may_come_back_and_when(
    tmp_path: Path, session: str, key: str, later: float, status: int | None
) -> None:
    async with opened(tmp_path) as dead:
        await dead.begin_call(stored_call())
        await dead.beat(EPOCH + 100)
    async with opened(tmp_path) as store:
        looking = find_resumable(store, session, key_id=key, window=30, now=EPOCH + 100 + later)
        if status is None:
            assert (await looking).call.id == "call_1"
        else:
            with pytest.raises(Refused) as refused:
                await looking
            assert refused.value.status == status


async def test_usage_and_provider_are_those_of_the_call(tmp_path: Path) -> None:
    register_provider("other", lambda config: MockProvider(config))
    metadata = {"latency_ms": LATENCY, "mock_responses": SCRIPT}
    async with opened(tmp_path) as store, Caller() as caller:
        record = CallRecord(store, stored_call(), caller.engine)
        record.begin()
        caller.say("tell me")
        await caller.quiet()
        config = caller.engine.config.with_changes(provider="other", metadata=metadata)
        await caller.engine.switch_provider("other", config)
        caller.say("tell me")
        await caller.quiet()
        await record.end()
        found = await load(store)
        assert found.call.provider == "other"
        assert [u.leg for u in found.usage] == sorted(
            caller.engine.usage.legs, key=lambda leg: (leg.provider, leg.model)
        )
        assert {u.leg.provider for u in found.usage} == {"mock", "other"}
        assert found.call.cost == caller.engine.usage.cost
        (switch,) = [e for e in await store.events("call_1") if e.type == "provider_switched"]
        assert switch.data["previous"] == "mock"


async def test_events_hold_no_secret_and_no_novel(tmp_path: Path) -> None:
    async with opened(tmp_path) as store, Caller() as caller:
        record = CallRecord(store, stored_call(), caller.engine)
        record.begin()
        record.note(
            "client",
            {"url": "wss://u:pw@host/?api_key=sk-1", "api_key": "sk-2", "text": "x" * 9999},
        )
        record.note("bare")
        await record.end()
        client, bare, *_ = [e for e in await store.events("call_1") if e.type in ("client", "bare")]
        assert "sk-" not in str(client.data)
        assert "pw" not in str(client.data)
        assert len(client.data["text"]) == 2000
        assert bare.data == {}


async def test_a_failing_store_holds_up_nobody_and_is_noted(tmp_path: Path) -> None:
    async with opened(tmp_path) as store, Caller() as caller:
        record = CallRecord(store, stored_call(), caller.engine)
        record.begin()
        caller.say("tell me")
        await caller.quiet()
        assert record.saved() is None
        pages = "PRAGMA max_page_count = "
        await store._run(lambda: store._db._connection().execute(pages + "1"))
        await caller.engine.send_text("x" * 50_000, "system")
        waiting = record.saved()
        assert waiting is not None
        await asyncio.wait([waiting], timeout=1)
        assert not waiting.done()
        assert record.saved() is None, "there is nothing to wait for"
        await store._run(lambda: store._db._connection().execute(pages + "100000"))
        await asyncio.wait_for(waiting, 30)
        await record.end()
        assert (await load(store)).items == caller.engine.conversation.items
        kinds = [e.type for e in await store.events("call_1")]
        assert [k for k in kinds if k.startswith("store_")] == ["store_failed", "store_recovered"]


async def test_a_record_that_ended_hears_no_more(tmp_path: Path) -> None:
    async with opened(tmp_path) as store, Caller() as caller:
        record = CallRecord(store, stored_call(), caller.engine)
        record.begin()
        await record.end("first")
        await record.end("second")
        caller.say("tell me")
        await caller.quiet()
        found = await load(store)
        assert found.items == ()
        assert found.call.reason == "first"
        assert not store.watchers


# -- places


def test_any_order_of_insertions_keeps_the_order_of_the_log() -> None:
    for seed in range(30):
        rng = random.Random(seed)
        log, places = Conversation(), Positions()
        stored: dict[str, float] = {}
        for n in range(120):
            item = Item(id=str(n))
            if len(log) and rng.random() < 0.7:
                beside = {rng.choice(["before", "after"]): rng.choice(log.items).id}
                log.add(item, **beside)
            else:
                log.add(item)
            if rng.random() < 0.1:
                continue  # told later than the next
            for missing in [i for i in log if i.id not in places]:
                place = places.insert(missing.id, log)
                assert place is not None
                stored[missing.id] = place
            if rng.random() < 0.2:
                gone = rng.choice(log.items).id
                log.remove(gone)
                places.remove(gone)
                stored.pop(gone, None)
            assert sorted(stored, key=lambda i: stored[i]) == [i.id for i in log]


async def test_where_there_is_no_room_all_get_new_places(tmp_path: Path) -> None:
    async with opened(tmp_path) as store, Caller() as caller:
        for name in ("first", "last"):
            await caller.engine.add_item(Item(id=name, status="completed", text=name))
        record = CallRecord(store, stored_call(), caller.engine)
        record.begin()
        for n in range(120):
            item = Item(id=f"i{n}", status="completed", text=f"This is {n}.")
            await caller.engine.add_item(item, after="first")
        assert [i.id for i in (await load(store)).items] == [
            i.id for i in caller.engine.conversation
        ]
        await record.end()
