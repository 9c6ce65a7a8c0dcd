"""Turns and responses of Gemini Live: what is told of every order in which its messages may come."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from voxengine.providers.gemini import codec
from voxengine.providers.gemini.turns import LATE_S, MUTE_S, Turns

END: dict[str, Any] = {"turnComplete": True}
CUT: dict[str, Any] = {"interrupted": True}
SENT: dict[str, Any] = {"generationComplete": True}


def heard(text: str, **more: Any) -> dict[str, Any]:
    return {"inputTranscription": {"text": text, **more}}


def spoke(text: str) -> dict[str, Any]:
    return {"outputTranscription": {"text": text}}


class Told:
    """One connection, and what it tells, in short."""

    def __init__(self) -> None:
        self.turns = Turns(dict, "g", 24000)
        self.now = 0.0
        self.events: list[Any] = []

    def take(self, *contents: dict[str, Any]) -> Told:
        for content in contents:
            found = msgspec.convert(content, codec.ServerContent)
            self.events += self.turns.content(found, self.now)
            self.now += 0.1
        return self

    def audio(self) -> Told:
        self.events += self.turns.audio(b"\0\0", self.now)
        return self

    def call(self, *ids: str) -> Told:
        calls = [codec.FunctionCall(name="look", id=call_id) for call_id in ids]
        self.events += self.turns.called(calls, self.now)
        return self

    def asked(self) -> Told:
        self.turns.asked()
        return self

    def interrupt(self) -> Told:
        self.events += self.turns.interrupt(self.now)
        return self

    def later(self, seconds: float) -> Told:
        self.now += seconds
        return self

    @property
    def short(self) -> list[str]:
        return [
            " ".join(filter(None, (_NAMES[type(e).__name__], getattr(e, "text", ""))))
            for e in self.events
        ]


_NAMES = {
    "ResponseStarted": "begin",
    "ResponseCompleted": "end",
    "ResponseCancelled": "cut",
    "TextOutput": "says",
    "AudioOutputChunk": "audio",
    "TurnDetected": "turn",
    "TranscriptPartial": "so far",
    "TranscriptCompleted": "said",
    "VadSpeechStarted": "starts",
    "VadSpeechEnded": "stops",
    "FunctionInvoked": "calls",
    "FunctionCancelled": "uncalls",
}
TURN = ["starts", "so far how", "so far how are you", "stops", "turn", "said how are you"]


def conversing() -> Told:
    """The user has asked something, and the answer has begun."""
    return Told().take(heard("how"), heard(" are you")).audio()


def test_pieces_of_a_transcript_are_one_item():
    told = conversing().take(spoke("I am"), spoke(" fine"), SENT, END)
    assert told.short == [*TURN, "begin", "audio", "says I am", "says  fine", "end"]
    user = {e.item_id for e in told.events[:6]}
    assert len(user) == 1
    assert (
        len({e.item_id for e in told.events if hasattr(e, "text") and e.type == "text_chunk"}) == 1
    )


def test_a_text_is_answered_without_a_turn():
    told = Told().asked().take(spoke("hi"), SENT, END)
    assert told.short == ["begin", "says hi", "end"]
    assert not told.turns.due


def test_an_answer_of_no_words_is_told():
    assert Told().asked().take(END).short == ["begin", "end"]
    refused = Told().take({**END, "turnCompleteReason": "RESPONSE_REJECTED"})
    assert refused.short == ["turn", "begin", "end"]
    assert (refused.events[-1].status, refused.events[-1].reason) == (
        "incomplete",
        "response_rejected",
    )
    assert Told().take(END).short == []


def test_words_that_come_late_belong_to_what_is_answered():
    told = Told().take(heard("how are")).audio().take(heard(" you"))
    assert told.short[-1] == "said how are you"
    assert told.events[-1].item_id == told.events[0].item_id


def test_all_words_may_come_after_the_answer_has_begun():
    told = Told().audio().take(heard("how are you", finished=True))
    assert told.short == ["turn", "begin", "audio", "said how are you"]
    assert told.events[0].item_id == told.events[-1].item_id


@pytest.mark.parametrize("end", ["late", "finished", "cut", "over"])
def test_words_of_another_turn_do_not(end: str):
    told = conversing()
    first = told.events[0].item_id
    match end:
        case "late":
            told.later(LATE_S + 0.1)
        case "finished":
            told.take({"inputTranscription": {"finished": True}})
        case "cut":
            told.take(CUT)
        case "over":
            told.take(SENT, END)
    told.take(heard("stop"))
    partial = [e for e in told.events if e.type == "transcript_partial"][-1]
    assert (partial.text, partial.item_id != first) == ("stop", True)


def test_who_speaks_over_an_answer_cuts_it():
    told = conversing()
    count = len(told.events)
    told.take(CUT, END, heard("stop it")).audio().take(END)
    assert told.short[count:] == [
        "starts",
        "cut",
        "so far stop it",
        "stops",
        "turn",
        "said stop it",
        "begin",
        "audio",
        "end",
    ]
    cut = next(e for e in told.events if e.type == "response_cancelled")
    assert cut.reason == "turn_detected"


def test_who_speaks_while_the_answer_is_played_is_told_of():
    told = conversing().take(SENT)
    assert told.turns.playing
    count = len(told.events)
    told.take(CUT, END)
    assert told.short[count:] == ["starts"]


def test_interim_words_extend_what_was_shown_or_are_not_shown():
    told = Told().take(
        {"interimInputTranscription": {"text": "how"}},
        {"interimInputTranscription": {"text": "how are"}},
        {"interimInputTranscription": {"text": "who are"}},
        heard("how are you"),
    )
    assert told.short == ["starts", "so far how", "so far how are", "so far how are you"]


def test_of_what_was_called_off_nothing_more_is_told():
    told = conversing().interrupt()
    count = len(told.events)
    assert told.short[-1] == "cut"
    told.audio().take(spoke("more"), CUT, END)
    assert told.short[count:] == []
    told.asked().take(spoke("next"))
    assert told.short[count:] == ["begin", "says next"]


def test_what_had_not_begun_is_called_off_too():
    told = Told().asked().interrupt().take(spoke("late"), CUT, END)
    assert told.short == []
    # And where the vendor had not begun either, the next answer is heard.
    told = Told().asked().interrupt().asked().take(spoke("next"))
    assert told.short == ["begin", "says next"]
    told = Told().asked().interrupt().later(MUTE_S).take(heard("you there")).audio()
    assert "begin" in told.short


def test_a_response_ends_with_its_calls_and_goes_on_in_another():
    told = Told().asked().take(spoke("let me see")).call("a", "b")
    assert told.short == ["begin", "says let me see", "calls", "calls", "end"]
    assert told.turns.busy
    assert told.turns.returned("a") == "look"
    assert told.turns.returned("a") is None
    assert told.turns.returned("b") == "look"
    told.take(spoke("found"), SENT, END)
    assert told.short[5:] == ["begin", "says found", "end"]
    items = [e.item_id for e in told.events if e.type == "text_chunk"]
    assert items[0] != items[1]


def test_a_result_after_the_end_of_the_turn_is_answered_without_a_turn_of_the_users():
    told = Told().asked().call("a").take(END)
    assert told.turns.returned("a") == "look"
    told.take(spoke("found"))
    assert told.short == ["begin", "calls", "end", "begin", "says found"]


def test_calls_are_taken_back():
    told = Told().asked().call("a", "b")
    told.events += told.turns.uncalled(["b", "c"])
    assert told.short[-1] == "uncalls"
    assert told.events[-1].call_id == "b"
    assert told.turns.returned("b") is None


def test_voice_activity_of_the_vendors_own():
    told = Told()
    begin = codec.Activity(voice_activity_type="ACTIVITY_START", audio_offset="1.5s")
    told.events += told.turns.active(begin, 1700.0)
    told.take(heard("hello"))
    end = codec.Activity(voice_activity_type="ACTIVITY_END", audio_offset="2s")
    told.events += told.turns.active(end, 2600.0)
    told.audio()
    assert told.short == ["starts", "so far hello", "stops", "turn", "said hello", "begin", "audio"]
    assert told.events[0].audio_ms == 1500.0
    assert (told.events[2].audio_ms, told.events[2].lag_ms) == (2000.0, 600.0)
    assert len({e.item_id for e in told.events[:5]}) == 1


def test_a_turn_that_is_ended_by_hand_is_told_once():
    told = Told().take(heard("hello"))
    told.events += told.turns.committed(told.now)
    told.take(heard(" there")).audio()
    assert told.short == [
        "starts",
        "so far hello",
        "stops",
        "turn",
        "so far hello there",
        "said hello there",
        "begin",
        "audio",
    ]


def test_only_what_is_wanted_is_told():
    told = Told()
    told.turns.transcripts = told.turns.activity = False
    told.take(heard("hello", finished=True)).audio()
    assert told.short == ["turn", "begin", "audio"]


def test_the_end_of_the_connection_forgets():
    told = conversing().call("a")
    assert told.turns.forget() is None
    told = conversing()
    assert told.turns.forget() == told.events[-1].response_id
    assert not told.turns.due
