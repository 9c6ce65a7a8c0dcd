"""The mouth of an emulated vendor: a text becomes paced pieces of audio with the places of its words."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable

import msgspec

from voxengine.audio.formats import AudioFormat
from voxengine.providers.cascade.parts import SpokenWord
from voxengine.testing.emulators.voice import SignalVoice, Voice

__all__ = ["Piece", "places", "speak_paced"]


class Piece(msgspec.Struct, frozen=True):
    """A piece of audio, and the words that begin in it. Milliseconds count from the first audio of the text."""

    audio: bytes
    words: tuple[SpokenWord, ...]
    start_ms: float
    end_ms: float


def places(voice: Voice, text: str, length_ms: float, speed: float = 1.0) -> list[SpokenWord]:
    """Each word, with the space before it, and its place in audio of that length.

    It is exact for synthetic speech, and evenly spread for another.
    """
    words = [(" " if index else "") + word for index, word in enumerate(text.split())]
    if isinstance(voice, SignalVoice):
        found = voice.timeline(text, speed=speed)
        return [
            SpokenWord(word, place.start_ms, place.end_ms)
            for word, place in zip(words, found, strict=True)
        ]
    step = length_ms / max(1, len(words))
    return [SpokenWord(word, n * step, (n + 1) * step) for n, word in enumerate(words)]


async def speak_paced(
    voice: Voice,
    text: str,
    format: AudioFormat,
    *,
    chunk_ms: float = 100.0,
    pace: float = 1.0,
    speed: float = 1.0,
    slowness: Callable[[], float] = lambda: 1.0,
) -> AsyncGenerator[Piece]:
    """Speak a text `pace` times faster than it plays; ends when the last piece has taken its time, too.

    `slowness` is asked how many times longer than that it takes now.

    Raises:
        VoiceEngineError: the voice could not do it.
    """
    audio = await voice.say(text, format, speed=speed)
    words = deque(places(voice, text, format.duration_ms(len(audio)), speed))
    size = format.n_bytes(chunk_ms)
    loop = asyncio.get_running_loop()
    due = loop.time()
    for at in range(0, len(audio), size):
        chunk = audio[at : at + size]
        start_ms, end_ms = format.duration_ms(at), format.duration_ms(at + len(chunk))
        last = at + size >= len(audio)
        begun = []
        while words and (last or words[0].start_ms < end_ms):
            begun.append(words.popleft())
        yield Piece(chunk, tuple(begun), start_ms, end_ms)
        # By the clock, not by the piece: a slow machine must not stretch the speech.
        due += (end_ms - start_ms) / 1000 / pace * slowness()
        await asyncio.sleep(max(0.0, due - loop.time()))
