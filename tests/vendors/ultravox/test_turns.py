"""What Ultravox's messages mean, in every order in which they may come."""

from __future__ import annotations

from typing import Any

import pytest

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import speak
from voxengine.providers.ultravox.turns import Turns

PCM = AudioFormat("pcm16", 24000)
SPEECH = speak("hello", PCM)


def made() -> Any:
    return Turns(lambda: {"timestamp": 1.0, "provider": "ultravox"}, PCM)


def kinds(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


def said(events: list[Any]) -> list[str]:
    return [event.text for event in events if isinstance(event, ev.TextOutput)]


def test_a_turn_and_its_answer():
    turns = made()
    events = turns.speech_started(100) + turns.speech_stopped(900)
    events += turns.state("thinking", 1000)
    events += turns.user_words("hello there", None, True, 1100)
    assert kinds(events) == [
        "VadSpeechStarted",
        "VadSpeechEnded",
        "TurnDetected",
        "TranscriptCompleted",
    ]
    assert len({event.item_id for event in events}) == 1
    assert events[-1].text == "hello there"
    events = turns.state("speaking", 1100)
    events += turns.agent_words(None, "Hello", 1) + turns.audio(SPEECH)
    events += turns.agent_words(None, " you", 1) + turns.agent_words("Hello you.", None, 1)
    events += turns.state("listening", 1200)
    assert kinds(events) == [
        "ResponseStarted",
        "TextOutput",
        "AudioOutputChunk",
        "TextOutput",
        "TextOutput",
        "ResponseCompleted",
    ]
    assert said(events) == ["Hello", " you", "."]
    assert len({event.response_id for event in events}) == 1


def test_the_transcript_comes_after_the_answer_has_begun():
    turns = made()
    (started,) = turns.speech_started(0)
    turns.speech_stopped(1)
    turns.state("thinking", 1)
    turns.agent_words(None, "Hello", 1)
    events = turns.user_words("good morning", None, True, 2)
    assert kinds(events) == ["TranscriptCompleted"]
    assert events[0].item_id == started.item_id
    assert turns.response_id is not None


def test_the_transcript_is_the_first_that_is_known_of_a_turn():
    turns = made()
    events = turns.user_words("good morning", None, True, 500)
    assert kinds(events) == ["TurnDetected", "TranscriptCompleted"]
    # The server thinks about it now; that is not another turn.
    assert turns.state("thinking", 500) == []


def test_words_that_come_piece_by_piece():
    turns = made()
    turns.speech_started(0)
    events = turns.user_words(None, "good", False, 1)
    events += turns.user_words(None, " morning", False, 2)
    events += turns.user_words("good mourning", None, False, 3)
    assert [(e.text, kinds([e])[0]) for e in events] == [
        ("good", "TranscriptPartial"),
        ("good morning", "TranscriptPartial"),
    ]


def test_thinking_about_a_text_is_no_turn_of_speech():
    turns = made()
    turns.texted()
    assert turns.state("thinking", 0) == []


@pytest.mark.parametrize("state", ["thinking", "speaking"])
def test_the_user_interrupts(state: str):
    turns = made()
    turns.agent_words(None, "One", 3)
    turns.audio(SPEECH)
    # Somebody makes a sound: that is no reason to stop.
    assert turns.speech_started(10) + turns.speech_stopped(20) == []
    events = turns.cleared(30)
    assert kinds(events) == ["VadSpeechStarted", "ResponseCancelled"]
    assert events[1].reason == "turn_detected"
    # What still comes is let go: audio, and the whole of what was said.
    assert turns.audio(SPEECH) + turns.agent_words("One two", None, 3) == []
    assert turns.state("listening", 30) == []
    events = turns.speech_stopped(40) + turns.state(state, 50)
    assert kinds(events)[0] == "VadSpeechEnded"
    assert kinds(turns.audio(SPEECH)) == ["ResponseStarted", "AudioOutputChunk"]
    assert turns.agent_words("One two", None, 3) == []
    assert said(turns.agent_words(None, "Fine", 5)) == ["Fine"]


def test_interrupted_while_it_is_played():
    """All was sent: that the user speaks is what has to be known."""
    turns = made()
    turns.agent_words(None, "One", 3)
    turns.state("listening", 0)
    assert kinds(turns.speech_started(5) + turns.cleared(6)) == ["VadSpeechStarted"]


def test_we_interrupt():
    turns = made()
    turns.agent_words(None, "One", 3)
    (cancelled,) = turns.interrupt()
    assert isinstance(cancelled, ev.ResponseCancelled)
    assert cancelled.reason == "client_cancelled"
    # The server says so, too; nobody has spoken.
    assert turns.cleared(0) + turns.audio(SPEECH) + turns.agent_words("One", None, 3) == []
    turns.state("thinking", 0)
    assert kinds(turns.cleared(0)) == ["VadSpeechStarted"]


def test_a_text_of_ours_interrupts():
    turns = made()
    turns.agent_words(None, "One", 3)
    turns.texted()
    assert kinds(turns.cleared(0)) == ["ResponseCancelled"]


def test_a_tool():
    turns = made()
    events = turns.tool_call("call", "look", "{}")
    assert kinds(events) == ["ResponseStarted", "FunctionInvoked", "ResponseCompleted"]
    turns.state("thinking", 0)
    assert kinds(turns.agent_words(None, "It is so", 7)) == ["ResponseStarted", "TextOutput"]


def test_an_answer_follows_another_without_a_pause():
    turns = made()
    turns.agent_words(None, "One", 3)
    assert kinds(turns.state("thinking", 0)) == ["ResponseCompleted"]


def test_two_utterances_of_one_answer():
    turns = made()
    events = turns.agent_words("One.", None, 3) + turns.agent_words("Two.", None, 4)
    assert said(events) == ["One.", " Two."]
    # What is told anew in other words cannot be taken back.
    assert turns.agent_words("Won.", None, 3) == []


def test_silence_that_fills_the_line():
    turns = made()
    assert turns.audio(silence(100, PCM)) == []
    turns.audio(SPEECH)
    assert kinds(turns.audio(silence(2500, PCM))) == ["AudioOutputChunk"] * 3


@pytest.mark.parametrize("wanted", ["transcripts", "partials", "vad_events"])
def test_only_what_is_wanted_is_told(wanted: str):
    told = {
        "transcripts": {"TranscriptPartial", "TranscriptCompleted"},
        "partials": {"TranscriptPartial"},
        "vad_events": {"VadSpeechStarted", "VadSpeechEnded"},
    }
    turns = made()
    setattr(turns, wanted, False)
    events = turns.speech_started(0) + turns.user_words(None, "a", False, 0)
    events += turns.speech_stopped(0) + turns.user_words("a b", None, True, 0)
    assert not told[wanted] & set(kinds(events))
    assert "TurnDetected" in kinds(events)


def test_nothing_is_left_when_the_line_is_gone():
    turns = made()
    assert turns.forget() is None
    turns.audio(SPEECH)
    assert turns.forget() is not None
    assert turns.response_id is None
