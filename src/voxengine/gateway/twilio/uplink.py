"""What the caller says, on its way to the engine."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable

from voxengine.errors import VoiceEngineError
from voxengine.gateway.call import Call
from voxengine.gateway.twilio.messages import TELEPHONE

__all__ = ["Uplink"]

logger = logging.getLogger("voxengine.gateway")

#: Milliseconds of audio that are kept until the provider is connected, or while it has to be waited for. The oldest is
#: given up for the newest.
MOST_MS = 15_000.0
_MOST_BYTES = TELEPHONE.n_bytes(MOST_MS)


class Uplink:
    """Passes audio on: at once if the provider takes it so, else in order as it is taken."""

    def __init__(self) -> None:
        self._call: Call | None = None
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._pump: asyncio.Task[None] | None = None
        #: Whether it was logged that the audio goes nowhere.
        self._lost = False

    def connect(self, call: Call) -> None:
        """The call is open: what was said meanwhile comes first."""
        self._call = call
        early, self._waiting, self._bytes = self._waiting, deque(), 0
        for audio in early:
            self.take(audio)

    def take(self, audio: bytes) -> None:
        """Audio of the caller's."""
        call = self._call
        if call is None:
            self._keep(audio)
            return
        if call.recording is not None:
            call.recording.user(audio)
        if self._pump is not None:
            self._keep(audio)
            return
        waits = self._give(call, audio)
        if waits is not None:
            self._pump = asyncio.get_running_loop().create_task(
                self._work(call, waits), name=f"voxengine-{call.id}-audio"
            )

    def close(self) -> None:
        """The caller is gone."""
        self._waiting.clear()
        if self._pump is not None:
            self._pump.cancel()

    def _keep(self, audio: bytes) -> None:
        self._waiting.append(audio)
        self._bytes += len(audio)
        while self._bytes > _MOST_BYTES:
            self._bytes -= len(self._waiting.popleft())

    def _give(self, call: Call, audio: bytes) -> Awaitable[None] | None:
        try:
            waits = call.engine.take_audio(audio)
        except VoiceEngineError as failure:
            self._failed(call, failure)
            return None
        self._lost = False
        return waits

    async def _work(self, call: Call, waits: Awaitable[None] | None) -> None:
        """One frame after the other. Ends when there is no more."""
        try:
            while True:
                try:
                    if waits is not None:
                        await waits
                except VoiceEngineError as failure:
                    self._failed(call, failure)
                if not self._waiting:
                    return
                audio = self._waiting.popleft()
                self._bytes -= len(audio)
                waits = self._give(call, audio)
        finally:
            self._pump = None

    def _failed(self, call: Call, failure: VoiceEngineError) -> None:
        if not self._lost and not call.ending:
            logger.warning("call %s: the caller is not heard: %s", call.id, failure)
        self._lost = True
