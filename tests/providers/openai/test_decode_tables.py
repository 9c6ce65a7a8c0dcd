"""Every type of message that the vendor publishes has a meaning with us, or a reason why it has none."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.providers.openai.messages import AUDIO, META, SERVER, decoder, give, wire
from voxengine import events as ev
from voxengine.providers.openai import kinds
from voxengine.providers.openai.decode import TRANSLATED
from voxengine.providers.openai.rules import RULES
from voxengine.testing.oracles.openai_realtime import XAI_EXCEPTIONS, realtime_judge

#: The types that no list of OpenAI's has: xAI's own, and the names of the preview.
EXTRAS = {
    "ping",
    "conversation.item.input_audio_transcription.updated",
    "response.text.delta",
    "response.text.done",
    "response.audio.delta",
    "response.audio.done",
    "response.audio_transcript.delta",
    "response.audio_transcript.done",
}

_A: dict[str, Any] = {"item_id": "item_a", "response_id": "resp_1"}

#: What a fresh decoder makes of each message, fields of all events aside. Not named: nothing.
MEANS: dict[str, list[ev.ProviderEvent]] = {
    "conversation.item.input_audio_transcription.delta": [
        ev.TranscriptPartial(text="Where", item_id="item_u")
    ],
    "conversation.item.input_audio_transcription.completed": [
        ev.TranscriptCompleted(text="Where is it?", item_id="item_u"),
        ev.UsageUpdated(model="gpt-transcribe", input_audio_seconds=1.5),
    ],
    "conversation.item.input_audio_transcription.failed": [
        ev.TranscriptFailed(item_id="item_u", error="No words.")
    ],
    "input_audio_buffer.committed": [ev.TurnDetected(item_id="item_u")],
    "input_audio_buffer.speech_started": [ev.VadSpeechStarted(item_id="item_u", audio_ms=300.0)],
    "input_audio_buffer.speech_stopped": [ev.VadSpeechEnded(item_id="item_u", audio_ms=1800.0)],
    "response.created": [ev.ResponseStarted(response_id="resp_1")],
    "response.done": [
        ev.UsageUpdated(
            response_id="resp_1",
            model="gpt-realtime-2.1",
            input_text_tokens=20,
            input_audio_tokens=40,
            cached_text_tokens=12,
            cached_audio_tokens=4,
            output_text_tokens=10,
            output_audio_tokens=20,
        ),
        ev.ResponseCompleted(response_id="resp_1"),
    ],
    "response.output_item.done": [
        ev.FunctionInvoked(
            call_id="call_1",
            name="lookup",
            arguments='{"order": 7}',
            item_id="item_c",
            response_id="resp_1",
        )
    ],
    "response.output_text.delta": [ev.TextOutput(text="Order", is_partial=True, **_A)],
    "response.output_text.done": [ev.TextOutput(text="Order 7", is_partial=False, **_A)],
    "response.output_audio.delta": [ev.AudioOutputChunk(audio_data=AUDIO, **_A)],
    "response.output_audio_transcript.delta": [ev.TextOutput(text="Order", is_partial=True, **_A)],
    "response.output_audio_transcript.done": [
        ev.TextOutput(text="Order 7", is_partial=False, **_A)
    ],
    "response.function_call_arguments.done": [
        ev.FunctionInvoked(
            call_id="call_1",
            name="lookup",
            arguments='{"order": 7}',
            item_id="item_c",
            response_id="resp_1",
        )
    ],
    "rate_limits.updated": [
        ev.RateLimitsUpdated(
            limits=(
                ev.RateLimit(name="requests", limit=1000, remaining=999, reset_seconds=60.0),
                ev.RateLimit(name="tokens", limit=50000, remaining=49950, reset_seconds=0.5),
            )
        )
    ],
    "error": [
        ev.ErrorGeneral(
            code="response_cancel_not_active",
            error="openai: Cancellation failed: no active response found",
        )
    ],
}


def test_there_is_a_valid_message_of_each_published_type():
    from openai.types.realtime import RealtimeServerEvent

    from voxengine.testing.oracles.vendor import models_by_type

    assert set(SERVER) == set(models_by_type(RealtimeServerEvent))
    judge = realtime_judge()
    assert {kind: judge.server(wire(message)) for kind, message in SERVER.items()} == {
        kind: [] for kind in SERVER
    }


def test_the_tables_hold_exactly_the_published_types_and_the_named_extras():
    tables = [set(RULES), kinds.AUDIO, set(kinds.PASSED_ON), set(kinds.NOTHING)]
    named = [kind for table in tables for kind in table]
    assert sorted(named) == sorted(SERVER.keys() | EXTRAS)  # none of them twice
    assert set(RULES) | kinds.AUDIO == TRANSLATED
    assert set(named) >= kinds.NOTICES
    assert all((kinds.PASSED_ON | kinds.NOTHING).values())


@pytest.mark.parametrize("kind", SERVER)
def test_each_type_means_what_it_says(kind: str):
    if kind in kinds.PASSED_ON:
        expected: list[ev.ProviderEvent] = [ev.RawEvent(name=kind, payload=SERVER[kind])]
        assert kind not in MEANS
    else:
        expected = MEANS.get(kind, [])
        assert (kind in MEANS) == (kind in TRANSLATED - {"response.output_item.added"})
    assert [_bare(event) for event in give(decoder(), kind)] == [_bare(e) for e in expected]


@pytest.mark.parametrize("kind", SERVER)
def test_the_order_of_the_keys_does_not_matter(kind: str):
    backwards = _backwards(SERVER[kind])
    assert list(decoder().decode(wire(backwards))) == give(decoder(), kind)


@pytest.mark.parametrize("kind", SERVER)
def test_unknown_fields_are_passed_over(kind: str):
    more = {"zone": {"a": [1, None, {"type": "x"}]}, **SERVER[kind], "trace": "t"}
    if kind not in kinds.PASSED_ON:
        assert list(decoder().decode(wire(more))) == give(decoder(), kind)


@pytest.mark.parametrize("kind", sorted(TRANSLATED))
def test_all_events_say_when_and_whose_they_are(kind: str):
    for event in give(decoder(), kind, delta=base64.b64encode(AUDIO).decode()):
        assert (event.timestamp, event.provider, event.session_id) == (
            META["timestamp"],
            META["provider"],
            META["session_id"],
        )


@pytest.mark.parametrize(
    ("older", "kind"),
    [
        ("response.text.delta", "response.output_text.delta"),
        ("response.text.done", "response.output_text.done"),
        ("response.audio.delta", "response.output_audio.delta"),
        ("response.audio.done", "response.output_audio.done"),
        ("response.audio_transcript.delta", "response.output_audio_transcript.delta"),
        ("response.audio_transcript.done", "response.output_audio_transcript.done"),
    ],
)
def test_the_names_of_the_preview_mean_the_same(older: str, kind: str):
    assert give(decoder(), older, **{**SERVER[kind], "type": older}) == give(decoder(), kind)


def test_xais_own_events():
    judge = realtime_judge(XAI_EXCEPTIONS)
    ping = {"type": "ping", "event_id": "e", "timestamp": 1760000000}
    updated = {
        "type": "conversation.item.input_audio_transcription.updated",
        "event_id": "e",
        "item_id": "item_u",
        "transcript": "Where is",
    }
    assert judge.server(wire(ping)) + judge.server(wire(updated)) == []
    at = decoder()
    assert list(at.decode(wire(ping))) == []
    (event,) = at.decode(wire(updated))
    assert _bare(event) == ev.TranscriptPartial(text="Where is", item_id="item_u")


def _backwards(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _backwards(value[key]) for key in reversed(value)}
    return [_backwards(each) for each in value] if isinstance(value, list) else value


def _bare(event: ev.ProviderEvent) -> ev.ProviderEvent:
    from msgspec.structs import replace

    return replace(event, timestamp=0.0, provider="", session_id=None)
