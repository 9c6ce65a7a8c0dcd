"""One call of `StreamingRecognize`: audio goes in until it is said that no more comes, then the last words come out.

The vendor ends every call after five minutes, and has no message that asks for the words so far: the only way to have
them at once is to end the audio. So a session is one call after another.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

from voxengine.errors import ConnectionError
from voxengine.providers.cascade.parts import (
    STTEvent,
    STTFinal,
    STTPartial,
    STTSpeechStarted,
    STTUsage,
)
from voxengine.providers.google_stt.failures import NAME, error_of, is_end, is_masked
from voxengine.providers.google_stt.shape import MAX_CHUNK_BYTES, SAMPLE_RATE

__all__ = ["Talk"]

#: Seconds in which a call that is refused is told so.
_REASON_S = 1.0

#: Audio that may wait to be sent: half a minute of it.
_MAX_WAITING_BYTES = 30 * SAMPLE_RATE * 2


class Talk:
    """One call.

    Args:
        start: begins it, given the requests.
        first: the request with the configuration.
        make_audio: a request with audio.
        tell: is told what comes of it.
        base_ms: where in the session's audio it begins.
        timeout_s: seconds that the last words may take.
    """

    def __init__(
        self,
        start: Callable[[AsyncIterator[Any]], Any],
        first: Any,
        make_audio: Callable[[bytes], Any],
        tell: Callable[[STTEvent], None],
        *,
        base_ms: float,
        timeout_s: float,
    ) -> None:
        #: The audio that was given to it, in bytes.
        self.fed = 0
        self._start = start
        self._first = first
        self._make_audio = make_audio
        self._tell = tell
        self._base_ms = base_ms
        self._timeout_s = timeout_s
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._more = asyncio.Event()
        self._ended = False
        self._billed = 0.0
        self._budget: asyncio.Timeout | None = None

    @property
    def too_slow(self) -> bool:
        """Whether more audio waits than may."""
        return self._waiting_bytes > _MAX_WAITING_BYTES

    def feed(self, audio: bytes) -> None:
        """More audio."""
        self.fed += len(audio)
        self._waiting.append(audio)
        self._waiting_bytes += len(audio)
        self._more.set()

    def end(self) -> None:
        """No more audio comes: from now on, the end may take only so long."""
        self._ended = True
        self._more.set()
        if self._budget is not None:
            self._budget.reschedule(asyncio.get_running_loop().time() + self._timeout_s)

    async def run(self, before: asyncio.Task[None] | None) -> None:
        """Hold it, to its end; what comes of it is told after what comes of the one before.

        Raises:
            ProviderError: it failed.
        """
        call: Any = None
        try:
            async with asyncio.timeout(None) as self._budget:
                if self._ended:
                    self.end()
                call = await self._start(self._requests())
                if before is not None:
                    await asyncio.wait([before])
                async for response in call:
                    self._take(response)
        except TimeoutError:
            words = f"{NAME}: no last words within {self._timeout_s:g} s"
            raise ConnectionError(words, provider=NAME, code="timeout") from None
        except Exception as failure:
            told = await self._reason() if is_masked(failure) else failure
            # The vendor ends calls of its own accord, too: the next audio begins another.
            if not is_end(told):
                raise error_of(told) from failure
        finally:
            self._budget = None
            if call is not None:
                call.cancel()
            # Whoever still asks for requests is told that there are no more.
            self._waiting.clear()
            self._ended = True
            self._more.set()
            if self._billed:
                self._tell(STTUsage(self._billed))

    async def _reason(self) -> Exception:
        """Why a call was ended while audio was on its way: of that, gRPC does not tell the vendor's status.

        A call without audio is refused for the same reason, and tells it. One that is not refused was just lost.
        """
        over = asyncio.Event()

        async def only_the_first() -> AsyncIterator[Any]:
            yield self._first
            await over.wait()

        call: Any = None
        try:
            async with asyncio.timeout(_REASON_S):
                call = await self._start(only_the_first())
                async for _ in call:
                    break
        except TimeoutError:
            pass
        except Exception as failure:
            return failure
        finally:
            over.set()
            if call is not None:
                call.cancel()
        return ConnectionError(f"{NAME}: the call was cut", provider=NAME, code="closed")

    async def _requests(self) -> AsyncIterator[Any]:
        """What is sent: the configuration, then all audio that waits, in pieces that are not too large."""
        yield self._first
        while self._waiting or not self._ended:
            self._more.clear()
            while self._waiting:
                audio = b"".join(self._waiting)
                self._waiting.clear()
                self._waiting_bytes = 0
                for at in range(0, len(audio), MAX_CHUNK_BYTES):
                    yield self._make_audio(audio[at : at + MAX_CHUNK_BYTES])
            if not self._ended:
                await self._more.wait()

    def _take(self, response: Any) -> None:
        """What one response tells."""
        kind = response.speech_event_type.name
        if kind == "SPEECH_ACTIVITY_BEGIN":
            offset_ms = response.speech_event_offset.total_seconds() * 1000
            self._tell(STTSpeechStarted(self._base_ms + offset_ms))
        self._billed = max(self._billed, response.metadata.total_billed_duration.total_seconds())
        partial: list[str] = []
        for result in response.results:
            if not result.alternatives:
                continue
            best = result.alternatives[0]
            if not result.is_final:
                partial.append(best.transcript.strip())
            elif best.transcript.strip():
                self._tell(
                    STTFinal(
                        best.transcript.strip(),
                        language=result.language_code or None,
                        confidence=best.confidence or None,
                    )
                )
        if partial:
            self._tell(STTPartial(" ".join(partial)))
