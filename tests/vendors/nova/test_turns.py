from __future__ import annotations

from typing import Any

import pytest

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.providers.nova.codec import Body, Details, Kinds, Tokens
from voxengine.providers.nova.turns import GRACE_S, SPEECH_S, WORDS_S, Turns

FORMAT = AudioFormat("pcm16", 24000)
SECOND = bytes(48000)
MARK = '{ "interrupted" : true }'


class Server:
    """Says things as the server does; what comes of them is in `events`."""

    def __init__(self) -> None:
        self.turns = Turns(lambda: {"timestamp": 1.0, "provider": "nova"}, FORMAT, "the-model")
        self.events: list[Any] = []
        self.now = 0.0
        self._count = 0

    def take(self, events: list[Any]) -> None:
        self.events += events

    def begin(self, kind: str, role: str, stage: str = "") -> str:
        self._count += 1
        content_id = f"c{self._count}"
        fields = f'{{"generationStage":"{stage}"}}' if stage else None
        body = Body(content_id=content_id, type=kind, role=role, additional_model_fields=fields)
        self.take(self.turns.started(body))
        return content_id

    def end(self, content_id: str, reason: str = "PARTIAL_TURN") -> None:
        self.take(self.turns.ended(Body(content_id=content_id, stop_reason=reason), self.now))

    def text(self, role: str, stage: str, text: str, reason: str = "PARTIAL_TURN") -> None:
        content_id = self.begin("TEXT", role, stage)
        self.take(self.turns.text(Body(content_id=content_id, content=text)))
        self.end(content_id, reason)

    def user(self, text: str) -> None:
        self.text("USER", "FINAL", text)

    def sentence(self, text: str, reason: str = "PARTIAL_TURN") -> None:
        self.text("ASSISTANT", "SPECULATIVE", text)
        audio = self.begin("AUDIO", "ASSISTANT")
        self.audio(audio)
        self.end(audio, reason)

    def audio(self, content_id: str) -> None:
        self.take(self.turns.audio(Body(content_id=content_id), SECOND, self.now))

    def tool(self, call_id: str = "call") -> None:
        content_id = self.begin("TOOL", "TOOL")
        body = Body(content_id=content_id, tool_use_id=call_id, tool_name="look", content='{"a":1}')
        self.take(self.turns.tool(body))
        self.end(content_id, "TOOL_USE")

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while (due := self.turns.deadline) is not None and due <= until:
            self.now = max(self.now, due)
            self.take(self.turns.tick(self.now))
        self.now = until

    @property
    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if type(event) is kind]


@pytest.fixture
def server() -> Server:
    return Server()


def test_a_turn_and_its_answer(server: Server):
    server.user("What time is it?")
    server.sentence("It is ten.")
    server.sentence("Time for tea.", "END_TURN")
    server.wait(1)
    assert server.kinds == [
        "TranscriptPartial",
        "TurnDetected",
        "TranscriptCompleted",
        "ResponseStarted",
        "TextOutput",
        "AudioOutputChunk",
        "TextOutput",
        "AudioOutputChunk",
        "ResponseCompleted",
    ]
    texts = server.of(ev.TextOutput)
    assert "".join(event.text for event in texts) == "It is ten. Time for tea."
    assert [event.audio_start_ms for event in texts] == [0, 1000]
    (detected,), (told,) = server.of(ev.TurnDetected), server.of(ev.TranscriptCompleted)
    assert detected.item_id == told.item_id
    assert told.text == "What time is it?"
    ids = {e.response_id for e in server.events if hasattr(e, "response_id")}
    assert len(ids) == 1


def test_what_was_said_as_planned_is_told_once(server: Server):
    server.sentence("It is ten.")
    server.text("ASSISTANT", "FINAL", "It is ten.")
    server.sentence("Time for tea.", "END_TURN")
    server.text("ASSISTANT", "FINAL", "Time for tea.", "END_TURN")
    assert [event.text for event in server.of(ev.TextOutput)] == ["It is ten.", " Time for tea."]


def test_what_was_said_without_a_plan_is_told_with_its_place(server: Server):
    audio = server.begin("AUDIO", "ASSISTANT")
    server.audio(audio)
    server.end(audio)
    server.text("ASSISTANT", "FINAL", "Hello.")
    (text,) = server.of(ev.TextOutput)
    assert (text.text, text.audio_start_ms, text.audio_end_ms) == ("Hello.", 0, 1000)


def test_what_the_user_says_in_pieces_is_one_turn(server: Server):
    server.user("I should like")
    server.user("a cup of tea")
    server.sentence("Here you are.", "END_TURN")
    assert [e.text for e in server.of(ev.TranscriptPartial)] == [
        "I should like",
        "I should like a cup of tea",
    ]
    (told,) = server.of(ev.TranscriptCompleted)
    assert told.text == "I should like a cup of tea"


def test_words_that_nobody_answers_are_complete_after_a_while(server: Server):
    server.user("Hm.")
    server.wait(WORDS_S + 0.1)
    assert server.kinds == ["TranscriptPartial", "TranscriptCompleted"]
    server.user("Well then.")
    assert [e.text for e in server.of(ev.TranscriptCompleted)] == ["Hm.", "Hm. Well then."]
    assert len(server.of(ev.TranscriptPartial)) == 1
    server.sentence("Yes?", "END_TURN")
    assert len(server.of(ev.TurnDetected)) == 1
    assert len(server.of(ev.TranscriptCompleted)) == 2


def test_words_in_writing_that_come_back_are_no_speech(server: Server):
    server.turns.written("Hello there ")
    server.user("Hello there")
    assert server.events == []
    server.user("Hello there")
    assert server.kinds == ["TranscriptPartial"]


@pytest.mark.parametrize("by_mark", [True, False])
def test_the_user_interrupts_while_audio_comes(server: Server, by_mark: bool):
    server.text("ASSISTANT", "SPECULATIVE", "A long story.")
    audio = server.begin("AUDIO", "ASSISTANT")
    server.audio(audio)
    server.now = 0.6
    if by_mark:
        # The audio ends as if it were complete, and the mark says that it is not.
        server.end(audio, "END_TURN")
        server.text("ASSISTANT", "FINAL", MARK, "INTERRUPTED")
    else:
        server.end(audio, "INTERRUPTED")
        server.text("ASSISTANT", "FINAL", MARK, "INTERRUPTED")
    server.wait(1)
    assert server.kinds[-2:] == ["VadSpeechStarted", "ResponseCancelled"]
    assert server.kinds.count("ResponseCancelled") == 1
    assert "ResponseCompleted" not in server.kinds
    assert server.events[-1].reason == "turn_detected"
    assert all("interrupted" not in event.text for event in server.of(ev.TextOutput))


def test_the_user_interrupts_when_all_was_sent(server: Server):
    server.sentence("One.")
    server.sentence("Two.", "END_TURN")
    server.wait(0.5)
    assert server.kinds[-1] == "ResponseCompleted"
    server.text("ASSISTANT", "FINAL", "One.")
    server.text("ASSISTANT", "FINAL", MARK, "INTERRUPTED")
    assert server.kinds[-2:] == ["VadSpeechStarted", "ConversationInterrupted"]
    heard = server.events[-1]
    assert (heard.heard_text, heard.heard_ms) == ("One.", 500)
    server.user("Stop.")
    started, ended = server.of(ev.VadSpeechStarted), server.of(ev.VadSpeechEnded)
    assert started[0].item_id == ended[0].item_id == server.of(ev.TranscriptPartial)[0].item_id
    server.sentence("Yes.", "END_TURN")
    assert len(server.of(ev.VadSpeechEnded)) == 1


def test_speech_of_which_no_words_come_ends_by_itself(server: Server):
    server.sentence("One.", "END_TURN")
    server.wait(0.5)
    server.text("ASSISTANT", "FINAL", MARK, "INTERRUPTED")
    server.wait(SPEECH_S - 0.1)
    assert server.of(ev.VadSpeechEnded) == []
    server.wait(0.2)
    assert len(server.of(ev.VadSpeechEnded)) == 1
    assert server.turns.deadline is None


def test_an_interruption_by_writing_is_no_speech(server: Server):
    server.sentence("One.")
    server.turns.written("Stop.")
    server.text("ASSISTANT", "FINAL", MARK, "INTERRUPTED")
    assert server.of(ev.VadSpeechStarted) == []
    (end,) = server.of(ev.ResponseCancelled)
    assert end.reason == "client_cancelled"


def test_what_comes_of_a_response_that_was_interrupted_is_let_go(server: Server):
    server.text("ASSISTANT", "SPECULATIVE", "A long story.")
    audio = server.begin("AUDIO", "ASSISTANT")
    late = server.begin("TEXT", "ASSISTANT", "SPECULATIVE")
    server.text("ASSISTANT", "FINAL", MARK, "INTERRUPTED")
    told = len(server.events)
    server.audio(audio)
    server.take(server.turns.text(Body(content_id=late, content="more")))
    server.end(late)
    server.end(audio, "END_TURN")
    assert len(server.events) == told


def test_without_wanting_to_know_of_speech_only_the_response_ends(server: Server):
    server.turns.vad_events = False
    server.sentence("One.")
    server.text("ASSISTANT", "FINAL", MARK, "INTERRUPTED")
    assert server.kinds[-1] == "ResponseCancelled"
    assert server.of(ev.VadSpeechStarted) == []


def test_a_call_ends_its_response_and_the_result_begins_another(server: Server):
    server.user("Look it up.")
    server.sentence("One moment.")
    server.tool()
    assert server.kinds[-2:] == ["FunctionInvoked", "ResponseCompleted"]
    (call,) = server.of(ev.FunctionInvoked)
    assert (call.call_id, call.name, call.arguments) == ("call", "look", '{"a":1}')
    assert server.turns.calls == {"call": "look"}
    server.sentence("Found it.", "END_TURN")
    server.wait(1)
    first, second = server.of(ev.ResponseStarted)
    assert first.response_id != second.response_id
    assert len(server.of(ev.ResponseCompleted)) == 2


def test_an_answer_that_follows_at_once_ends_the_one_before(server: Server):
    server.sentence("One.", "END_TURN")
    assert "ResponseCompleted" not in server.kinds
    server.sentence("Two.", "END_TURN")
    server.wait(GRACE_S + 0.01)
    kinds = [k for k in server.kinds if k.startswith("Response")]
    assert kinds == ["ResponseStarted", "ResponseCompleted"] * 2


def test_of_usage_what_was_added_is_told(server: Server):
    def report(heard: int, wrote: int) -> Body:
        total = Tokens(Kinds(heard, 5), Kinds(0, wrote))
        return Body(details=Details(total))

    server.take(server.turns.usage(report(10, 2)))
    server.take(server.turns.usage(report(25, 2)))
    server.take(server.turns.usage(report(25, 2)))
    server.take(server.turns.usage(Body()))
    first, second = server.of(ev.UsageUpdated)
    assert (first.input_audio_tokens, first.input_text_tokens, first.output_text_tokens) == (
        10,
        5,
        2,
    )
    assert (second.input_audio_tokens, second.input_text_tokens) == (15, 0)
    assert second.model == "the-model"


def test_what_is_of_no_content_is_let_go(server: Server):
    server.take(server.turns.text(Body(content_id="x", content="hello")))
    server.take(server.turns.audio(Body(content_id="x"), SECOND, 0.0))
    server.end("x", "INTERRUPTED")
    assert server.events == []


def test_contents_that_never_end_are_forgotten(server: Server):
    for _ in range(1000):
        server.begin("TEXT", "USER", "FINAL")
    assert len(server.turns._contents) <= 64


def test_when_the_connection_goes_nothing_is_under_way(server: Server):
    server.sentence("One.")
    response_id = server.turns.response_id
    assert server.turns.forget() == response_id
    assert server.turns.forget() is None
    assert server.turns.deadline is None
