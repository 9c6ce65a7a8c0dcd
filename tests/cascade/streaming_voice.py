"""A voice that is given the words as they come, with exact times, and what it says of itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from voxengine.errors import ProviderError
from voxengine.providers.cascade.parts import Speech, SpokenWord, TTSStream

MS_PER_CHAR = 50.0
RATE = 24000


class StreamingVoice:
    """Speaks `delay` seconds after it was given something, 50 ms for each character.

    Args:
        timed: whether it says where its words are.
        eager: whether it speaks what was pushed before a flush.
        trouble: what goes wrong with each stream, in order: "open" (it cannot be opened), "hang" (it says nothing),
            a number (it breaks after so many pieces of speech), None (nothing).
    """

    name = "vendor/voice"
    sample_rate = RATE
    voices: tuple[str, ...] = ("one", "two")
    on_device = True

    def __init__(
        self,
        *,
        timed: bool = True,
        eager: bool = True,
        delay: float = 0.02,
        trouble: Sequence[object] = (),
        heard: str | None = None,
        says_after: float = 0.0,
        error: ProviderError | None = None,
    ) -> None:
        self.timed = timed
        self.eager = eager
        self.delay = delay
        self.trouble = list(trouble)
        self.heard = heard
        self.says_after = says_after
        self.error = error or ProviderError("line cut", code="closed", retryable=True)
        self.streams: list[VoiceStream] = []
        self.opened: list[tuple[str | None, float, str]] = []
        self.closed = 0

    async def load(self) -> None:
        return None

    async def open(self, *, voice: str | None, speed: float, session: str) -> TTSStream:
        self.opened.append((voice, speed, session))
        trouble = self.trouble.pop(0) if self.trouble else None
        await asyncio.sleep(self.delay)
        if trouble == "open":
            raise self.error
        stream = VoiceStream(self, trouble)
        self.streams.append(stream)
        return stream

    async def close(self) -> None:
        self.closed += 1

    @property
    def pushed(self) -> str:
        return "".join(text for stream in self.streams for _, text in stream.pushed)


class VoiceStream:
    def __init__(self, voice: StreamingVoice, trouble: object) -> None:
        self.voice = voice
        self.trouble = trouble
        #: What was pushed, each with its time; "|" is a flush, "." the end.
        self.pushed: list[tuple[float, str]] = []
        self.log = ""
        self.cancelled: list[float | None] = []
        self._waiting = ""
        self._ready: asyncio.Queue[str | None] = asyncio.Queue()

    def push(self, text: str) -> None:
        self.pushed.append((asyncio.get_running_loop().time(), text))
        self.log += text
        self._waiting += text
        if self.voice.eager:
            self._speak()

    def flush(self) -> None:
        self.log += "|"
        self._speak()

    def end(self) -> None:
        self.log += "#"
        self._speak()
        self._ready.put_nowait(None)

    def _speak(self) -> None:
        if self._waiting:
            self._ready.put_nowait(self._waiting)
            self._waiting = ""

    async def cancel(self, heard_ms: float | None = None) -> str | None:
        self.cancelled.append(heard_ms)
        self._ready.put_nowait(None)
        await asyncio.sleep(self.voice.says_after)
        return self.voice.heard

    async def __aiter__(self) -> AsyncIterator[Speech]:
        at, pieces = 0.0, 0
        while (text := await self._ready.get()) is not None:
            if self.cancelled:
                return
            if self.trouble == "hang":
                await asyncio.sleep(1000)
            await asyncio.sleep(self.voice.delay)
            for word in text.replace(" ", "\0 ").split("\0"):
                if not any(c.isalnum() for c in word):
                    continue
                if self.trouble == pieces:
                    raise self.voice.error
                pieces += 1
                ms = MS_PER_CHAR * len(word)
                said = (SpokenWord(word, at, at + ms),) if self.voice.timed else ()
                yield Speech(b"\0\x20" * int(RATE * ms / 1000), said)
                at += ms
