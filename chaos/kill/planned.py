"""That a planned change of vendors is not heard: whether anything is missing of the answer that is being played.

What the application gets is played in real time. A frame of 20 ms is missing where there is nothing to play although
the answer of the old vendor is not over; a change at once ends it, so that only what comes before is judged.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import msgspec

from chaos.kill.caller import FRAME_MS, Caller
from chaos.kill.vendor import Vendor
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat

__all__ = ["PLANS", "Gap", "Plan", "change", "changes", "missing_frames"]

#: When the other vendor is to take over; "never" is the same call without it.
Plan: TypeAlias = Literal["now", "after_response", "after_turn", "never"]
PLANS: tuple[Plan, ...] = get_args(Plan)

#: Milliseconds of audio that the listener waits for before it plays: two frames.
BUFFER_MS = 2.0 * FRAME_MS
#: The vendor speaks hardly faster than it is listened to, so that little is there in advance.
_SPEAKER = {"latency_ms": 50, "transcript_delay_ms": 20, "pace": 1.25}
_WORDS = 12
#: Seconds after the first sound at which the change is asked for.
_AFTER = 0.3


class Gap(msgspec.Struct, frozen=True):
    """One planned change in the middle of an answer."""

    when: Plan
    missing_frames: int
    #: Frames of the old vendor's answer that were played.
    frames: int
    #: Words of the answer that its listener did not hear; of one that is ended by the change, that is not counted.
    missing_words: int
    #: From the wish to the other vendor at work.
    switched_ms: float
    violations: dict[str, list[str]]


async def change(old: Vendor, new: Vendor, when: Plan) -> Gap:
    """Hold a call in which another vendor takes over in the middle of an answer, and answers the next turn."""
    call = Caller(**old.settings)
    answer = " ".join(f"w{n:04}" for n in range(_WORDS))
    async with call:
        call.say(answer)
        await call.until(ev.AudioOutputStarted)
        await asyncio.sleep(_AFTER)
        asked = switched = call.record.now()
        if when != "never":
            entry = new.settings
            config = call.engine.config.with_changes(**entry)
            await call.engine.switch_provider(entry["provider"], config, when=when)
            switched, _ = await call.until(ev.ProviderSwitched)
        await call.rest()
        first = [(at, chunk) for at, chunk in call.chunks if chunk.provider == old.dialect]
        if when == "now":
            first = [(at, chunk) for at, chunk in first if at <= switched]
        call.say(f"w{_WORDS:04}")
        began = call.record.now()
        await call.until(ev.AudioOutputStarted, began)
        await call.rest()
        verdict = call.verdict()
    item_id = first[0][1].item_id or ""
    format = call.engine.config.output_format
    heard = call.listener.words(item_id)
    return Gap(
        when,
        missing_frames=missing_frames([(at, len(c.audio_data)) for at, c in first], format),
        frames=round(sum(format.duration_ms(len(c.audio_data)) for _, c in first) / FRAME_MS),
        missing_words=0 if when == "now" else len(answer.split()) - len(heard),
        switched_ms=round((switched - asked) * 1000, 2),
        violations=verdict.violations,
    )


def missing_frames(chunks: Sequence[tuple[float, int]], format: AudioFormat) -> int:
    """How many frames have nothing to play, where chunks of so many bytes come at these seconds."""
    missing, end = 0, chunks[0][0] + BUFFER_MS / 1000
    for at, n_bytes in chunks:
        # A frame is missing as soon as it is not there in time, even if it comes within its 20 ms.
        missing += max(0, math.ceil((at - end) * 1000 / FRAME_MS))
        end = max(end, at) + format.duration_ms(n_bytes) / 1000
    return missing


async def changes(runs: int) -> list[Gap]:
    """Change vendors so often in each way; the ways take turns."""
    async with Vendor("openai", **_SPEAKER) as old, Vendor("azure", **_SPEAKER) as new:
        return [await change(old, new, when) for _ in range(runs) for when in PLANS]
