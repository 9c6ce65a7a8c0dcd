"""One sentence by the real Cartesia."""

from __future__ import annotations

import os

import pytest

from voxengine.providers.cascade.registry import create_part

pytestmark = [
    pytest.mark.live,
    pytest.mark.real_clock,
    pytest.mark.skipif("CARTESIA_API_KEY" not in os.environ, reason="CARTESIA_API_KEY is not set"),
]


@pytest.mark.parametrize("model", ["sonic-3", "sonic-3.5"])
async def test_it_speaks(model: str) -> None:
    part = create_part("tts", f"cartesia/{model}")
    stream = await part.open(voice=None, speed=1.0, session="live")
    for word in ("Good", " morning,", " everybody."):
        stream.push(word)
    stream.flush()
    stream.push(" How are you?")
    stream.end()
    pieces = [piece async for piece in stream]
    await part.close()
    seconds = sum(len(piece.audio) for piece in pieces) / 2 / part.sample_rate
    words = [word for piece in pieces for word in piece.words]
    assert 1 < seconds < 10
    assert len(words) == 6
    assert [word.start_ms for word in words] == sorted(word.start_ms for word in words)
    assert words[-1].end_ms / 1000 == pytest.approx(seconds, abs=1.0)
