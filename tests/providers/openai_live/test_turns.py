"""How pieces on a time line become turns and responses: each case at exact times, without a connection."""

from __future__ import annotations

from typing import Any

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import speak
from voxengine.providers.openai_live.turns import RESPONSE_PAUSE_S, USER_PAUSE_S, Turns

FORMAT = AudioFormat("pcm16", 24000)
#: 100 ms of speech.
SOUND = speak("word", FORMAT)[: FORMAT.n_bytes(100)]


def turns(**settings: Any) -> Turns:
    return Turns(lambda: {"provider": "openai-live"}, FORMAT, **settings)


def names(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_the_first_sound_of_the_model_ends_the_users_turn():
    t = turns()
    said = t.heard("hello ", 0, 300, 1.0)
    events = t.audio(SOUND, 1.5)
    assert names(said) == ["TranscriptPartial"]
    assert names(events) == [
        "TurnDetected",
        "TranscriptCompleted",
        "ResponseStarted",
        "AudioOutputChunk",
    ]
    assert {e.item_id for e in (*said, *events[:2])} == {said[0].item_id}  # type: ignore[attr-defined]


def test_partial_texts_are_the_whole_turn_so_far():
    t = turns()
    events = [*t.heard("one ", 0, 300, 0.0), *t.heard("two ", 300, 600, 0.3)]
    assert [e.text for e in events] == ["one ", "one two "]  # type: ignore[attr-defined]


def test_words_that_come_after_the_answer_began_complete_the_turn_before_it():
    t = turns()
    t.heard("what is ", 0, 400, 0.4)
    t.spoke("It", 1000, 1100, 0.9)
    late = t.heard("this? ", 400, 800, 1.0)
    assert names(late) == ["TranscriptCompleted"]
    assert late[0].text == "what is this?"  # type: ignore[attr-defined]


def test_words_over_the_answer_are_another_turn():
    t = turns()
    first = t.heard("hello ", 0, 400, 0.4)[0]
    t.spoke("Hi", 1000, 1100, 1.0)
    t.audio(SOUND * 5, 1.0)
    over = t.heard("wait ", 1200, 1400, 1.3)
    assert names(over) == ["TranscriptPartial"]
    assert over[0].item_id != first.item_id  # type: ignore[attr-defined]


def test_a_transcript_that_lags_behind_the_answer_is_no_second_turn_of_nobody():
    t = turns()
    begun = t.audio(SOUND, 1.0)
    assert names(begun) == ["ResponseStarted", "AudioOutputChunk"]
    heard = t.heard("hello ", 0, 400, 1.05)
    assert names(heard) == ["TranscriptPartial"]
    assert names(t.tick(1.05 + USER_PAUSE_S)) == ["TranscriptCompleted"]


def test_a_pause_completes_the_words_and_more_words_complete_them_anew():
    t = turns()
    t.heard("one ", 0, 300, 0.3)
    assert t.deadline == 0.3 + USER_PAUSE_S
    assert t.tick(0.3 + USER_PAUSE_S - 0.01) == []
    done = t.tick(0.3 + USER_PAUSE_S)
    again = t.heard("two ", 900, 1200, 1.6)
    other = t.heard("three ", 5000, 5300, 5.3)
    assert names([*done, *again, *other]) == [
        "TranscriptCompleted",
        "TranscriptCompleted",
        "TranscriptPartial",
    ]
    assert [e.text for e in (*done, *again, *other)] == ["one", "one two", "three "]  # type: ignore[attr-defined]


def test_a_response_ends_after_its_audio_has_been_played_and_a_pause():
    t = turns()
    for _ in range(20):  # two seconds of audio, at once
        t.audio(SOUND, 0.0)
    assert t.tick(2.0 + RESPONSE_PAUSE_S - 0.01) == []
    assert names(t.tick(2.0 + RESPONSE_PAUSE_S + 0.01)) == ["ResponseCompleted"]
    assert t.deadline is None


def test_silence_does_not_prolong_a_response_nor_begin_one():
    t = turns()
    quiet = silence(100, FORMAT)
    assert t.audio(quiet, 0.0) == []
    t.audio(SOUND, 0.1)
    for n in range(12):
        assert names(t.audio(quiet, 0.2 + n / 10)) == ["AudioOutputChunk"]
    assert names(t.tick(0.2 + RESPONSE_PAUSE_S)) == ["ResponseCompleted"]
    assert t.audio(quiet, 1.5) == []


def test_the_users_words_end_a_response_that_has_fallen_silent():
    t = turns()
    t.audio(SOUND, 0.0)
    events = t.heard("and now? ", 500, 900, 0.9)
    assert names(events) == ["ResponseCompleted", "TranscriptPartial"]


def test_after_words_over_it_and_a_gap_the_model_answers_anew():
    t = turns()
    t.heard("tell ", 0, 300, 0.3)
    first = t.audio(SOUND, 1.0)[-1]
    t.heard("stop ", 1350, 1390, 1.09)
    events = t.audio(SOUND, 1.6)
    assert names(events) == [
        "ResponseCompleted",
        "TurnDetected",
        "TranscriptCompleted",
        "ResponseStarted",
        "AudioOutputChunk",
    ]
    assert events[-1].response_id != first.response_id  # type: ignore[attr-defined]


def test_words_are_placed_in_the_audio_of_their_response():
    t = turns()
    t.spoke("old", 100, 200, 0.1)
    t.tick(5.0)
    placed = [*t.spoke("Hi ", 7000, 7300, 7.0), *t.spoke("there", 7350, 7700, 7.3)]
    texts = [e for e in placed if isinstance(e, ev.TextOutput)]
    assert [(e.audio_start_ms, e.audio_end_ms) for e in texts] == [(0, 300), (350, 700)]


def test_a_task_is_part_of_a_response():
    t = turns()
    t.heard("look it up ", 0, 500, 0.5)
    events = t.delegated("delegate", "task_1", "{}", 1.0)
    assert names(events) == [
        "TurnDetected",
        "TranscriptCompleted",
        "ResponseStarted",
        "FunctionInvoked",
    ]
    assert names(t.tick(1.0 + RESPONSE_PAUSE_S)) == ["ResponseCompleted"]


def test_no_transcripts_where_they_are_not_wanted():
    t = turns(transcripts=False)
    assert t.heard("hello ", 0, 300, 0.3) == []
    assert names(t.audio(SOUND, 0.5)) == ["TurnDetected", "ResponseStarted", "AudioOutputChunk"]
    assert t.last_words == "hello"
