"""One connection to the emulated `/v1/speak`: Aura."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from voxengine.testing.emulators.deepgram.speaking import SpeakingSession

__all__ = ["AuraSession"]

#: How often the text may be flushed in a minute.
MAX_FLUSHES = 20


class AuraSession(SpeakingSession):
    """The server's side of one connection."""

    interface = "speak.v1"
    family = "aura"

    def ready(self) -> None:
        """Say who we are."""
        self._sequence = 0
        self._flushes: deque[float] = deque(maxlen=MAX_FLUSHES)
        self._closing = False
        self.send(
            {
                "type": "Metadata",
                "request_id": self.request_id,
                "model_name": self.name,
                "model_version": "2026-01-01.0",
                "model_uuid": "00000000-0000-0000-0000-000000000000",
            }
        )

    def received(self, message: dict[str, Any]) -> None:
        """A message of the client."""
        self.wait()
        match message["type"]:
            case "Speak":
                self.add(message["text"])
            case "Flush":
                self._flush()
            case "Clear":
                self.stop()
                self.answered()
                self._confirm("Cleared")
            case "Close":
                self._closing = True
                self.flush()

    def _flush(self) -> None:
        now = asyncio.get_running_loop().time()
        if len(self._flushes) == MAX_FLUSHES and now - self._flushes[0] < 60:
            words = f"no more than {MAX_FLUSHES} flushes in a minute"
            self.send({"type": "Warning", "code": "EXCESSIVE_FLUSH", "description": words})
            return
        self._flushes.append(now)
        self.flush()

    def done(self) -> None:
        """All text was spoken."""
        self.answered()
        if self._closing:
            self.end(1000)
        else:
            self._confirm("Flushed")

    def _confirm(self, kind: str) -> None:
        self.send({"type": kind, "sequence_id": self._sequence})
        self._sequence += 1

    def invalid(self, problems: Sequence[str], message: Any) -> None:
        """A message that is not valid."""
        self.send({"type": "Warning", "code": "DATA-0001", "description": problems[0]})

    def error(self, code: str, message: str) -> None:
        """There is no message for that."""
        self.end(1011, message)
