"""The way to a client: numbered, in order, and not before it is stored."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from voxengine.gateway.wire.outbox import HOLD_BUDGET, MAX_HELD, Outbox
from voxengine.realtime.errors import Complaint


class Peer:
    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def send(self, message: bytes) -> None:
        self.messages.append(message)

    def close(self, code: int = 1000, reason: str = "") -> None:
        raise AssertionError("nobody asked for that")

    @property
    def types(self) -> list[str]:
        return [json.loads(message)["type"] for message in self.messages]


def pair(beta: bool = False) -> tuple[Peer, Outbox]:
    peer = Peer()
    return peer, Outbox(peer, beta=beta)


def stored() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


HEAD = b'{"type":"audio","delta":"'


async def test_events_are_numbered_and_sent_at_once():
    peer, outbox = pair()
    outbox.send({"type": "a", "text": "ä"})
    outbox.send_audio(HEAD, b"AAAA")
    outbox.fail(Complaint("no", "code", "param"), "mine")

    events = [json.loads(message) for message in peer.messages]
    assert [e["type"] for e in events] == ["a", "audio", "error"]
    assert events[0]["text"] == "ä"
    assert events[1]["delta"] == "AAAA"
    assert events[2]["error"]["event_id"] == "mine"
    ids = [e["event_id"] for e in events]
    assert len(set(ids)) == 3
    assert all(len(i) == len("event_") + 20 for i in ids)


async def test_what_waits_for_the_store_holds_all_that_follows():
    peer, outbox = pair()
    first, second = stored(), stored()
    outbox.send({"type": "a"})
    outbox.send({"type": "b"}, after=first)
    outbox.send_audio(HEAD, b"")
    outbox.send({"type": "c"}, after=second)
    outbox.send({"type": "d"})
    assert peer.types == ["a"]
    second.set_result(None)
    await asyncio.sleep(0)
    assert peer.types == ["a"]
    first.set_result(None)
    await asyncio.sleep(0)
    assert peer.types == ["a", "b", "audio", "c", "d"]
    outbox.send({"type": "e"}, after=first)
    assert peer.types[-1] == "e"


async def test_it_does_not_wait_for_long(caplog: pytest.LogCaptureFixture):
    peer, outbox = pair()
    never, soon = stored(), stored()
    outbox.send({"type": "a"}, after=never)
    await asyncio.sleep(HOLD_BUDGET / 2)
    outbox.send({"type": "b"}, after=soon)
    await asyncio.sleep(HOLD_BUDGET / 2 + 0.01)
    assert peer.types == ["a"]
    assert "not stored yet" in caplog.text
    await asyncio.sleep(HOLD_BUDGET / 2)
    assert peer.types == ["a", "b"]
    outbox.send({"type": "c"})
    assert peer.types == ["a", "b", "c"]


async def test_what_could_not_be_stored_is_told_and_logged(caplog: pytest.LogCaptureFixture):
    peer, outbox = pair()
    fails = stored()
    outbox.send({"type": "a"}, after=fails)
    fails.set_exception(OSError("disk full"))
    await asyncio.sleep(0)

    assert peer.types == ["a"]
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    assert "disk full" in caplog.text


async def test_all_that_waits_goes_before_the_client_is_hung_up():
    peer, outbox = pair()
    never = stored()
    outbox.send({"type": "a"}, after=never)
    outbox.send({"type": "b"})
    outbox.flush()
    assert peer.types == ["a", "b"]
    await asyncio.sleep(1)
    assert peer.types == ["a", "b"]


async def test_what_waits_is_bounded():
    peer, outbox = pair()
    outbox.send({"type": "a"}, after=stored())
    for _ in range(MAX_HELD - 1):
        outbox.send_audio(HEAD, b"")
    assert peer.messages == []
    outbox.send({"type": "last"})
    assert len(peer.messages) == MAX_HELD + 1
    assert peer.types[-1] == "last"


async def test_the_beta_knows_fewer_events_and_other_names():
    peer, outbox = pair(beta=True)
    item = {"type": "message", "content": [{"type": "output_text", "text": "x"}]}
    outbox.send({"type": "conversation.item.added", "item": item})
    outbox.send({"type": "conversation.item.done", "item": item})
    outbox.send({"type": "response.output_text.delta", "delta": "x"})
    outbox.send({"type": "rate_limits.updated"})

    assert peer.types == ["conversation.item.created", "response.text.delta", "rate_limits.updated"]
    assert json.loads(peer.messages[0])["item"]["content"][0]["type"] == "text"
