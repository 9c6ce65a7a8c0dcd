"""The user's audio that is kept: how much, from where on, and what is dropped."""

from __future__ import annotations

import timeit

import pytest

from voxengine.audio.formats import AudioFormat
from voxengine.session.replay import LIMIT_MS, PRE_ROLL_MS, TurnAudio

FORMAT = AudioFormat()


def ms(audio: bytes) -> float:
    return FORMAT.duration_ms(len(audio))


def quiet(length: float) -> bytes:
    return bytes(FORMAT.n_bytes(length))


def loud(length: float) -> bytes:
    return b"\x00\x20\x00\xe0" * (FORMAT.n_bytes(length) // 4)


def push(audio: TurnAudio, samples: bytes, frame_ms: float = 20) -> None:
    size = FORMAT.n_bytes(frame_ms)
    for start in range(0, len(samples), size):
        audio.push(samples[start : start + size])


def replayed(audio: TurnAudio, until: int | None = None) -> bytes:
    return b"".join(audio.pieces(audio.begin(), until))


def test_while_nobody_speaks_only_the_pre_roll_is_held() -> None:
    audio = TurnAudio(FORMAT)
    push(audio, quiet(60_000))
    assert ms(bytes(len(audio))) == PRE_ROLL_MS
    assert len(audio) < 40_000


def test_a_turn_is_held_from_before_it_was_told_of() -> None:
    audio = TurnAudio(FORMAT)
    push(audio, quiet(5000) + loud(300))
    audio.keep("u1")
    push(audio, loud(4000))
    kept = replayed(audio)
    assert kept == quiet(500) + loud(4300)
    audio.turn_ended()
    audio.forget("u1")
    assert ms(bytes(len(audio))) == PRE_ROLL_MS
    assert replayed(audio) == b""


def test_the_place_that_the_provider_states_is_more_exact() -> None:
    audio = TurnAudio(FORMAT)
    push(audio, quiet(5000) + loud(300))
    audio.keep("u1", audio_ms=5000)
    assert replayed(audio) == quiet(500) + loud(300), "the pre-roll at least"
    audio = TurnAudio(FORMAT, always=True)
    push(audio, quiet(5000) + loud(3000))
    audio.keep("u1", audio_ms=5000)
    assert replayed(audio) == quiet(300) + loud(3000)


def test_a_turn_does_not_begin_within_the_one_before() -> None:
    audio = TurnAudio(FORMAT)
    push(audio, loud(1000))
    audio.turn_ended()
    push(audio, quiet(100) + loud(100))
    audio.keep("u2")
    assert replayed(audio) == quiet(100) + loud(100)


def test_of_two_turns_that_are_open_both_are_held() -> None:
    audio = TurnAudio(FORMAT)
    audio.keep("u1")
    push(audio, loud(1000))
    audio.turn_ended()
    push(audio, loud(500))
    audio.keep("u2")
    push(audio, loud(500))
    assert ms(replayed(audio)) == 2000
    audio.forget("u1")
    assert ms(replayed(audio)) == 1000


def test_a_turn_longer_than_the_limit_loses_its_beginning_and_that_is_counted() -> None:
    audio = TurnAudio(FORMAT)
    audio.keep("u1")
    push(audio, quiet(10_000) + loud(LIMIT_MS))
    assert replayed(audio) == loud(LIMIT_MS)
    assert audio.lost_ms == 10_000
    assert len(audio) == FORMAT.n_bytes(LIMIT_MS)


def test_what_was_not_needed_is_not_lost() -> None:
    audio = TurnAudio(FORMAT)
    push(audio, quiet(60_000))
    audio.away()
    push(audio, quiet(500))
    audio.begin()
    assert audio.lost_ms == 0


def test_of_an_outage_what_can_be_heard_is_replayed() -> None:
    audio = TurnAudio(FORMAT)
    push(audio, quiet(2000))
    audio.away()
    push(audio, quiet(3000) + loud(400) + quiet(600))
    assert ms(replayed(audio)) == pytest.approx(300 + 400 + 600, abs=1)
    audio = TurnAudio(FORMAT)
    push(audio, quiet(2000))
    audio.away()
    push(audio, quiet(3000))
    assert replayed(audio) == b""


def test_what_was_said_right_before_the_loss_is_too() -> None:
    """Nobody had told of it yet."""
    audio = TurnAudio(FORMAT)
    push(audio, quiet(2000) + loud(200))
    audio.away()
    push(audio, loud(100))
    assert ms(replayed(audio)) == pytest.approx(600, abs=1)


def test_a_loss_while_it_is_replayed_takes_nothing_away() -> None:
    audio = TurnAudio(FORMAT)
    push(audio, quiet(2000))
    audio.away()
    push(audio, loud(5000))
    first = replayed(audio)
    audio.replayed()
    push(audio, quiet(200))
    audio.away()
    assert replayed(audio) == first + quiet(200)


def test_what_was_replayed_and_heard_is_not_replayed_again() -> None:
    audio = TurnAudio(FORMAT)
    push(audio, quiet(2000))
    audio.away()
    push(audio, loud(1000) + quiet(600))
    assert ms(replayed(audio)) == pytest.approx(1900, abs=1)
    audio.replayed()
    # The new connection counts from the beginning of what it was sent.
    audio.keep("u1", audio_ms=300)
    audio.turn_ended(audio_ms=1300)
    audio.forget("u1")
    audio.away()
    assert replayed(audio) == b""


def test_where_speech_is_not_told_of_all_since_the_last_turn_is_held() -> None:
    audio = TurnAudio(FORMAT, always=True)
    push(audio, loud(1000))
    audio.turn_ended()
    push(audio, quiet(4000) + loud(2000))
    audio.away()
    assert ms(replayed(audio)) == pytest.approx(2300, abs=1)
    audio.keep("u2")
    assert ms(replayed(audio)) == 6000
    push(audio, quiet(60_000))
    assert len(audio) == FORMAT.n_bytes(LIMIT_MS)


def test_what_was_thrown_away_is_not_replayed() -> None:
    audio = TurnAudio(FORMAT, always=True)
    push(audio, loud(1000))
    audio.clear()
    push(audio, loud(500))
    audio.away()
    assert ms(replayed(audio)) == 500


def test_pieces_are_short_and_what_comes_meanwhile_follows() -> None:
    audio = TurnAudio(FORMAT)
    audio.keep("u1")
    push(audio, loud(250))
    got: list[bytes] = []
    for n, piece in enumerate(audio.pieces(audio.begin())):
        got.append(piece)
        if n < 5:
            audio.push(quiet(60))
    assert all(ms(piece) <= 100 for piece in got)
    assert b"".join(got) == loud(250) + quiet(300)


def test_a_part_of_it_up_to_the_end_of_the_turn() -> None:
    audio = TurnAudio(FORMAT, always=True)
    push(audio, loud(330))
    audio.keep("u1")
    audio.turn_ended()
    push(audio, quiet(500))
    begin = audio.begin()
    assert b"".join(audio.pieces(begin, audio.turn_end)) == loud(330)
    assert b"".join(audio.pieces(max(begin, audio.turn_end))) == quiet(500)


@pytest.mark.parametrize("name", ["pcm16", "g711_ulaw"])
def test_of_any_format(name: str) -> None:
    format = AudioFormat(name, 8000)
    audio = TurnAudio(format)
    for _ in range(100):
        audio.push(b"\xff" * format.n_bytes(20))
    assert format.duration_ms(len(audio)) == PRE_ROLL_MS


@pytest.mark.parametrize("held", ["pre-roll", "turn"])
def test_keeping_a_frame_costs_next_to_nothing(held: str) -> None:
    """As a ratio to the bytes' own copy, so that a busy machine does not matter."""
    audio, frame = TurnAudio(FORMAT), bytes(960)
    if held == "turn":
        audio.keep("u1")
    push(audio, quiet(LIMIT_MS))
    add = audio.push
    n = 20_000
    keeping = min(timeit.repeat(lambda: add(frame), number=n, repeat=5))
    copying = min(timeit.repeat(lambda: bytearray(frame), number=n, repeat=5))
    assert keeping < 12 * copying


def test_a_planned_change_of_connections_loses_nothing_however_long_it_takes() -> None:
    """Nobody has told yet that somebody speaks; the new connection takes its time with the audio."""
    audio = TurnAudio(FORMAT)
    push(audio, quiet(5000) + loud(300))
    begin = audio.begin()
    audio.away(begin)
    pieces = audio.pieces(begin)
    sent = next(pieces)
    push(audio, loud(5000))
    sent += b"".join(pieces)
    audio.replayed()
    assert sent == quiet(300) + loud(5300)
    push(audio, loud(1000))
    # And if that one is lost before it has told of it, all is said once more.
    audio.away()
    assert replayed(audio) == quiet(300) + loud(6300)


def test_a_turn_long_after_an_outage_begins_where_it_begins() -> None:
    audio = TurnAudio(FORMAT)
    push(audio, quiet(5000))
    audio.away()
    push(audio, quiet(1000))
    assert replayed(audio) == b""
    audio.replayed()
    push(audio, quiet(20_000) + loud(300))
    audio.keep("u1")
    push(audio, loud(1000))
    audio.away()
    assert replayed(audio) == quiet(500) + loud(1300)


def test_it_goes_on_in_another_format() -> None:
    ulaw = AudioFormat("g711_ulaw", 8000)
    audio = TurnAudio(FORMAT)
    push(audio, quiet(5000) + loud(300))
    audio.keep("u1", audio_ms=5000)
    push(audio, loud(1000))
    audio.away()
    audio.change_format(ulaw)
    begin = audio.begin()
    assert audio.ms_from(begin) == pytest.approx(800 + 1000, abs=1)
    audio.push(b"\x55" * 400)
    assert b"".join(audio.pieces(begin)).endswith(b"\x55" * 400)
    assert audio.ms_from(begin) == pytest.approx(1850, abs=1)
    # The limits are those of the new format, and what is beyond them goes in small pieces.
    for _ in range(600):
        audio.push(b"\x55" * 400)
    assert ulaw.duration_ms(len(audio)) == pytest.approx(LIMIT_MS, abs=100)


def test_a_commit_stays_where_it_was_when_the_format_changes() -> None:
    audio = TurnAudio(FORMAT, always=True)
    push(audio, loud(1000))
    audio.commit()
    push(audio, loud(400))
    ulaw = AudioFormat("g711_ulaw", 8000)
    audio.change_format(ulaw)
    audio.keep("u1")
    audio.turn_ended()
    assert audio.turn_end == ulaw.n_bytes(1000)


def test_what_is_said_between_a_commit_and_its_confirmation_is_of_the_next_turn() -> None:
    audio = TurnAudio(FORMAT, always=True)
    push(audio, loud(1000))
    audio.commit()
    push(audio, loud(400))
    audio.keep("u1")
    audio.turn_ended()
    audio.forget("u1")
    push(audio, loud(100))
    audio.away()
    assert replayed(audio) == loud(500)
    # It does not outlast the connection.
    audio.commit()
    audio.begin()
    push(audio, loud(100))
    audio.turn_ended()
    assert replayed(audio) == b""
