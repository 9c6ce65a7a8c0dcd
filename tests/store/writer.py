"""A process that writes to a store until it is killed: `python writer.py PATH`.

It prints the number of each item when that is acknowledged.
"""

from __future__ import annotations

import asyncio
import sys
import time
from functools import partial

from voxengine.conversation import Item
from voxengine.store import AddEvent, PutItem, SQLiteStore, StoredCall


def tell(n: int, future: asyncio.Future[None]) -> None:
    if future.exception() is None:
        sys.stdout.write(f"{n}\n")
        sys.stdout.flush()


async def main(path: str) -> None:
    store = SQLiteStore(path)
    await store.open()
    calls = [f"call_{n}" for n in range(20)]
    for call_id in calls:
        _ = store.begin_call(StoredCall(id=call_id, session_hash=call_id, started_at=time.time()))
    for n in range(1_000_000):
        call_id = calls[n % len(calls)]
        item = Item(id=f"item_{n}", text=f"This is item {n}. " * 20, status="completed")
        future = store.write(call_id, PutItem(item, float(n)), AddEvent(float(n), "tick", {"n": n}))
        future.add_done_callback(partial(tell, n))
        if n % 50 == 49:
            await future


asyncio.run(main(sys.argv[1]))
