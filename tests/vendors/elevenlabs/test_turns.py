"""An agent's messages as turns and responses: what races, and what the agent does not tell."""

from __future__ import annotations

from typing import Any

from voxengine import events as ev
from voxengine.providers.elevenlabs.codec import Alignment
from voxengine.providers.elevenlabs.turns import Turns


class Talk:
    """Turns, a clock, and all events so far as short words."""

    def __init__(self) -> None:
        self.turns = Turns(dict)
        self.now = 100.0
        self.events: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any) -> list[str]:
            found = getattr(self.turns, name)(*args, self.now)
            self.events += found
            names: list[str] = [type(event).__name__ for event in found]
            return names

        return call

    def sound(self, ms: float, event_id: int, words: str = "") -> list[str]:
        """A piece of audio; the words are spread over it."""
        step = int(ms / max(1, len(words)))
        chars = list(words)
        alignment = Alignment(chars, [n * step for n in range(len(chars))], [step] * len(chars))
        n = int(ms * 32)
        told: list[str] = self.audio(bytes(n - n % 2), event_id, alignment if words else None)
        return told

    def wait(self, seconds: float) -> list[str]:
        """Time passes; what was due is told."""
        end = self.now + seconds
        told: list[str] = []
        while (due := self.turns.deadline) is not None and due <= end:
            self.now = due
            told += self.tick()
        self.now = end
        return told

    def of(self, kind: Any) -> list[Any]:
        return [event for event in self.events if type(event) is kind]

    def text(self) -> str:
        return "".join(event.text for event in self.of(ev.TextOutput))


def test_an_answer_ends_behind_its_last_word():
    talk = Talk()
    assert talk.said("Hello there.") == ["ResponseStarted"]
    assert talk.sound(500, 1, "Hello ") == ["TextOutput", "AudioOutputChunk"]
    assert talk.sound(500, 2, "there.") == ["TextOutput", "AudioOutputChunk"]
    assert talk.wait(0.4) == []
    assert talk.wait(0.2) == ["ResponseCompleted"]
    assert talk.text() == "Hello there."
    first, second = talk.of(ev.TextOutput)
    assert (first.audio_start_ms, second.audio_start_ms) == (0, 500)
    assert second.audio_end_ms <= 1000


def test_a_text_that_comes_after_its_first_audio_is_of_the_same_answer():
    talk = Talk()
    assert talk.sound(500, 1, "Hello ") == ["ResponseStarted", "AudioOutputChunk"]
    assert talk.said("Hello there.") == ["TextOutput"]
    talk.sound(500, 2, "there.")
    assert talk.wait(1) == ["ResponseCompleted"]
    assert talk.text() == "Hello there."


def test_without_places_all_of_the_text_is_told_and_the_end_is_that_of_the_audio():
    talk = Talk()
    talk.said("Hello there.")
    assert talk.sound(400, 1) == ["AudioOutputChunk"]
    assert talk.sound(400, 2) == ["AudioOutputChunk", "TextOutput"]
    (text,) = talk.of(ev.TextOutput)
    assert (text.text, text.audio_start_ms) == ("Hello there.", None)
    assert talk.wait(1.7) == []
    assert talk.wait(0.2) == ["ResponseCompleted"]


def test_numbers_are_said_in_other_words():
    talk = Talk()
    talk.said("It is 5 past 10.")
    talk.sound(500, 1, "It is five ")
    talk.sound(500, 2, "past ten.")
    assert talk.wait(5) == ["TextOutput", "ResponseCompleted"]
    assert talk.text() == "It is 5 past 10."


def test_an_answer_that_comes_to_a_standstill_has_no_end_for_long():
    talk = Talk()
    talk.said("Hello there, this is a long answer that is not spoken.")
    talk.sound(500, 1, "Hello ")
    assert talk.wait(10) == []
    assert talk.wait(10) == ["TextOutput", "ResponseCompleted"]


def test_the_next_answer_ends_the_one_before():
    talk = Talk()
    talk.said("Hello.")
    talk.sound(500, 1, "Hello.")
    assert talk.said("And more.") == ["ResponseCompleted", "ResponseStarted"]
    first, second = talk.of(ev.ResponseStarted)
    assert first.response_id != second.response_id


def test_calls_that_come_together_are_of_one_answer():
    talk = Talk()
    assert talk.tool_call("c1", "look", "{}") == ["ResponseStarted", "FunctionInvoked"]
    assert talk.tool_call("c2", "look", "") == ["FunctionInvoked"]
    assert talk.wait(0.1) == ["ResponseCompleted"]
    assert [call.arguments for call in talk.of(ev.FunctionInvoked)] == ["{}", "{}"]
    assert talk.said("Found.") == ["ResponseStarted"]


def test_words_before_a_call_are_spoken_to_their_end():
    talk = Talk()
    talk.said("Let me see.")
    talk.sound(500, 1, "Let ")
    assert talk.tool_call("c1", "look", "{}") == ["FunctionInvoked"]
    assert talk.wait(0.3) == []
    talk.sound(500, 2, "me see.")
    assert talk.wait(0.1) == ["ResponseCompleted"]
    assert talk.text() == "Let me see."


def test_an_interruption_makes_audio_void_that_is_on_its_way():
    talk = Talk()
    talk.said("Hello there.")
    talk.sound(500, 3, "Hello ")
    talk.now += 0.2
    assert talk.interrupted(4) == ["VadSpeechStarted", "ResponseCancelled"]
    assert talk.sound(500, 4, "there.") == []
    assert talk.sound(500, 2, "there.") == []
    assert talk.corrected("Hello there.", "Hello") == ["ConversationInterrupted"]
    (heard,) = talk.of(ev.ConversationInterrupted)
    assert heard.heard_text == "Hello"
    assert abs(heard.heard_ms - 200) < 1
    # The next answer counts on.
    talk.final("stop")
    talk.said("Fine.")
    assert talk.sound(500, 5, "Fine.") == ["TextOutput", "AudioOutputChunk"]


def test_an_answer_may_be_interrupted_that_was_sent_whole_and_plays():
    talk = Talk()
    talk.said("Hello there.")
    talk.sound(3000, 1, "Hello there.")
    assert talk.wait(1) == ["ResponseCompleted"]
    # A nod, as long as nobody says otherwise.
    assert talk.tentative("well well") == []
    assert talk.interrupted(1) == ["VadSpeechStarted"]
    talk.corrected("Hello there.", "Hello...")
    (heard,) = talk.of(ev.ConversationInterrupted)
    assert heard.heard_text == "Hello"
    assert abs(heard.heard_ms - 1000) < 1


def test_a_correction_before_the_interruption_is_as_good():
    talk = Talk()
    talk.said("Hello there.")
    talk.sound(1000, 1, "Hello there.")
    talk.now += 0.5
    assert talk.corrected("Hello there.", "Hello") == ["ConversationInterrupted"]
    assert talk.interrupted(1) == ["VadSpeechStarted", "ResponseCancelled"]
    assert talk.of(ev.ConversationInterrupted)[0].heard_ms == 500


def test_a_correction_of_nothing_is_let_go():
    talk = Talk()
    assert talk.corrected("Hello", "He") == []
    talk.said("Hello.")
    talk.sound(500, 1, "Hello.")
    talk.wait(5)
    assert talk.corrected("Hello.", "Hello.") == []


def test_what_the_application_puts_in_interrupts_without_speech():
    talk = Talk()
    talk.said("Hello there.")
    talk.sound(500, 1, "Hello ")
    talk.turns.texted()
    assert talk.interrupted(1) == ["ResponseCancelled"]


def test_words_of_the_user_are_told_once_they_are_certain_and_never_change():
    talk = Talk()
    assert talk.tentative("go") == ["VadSpeechStarted"]
    assert talk.tentative("go four") == ["TranscriptPartial"]
    assert talk.tentative("go forward") == []
    assert talk.tentative("go forward ten") == ["TranscriptPartial"]
    talk.now += 0.5
    assert talk.final("go forward ten") == [
        "VadSpeechEnded",
        "TurnDetected",
        "TranscriptPartial",
        "TranscriptCompleted",
    ]
    shown = [event.text for event in talk.of(ev.TranscriptPartial)]
    assert shown == ["go", "go forward", "go forward ten"]
    assert talk.of(ev.VadSpeechEnded)[0].lag_ms == 500
    ids = {event.item_id for event in talk.events}
    assert len(ids) == 1


def test_a_silent_user_is_no_turn():
    talk = Talk()
    assert talk.tentative("...") == []
    assert talk.final("...") == []


def test_an_agent_that_writes_has_ended_with_its_text():
    talk = Talk()
    talk.turns.speaks = False
    assert talk.said("Hello there.") == ["ResponseStarted", "TextOutput", "ResponseCompleted"]


def test_a_lost_connection_leaves_nothing_under_way():
    talk = Talk()
    talk.said("Hello there.")
    assert talk.turns.forget() is not None
    assert talk.turns.deadline is None
    assert talk.turns.forget() is None
