"""The decoder: what goes from one message to the next, and what is no message at all."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.providers.openai.messages import AUDIO, SERVER, decoder, give, one, wire
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.providers.openai.messages import Message

TRANSCRIPT = "conversation.item.input_audio_transcription"
SPEECH = "response.output_audio_transcript"


# -- the user


def test_partial_transcripts_grow_item_by_item():
    at = decoder()
    texts = [
        one(give(at, f"{TRANSCRIPT}.delta", item_id=item, delta=delta), ev.TranscriptPartial).text
        for item, delta in (("u1", "one"), ("u2", "uno"), ("u1", " two"), ("u2", " dos"))
    ]
    assert texts == ["one", "uno", "one two", "uno dos"]


def test_a_finished_transcript_ends_what_was_partial():
    at = decoder()
    give(at, f"{TRANSCRIPT}.delta", delta="one")
    give(at, f"{TRANSCRIPT}.completed", transcript="One.", usage=None)
    assert one(give(at, f"{TRANSCRIPT}.delta", delta="two"), ev.TranscriptPartial).text == "two"
    give(at, f"{TRANSCRIPT}.failed")
    assert one(give(at, f"{TRANSCRIPT}.delta", delta="three"), ev.TranscriptPartial).text == "three"


def test_words_of_items_without_an_id_do_not_run_together():
    at = decoder()
    give(at, f"{TRANSCRIPT}.delta", item_id=None, delta="one")
    give(at, f"{TRANSCRIPT}.completed", item_id="u1", transcript="One.", usage=None)
    event = one(give(at, f"{TRANSCRIPT}.delta", item_id=None, delta="two"), ev.TranscriptPartial)
    assert event.text == "two"


def test_words_once_shown_do_not_change():
    at = decoder()
    texts = [
        [event.text for event in give(at, f"{TRANSCRIPT}.updated", item_id="u1", transcript=words)]  # type: ignore[attr-defined]
        for words in ("I want", "I want two", "I won", "I want two of", "I want two of", "")
    ]
    assert texts == [["I want"], ["I want two"], [], ["I want two of"], [], []]


def test_partial_texts_are_told_only_where_they_are_wanted():
    at = decoder()
    at.configure(partials=False, vad_events=True, silence_ms=0.0)
    assert give(at, f"{TRANSCRIPT}.delta") == []
    assert give(at, f"{TRANSCRIPT}.updated", item_id="u1", transcript="one") == []
    at.configure(partials=True, vad_events=True, silence_ms=0.0)
    assert (
        one(give(at, f"{TRANSCRIPT}.delta", delta=" is"), ev.TranscriptPartial).text == "Where is"
    )


def test_where_speech_begins_and_ends_is_told_only_where_it_is_wanted():
    at = decoder()
    at.configure(partials=True, vad_events=False, silence_ms=0.0)
    for kind in ("input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"):
        assert give(at, kind) == []
    assert one(give(at, "input_audio_buffer.committed"), ev.TurnDetected).item_id == "item_u"


def test_nothing_but_blanks_is_no_partial_text():
    at = decoder()
    assert give(at, f"{TRANSCRIPT}.delta", delta=" ") == []
    assert one(give(at, f"{TRANSCRIPT}.delta", delta="one"), ev.TranscriptPartial).text == " one"


def test_the_end_of_speech_is_where_the_silence_began():
    at = decoder()
    at.configure(partials=True, vad_events=True, silence_ms=500.0)
    at.sent_ms = lambda: 2000.0
    ended = one(give(at, "input_audio_buffer.speech_stopped", audio_end_ms=1800), ev.VadSpeechEnded)
    assert (ended.audio_ms, ended.lag_ms) == (1300.0, 700.0)
    soon = one(give(at, "input_audio_buffer.speech_stopped", audio_end_ms=100), ev.VadSpeechEnded)
    assert soon.audio_ms == 0.0
    unknown = one(
        give(at, "input_audio_buffer.speech_stopped", audio_end_ms=None), ev.VadSpeechEnded
    )
    assert (unknown.audio_ms, unknown.lag_ms) == (None, 0.0)


# -- the assistant


def test_a_text_that_came_in_pieces_is_not_told_again_when_it_is_whole():
    at = decoder()
    events = [
        *give(at, f"{SPEECH}.delta", delta="Order"),
        *give(at, f"{SPEECH}.delta", delta=" 7"),
        *give(at, f"{SPEECH}.done", transcript="Order 7"),
        *give(at, f"{SPEECH}.done", transcript="Order 7"),
    ]
    told = [(event.text, event.is_partial) for event in events if isinstance(event, ev.TextOutput)]
    assert told == [("Order", True), (" 7", True), ("", False)]


def test_a_whole_text_is_told_once():
    at = decoder()
    assert one(give(at, f"{SPEECH}.done", transcript="Order 7"), ev.TextOutput).text == "Order 7"
    assert give(at, f"{SPEECH}.done", transcript="Order 7") == []


@pytest.mark.parametrize("ids", [{}, {"item_id": None}, {"item_id": None, "response_id": None}])
def test_parts_of_an_item_are_apart(ids: dict[str, None]):
    at = decoder()
    give(at, "response.created")
    give(at, f"{SPEECH}.delta", delta="one", content_index=0, **ids)
    give(at, "response.output_text.delta", delta="two", content_index=1, **ids)
    for kind, index in ((f"{SPEECH}.done", 0), ("response.output_text.done", 1)):
        event = one(give(at, kind, content_index=index, **ids), ev.TextOutput)
        assert (event.text, event.is_partial) == ("", False)
    whole = one(give(at, "response.output_text.done", text="three", content_index=2), ev.TextOutput)
    assert whole.text == "three"


def test_texts_without_any_id_are_told_in_each_response():
    at = decoder()
    ids = {"item_id": None, "response_id": None}
    for n in range(3):
        give(at, "response.created", response={"id": f"r{n}"})
        assert one(give(at, f"{SPEECH}.done", transcript="yes", **ids), ev.TextOutput).text == "yes"


def test_empty_texts_and_empty_audio_are_nothing():
    at = decoder()
    assert give(at, f"{SPEECH}.delta", delta="") == []
    assert give(at, f"{SPEECH}.done", transcript="") == []
    assert give(at, "response.output_audio.delta", delta="") == []
    assert give(at, "response.output_audio.delta", delta=None) == []
    assert at.audio.of("item_a") == (0, 0)


def test_audio_is_counted_by_item():
    at = decoder()
    for item, index in (("a", 0), ("b", 1), ("a", 0)):
        give(at, "response.output_audio.delta", item_id=item, content_index=index)
    assert (at.audio.of("a"), at.audio.of("b"), at.audio.of("c")) == (
        (2 * len(AUDIO), 0),
        (len(AUDIO), 1),
        (0, 0),
    )


@pytest.mark.parametrize("encoding", ["g711_ulaw", "g711_alaw"])
def test_telephone_audio_has_its_encoding(encoding: str):
    at = decoder(output=AudioFormat(encoding, 8000))
    delta = base64.b64encode(b"\x01\x02\x03").decode()
    chunk = one(give(at, "response.output_audio.delta", delta=delta), ev.AudioOutputChunk)
    assert (chunk.audio_data, chunk.encoding, chunk.sample_rate) == (
        b"\x01\x02\x03",
        encoding,
        8000,
    )


def test_binary_audio_belongs_to_the_item_announced_last():
    at = decoder()
    give(at, "response.created")
    give(at, "response.output_item.added")
    chunk = one(list(at.binary(memoryview(AUDIO))), ev.AudioOutputChunk)
    assert (chunk.audio_data, chunk.item_id, chunk.response_id) == (AUDIO, "item_a", "resp_1")
    assert at.audio.of("item_a") == (len(AUDIO), 0)


def test_audio_that_is_no_whole_number_of_samples_is_complained_of():
    at = decoder()
    odd = base64.b64encode(b"\x01\x02\x03").decode()
    for events in (
        at.binary(memoryview(b"\x01\x02\x03")),
        at.decode(wire({**SERVER["response.output_audio.delta"], "delta": odd})),
    ):
        event = one(list(events), ev.ErrorGeneral)
        assert event.code == "bad_message"
        assert "3 bytes" in (event.error or "")
    assert list(at.binary(memoryview(b""))) == []
    assert at.audio.of("item_a") == (0, 0)


# -- responses


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ({"status": "completed"}, ev.ResponseCompleted(response_id="r")),
        ({"status": None}, ev.ResponseCompleted(response_id="r")),
        (
            {"status": "incomplete", "status_details": {"reason": "max_output_tokens"}},
            ev.ResponseCompleted(response_id="r", status="incomplete", reason="max_output_tokens"),
        ),
        (
            {"status": "cancelled", "status_details": {"reason": "turn_detected"}},
            ev.ResponseCancelled(response_id="r", reason="turn_detected"),
        ),
        (
            {"status": "cancelled", "status_details": None},
            ev.ResponseCancelled(response_id="r", reason=""),
        ),
        (
            {
                "status": "failed",
                "status_details": {"error": {"type": "server_error", "code": "boom"}},
            },
            ev.ResponseError(
                response_id="r", code="server", retryable=True, error="the response failed (boom)"
            ),
        ),
        (
            {
                "status": "failed",
                "status_details": {
                    "error": {"type": "x", "code": "insufficient_quota", "message": "Pay."}
                },
            },
            ev.ResponseError(response_id="r", code="quota", retryable=False, error="Pay."),
        ),
        (
            {"status": "failed"},
            ev.ResponseError(
                response_id="r",
                code="response_failed",
                retryable=False,
                error="the response failed",
            ),
        ),
    ],
)
def test_how_a_response_ended(response: dict[str, Any], expected: ev.ProviderEvent):
    events = give(decoder(), "response.done", response={"id": "r", **response})
    assert len(events) == 1
    got, wanted = events[0], expected
    assert type(got) is type(wanted)
    assert (got.data, got.error) == (wanted.data, wanted.error)


@pytest.mark.parametrize("response", [None, {}, {"id": None, "status": "completed"}])
def test_an_end_without_an_id_is_that_of_the_response_under_way(response: Any):
    at = decoder()
    give(at, "response.created")
    assert one(give(at, "response.done", response=response), ev.ResponseCompleted).response_id == (
        "resp_1"
    )


# -- tools


CALL_EVENTS = ("response.function_call_arguments.done", "response.output_item.done")


@pytest.mark.parametrize("order", [CALL_EVENTS, CALL_EVENTS[::-1], CALL_EVENTS[:1] * 2])
def test_a_call_is_told_once_whichever_events_come(order: tuple[str, ...]):
    at = decoder()
    events = [event for kind in order for event in give(at, kind)]
    assert one(events, ev.FunctionInvoked).arguments == '{"order": 7}'


def test_the_name_may_come_with_the_announcement():
    at = decoder()
    item = {"type": "function_call", "id": "i", "call_id": "call_1", "name": "lookup"}
    assert give(at, "response.output_item.added", item=item) == []
    event = one(
        give(at, "response.function_call_arguments.done", name=None, arguments=""),
        ev.FunctionInvoked,
    )
    assert (event.name, event.arguments) == ("lookup", "{}")


def test_a_call_whose_name_is_not_known_yet_waits_for_the_finished_item():
    at = decoder()
    assert give(at, "response.function_call_arguments.done", name=None) == []
    assert one(give(at, "response.output_item.done"), ev.FunctionInvoked).name == "lookup"


def test_a_call_that_was_cut_short_is_not_made():
    """By the type's own description the arguments are also "done" when the response was interrupted."""
    at = decoder()
    part = '{"order": '
    assert give(at, "response.function_call_arguments.done", arguments=part) == []
    item = {**SERVER["response.output_item.done"]["item"], "arguments": part}
    assert give(at, "response.output_item.done", item={**item, "status": "incomplete"}) == []
    # The model's own mistake is told: the tool's answer says what is wrong.
    told = one(give(at, "response.output_item.done", item=item), ev.FunctionInvoked)
    assert told.arguments == part


# -- asides


def test_a_response_outside_of_the_conversation_is_told_raw():
    at = decoder()
    at.asides = 1
    aside = {"id": "resp_x", "conversation_id": None, "status": "in_progress"}
    done = {**SERVER["response.done"]["response"], **aside, "status": "completed"}
    flow = [
        *give(at, "response.created", response=aside),
        *give(at, "response.output_text.delta", response_id="resp_x"),
        *give(at, "response.output_audio.delta", response_id="resp_x"),
        *give(at, "response.output_item.done", response_id="resp_x"),
        *give(at, "response.done", response=done),
    ]
    assert [type(event) for event in flow] == [ev.RawEvent] * 4 + [ev.UsageUpdated, ev.RawEvent]
    usage = flow[4]
    assert isinstance(usage, ev.UsageUpdated)
    assert (usage.response_id, usage.input_audio_tokens) == ("resp_x", 40)
    assert (at.asides, len(at.aside_ids)) == (0, 0)
    assert at.response_id is None
    # The conversation goes on beside it.
    assert one(give(at, "response.created"), ev.ResponseStarted).response_id == "resp_1"


def test_a_response_of_the_conversation_is_no_aside():
    at = decoder()
    at.asides = 1
    assert one(give(at, "response.created"), ev.ResponseStarted).response_id == "resp_1"
    assert at.asides == 1
    assert [type(event) for event in give(at, "response.done")] == [
        ev.UsageUpdated,
        ev.ResponseCompleted,
    ]


# -- errors


@pytest.mark.parametrize(
    ("error", "code", "recoverable"),
    [
        ({"code": "rate_limit_exceeded", "type": "requests"}, "rate_limit", True),
        ({"type": "insufficient_quota", "code": None}, "quota", False),
        ({"code": "invalid_api_key", "type": "invalid_request_error"}, "auth", False),
        ({"code": "session_expired", "type": "invalid_request_error"}, "session_expired", True),
        ({"type": "server_error"}, "server", True),
        ({"type": "invalid_request_error", "code": "unknown_parameter"}, "unknown_parameter", True),
        ({"type": "invalid_request_error"}, "invalid_request_error", True),
        ({"type": "x", "code": 42}, "42", True),
        ({}, "error", True),
        (None, "error", True),
    ],
)
def test_errors(error: Any, code: str, recoverable: bool):
    event = one(give(decoder(), "error", error=error), ev.ErrorGeneral)
    assert (event.code, event.recoverable) == (code, recoverable)
    assert (event.error or "").startswith("openai: ")


def test_a_refused_truncation_is_a_warning():
    error = {"type": "invalid_request_error", "message": "Too long", "event_id": "truncate"}
    event = one(give(decoder(), "error", error=error), ev.SystemWarning)
    assert (event.code, event.message) == ("truncate_refused", "Too long")


@pytest.mark.parametrize(
    "kind", ["session.created", "session.updated", "conversation.created", "error"]
)
def test_the_connection_is_shown_its_own_messages(kind: str):
    seen = []

    def notice(message: Message) -> bool:
        seen.append(message.type)
        return True

    at = decoder()
    at.on_notice = notice
    assert give(at, kind) == []
    assert seen == [kind]
