"""Two small conversations: one with the mock, one of the local voice with the local ears."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from voxengine.cli.doctor.checkup import Finding
from voxengine.cli.exits import redacted
from voxengine.cli.needs import extras
from voxengine.errors import ProviderError
from voxengine.events import EventType

__all__ = ["self_tests"]

SENTENCE = "The quick brown fox jumps over the lazy dog."
#: Seconds that a test may take, loading from a cold disk included.
_BUDGET = 120.0


def self_tests(provider: str) -> Iterator[Finding]:
    """Run them. That of the configured provider is needed."""
    yield _run("mock conversation", _mock(), needed=provider == "mock")
    local = extras().get("local")
    if local is None or local.complete:
        yield _run("local speech round trip", _local(), needed=provider in ("local", "cascade"))


def _run(name: str, test: object, *, needed: bool) -> Finding:
    started = time.perf_counter()

    async def bounded() -> tuple[str, dict[str, float]]:
        async with asyncio.timeout(_BUDGET):
            return await test  # type: ignore[misc,no-any-return]

    try:
        words, timings = asyncio.run(bounded())
    except Exception as failure:  # a self-test that fails is a finding, however it fails
        words = redacted(f"{type(failure).__name__}: {failure}")
        return Finding("self-test", name, "broken", words, needed=needed)
    timings["total_ms"] = round((time.perf_counter() - started) * 1000, 1)
    figures = ", ".join(
        f"{stage.removesuffix('_ms').replace('_', ' ')} {ms:.0f} ms"
        for stage, ms in timings.items()
    )
    return Finding(
        "self-test", name, detail=f"{words} ({figures})", needed=needed, data={"timings": timings}
    )


async def _mock() -> tuple[str, dict[str, float]]:
    from voxengine.engine import VoiceEngine

    now = time.perf_counter
    engine = VoiceEngine(provider="mock", mode="big")
    audio, first, said = 0, 0.0, ""
    async with engine:
        events = engine.events(
            EventType.AUDIO_OUTPUT_CHUNK, EventType.TEXT_OUTPUT, EventType.RESPONSE_COMPLETED
        )
        started = now()
        await engine.send_text("hello")
        async for event in events:
            if event.type == EventType.RESPONSE_COMPLETED:
                break
            if event.type == EventType.TEXT_OUTPUT:
                said += event.text
                continue
            first = first or now()
            audio += len(event.audio_data)
    if not audio:
        raise ProviderError("the answer had no audio", provider="mock")
    return f'"hello" was answered "{said}"', {"first_audio_ms": round((first - started) * 1000, 1)}


async def _local() -> tuple[str, dict[str, float]]:
    import numpy as np

    from voxengine.audio.formats import AudioFormat
    from voxengine.audio.resample import Converter
    from voxengine.cli.demo.checks import normalised
    from voxengine.providers.cascade.parts import INPUT_RATE
    from voxengine.providers.cascade.registry import create_part

    now = time.perf_counter
    tts, stt = create_part("tts", "hibari"), create_part("stt", "whisper/tiny.en")
    marks = [now()]
    await asyncio.gather(tts.load(), stt.load())
    marks.append(now())
    pieces = tts.synthesize(SENTENCE, voice=None, speed=1.0, session="doctor")
    audio = b"".join([piece.audio async for piece in pieces])
    marks.append(now())
    converter = Converter(
        AudioFormat(sample_rate=tts.sample_rate), AudioFormat(sample_rate=INPUT_RATE)
    )
    samples = (
        np.frombuffer(converter.process(audio) + converter.flush(), "<i2").astype(np.float32)
        / 32768
    )
    heard = (await stt.transcribe(samples, session="doctor")).text
    marks.append(now())
    if normalised(heard) != normalised(SENTENCE):
        raise ProviderError(
            f'what was said as "{SENTENCE}" was heard as "{heard}"', provider="local"
        )
    steps = ("load_ms", "text_to_speech_ms", "speech_to_text_ms")
    timings = {
        step: round((b - a) * 1000, 1) for step, a, b in zip(steps, marks, marks[1:], strict=False)
    }
    return f'"{heard}" was said and heard', timings
