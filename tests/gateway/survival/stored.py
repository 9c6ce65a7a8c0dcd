"""What is in the store of a gateway, against what its clients were told."""

from __future__ import annotations

from pathlib import Path

from tests.gateway.survival.callers import Caller, Event, words_of
from voxengine.conversation import Item
from voxengine.gateway.record import session_hash
from voxengine.store import SQLiteStore, StoredConversation


async def stored(folder: Path, session_id: str) -> StoredConversation:
    """The call of that session, as it is in the gateway's folder."""
    store = SQLiteStore(folder / "voxengine-data" / "calls.db")
    await store.open()
    try:
        call = await store.by_session(session_hash(session_id))
        assert call is not None
        found = await store.load(call.id)
        assert found is not None
        return found
    finally:
        await store.close()


def lost(caller: Caller, kept: StoredConversation) -> list[str]:
    """What the caller was told of and the store does not have."""
    items = {item.id: item for item in kept.items}
    wrong = [f"{item_id} was deleted" for item_id in caller.deleted if item_id in items]
    for item_id, told in caller.items.items():
        item = items.get(item_id)
        if item is None:
            wrong.append(f"{item_id} is not there: {told}")
        elif not is_kept(told, _words(item)):
            wrong.append(f"{item_id} is {_words(item)!r}, not {words_of(told)!r}")
    return wrong


def is_kept(told: Event, kept: str) -> bool:
    """Whether these are its words. Of what the assistant spoke, the log has what was heard of it."""
    words = words_of(told)
    spoken = told["type"] == "message" and told["content"][0]["type"] == "output_audio"
    return words.startswith(kept) if spoken else words in kept


def _words(item: Item) -> str:
    return item.output or item.arguments or item.text
