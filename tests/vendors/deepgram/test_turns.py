"""What the Voice Agent's messages mean, in every order in which they may come."""

from __future__ import annotations

from typing import Any

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.providers.deepgram.codec import Function
from voxengine.providers.deepgram.turns import Turns

FORMAT = AudioFormat("pcm16", 24000)
#: Half a second.
PIECE = silence(500, FORMAT)
LOOK = Function("c", "look", '{"what":"it"}')


def made() -> Any:
    return Turns(lambda: {"timestamp": 1.0, "provider": "deepgram"}, FORMAT)


def kinds(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_a_turn_and_its_answer():
    turns = made()
    events = turns.speech_started(300) + turns.user_words("good morning ", 1500, "en")
    assert kinds(events) == [
        "VadSpeechStarted",
        "VadSpeechEnded",
        "TurnDetected",
        "TranscriptCompleted",
    ]
    assert len({event.item_id for event in events}) == 1
    assert (events[0].audio_ms, events[1].audio_ms) == (300, 1500)
    assert (events[-1].text, events[-1].language) == ("good morning", "en")
    events = turns.agent_words("Hello.", 1600) + turns.audio(PIECE, 1600)
    events += turns.agent_words("How are you?", 1600) + turns.audio(PIECE, 1600)
    events += turns.audio_done()
    assert kinds(events) == [
        "ResponseStarted",
        "TextOutput",
        "AudioOutputChunk",
        "TextOutput",
        "AudioOutputChunk",
        "ResponseCompleted",
    ]
    assert len({event.response_id for event in events}) == 1
    assert [e.text for e in events if isinstance(e, ev.TextOutput)] == ["Hello.", " How are you?"]
    assert turns.audio_done() == []


def test_audio_before_its_words():
    assert kinds(made().audio(PIECE, 0)) == ["ResponseStarted", "AudioOutputChunk"]


def test_a_sample_that_is_cut_in_two_and_a_long_piece():
    turns = made()
    assert kinds(turns.audio(PIECE[:3], 0)) == ["ResponseStarted", "AudioOutputChunk"]
    (chunk,) = turns.audio(PIECE[3:8], 0)
    assert len(chunk.audio_data) == 6
    assert [len(e.audio_data) for e in turns.audio(PIECE * 5, 0)] == [48000, 48000, 24000]


def test_the_user_interrupts():
    turns = made()
    turns.agent_words("One.", 0)
    turns.audio(PIECE, 0)
    assert kinds(turns.speech_started(5000)) == ["VadSpeechStarted", "ResponseCancelled"]
    assert turns.audio(PIECE, 5000) == [], "late audio of what was cut"
    assert turns.audio_done() == []
    assert turns.speech_started(5100) == [], "told once"
    assert kinds(turns.user_words("stop", 6000)) == [
        "VadSpeechEnded",
        "TurnDetected",
        "TranscriptCompleted",
    ]
    assert kinds(turns.audio(PIECE, 6000)) == ["ResponseStarted", "AudioOutputChunk"]


def test_an_answer_to_a_mere_noise():
    turns = made()
    turns.speech_started(0)
    # Whatever made the agent speak: nobody else does then.
    assert kinds(turns.agent_words("Are you there?", 900)) == [
        "VadSpeechEnded",
        "ResponseStarted",
        "TextOutput",
    ]


def test_what_we_put_in_is_no_turn_and_ends_what_is_said():
    turns = made()
    turns.agent_words("One.", 0)
    turns.texted("and now?")
    assert kinds(turns.user_words("and now?", 0)) == ["ResponseCancelled"]
    assert turns.audio(PIECE, 0) == [], "of the answer before"
    assert kinds(turns.agent_words("Two.", 0)) == ["ResponseStarted", "TextOutput"]
    turns.audio_done()
    turns.texted("good morning")
    turns.speech_started(0)
    said = kinds(turns.user_words("good morning", 0))
    assert said[-1] == "TranscriptCompleted", "that was spoken, too"


def test_words_of_the_user_without_a_beginning_of_speech():
    turns = made()
    turns.agent_words("One.", 0)
    assert kinds(turns.user_words("stop", 100)) == [
        "ResponseCancelled",
        "TurnDetected",
        "TranscriptCompleted",
    ]
    assert turns.audio(PIECE, 100) == []
    turns.begins()
    assert kinds(turns.audio(PIECE, 100)) == ["ResponseStarted", "AudioOutputChunk"]


def test_a_tool_before_anything_was_said():
    turns = made()
    events = turns.tools([LOOK, Function("d", "look", "")], 0)
    assert kinds(events) == [
        "ResponseStarted",
        "FunctionInvoked",
        "FunctionInvoked",
        "ResponseCompleted",
    ]
    assert [e.arguments for e in events[1:3]] == ['{"what":"it"}', "{}"]


def test_what_is_said_before_a_tool_goes_on_beside_it():
    turns = made()
    turns.agent_words("One moment.", 0)
    assert kinds(turns.tools([LOOK], 0)) == ["FunctionInvoked"]
    assert kinds(turns.audio(PIECE, 0)) == ["AudioOutputChunk"]
    assert kinds(turns.returned()) == ["ResponseCompleted"]
    assert kinds(turns.agent_words("Found it.", 0)) == ["ResponseStarted", "TextOutput"]
    assert turns.returned() == [], "this one has called nothing"


def test_only_what_is_wanted_is_told():
    turns = made()
    turns.transcripts = turns.vad_events = False
    assert kinds(turns.speech_started(0) + turns.user_words("hello", 0)) == ["TurnDetected"]


def test_the_connection_is_gone():
    turns = made()
    (started, _) = turns.agent_words("One.", 0)
    assert turns.forget() == started.response_id
    assert turns.forget() is None
