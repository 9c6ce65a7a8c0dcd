"""Whether the words of people are understood as well as ever when a vendor is killed while they speak.

Recordings of people are played to an emulated vendor as a microphone would hear them. In the middle of each it is
killed, and `local`, which runs in this process, hears what was said so far again and the rest as it comes. Its word
error rate is compared to that of `local` alone on the same recording.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from bench.speech import FORMAT, Recording, errors, recordings
from chaos.kill.caller import Caller
from chaos.kill.vendor import Vendor
from voxengine import events as ev

__all__ = ["Understood", "understand_all"]

#: Those that are long enough to have a middle.
NAMES = ("jfk", "sense_and_sensibility_0870", "sense_and_sensibility_0880")
#: The part of a recording after which the vendor is killed.
_MIDDLE = 0.5
#: A speaker's pauses are shorter than this, so that the vendor takes the whole recording for one turn.
_SILENCE_MS = 3000
#: Seconds for which all has to be quiet before everything was understood.
_REST = 1.5


class Understood(msgspec.Struct, frozen=True):
    """What was understood of one recording, with a vendor killed in it and without."""

    name: str
    words: int
    #: Word errors: substitutions, deletions and insertions.
    errors: int
    errors_killed: int
    text: str
    text_killed: str


async def _alone(recording: Recording) -> str:
    async with Caller(provider="local", input_format=FORMAT) as call:
        return await _hear(call, call.play(recording.audio))


async def _killed(recording: Recording, victim: Vendor) -> str:
    settings = victim.settings
    settings["metadata"]["turn_detection_options"] = {"silence_duration_ms": _SILENCE_MS}
    async with Caller(**settings, fallback=["local"], input_format=FORMAT) as call:
        seconds = call.play(recording.audio)
        await asyncio.sleep(seconds * _MIDDLE)
        victim.kill()
        await call.until(ev.ProviderSwitched)
        return await _hear(call, seconds * (1 - _MIDDLE))


async def _hear(call: Caller, seconds: float) -> str:
    """All that was understood when the recording is over, in so many seconds, and answered."""
    await asyncio.sleep(seconds)
    await call.until(ev.TranscriptCompleted)
    await call.rest(_REST)
    return call.user_words


async def understand_all(names: Sequence[str] = NAMES) -> list[Understood]:
    """Listen to these recordings, each with a vendor killed in it and without."""
    found = []
    for recording in recordings():
        if recording.name not in names:
            continue
        text = await _alone(recording)
        async with Vendor("openai") as victim:
            text_killed = await _killed(recording, victim)
        wrong, n = errors(recording.text, text)
        wrong_killed, _ = errors(recording.text, text_killed)
        found.append(Understood(recording.name, n, wrong, wrong_killed, text, text_killed))
    return found
