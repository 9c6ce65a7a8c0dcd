"""Hume's messages, and the WAV files in them."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import speak, understand
from voxengine.errors import AudioError
from voxengine.providers.hume import codec
from voxengine.providers.hume.audio import OUTPUT, WavPieces
from voxengine.testing.emulators.hume.session import wav
from voxengine.testing.oracles.hume import evi_judge

PCM16 = AudioFormat("pcm16", 16000)


def test_what_is_sent_is_valid_by_the_vendors_types():
    judge = evi_judge()
    for message in (
        codec.encode_audio(b"\1\0" * 8),
        codec.encode_settings({"system_prompt": "Be brief.", "tools": []}),
        codec.encode_user("hello"),
        codec.encode_say("hello"),
        codec.encode_tool_result("call_1", "{}"),
    ):
        assert judge.client(message) == []


@pytest.mark.parametrize(
    "message",
    [
        {"type": "user_input"},
        {"type": "user_input", "text": "hello", "mood": "sunny"},
        {
            "type": "session_settings",
            "audio": {"encoding": "opus", "sample_rate": 1, "channels": 1},
        },
        {"type": "tool_response", "tool_call_id": 1, "content": ""},
        {"type": "session_settings", "context": {"text": "", "type": "eternal"}},
        {"type": "hello"},
    ],
)
def test_the_judge_is_not_lenient(message: dict[str, Any]):
    assert evi_judge().client(json.dumps(message)) != []


def test_every_type_of_the_server_has_a_place():
    from hume.empathic_voice.types.subscribe_event import SubscribeEvent

    from voxengine.testing.oracles.vendor import models_by_type

    assert set(models_by_type(SubscribeEvent)) == codec.TRANSLATED | set(codec.PASSED_ON)


def test_a_message_and_what_is_none():
    heard = codec.decode(
        b'{"type":"user_message","message":{"role":"user","content":"hi"},"interim":true,'
        b'"time":{"begin":10,"end":20},"from_text":false,"models":{"prosody":null},"new":[1]}'
    )
    assert isinstance(heard, codec.Message)
    assert (heard.words, heard.interim) == ("hi", True)
    assert codec.scores_of(heard) == {}
    failed = codec.decode(b'{"type":"error","code":"E1","slug":"s","message":"no"}')
    assert isinstance(failed, codec.Message)
    assert failed.words == "no"
    cut = codec.decode(b'{"type":"user_interruption","time":1700000000000}')
    assert isinstance(cut, codec.Message)
    assert codec.decode(b'{"type":"assistant_prosody","id":"1"}') == codec.Unknown(
        "assistant_prosody", {"type": "assistant_prosody", "id": "1"}
    )
    for bad in (b"", b"[]", b"{}", b'{"type":1}', b'{"type":"audio_output","data":7}', b"\xff"):
        assert isinstance(codec.decode(bad), codec.Malformed)


def test_feelings_come_strongest_first():
    message = codec.decode(
        b'{"type":"user_message","models":{"prosody":{"scores":{"Awe":0.1,"Joy":0.7,"Fear":0.2}}}}'
    )
    assert isinstance(message, codec.Message)
    assert [*codec.scores_of(message)] == ["Joy", "Fear", "Awe"]


def fmt(tag: int = 1, channels: int = 1, rate: int = 48000, bits: int = 16) -> bytes:
    width = channels * bits // 8
    body = struct.pack("<HHIIHH", tag, channels, rate, rate * width, width, bits)
    return b"fmt " + struct.pack("<I", len(body)) + body


def riff(*chunks: bytes, size: int = 0) -> bytes:
    return b"RIFF" + struct.pack("<I", size) + b"WAVE" + b"".join(chunks)


def data(audio: bytes, size: int | None = None) -> bytes:
    return b"data" + struct.pack("<I", len(audio) if size is None else size) + audio


SAMPLES = bytes(range(200))


@pytest.mark.parametrize(
    "piece",
    [
        wav(SAMPLES, OUTPUT),
        riff(fmt(), data(SAMPLES, size=0)),
        riff(fmt(), data(SAMPLES, size=0xFFFFFFFF), size=0xFFFFFFFF),
        riff(b"LIST" + struct.pack("<I", 3) + b"abc\0", fmt(), data(SAMPLES)),
        riff(fmt(), data(SAMPLES), b"LIST" + struct.pack("<I", 4) + b"abcd"),
        SAMPLES,
    ],
    ids=["plain", "no size", "endless", "odd chunk before", "chunk behind", "no header"],
)
def test_the_samples_of_a_piece(piece: bytes):
    assert WavPieces().feed(piece) == SAMPLES


def test_a_sample_that_is_cut_in_two():
    pieces = WavPieces()
    got = pieces.feed(wav(SAMPLES[:101], OUTPUT)) + pieces.feed(SAMPLES[101:])
    assert got == SAMPLES


@pytest.mark.parametrize("channels", [1, 2])
def test_another_rate_is_converted(channels: int):
    mono = speak("good morning to you", PCM16)
    samples = b"".join(mono[i : i + 2] * channels for i in range(0, len(mono), 2))
    pieces, heard = WavPieces(), b""
    for at in range(0, len(samples), 6400):
        heard += pieces.feed(wav(samples[at : at + 6400], AudioFormat("pcm16", 16000, channels)))
    assert abs(len(heard) - 3 * len(mono)) < 48000 // 10
    assert understand(heard, OUTPUT) == "good morning to you"


@pytest.mark.parametrize(
    "piece",
    [
        riff(fmt(tag=3, bits=32), data(SAMPLES)),
        riff(fmt(bits=8), data(SAMPLES)),
        riff(fmt(channels=6), data(SAMPLES)),
        riff(fmt(rate=100), data(SAMPLES)),
        riff(data(SAMPLES)),
        riff(fmt()),
        riff(b"fmt " + struct.pack("<I", 4) + b"abcd", data(SAMPLES)),
    ],
)
def test_what_cannot_be_played_is_refused(piece: bytes):
    with pytest.raises(AudioError):
        WavPieces().feed(piece)
