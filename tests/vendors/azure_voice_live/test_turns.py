"""What the server's messages mean, as tables: races of responses, voice activity, calls. No connection, no time."""

from __future__ import annotations

from typing import Any

import msgspec
import pybase64
import pytest

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.providers.azure_voice_live import codec
from voxengine.providers.azure_voice_live.turns import Turns
from voxengine.providers.openai.gate import PLAIN

FORMAT = AudioFormat("pcm16", 24000)


class Case:
    """Turns, and messages by their names."""

    def __init__(self, *, places: bool = False) -> None:
        self.turns = Turns(dict, FORMAT, sent_ms=lambda: 2000.0, clock=lambda: 0.0)
        self.turns.places = places
        self.turns.silence_ms = 500.0

    def take(self, kind: str, **fields: Any) -> list[Any]:
        message = codec.decode(msgspec.json.encode({"type": kind, **fields}))
        assert isinstance(message, codec.Message)
        return list(self.turns.take(message))

    def created(self, id: str = "r1") -> list[Any]:
        return self.take("response.created", response={"id": id, "status": "in_progress"})

    def done(self, id: str = "r1", status: str = "completed", **details: Any) -> list[Any]:
        response = {"id": id, "status": status, "status_details": details or None}
        return self.take("response.done", response=response)

    def audio(self, id: str = "r1", ms: float = 100.0, **fields: Any) -> list[Any]:
        audio = bytes(FORMAT.n_bytes(ms))
        raw = {"type": codec.AUDIO_DELTA, "response_id": id, "item_id": "i1", **fields}
        message = codec.decode(
            msgspec.json.encode({**raw, "delta": pybase64.b64encode(audio).decode()})
        )
        assert isinstance(message, codec.Message)
        return list(self.turns.sound(message, audio))

    def text(self, text: str, id: str = "r1") -> list[Any]:
        kind = "response.audio_transcript.delta"
        return self.take(kind, response_id=id, item_id="i1", content_index=0, delta=text)

    def place(self, word: str, start: int, length: int, id: str = "r1") -> list[Any]:
        kind = "response.audio_timestamp.delta"
        at = {"audio_offset_ms": start, "audio_duration_ms": length}
        return self.take(kind, response_id=id, item_id="i1", text=word, **at)

    def sent(self) -> list[str]:
        messages, self.turns.out = self.turns.out, []
        return [msgspec.json.decode(message)["type"] for message in messages]


def kinds(events: list[Any]) -> list[type]:
    return [type(event) for event in events]


def test_one_answer_begins_and_ends_once():
    case = Case()
    assert kinds(case.created()) == [ev.ResponseStarted]
    assert case.created() == []
    assert kinds(case.audio()) == [ev.AudioOutputChunk]
    assert kinds(case.done()) == [ev.ResponseCompleted]
    assert case.done() == []
    assert case.created() == []
    # What comes late is of no answer any more.
    assert case.audio() == []
    assert case.text("late") == []


@pytest.mark.parametrize(
    ("status", "details", "event"),
    [
        ("incomplete", {"reason": "max_output_tokens"}, ev.ResponseCompleted),
        ("cancelled", {"reason": "turn_detected"}, ev.ResponseCancelled),
        ("failed", {"error": {"code": "rate_limit_exceeded", "message": "slow"}}, ev.ResponseError),
        ("failed", {"error": "something else"}, ev.ResponseError),
    ],
)
def test_how_an_answer_ends(status: str, details: dict[str, Any], event: type[Any]):
    case = Case()
    case.created()
    [end] = case.done(status=status, **details)
    assert type(end) is event
    if status == "failed":
        assert end.error in ("slow", "something else")
        assert (end.code, end.retryable) in (("rate_limit", True), ("response_failed", False))


def test_an_answer_that_was_called_off_before_it_began_is_told_to_nobody():
    case = Case()
    assert len(case.turns.gate.request(PLAIN)) == 1
    assert case.turns.gate.cancel() == []
    assert case.created() == []
    assert case.sent() == ["response.cancel"]
    assert case.text("unheard") == []
    assert case.audio() == []
    usage = {"total_tokens": 2, "input_tokens": 1, "output_tokens": 1}
    response = {"id": "r1", "status": "cancelled", "usage": usage}
    assert kinds(case.take("response.done", response=response)) == [ev.UsageUpdated]
    assert kinds(case.created("r2")) == [ev.ResponseStarted]


def test_requests_wait_for_the_answer_under_way():
    case = Case()
    case.created()
    assert case.turns.gate.request(PLAIN) == []
    case.done()
    assert case.sent() == ["response.create"]


def test_words_have_places_and_the_rest_comes_before_the_end():
    case = Case(places=True)
    case.created()
    assert case.text("Hello there, you") == []
    case.audio()
    [first] = case.place("Hello", 0, 200)
    assert (first.text, first.audio_start_ms, first.audio_end_ms) == ("Hello", 0, 200)
    done = {"response_id": "r1", "item_id": "i1", "content_index": 0}
    assert case.take("response.audio_transcript.done", transcript="x", **done) == []
    [second] = case.place("there", 250, 200)
    assert second.text == " there,"
    *rest, end = case.done(status="cancelled", reason="turn_detected")
    assert [(e.text, e.is_partial, e.audio_start_ms) for e in rest] == [
        (" you", True, None),
        ("", False, None),
    ]
    assert type(end) is ev.ResponseCancelled


def test_without_places_words_are_told_at_once():
    case = Case()
    case.created()
    [event] = case.text("Hello")
    assert (event.text, event.is_partial, event.audio_start_ms) == ("Hello", True, None)
    done = {"response_id": "r1", "item_id": "i1", "content_index": 0}
    [end] = case.take("response.audio_transcript.done", transcript="Hello", **done)
    assert (end.text, end.is_partial) == ("", False)


def test_a_message_that_comes_twice_counts_once():
    case = Case()
    case.created()
    assert case.audio(event_id="e1")
    assert case.audio(event_id="e1") == []
    assert case.audio(event_id="e2")


def test_the_users_turn():
    case = Case()
    [started] = case.take("input_audio_buffer.speech_started", item_id="u", audio_start_ms=100)
    assert started.audio_ms == 100
    [stopped] = case.take("input_audio_buffer.speech_stopped", item_id="u", audio_end_ms=1600)
    # The position includes the silence; what was sent by now is beyond it.
    assert (stopped.audio_ms, stopped.lag_ms) == (1100, 900)
    [turn] = case.take("input_audio_buffer.committed", item_id="u")
    assert turn.audio_ms == 1600
    name = "conversation.item.input_audio_transcription"
    [one] = case.take(f"{name}.delta", item_id="u", delta="go ")
    [two] = case.take(f"{name}.delta", item_id="u", delta="home")
    assert (one.text, two.text) == ("go ", "go home")
    [done] = case.take(f"{name}.completed", item_id="u", transcript=" go home ")
    assert done.text == "go home"
    [failed] = case.take(f"{name}.failed", item_id="u", error={"message": "noise"})
    assert failed.error == "noise"


def test_a_call_is_told_once_and_only_when_it_is_whole():
    case = Case()
    case.created()
    head = {"response_id": "r1", "item_id": "c", "call_id": "call_1", "output_index": 0}
    name = "response.function_call_arguments.done"
    assert case.take(name, arguments='{"a": ', name="look", **head) == []
    [call] = case.take(name, arguments='{"a": 1}', name="look", **head)
    assert (call.name, call.arguments) == ("look", '{"a": 1}')
    item = {
        "type": "function_call",
        "id": "c",
        "call_id": "call_1",
        "name": "look",
        "arguments": "{}",
    }
    assert case.take("response.output_item.done", response_id="r1", item=item) == []
    other = {**item, "call_id": "call_2"}
    [call] = case.take("response.output_item.done", response_id="r1", item=other)
    assert call.call_id == "call_2"
    cut = {**item, "call_id": "call_3", "status": "incomplete"}
    assert case.take("response.output_item.done", response_id="r1", item=cut) == []


def test_what_is_under_way_is_forgotten_with_the_connection():
    case = Case(places=True)
    case.created()
    case.text("Hello")
    assert case.turns.forget() == ["r1"]
    last: list[Any] = case.turns.last_words("r1")
    assert [event.text for event in last] == ["Hello"]
    assert case.turns.forget() == []
    assert case.audio() == []


def test_a_warning_is_one():
    [warning] = Case().take("warning", warning={"code": "slow", "message": "It is slow."})
    assert (type(warning), warning.code, warning.message) == (
        ev.SystemWarning,
        "slow",
        "It is slow.",
    )
