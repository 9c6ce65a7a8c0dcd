"""What was used: counts that add up to what the vendor says, of which what is cached is a part."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.openai.messages import decoder, give
from voxengine import events as ev

_TOKENS = st.none() | st.integers(0, 5000)


def used(usage: Any, /, **fields: Any) -> dict[str, Any]:
    """The counts that are not zero, of what a response's end tells."""
    events = give(decoder(), "response.done", response={"id": "r", "usage": usage}, **fields)
    return {k: v for event in events if isinstance(event, ev.UsageUpdated) for k, v in _told(event)}


def _told(event: ev.UsageUpdated) -> list[tuple[str, Any]]:
    names = [name for name in event.__struct_fields__ if name.endswith(("tokens", "seconds"))]
    return [("model", event.model)] + [(n, v) for n in names if (v := getattr(event, n))]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "input_tokens": 60,
                "output_tokens": 30,
                "input_token_details": {
                    "text_tokens": 20,
                    "audio_tokens": 30,
                    "image_tokens": 10,
                    "cached_tokens": 18,
                    "cached_tokens_details": {
                        "text_tokens": 10,
                        "audio_tokens": 5,
                        "image_tokens": 3,
                    },
                },
                "output_token_details": {"text_tokens": 10, "audio_tokens": 20},
            },
            {
                "model": "gpt-realtime-2.1",
                "input_text_tokens": 20,
                "input_audio_tokens": 30,
                "input_image_tokens": 10,
                "cached_text_tokens": 10,
                "cached_audio_tokens": 5,
                "cached_image_tokens": 3,
                "output_text_tokens": 10,
                "output_audio_tokens": 20,
            },
        ),
        # In part: what is not detailed is the rest.
        (
            {
                "input_tokens": 60,
                "output_tokens": 30,
                "input_token_details": {"audio_tokens": 40, "cached_tokens": 16},
                "output_token_details": {"audio_tokens": 20},
            },
            {
                "model": "gpt-realtime-2.1",
                "input_text_tokens": 20,
                "input_audio_tokens": 40,
                "cached_text_tokens": 16,
                "output_text_tokens": 10,
                "output_audio_tokens": 20,
            },
        ),
        # More is cached than there is text: then audio was.
        (
            {
                "input_tokens": 60,
                "input_token_details": {
                    "text_tokens": 10,
                    "audio_tokens": 50,
                    "cached_tokens": 40,
                },
            },
            {
                "model": "gpt-realtime-2.1",
                "input_text_tokens": 10,
                "input_audio_tokens": 50,
                "cached_text_tokens": 10,
                "cached_audio_tokens": 30,
            },
        ),
        # Sums alone have no price.
        (
            {"input_tokens": 60, "output_tokens": 30},
            {"model": "", "input_text_tokens": 60, "output_text_tokens": 30},
        ),
        ({}, {"model": "gpt-realtime-2.1"}),
        (
            {"input_tokens": -5, "input_token_details": {"audio_tokens": -7}},
            {"model": "gpt-realtime-2.1"},
        ),
        (None, {}),
    ],
)
def test_a_response(usage: Any, expected: dict[str, Any]):
    assert used(usage) == expected


def test_xai_says_it_beside_the_response():
    usage = {"input_tokens": 3, "input_token_details": {"audio_tokens": 3}}
    assert used(None, usage=usage) == {"model": "gpt-realtime-2.1", "input_audio_tokens": 3}


@given(
    st.fixed_dictionaries(
        {
            "input_tokens": _TOKENS,
            "output_tokens": _TOKENS,
            "input_token_details": st.none()
            | st.fixed_dictionaries(
                {
                    "text_tokens": _TOKENS,
                    "audio_tokens": _TOKENS,
                    "image_tokens": _TOKENS,
                    "cached_tokens": _TOKENS,
                    "cached_tokens_details": st.none()
                    | st.fixed_dictionaries(
                        {
                            "text_tokens": _TOKENS,
                            "audio_tokens": _TOKENS,
                            "image_tokens": _TOKENS,
                        }
                    ),
                }
            ),
            "output_token_details": st.none()
            | st.fixed_dictionaries({"text_tokens": _TOKENS, "audio_tokens": _TOKENS}),
        }
    )
)
def test_what_is_cached_is_a_part_of_the_input(usage: dict[str, Any]):
    told = used(usage)
    for kind in ("text", "audio", "image"):
        cached, all_of_it = (
            told.get(f"cached_{kind}_tokens", 0),
            told.get(f"input_{kind}_tokens", 0),
        )
        assert 0 <= cached <= all_of_it
    if usage["input_token_details"] is None:
        assert told.get("input_text_tokens", 0) == (usage["input_tokens"] or 0)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ({}, None),
        ({"type": "duration", "seconds": 0}, None),
        ({"type": "duration", "seconds": -1.0}, None),
        ({"type": "duration", "seconds": 1.5}, {"input_audio_seconds": 1.5}),
        (
            {"type": "tokens", "input_tokens": 14, "output_tokens": 5},
            {"input_audio_tokens": 14, "output_text_tokens": 5},
        ),
        (
            {
                "type": "tokens",
                "input_tokens": 14,
                "output_tokens": 5,
                "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
            },
            {"input_text_tokens": 4, "input_audio_tokens": 10, "output_text_tokens": 5},
        ),
        (
            {"type": "tokens", "input_tokens": 14, "input_token_details": {"text_tokens": 4}},
            {"input_text_tokens": 4, "input_audio_tokens": 10},
        ),
        (
            {"type": "tokens", "input_tokens": 14, "input_token_details": {}},
            {"input_audio_tokens": 14},
        ),
    ],
)
def test_a_transcription(usage: Any, expected: dict[str, Any] | None):
    kind = "conversation.item.input_audio_transcription.completed"
    done, *reports = give(decoder(), kind, usage=usage)
    assert isinstance(done, ev.TranscriptCompleted)
    told = [dict(_told(report)) for report in reports if isinstance(report, ev.UsageUpdated)]
    assert told == ([] if expected is None else [{"model": "gpt-transcribe", **expected}])


def test_where_seconds_are_paid_for_tokens_are_not_told():
    at = decoder(tokens=False)
    assert [type(event) for event in give(at, "response.done")] == [ev.ResponseCompleted]
