"""The messages that come in, the judge of them, and the places of words: no connection."""

from __future__ import annotations

import json
from typing import Any

import pytest

from voxengine.providers.azure_voice_live import codec
from voxengine.providers.azure_voice_live.words import PATIENCE_MS, Piece, TimedText

voicelive = pytest.importorskip("azure.ai.voicelive.models")

from voxengine.testing.oracles.azure_voice_live import voice_live_judge  # noqa: E402


def test_every_type_that_the_vendor_publishes_stands_in_one_table():
    published = {kind.value for kind in voicelive.ServerEventType}
    tables = (codec.TRANSLATED, codec.PASSED_ON.keys(), codec.NOTHING.keys())
    assert set().union(*tables) == published
    assert sum(map(len, tables)) == len(published) == 56


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"{", "no type"),
        (b"[]", "no type"),
        (b'{"type": 1}', "no text"),
        (b'{"type": "response.audio.delta", "delta": 5}', "cannot be read"),
        (b"[" * 100_000, "no type"),
    ],
)
def test_what_is_no_message_is_said(payload: bytes, words: str):
    found = codec.decode(payload)
    assert isinstance(found, codec.Malformed)
    assert words in found.words


def test_what_is_unknown_is_handed_on_whatever_its_form():
    found = codec.decode(b'{"type": "response.mood", "delta": {"mood": "sunny"}}')
    assert found == codec.Unknown(
        "response.mood", {"type": "response.mood", "delta": {"mood": "sunny"}}
    )
    assert isinstance(
        codec.decode(b'{"type": "response.invocation.delta", "delta": {}}'), codec.Unknown
    )


# -- the judge


def session(**changes: Any) -> dict[str, Any]:
    return {"type": "session.update", "session": changes}


def item(**changes: Any) -> dict[str, Any]:
    return {"type": "conversation.item.create", "item": changes}


PLACE = {
    "type": "response.audio_timestamp.delta",
    "event_id": "e",
    "response_id": "r",
    "item_id": "i",
    "output_index": 0,
    "content_index": 0,
    "audio_offset_ms": 10,
    "audio_duration_ms": 90,
    "text": "hi",
    "timestamp_type": "word",
}


@pytest.mark.parametrize(
    ("side", "message"),
    [
        ("client", session(voice="marin", turn_detection=None, temperature=1)),
        ("client", session(voice={"type": "azure-standard", "name": "en-US-AvaNeural"})),
        ("client", session(turn_detection={"type": "azure_semantic_vad", "languages": ["en"]})),
        (
            "client",
            session(
                max_response_output_tokens="inf", tool_choice={"type": "function", "name": "x"}
            ),
        ),
        ("client", item(type="message", role="assistant", content=[{"type": "text", "text": "x"}])),
        ("server", PLACE),
    ],
)
def test_the_judge_lets_the_valid_pass(side: str, message: dict[str, Any]):
    judge = voice_live_judge()
    assert getattr(judge, side)(message) == []
    assert getattr(judge, side)(json.dumps(message).encode()) == []


@pytest.mark.parametrize(
    ("side", "message", "problem"),
    [
        ("client", {"type": "session.forget"}, "type: unknown"),
        ("client", session(vocie="marin"), "session.vocie: unknown field"),
        ("client", session(voice="nobody"), "session.voice: 'nobody' fits none"),
        ("client", session(voice={"type": "azure-standard"}), "session.voice.name: missing"),
        ("client", session(turn_detection={"type": "semantic_vad"}), "none of the kinds"),
        (
            "client",
            session(turn_detection={"type": "server_vad", "languages": []}),
            "unknown field",
        ),
        ("client", session(modalities=["smell"]), "'smell' is none of"),
        ("client", session(temperature="hot"), "session.temperature: not float"),
        ("client", session(input_audio_transcription={"model": "x"}), "fits none"),
        (
            "client",
            item(type="message", role="assistant", content=[{"type": "output_text", "text": "x"}]),
            "item.content.0: none of the kinds",
        ),
        ("server", {**PLACE, "audio_offset_ms": "10"}, "audio_offset_ms: not int"),
        ("server", {k: v for k, v in PLACE.items() if k != "text"}, "text: missing"),
        (
            "server",
            {
                "type": "response.audio.delta",
                **{
                    k: PLACE[k] for k in ("response_id", "item_id", "output_index", "content_index")
                },
                "delta": "!",
            },
            "delta: not bytes",
        ),
    ],
)
def test_the_judge_finds_what_the_models_take(side: str, message: dict[str, Any], problem: str):
    judge = voice_live_judge()
    found = getattr(judge, side)(message)
    assert any(problem in words for words in found), found
    assert judge.violations


# -- the places of words


def test_a_piece_is_given_on_when_the_place_of_its_word_is_known():
    text = TimedText(timed=True)
    assert text.text("Hello, wor") == []
    assert text.word("hello", 0, 200) == [Piece("Hello,", 0, 200)]
    assert text.word("world", 250, 500) == []
    assert text.text("ld! Good ") == [Piece(" world!", 250, 500)]
    assert text.waits
    assert text.rest() == [Piece(" Good ")]
    assert not text.waits


def test_a_word_that_is_written_otherwise_is_taken_along_by_the_next():
    text = TimedText(timed=True)
    text.text("It costs $5 a piece of the very best cake there is in town.")
    assert text.word("it", 0, 100) == [Piece("It", 0, 100)]
    assert text.word("costs", 120, 300) == [Piece(" costs", 120, 300)]
    assert text.word("five", 320, 500) == []
    assert text.word("dollars", 520, 700) == []
    assert text.word("a", 720, 800) == [Piece(" $5 a", 320, 800)]
    # The sign of a sentence has no place of its own.
    assert text.word(".", 800, 800) == []
    assert text.word("piece", 820, 900) == [Piece(" piece", 820, 900)]


def test_without_places_the_text_does_not_wait_for_long():
    text = TimedText(timed=True)
    assert text.text("Hello") == []
    assert text.audio(PATIENCE_MS - 1) == []
    assert text.audio(1) == [Piece("Hello")]
    assert text.text(" there") == [Piece(" there")]
    assert text.word("there", 0, 100) == []
