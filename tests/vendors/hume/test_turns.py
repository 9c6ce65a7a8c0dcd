"""What EVI's messages mean, in every order in which they may come."""

from __future__ import annotations

from typing import Any

import pytest

from voxengine import events as ev
from voxengine.audio.level import silence
from voxengine.providers.hume.audio import OUTPUT
from voxengine.providers.hume.turns import Turns

#: Half a second.
PIECE = silence(500, OUTPUT)


def made() -> Any:
    return Turns(lambda: {"timestamp": 1.0, "provider": "hume"})


def kinds(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


def texts(events: list[Any]) -> list[tuple[str, float | None]]:
    return [(e.text, e.audio_start_ms) for e in events if isinstance(e, ev.TextOutput)]


def test_a_turn_and_its_answer():
    turns = made()
    events = turns.interim("good", 100)
    assert kinds(events) == ["VadSpeechStarted"]
    assert events[0].audio_ms == 100
    assert kinds(turns.interim("good morning", 100)) == ["TranscriptPartial"]
    events = turns.final("good morning", 100, 900, 1400, language="en", scores={"Joy": 0.5})
    assert kinds(events) == [
        "VadSpeechEnded",
        "TurnDetected",
        "EmotionDetected",
        "TranscriptPartial",
        "TranscriptCompleted",
    ]
    assert (events[0].audio_ms, events[0].lag_ms) == (900, 500)
    assert events[2].scores == {"Joy": 0.5}
    assert (events[-1].text, events[-1].language) == ("good morning", "en")
    assert len({event.item_id for event in events}) == 1
    events = turns.said("a", "Hello.") + turns.audio("a", PIECE) + turns.ended()
    assert kinds(events) == [
        "ResponseStarted",
        "TextOutput",
        "AudioOutputChunk",
        "ResponseCompleted",
    ]
    assert len({event.response_id for event in events}) == 1


def test_each_text_is_where_its_audio_begins():
    turns = made()
    events = turns.said("a", "One.") + turns.said("b", "Two.") + turns.said("c", "Three.")
    assert texts(events) == [("One.", 0.0)]
    events = turns.audio("a", PIECE) + turns.audio("a", PIECE) + turns.audio("b", PIECE)
    assert texts(events) == [(" Two.", 1000.0)]
    # The third never gets any audio, and is told all the same.
    assert texts(turns.ended()) == [(" Three.", 1500.0)]


def test_a_long_piece_comes_in_chunks():
    chunks = [e for e in made().audio("a", PIECE * 5) if isinstance(e, ev.AudioOutputChunk)]
    assert [len(chunk.audio_data) for chunk in chunks] == [96000, 96000, 48000]


def test_the_user_interrupts():
    turns = made()
    turns.said("a", "One.")
    turns.audio("a", PIECE)
    turns.said("b", "Two.")
    # A word while it speaks is no reason to stop.
    assert kinds(turns.interim("stop", 5000)) == []
    assert kinds(turns.interrupted()) == ["VadSpeechStarted", "ResponseCancelled"]
    assert turns.response_id is None
    # What still comes is let go: of known segments, of new ones, and the end.
    late = turns.audio("a", PIECE) + turns.said("c", "Three.") + turns.audio("c", PIECE)
    assert late + turns.tool_call("call", "look", "{}") == []
    assert kinds(turns.final("stop it", 5000, 6000, 6500))[:2] == ["VadSpeechEnded", "TurnDetected"]
    assert turns.audio("b", PIECE) == []
    assert kinds(turns.said("d", "Fine.")) == ["ResponseStarted", "TextOutput"]


def test_the_end_of_what_was_interrupted_comes_late():
    turns = made()
    turns.said("a", "One.")
    turns.interrupted()
    assert turns.ended() == []
    # EVI has made up its mind: it may speak again without a word of the user's.
    assert kinds(turns.said("b", "Are you there?")) == ["ResponseStarted", "TextOutput"]


def test_interrupted_after_all_was_said():
    """It may still be playing: that the user speaks is what has to be known."""
    turns = made()
    turns.said("a", "One.")
    turns.ended()
    assert kinds(turns.interrupted()) == ["VadSpeechStarted"]
    assert kinds(turns.said("b", "Two.")) == ["ResponseStarted", "TextOutput"]


def test_a_text_of_the_applications_interrupts():
    turns = made()
    turns.said("a", "One.")
    turns.texted()
    assert kinds(turns.interrupted()) == ["ResponseCancelled"]
    assert kinds(turns.said("b", "Two.")) == ["ResponseStarted", "TextOutput"]


def test_a_nod_does_not_end_an_answer():
    turns = made()
    turns.said("a", "One.")
    assert turns.interim("uh", 10) == []
    assert kinds(turns.final("uh huh", 10, 20, 30)) == ["TurnDetected", "TranscriptCompleted"]
    assert kinds(turns.audio("a", PIECE)) == ["AudioOutputChunk"]


def test_a_tool():
    turns = made()
    events = turns.said("a", "Let me see.") + turns.tool_call("call", "look", "")
    assert kinds(events) == [
        "ResponseStarted",
        "TextOutput",
        "FunctionInvoked",
        "ResponseCompleted",
    ]
    assert events[2].arguments == "{}"
    # The audio of what was said before comes all the same.
    assert kinds(turns.audio("a", PIECE)) == ["ResponseStarted", "AudioOutputChunk"]
    turns.ended()
    turns.returned()
    assert kinds(turns.said("b", "It is so.")) == ["ResponseStarted", "TextOutput"]


def test_words_that_were_shown_stay():
    turns = made()
    shown = []
    for words in ("I wand", "I want to", "I want to go", "I wanted two goats"):
        events = turns.interim(words, 0)
        shown += [e.text for e in events if isinstance(e, ev.TranscriptPartial)]
    assert shown == ["I", "I want to"]
    # The whole is another text: nothing is shown in between.
    assert "TranscriptPartial" not in kinds(turns.final("I wanted goats", 0, 1, 1))


@pytest.mark.parametrize("wanted", ["transcripts", "partials", "vad_events"])
def test_only_what_is_wanted_is_told(wanted: str):
    told = {
        "transcripts": {"TranscriptPartial", "TranscriptCompleted"},
        "partials": {"TranscriptPartial"},
        "vad_events": {"VadSpeechStarted", "VadSpeechEnded"},
    }
    turns = made()
    setattr(turns, wanted, False)
    events = turns.interim("a b", 0) + turns.interim("a b c", 0) + turns.final("a b c", 0, 1, 1)
    assert not told[wanted] & set(kinds(events))
    assert "TurnDetected" in kinds(events)


def test_nothing_is_said_of_nothing():
    turns = made()
    assert turns.interim("  ", 0) + turns.said("a", "") + turns.ended() == []
    assert turns.forget() is None
    turns.said("a", "One.")
    assert turns.forget() is not None
    assert turns.response_id is None
