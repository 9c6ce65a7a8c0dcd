"""The `local` provider on the recordings, in real time: how long the caller waits, and what was understood.

A caller sends a recording in frames of 20 ms, as a microphone would, and silence after it. The time that counts is from
the acoustic end of the recording's speech, found in the file, to the first audible sample of the answer, found in what
the engine handed out; neither is taken from the engine's own account.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

from bench.speech import FORMAT, Recording, errors, recordings
from voxengine import VoiceEngine
from voxengine.audio import AudioFormat, first_audible_ms
from voxengine.events import (
    AudioOutputChunk,
    AudioOutputStopped,
    EventType,
    TurnDetected,
    VadSpeechStarted,
)

FRAME_MS = 20
_FRAME = FORMAT.n_bytes(FRAME_MS)
#: Silence before the speech, and how long an answer is waited for after it.
_LEAD_MS, _PATIENCE_MS = 400, 4000


@dataclass
class Caller:
    """One call: sends audio in real time, and notes when audible audio comes."""

    engine: VoiceEngine
    audible: list[float] = field(default_factory=list)
    detected: float | None = None
    #: Milliseconds from each detection of speech that cut the engine short to the order to stop playing.
    silenced: list[float] = field(default_factory=list)
    chunks_after: int = 0

    def listen(self) -> None:
        """Take note of what the engine says."""
        self.engine.on(EventType.AUDIO_OUTPUT_CHUNK, self._chunk)
        self.engine.on(EventType.AUDIO_OUTPUT_STOPPED, self._stopped)
        self.engine.on(EventType.VAD_SPEECH_STARTED, self._speech)
        self.engine.on(EventType.CONVERSATION_TURN_DETECTED, self._turn)

    def _chunk(self, event: AudioOutputChunk) -> None:
        now = time.perf_counter()
        self.chunks_after += bool(self.silenced)
        offset = first_audible_ms(event.audio_data, AudioFormat(event.encoding, event.sample_rate))
        if offset is not None:
            self.audible.append(now + offset / 1000)

    def _stopped(self, event: AudioOutputStopped) -> None:
        if event.interrupted and self.detected is not None:
            self.silenced.append((time.perf_counter() - self.detected) * 1000)
            self.chunks_after = 0

    def _speech(self, event: VadSpeechStarted) -> None:
        self.detected = time.perf_counter()

    def _turn(self, event: TurnDetected) -> None:
        assert not self.chunks_after, "audio of an answer that was cut short was handed out"

    async def speak(self, recording: Recording, until_answer: bool = True) -> float | None:
        """Say it; returns the wait in ms from its acoustic end to the first audible sample, None without an answer."""
        lead = bytes(FORMAT.n_bytes(_LEAD_MS))
        audio = lead + recording.audio
        started = time.perf_counter()
        ended = started + (_LEAD_MS + recording.ends_ms) / 1000
        sent = 0
        while True:
            frame = audio[sent : sent + _FRAME]
            frame += bytes(_FRAME - len(frame))
            sent += _FRAME
            # A microphone hands a frame over when its last sample was recorded.
            await asyncio.sleep(
                max(0.0, started + sent / FORMAT.bytes_per_second - time.perf_counter())
            )
            await self.engine.send_audio(frame)
            now = time.perf_counter()
            answered = [at for at in self.audible if at > ended]
            if answered and until_answer:
                return (answered[0] - ended) * 1000
            if sent >= len(audio) and (not until_answer or now > ended + _PATIENCE_MS / 1000):
                return (answered[0] - ended) * 1000 if answered else None


def _engine() -> VoiceEngine:
    return VoiceEngine(provider="local", input_format=FORMAT)


async def _voice_to_voice(rounds: int) -> tuple[list[float], dict[str, list[str]], int]:
    waits: list[float] = []
    heard: dict[str, list[str]] = {}
    unanswered = 0
    for _ in range(rounds):
        for recording in recordings():
            async with _engine() as engine:
                caller = Caller(engine)
                caller.listen()
                wait = await caller.speak(recording)
                if wait is None:
                    unanswered += 1
                else:
                    waits.append(wait)
                said = " ".join(i.text for i in engine.conversation.messages if i.role == "user")
                heard.setdefault(recording.name, []).append(said)
    return waits, heard, unanswered


async def _barge_in(rounds: int) -> list[float]:
    """From the report that the caller speaks to the order to stop playing, after which no audio may come."""
    interruption = next(r for r in recordings() if r.name == "sense_and_sensibility_0880")
    delays = []
    for _ in range(rounds):
        async with _engine() as engine:
            caller = Caller(engine)
            caller.listen()
            await engine.send_text("Tell me a long story.")
            async with engine.events(EventType.AUDIO_OUTPUT_STARTED) as started:
                await anext(started)
            await asyncio.sleep(1.0)
            await caller.speak(interruption, until_answer=False)
            assert caller.silenced, "the story was not interrupted"
            delays.append(caller.silenced[0])
    return delays


async def _calls(n: int, rounds: int) -> list[float]:
    """Calls at once with the same recording, a tenth of a second apart: they want the models together."""
    have = recordings()

    async def one(k: int) -> list[float]:
        await asyncio.sleep(0.1 * k)
        waits = []
        for i in range(rounds):
            async with _engine() as engine:
                caller = Caller(engine)
                caller.listen()
                wait = await caller.speak(have[i % len(have)])
                if wait is not None:
                    waits.append(wait)
        return waits

    return [w for waits in await asyncio.gather(*(one(k) for k in range(n))) for w in waits]


async def _factors() -> dict[str, float]:
    """Work per second of speech, for recognition and for synthesis."""
    from voxengine.providers.cascade.registry import create_part

    stt: Any = create_part("stt", "whisper/tiny.en", {})
    tts: Any = create_part("tts", "hibari", {})
    await asyncio.gather(stt.load(), tts.load())
    import numpy as np

    worked = spoken = 0.0
    for recording in recordings():
        samples = np.frombuffer(recording.audio, "<i2").astype(np.float32) / 32768
        started = time.perf_counter()
        await stt.transcribe(samples, session="bench")
        worked += time.perf_counter() - started
        spoken += recording.seconds
    started, made = time.perf_counter(), 0
    for recording in recordings():
        async for piece in tts.synthesize(recording.text, voice=None, speed=1.0, session="bench"):
            made += len(piece.audio)
    synthesis = (time.perf_counter() - started) / (made / 2 / tts.sample_rate)
    return {"stt_rtf": round(worked / spoken, 3), "tts_rtf": round(synthesis, 4)}


def _rss_mb() -> float:
    try:
        with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123
            line = next(x for x in status if x.startswith("VmRSS"))
        return round(int(line.split()[1]) / 1024, 1)
    except (OSError, StopIteration):
        import resource

        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "median": round(statistics.median(ordered), 1),
        "p90": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.9))], 1),
        "max": round(ordered[-1], 1),
    }


async def _measure(quick: bool) -> dict[str, Any]:
    rounds = 1 if quick else 5
    await _voice_to_voice(1)  # models are loaded and warm from here on
    waits, heard, unanswered = await _voice_to_voice(rounds)
    have = {r.name: r.text for r in recordings()}
    wer: dict[str, float] = {}
    total = [0, 0]
    for name, said in heard.items():
        wrong = [errors(have[name], text) for text in said]
        wer[name] = round(sum(w for w, _ in wrong) / sum(n for _, n in wrong), 4)
        if name != "go_forward_ten_meters":
            total = [total[0] + sum(w for w, _ in wrong), total[1] + sum(n for _, n in wrong)]
    wer["librivox_and_jfk"] = round(total[0] / total[1], 4)
    barge = await _barge_in(2 if quick else 8)
    calls = {str(n): await _calls(n, 2 if quick else 4) for n in (1, 2, 4)}
    gc.collect()
    return {
        "on_device": {
            "voice_to_voice_ms": {**_spread(waits), "turns": len(waits), "unanswered": unanswered},
            "voice_to_voice_rounds": [round(w, 1) for w in waits],
            "barge_in_ms": {
                "median": round(statistics.median(barge), 2),
                "max": round(max(barge), 2),
            },
            "wer": wer,
            "calls": {n: round(statistics.median(v), 1) for n, v in calls.items()},
            "calls_rounds": {n: [round(w, 1) for w in v] for n, v in calls.items()},
            "rss_mb": _rss_mb(),
            **await _factors(),
        }
    }


def measure(quick: bool) -> dict[str, Any]:
    """All of it; about five minutes, most of which is speech in real time."""
    return asyncio.run(_measure(quick))
