"""What the load server sends is what the vendor would send, and when."""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import pybase64
import pytest

from bench.hot_path.messages import (
    DELTA_BYTES,
    DELTA_MS,
    TURN_TICKS,
    Template,
    session_event,
    timeline,
)
from bench.hot_path.sides import floor, plain
from voxengine.testing.oracles.openai_realtime import realtime_judge

NOW_NS = 1_234_567_890_123_456


def turn(number: int) -> list[list[dict[str, Any]]]:
    """The messages of a turn, tick by tick, as the client reads them."""
    count = 0
    ticks: list[list[dict[str, Any]]] = []
    for tick in timeline():
        ticks.append([])
        for template in tick:
            count += 1
            ticks[-1].append(
                msgspec.json.decode(template.fill(count, number, NOW_NS, 8000 * number))
            )
    return ticks


def test_every_message_of_a_turn_is_valid_by_the_vendors_types() -> None:
    judge = realtime_judge()
    for tick in turn(3):
        for message in tick:
            judge.server(message)
    assert judge.violations == []
    assert judge.server_valid == sum(map(len, turn(3)))


def test_the_session_is_valid_before_and_after_it_is_changed() -> None:
    judge = realtime_judge()
    judge.server(session_event("session.created", 7))
    changes = {"instructions": "Be brief.", "audio": {"output": {"voice": "marin"}}}
    updated = session_event("session.updated", 7, changes)
    judge.server(updated)
    assert judge.violations == []
    session = msgspec.json.decode(updated)["session"]
    assert session["audio"]["output"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "voice": "marin",
        "speed": 1.0,
    }
    assert session["instructions"] == "Be brief."


def test_what_the_sides_ask_for_is_valid_by_the_vendors_types() -> None:
    judge = realtime_judge()
    judge.client(floor.UPDATE)
    judge.client(msgspec.json.encode(plain.UPDATE))
    assert judge.violations == []


def test_an_audio_delta_begins_with_the_time_at_which_it_is_sent() -> None:
    deltas = [
        message
        for tick in turn(0)
        for message in tick
        if message["type"] == "response.output_audio.delta"
    ]
    for delta in deltas:
        audio = pybase64.b64decode(delta["delta"], validate=True)
        assert len(audio) == DELTA_BYTES
        assert struct.unpack_from("<q", audio)[0] == NOW_NS


def test_events_have_ids_of_their_own_and_turns_have_items_of_their_own() -> None:
    events = [message["event_id"] for tick in turn(0) for message in tick]
    assert len(set(events)) == len(events)

    def items(number: int) -> set[object]:
        return {m["item_id"] for tick in turn(number) for m in tick if "item_id" in m}

    assert items(0) == {"item_u_t000000", "item_a_t000000"}
    assert items(123456) == {"item_u_t123456", "item_a_t123456"}


def test_the_answer_is_in_real_time_and_is_played_before_the_user_speaks_again() -> None:
    ticks = turn(0)
    due = [k for k, tick in enumerate(ticks) for m in tick if m["type"].endswith("audio.delta")]
    played_until = due[0] * DELTA_MS
    for tick in due:
        assert tick == due[0] or tick * DELTA_MS < played_until, "playing never runs dry"
        played_until += DELTA_MS
    assert played_until < TURN_TICKS * DELTA_MS
    assert [m["type"] for m in ticks[0]] == ["input_audio_buffer.speech_started"]
    assert not any("speech_started" in m["type"] for tick in ticks[1:] for m in tick)


@pytest.mark.parametrize("heard_ms", [0, 299, 1000, 3_599_000])
def test_speech_is_told_of_after_it_began(heard_ms: int) -> None:
    started: Template = timeline()[0][0]
    message = msgspec.json.decode(started.fill(1, 0, NOW_NS, heard_ms))
    assert message["audio_start_ms"] == max(0, heard_ms - 300)
