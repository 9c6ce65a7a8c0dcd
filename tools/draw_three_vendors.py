"""Hold a turn of a cascade of three vendors, and draw who worked when, by the call's own clock.

    .venv/bin/python tools/draw_three_vendors.py

Deepgram hears, Anthropic thinks, ElevenLabs speaks: three emulators on loopback, real sockets, real time. Everything in
`docs/images/three-vendors.svg` was measured in that one call. How fast a vendor itself is, is the emulator's setting,
and there is no network in between: what the picture shows is what waits for what.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from voxengine import VoiceEngine
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import speak
from voxengine.testing.emulators.catalogue import make_emulator

OUT = Path(__file__).parents[1] / "docs" / "images" / "three-vendors.svg"
KEY = "sk-emulated"
FORMAT = AudioFormat()
FRAME_MS = 20
QUESTION = "tell me a story"
STORY = " ".join(f"This is sentence number {n} of a story that goes on." for n in range(1, 13))
_INK, _PALE = "#333333", "#8a8a8a"
_COLOURS = ("#7a7a7a", "#2a7f9e", "#b0562a", "#3f8f4f")


async def hold() -> tuple[list[Any], float]:
    """The events of the call, and when the caller's last word had been said."""
    async with (
        make_emulator("stt.deepgram", responses=None, key=KEY) as ears,
        make_emulator("brain.anthropic", responses={QUESTION: STORY}, key=KEY) as brain,
        make_emulator("tts.elevenlabs", responses=None, key=KEY) as voice,
    ):
        engine = VoiceEngine(
            provider="cascade",
            metadata={
                "vad": "energy",
                "stt": "deepgram/flux-general-en",
                "stt_options": {**ears.metadata, "api_key": KEY},
                "llm": "anthropic/claude-haiku-5-5",
                "llm_options": {**brain.metadata, "api_key": KEY},
                "tts": "elevenlabs/eleven_flash_v2_5",
                "tts_options": {**voice.metadata, "api_key": KEY},
            },
        )
        seen: list[Any] = []
        engine.on("*", seen.append)
        async with engine:
            said = await _say(engine, seen)
        return seen, said


async def _say(engine: VoiceEngine, seen: list[Any]) -> float:
    """Speak, then be silent until the answer has been made; returns when the last word had been said."""
    words, quiet = speak(QUESTION, FORMAT), bytes(FORMAT.n_bytes(FRAME_MS))
    size, start = len(quiet), time.perf_counter()
    said = 0.0
    for frame in range(1000):
        piece = words[frame * size : (frame + 1) * size]
        await engine.send_audio(piece + quiet[len(piece) :])
        if not piece and not said:
            said = time.time()
        if _done(seen):
            break
        await asyncio.sleep(max(0.0, start + (frame + 1) * FRAME_MS / 1000 - time.perf_counter()))
    return said


def _done(seen: list[Any]) -> bool:
    """Whether the brain has said its last word, and the voice has had a second since."""
    last = next((e for e in seen if getattr(e, "stage", "") == "last_token"), None)
    return last is not None and time.time() - last.timestamp > 1.0


def moments(seen: list[Any], said: float) -> dict[str, float]:
    """Milliseconds after the caller's last word."""
    first = {e.stage: e.timestamp for e in reversed(seen) if isinstance(e, ev.TimingStage)}
    first["written"] = next(e.timestamp for e in seen if isinstance(e, ev.TranscriptCompleted))
    first["words"] = next(e.timestamp for e in seen if isinstance(e, ev.TranscriptPartial))
    first["last_audio"] = max(e.timestamp for e in seen if isinstance(e, ev.AudioOutputChunk))
    return {name: (at - said) * 1000 for name, at in first.items()}


def draw(at: dict[str, float], path: Path) -> None:
    """Four rows: who worked from when to when."""
    end = at["last_token"]
    rows = [
        ("caller speaks", at["words"] - 150, 0.0, ""),
        (
            "Deepgram hears",
            at["words"],
            at["written"],
            f"certain of the turn at {at['written']:.0f} ms",
        ),
        (
            "Anthropic thinks",
            at["brain_started"],
            at["last_token"],
            f"asked at {at['brain_started']:.0f} ms, first word at {at['first_token']:.0f}, last at {end:.0f}",
        ),
        (
            "ElevenLabs speaks",
            at["first_audio"],
            at["last_audio"],
            f"first audio at {at['first_audio']:.0f} ms",
        ),
    ]
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    for row, (name, begin, until, words) in enumerate(rows):
        axes.barh(row, until - begin, left=begin, height=0.5, color=_COLOURS[row])
        axes.text(begin, row - 0.3, f"{name}  ", va="bottom", fontsize=10.5, color=_INK)
        axes.text(until, row, f"  {words}", va="center", fontsize=9, color=_PALE)
    axes.axvline(0, color="#bbbbbb", linewidth=1)
    axes.axvline(at["written"], color="#bbbbbb", linewidth=1, linestyle="dotted")
    axes.set_ylim(len(rows) - 0.4, -0.75)
    axes.set_xlim(at["words"] - 200, max(end, at["last_audio"]) * 1.5)
    axes.set_yticks([])
    axes.set_xlabel("milliseconds after the caller's last word", color=_INK)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    figure.savefig(path)


def main() -> None:
    """Hold the call, and draw it."""
    seen, said = asyncio.run(hold())
    at = moments(seen, said)
    for name, ms in sorted(at.items(), key=lambda pair: pair[1]):
        print(f"{ms:8.0f} ms  {name}")
    draw(at, OUT)


if __name__ == "__main__":
    main()
