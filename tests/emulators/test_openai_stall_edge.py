"""A stall that ends at the very moment at which something is to be sent loses nothing."""

from __future__ import annotations

import asyncio
from typing import Any

from voxengine.testing.emulators.faults import FaultPlan
from voxengine.testing.emulators.openai.outbox import Outbox


class _Socket:
    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, message: Any) -> None:
        self.sent.append(message)


async def test_what_is_due_when_a_stall_ends_is_sent():
    loop, socket = asyncio.get_running_loop(), _Socket()
    outbox = Outbox(socket, None, FaultPlan(), lambda _: None, "t")  # type: ignore[arg-type]
    outbox.stall(0.7)
    for n in range(15):
        loop.call_later(0.05 * n, outbox.send_raw, str(n))
    loop.call_at(outbox._stalled_until, outbox.send_raw, "at the end")
    await asyncio.sleep(2)
    assert sorted(socket.sent) == sorted([*map(str, range(15)), "at the end"])
    outbox.close()


async def test_a_second_stall_holds_on():
    loop, socket = asyncio.get_running_loop(), _Socket()
    outbox = Outbox(socket, None, FaultPlan(), lambda _: None, "t")  # type: ignore[arg-type]
    outbox.stall(1)
    loop.call_later(0.5, outbox.stall, 2)
    loop.call_later(0.6, outbox.send_raw, "held")
    await asyncio.sleep(1.5)
    assert not socket.sent
    await asyncio.sleep(1.5)
    assert socket.sent == ["held"]
    outbox.close()
