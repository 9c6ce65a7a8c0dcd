"""The data channel as a `Peer`: what waits for it, and who lets too much wait."""

from __future__ import annotations

from typing import Any

import pytest
from aiortc.exceptions import InvalidStateError
from pyee.asyncio import AsyncIOEventEmitter

import voxengine.gateway.webrtc.channel as rules
from tests.gateway.gateways import until
from tests.gateway.webrtc.calling import calling, serving
from voxengine.gateway.webrtc.channel import Channel


class Line(AsyncIOEventEmitter):
    """A data channel whose other side reads only when it is told to."""

    def __init__(self, label: str = "oai-events", most: int = 10_000) -> None:
        super().__init__()
        self.label = label
        self.readyState = "open"
        self.bufferedAmount = 0
        self.sent: list[str] = []
        self._most = most

    def send(self, message: str) -> None:
        if self.readyState != "open":
            raise InvalidStateError
        if len(message) > self._most:
            raise ValueError("too long for the other side")
        self.sent.append(message)
        self.bufferedAmount += len(message)

    def read(self) -> None:
        self.bufferedAmount = 0
        self.emit("bufferedamountlow")

    def close(self) -> None:
        self.readyState = "closed"
        self.emit("close")


class Ends:
    """A channel, and what it has told."""

    def __init__(self, *, expected: bool = True) -> None:
        self.told: list[Any] = []
        self.channel = Channel(
            expected=expected,
            max_message=100,
            on_message=self.told.append,
            on_close=lambda: self.told.append("closed"),
            on_overflow=lambda why: self.told.append("overflow"),
            close=lambda code, reason: self.told.append(code),
        )

    def take(self, line: Any) -> None:
        self.channel.take(line)


async def test_what_is_sent_early_waits_for_the_channel():
    ends, line = Ends(), Line()
    ends.channel.send(b'"one"')
    ends.channel.send('"zwölf"'.encode())
    ends.take(line)
    ends.channel.send(b'"three"')
    assert line.sent == ['"one"', '"zwölf"', '"three"']


async def test_too_much_is_not_kept_for_a_channel_that_does_not_come(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(rules, "MAX_EARLY", 100)
    ends = Ends()
    for _ in range(20):
        ends.channel.send(b"x" * 10)
    assert ends.told == ["overflow"]


async def test_who_offers_no_channel_is_told_nothing():
    ends = Ends(expected=False)
    for _ in range(3):
        ends.channel.send(b"x" * rules.MAX_EARLY)
    assert ends.told == []


async def test_a_client_that_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rules, "MAX_UNSENT", 50)
    ends, line = Ends(), Line()
    ends.take(line)
    for _ in range(20):
        ends.channel.send(b"x" * 10)
    assert ends.told == ["overflow"]
    assert len(line.sent) == 6


async def test_messages_of_the_client():
    ends, line = Ends(), Line()
    ends.take(line)
    line.emit("message", '"ö"')
    line.emit("message", b"{}")
    line.emit("message", "x" * 101)
    assert ends.told == ['"ö"'.encode(), b"{}", 1009]


async def test_only_one_channel_of_the_right_name():
    ends = Ends()
    other, line, second = Line("other"), Line(), Line()
    for each in (other, line, second):
        ends.take(each)
    assert [each.readyState for each in (other, line, second)] == ["closed", "open", "closed"]
    assert ends.told == []
    line.close()
    assert ends.told == ["closed"]
    ends.channel.send(b"nobody is there")
    assert line.sent == []


async def test_what_is_too_long_for_the_client_is_left_out(caplog: pytest.LogCaptureFixture):
    ends, line = Ends(), Line(most=20)
    ends.take(line)
    ends.channel.send(b"x" * 21)
    ends.channel.send(b"y")
    assert line.sent == ["y"]
    assert "too long" in caplog.text


@pytest.mark.parametrize("reads", [True, False])
async def test_it_closes_when_all_was_read_or_within_a_budget(reads: bool, virtual_clock: Any):
    ends, line = Ends(), Line()
    ends.take(line)
    ends.channel.send(b"goodbye")
    start = virtual_clock.now
    if reads:
        virtual_clock.loop.call_later(0.5, line.read)
    await ends.channel.finish()
    assert line.readyState == "closed"
    assert virtual_clock.now - start == pytest.approx(0.5 if reads else rules.FLUSH_BUDGET)
    assert ends.told == []


@pytest.mark.real_clock
async def test_a_message_that_is_too_long_ends_the_call():
    async with serving(max_message=2048) as served, calling(served) as caller:
        call = caller.call
        caller.send("conversation.item.retrieve", item_id="x" * 3000)
        await until(lambda: caller.peer.connectionState == "closed")
        assert not call.attached
