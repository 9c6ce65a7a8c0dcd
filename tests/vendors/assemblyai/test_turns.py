"""The Voice Agent's messages in the orders in which they may come."""

from __future__ import annotations

from typing import Any

import pytest

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.providers.assemblyai.turns import Turns

PCM = AudioFormat("pcm16", 24000)


def turns() -> Turns:
    return Turns(dict, PCM)


def run(found: Turns, *steps: tuple[Any, ...]) -> list[ev.ProviderEvent]:
    events: list[ev.ProviderEvent] = []
    for name, *arguments in steps:
        events += getattr(found, name)(*arguments)
    return events


def kinds(events: list[ev.ProviderEvent]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_a_turn_of_the_user():
    events = run(
        turns(),
        ("speech_started", 100.0),
        ("user_delta", "good mor"),
        ("user_delta", "good morning"),
        ("user_delta", "good morning to"),
        ("speech_stopped", 1500.0),
        ("user_words", "Good morning to you.", 1500.0),
    )
    assert kinds(events) == [
        "VadSpeechStarted",
        "TranscriptPartial",
        "TranscriptPartial",
        "VadSpeechEnded",
        "TurnDetected",
        "TranscriptCompleted",
    ]
    assert len({event.item_id for event in events}) == 1  # type: ignore[attr-defined]


def test_words_that_come_when_the_user_speaks_again_are_those_of_the_turn_before():
    events = run(
        turns(),
        ("speech_started", 0.0),
        ("speech_stopped", 500.0),
        ("speech_started", 900.0),
        ("user_words", "wait", 1000.0),
        ("speech_stopped", 1500.0),
        ("user_words", "stop it", 1500.0),
    )
    done = [event for event in events if isinstance(event, ev.TranscriptCompleted)]
    first, second = (e.item_id for e in events if isinstance(e, ev.VadSpeechStarted))
    assert [(e.item_id, e.text) for e in done] == [
        (first, ""),
        (first, "wait"),
        (second, "stop it"),
    ]


def test_a_noise_does_not_take_the_words_of_the_next_turn():
    events = run(
        turns(),
        ("speech_started", 0.0),
        ("speech_stopped", 500.0),
        ("speech_started", 900.0),
        ("speech_stopped", 1500.0),
        ("user_words", "stop it", 1500.0),
    )
    done = [event for event in events if isinstance(event, ev.TranscriptCompleted)]
    first, second = (e.item_id for e in events if isinstance(e, ev.VadSpeechStarted))
    assert [(e.item_id, e.text) for e in done] == [(first, ""), (second, "stop it")]


def test_words_of_which_nothing_was_told_before():
    events = run(turns(), ("user_words", "yes", 700.0))
    assert kinds(events) == [
        "VadSpeechStarted",
        "VadSpeechEnded",
        "TurnDetected",
        "TranscriptCompleted",
    ]


def test_words_have_blanks_between_them_and_places():
    events = run(
        turns(),
        ("reply_started", "r"),
        ("agent_delta", "r", "Hello", 0.0, 200.0),
        ("agent_delta", "r", "there.", 220.0, 480.0),
        ("agent_delta", "other", "No", 0.0, 1.0),
        ("audio", bytes(480)),
        ("agent_text", "r", "Hello there.", False),
        ("reply_done", "r", "completed"),
    )
    texts = [event for event in events if isinstance(event, ev.TextOutput)]
    assert "".join(event.text for event in texts) == "Hello there."
    assert (texts[1].audio_start_ms, texts[1].audio_end_ms) == (220.0, 480.0)
    assert kinds(events)[-1] == "ResponseCompleted"


def test_a_whole_text_counts_where_the_words_did_not_come_and_audio_did():
    spoken = run(
        turns(), ("reply_started", "r"), ("audio", bytes(480)), ("agent_text", "r", "Hello.", False)
    )
    assert [e.text for e in spoken if isinstance(e, ev.TextOutput)] == ["Hello."]
    silent = run(turns(), ("reply_started", "r"), ("agent_text", "r", "Hello.", False))
    assert not [e for e in silent if isinstance(e, ev.TextOutput)]


@pytest.mark.parametrize("early", [True, False], ids=["text before the end", "text after the end"])
def test_what_the_agent_takes_for_heard(early: bool):
    text = ("agent_text", "r", "one two", True)
    end = ("reply_done", "r", "interrupted")
    events = run(
        turns(),
        ("reply_started", "r"),
        ("audio", bytes(480)),
        *(
            ("agent_delta", "r", w, n * 100.0, n * 100.0 + 90)
            for n, w in enumerate(("one", "two", "three"))
        ),
        ("speech_started", 100.0),
        *((text, end) if early else (end, text)),
        ("audio", bytes(480)),
        ("agent_delta", "r", "four", 300.0, 390.0),
    )
    assert kinds(events)[-3:] == [
        "VadSpeechStarted",
        "ResponseCancelled",
        "ConversationInterrupted",
    ]
    said = events[-1]
    assert isinstance(said, ev.ConversationInterrupted)
    assert (said.heard_text, said.heard_ms) == ("one two", 190.0)


def test_samples_that_are_cut_in_two_and_long_pieces():
    found = turns()
    events = run(found, ("reply_started", "r"), ("audio", bytes(3)), ("audio", bytes(48000 + 1)))
    sizes = [len(e.audio_data) for e in events if isinstance(e, ev.AudioOutputChunk)]
    assert sizes == [2, 48000, 2]


def test_a_reply_that_was_never_ended_ends_with_the_next():
    events = run(turns(), ("reply_started", "r"), ("reply_started", "s"), ("reply_done", "r", None))
    assert kinds(events) == ["ResponseStarted", "ResponseCompleted", "ResponseStarted"]
    assert run(turns(), ("reply_done", "r", "completed")) == []
    assert run(turns(), ("audio", bytes(480))) == []


def test_a_call_outside_of_a_reply_begins_one():
    events = run(turns(), ("tool_call", "c", "look", "{}"))
    assert kinds(events) == ["ResponseStarted", "FunctionInvoked"]


def test_what_is_not_wanted_is_not_told():
    found = turns()
    found.transcripts = found.vad_events = False
    events = run(
        found,
        ("speech_started", 0.0),
        ("user_delta", "a b"),
        ("user_delta", "a b c"),
        ("speech_stopped", 1.0),
        ("user_words", "a b c", 1.0),
    )
    assert kinds(events) == ["TurnDetected"]
