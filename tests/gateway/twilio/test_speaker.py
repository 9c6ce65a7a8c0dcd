"""Marks: what is sent between audio, and what their return says."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

from voxengine.events import AudioOutputChunk
from voxengine.gateway.twilio.speaker import LAST_MS, LAST_WORDS, Line, Speaker
from voxengine.testing.emulators.twilio.player import Player


class Wire:
    """Notes what is sent to Twilio, and what is told as heard."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.heard: list[tuple[str, float]] = []
        self.closed: list[tuple[int, str]] = []
        self.speaker = Speaker(self, 'MZ"1', lambda item, ms: self.heard.append((item, ms)))

    def send(self, message: bytes) -> None:
        said = json.loads(message)
        assert said.pop("streamSid") == 'MZ"1'
        self.sent.append(said)

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.closed.append((code, reason))

    def play(self, ms: int, item_id: str | None = "item_1") -> bytes:
        audio = bytes(n % 251 for n in range(ms * 8))
        self.speaker.play(AudioOutputChunk(audio_data=audio, item_id=item_id))
        return audio

    @property
    def order(self) -> list[Any]:
        """Milliseconds of media, and names of marks."""
        return [
            len(base64.b64decode(s["media"]["payload"])) // 8
            if s["event"] == "media"
            else s.get("mark", {}).get("name", s["event"])
            for s in self.sent
        ]


def test_there_is_a_mark_after_each_tenth_of_a_second():
    wire = Wire()
    audio = wire.play(250)
    audio += wire.play(20)
    audio += wire.play(40)
    assert wire.order == [100, "1", 100, "2", 50, 20, 30, "3", 10]
    wire.speaker.finish()
    wire.speaker.finish()
    assert wire.order[-2:] == [10, "4"]
    sent = [s["media"]["payload"] for s in wire.sent if s["event"] == "media"]
    assert b"".join(map(base64.b64decode, sent)) == audio


def test_each_mark_says_how_much_of_its_item_was_heard():
    wire = Wire()
    wire.play(150)
    wire.play(130, "item_2")
    assert wire.order == [100, "1", 50, "2", 100, "3", 30]
    assert wire.speaker.unheard_ms == 280
    for name in ("1", "2", "3"):
        wire.speaker.returned(name)
    assert wire.heard == [("item_1", 100), ("item_1", 150), ("item_2", 100)]
    assert wire.speaker.unheard_ms == 30


def test_a_mark_that_was_lost_is_made_up_for_by_the_next():
    wire = Wire()
    wire.play(300)
    wire.speaker.returned("3")
    wire.speaker.returned("2")
    wire.speaker.returned("3")
    wire.speaker.returned("never sent")
    assert wire.heard == [("item_1", 300)]


def test_marks_that_come_back_for_what_was_thrown_away_do_not_count():
    wire = Wire()
    wire.play(300)
    wire.speaker.returned("1")
    wire.speaker.stop()
    wire.speaker.stop()  # a second item was cut with it
    assert wire.order == [100, "1", 100, "2", 100, "3", "clear"]
    wire.speaker.returned("2")
    wire.speaker.returned("3")
    assert wire.heard == [("item_1", 100)]
    wire.play(100, "item_2")
    wire.speaker.returned("4")
    assert wire.heard[1:] == [("item_2", 100)]


def test_what_was_heard_is_not_thrown_away():
    wire = Wire()
    wire.play(100)
    wire.speaker.returned("1")
    wire.speaker.stop()
    assert "clear" not in wire.order


def test_audio_of_no_item_is_played():
    wire = Wire()
    wire.play(100, None)
    wire.speaker.returned("1")
    assert (wire.order, wire.heard, wire.speaker.unheard_ms) == ([100, "1"], [], 0)


# -- hanging up


async def test_the_last_words_are_heard_before_it_is_closed():
    wire = Wire()
    line = Line(wire, wire.speaker)
    wire.play(150)
    line.close(1000, "goodbye")
    assert (wire.order, wire.closed) == ([100, "1", 50, "2"], [])
    wire.speaker.returned("1")
    assert wire.closed == []
    wire.speaker.returned("2")
    line.close(1011, "again")
    assert wire.closed == [(1000, "goodbye")]


async def test_last_words_that_are_never_heard_are_not_waited_for():
    wire = Wire()
    line = Line(wire, wire.speaker)
    wire.play(100)
    line.close()
    await asyncio.sleep(LAST_WORDS + 0.1)
    assert wire.closed == [(1000, "")]


async def test_a_long_answer_is_not_waited_for():
    wire = Wire()
    wire.play(int(LAST_MS) + 100)
    Line(wire, wire.speaker).close(1001, "away")
    assert wire.closed == [(1001, "away")]


async def test_nothing_is_closed_that_is_gone():
    wire = Wire()
    line = Line(wire, wire.speaker)
    wire.play(100)
    line.close()
    line.gone()
    await asyncio.sleep(LAST_WORDS + 0.1)
    assert wire.closed == []


# -- the emulator's player


def test_twilio_plays_in_order_and_gives_marks_back():
    player = Player(delay=0.1)
    player.push(b"a" * 800, 10.0)
    player.mark("first", 10.0)
    player.push(b"b" * 800, 10.05)
    player.mark("second", 10.05)
    assert player.due(10.19) == []
    assert player.heard(10.15) == b"a" * 400
    assert player.due(10.2001) == ["first"]
    assert round(player.left_ms(10.2)) == 100
    assert player.due(10.31) == ["second"]
    assert player.heard(11.0) == b"a" * 800 + b"b" * 800
    player.mark("third", 12.0)
    assert player.due(12.0) == ["third"]


def test_twilio_throws_away_and_gives_all_marks_back():
    player = Player()
    player.push(b"a" * 800, 0.0)
    player.mark("first", 0.0)
    player.push(b"b" * 800, 0.0)
    player.mark("second", 0.0)
    assert player.due(0.15) == ["first"]
    assert player.clear(0.15) == ["second"]
    assert player.heard(5.0) == b"a" * 800 + b"b" * 400
    assert player.left_ms(0.15) == 0
    player.push(b"c" * 80, 6.0)
    assert player.heard(6.005) == b"a" * 800 + b"b" * 400 + b"c" * 40
