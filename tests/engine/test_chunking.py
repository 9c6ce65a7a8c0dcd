"""How the user's audio goes out: as it comes, or gathered."""

from __future__ import annotations

import pytest

from tests.engine.conftest import MakeEngine
from tests.engine.desk import Desk, desk, tone
from voxengine import ConfigurationError, VoiceEngineConfig


def lengths(p: Desk) -> list[float]:
    """Milliseconds of each message, at 24 kHz."""
    return [len(audio) / 48 for (audio,) in p.asked("send_audio")]


async def test_for_latency_each_frame_goes_out_as_it_comes(make_engine: MakeEngine) -> None:
    kind = desk()
    async with make_engine(kind) as engine:
        for _ in range(7):
            await engine.send_audio(tone(20))
    assert lengths(kind.made[0]) == [20] * 7


@pytest.mark.parametrize(
    ("frame", "count", "sent"),
    [(20, 12, [100, 100]), (30, 8, [120, 120]), (100, 3, [100] * 3), (250, 2, [250, 250])],
)
async def test_for_density_it_is_gathered(
    make_engine: MakeEngine, frame: int, count: int, sent: list[float]
) -> None:
    kind = desk()
    async with make_engine(kind, chunking="density") as engine:
        for _ in range(count):
            await engine.send_audio(tone(frame))
    assert lengths(kind.made[0]) == sent


async def test_a_commit_takes_along_what_waits(make_engine: MakeEngine) -> None:
    kind = desk()
    async with make_engine(kind, chunking="density", turn_detection="none") as engine:
        for _ in range(6):
            await engine.send_audio(tone(20))
        await engine.commit_audio()
        await engine.commit_audio()
        assert lengths(kind.made[0]) == [100, 20]
        assert kind.made[0].order[1:] == [
            "send_audio",
            "send_audio",
            "commit_audio",
            "commit_audio",
        ]


async def test_what_is_thrown_away_is_not_sent(make_engine: MakeEngine) -> None:
    kind = desk()
    async with make_engine(kind, chunking="density", turn_detection="none") as engine:
        await engine.send_audio(tone(80))
        await engine.clear_audio()
        await engine.commit_audio()
        assert lengths(kind.made[0]) == []


async def test_gathered_audio_is_converted_without_a_seam(make_engine: MakeEngine) -> None:
    sent: dict[str, bytes] = {}
    for chunking in ("latency", "density"):
        kind = desk()
        config = {"chunking": chunking, "input_format": "pcm16@48000", "turn_detection": "none"}
        async with make_engine(kind, **config) as engine:
            for _ in range(20):
                await engine.send_audio(tone(20, 48000))
            await engine.commit_audio()
        sent[chunking] = b"".join(a for (a,) in kind.made[0].asked("send_audio"))
    assert sent["latency"] == sent["density"]
    assert len(sent["latency"]) > 48 * 350


def test_a_way_that_there_is_not() -> None:
    with pytest.raises(ConfigurationError, match="latency, density"):
        VoiceEngineConfig(chunking="fast")  # type: ignore[arg-type]
