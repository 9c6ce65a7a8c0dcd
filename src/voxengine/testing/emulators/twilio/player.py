"""What Twilio keeps for the caller: audio in order, with marks in between. Pure: all times are given."""

from __future__ import annotations

from collections import deque

__all__ = ["BYTES_PER_MS", "Player"]

#: G.711 at 8 kHz.
BYTES_PER_MS = 8


class Player:
    """Plays what it is given, piece after piece. Times are seconds; audio begins `delay` after it has come."""

    def __init__(self, delay: float = 0.0) -> None:
        self._delay = delay
        #: When each piece that is not over begins, and its audio.
        self._pieces: deque[tuple[float, bytes]] = deque()
        self._end = float("-inf")
        #: Marks that were not reached, and when they are.
        self._marks: deque[tuple[float, str]] = deque()
        self._heard = bytearray()

    def push(self, audio: bytes, now: float) -> None:
        """More audio."""
        start = self._end if self._end > now else now + self._delay
        self._pieces.append((start, audio))
        self._end = start + _seconds(audio)

    def mark(self, name: str, now: float) -> None:
        """A mark behind all audio so far."""
        self._marks.append((max(now, self._end), name))

    def clear(self, now: float) -> list[str]:
        """Throw away what was not played; returns the marks that were in it."""
        self._settle(now)
        if self._pieces:
            start, audio = self._pieces[0]
            self._heard += audio[: max(0, round((now - start) * 1000 * BYTES_PER_MS))]
        self._pieces.clear()
        self._end = now
        left = [name for _, name in self._marks]
        self._marks.clear()
        return left

    def due(self, now: float) -> list[str]:
        """The marks that have been reached since the last call."""
        reached = []
        while self._marks and self._marks[0][0] <= now:
            reached.append(self._marks.popleft()[1])
        return reached

    def heard(self, now: float) -> bytes:
        """All that was played so far."""
        self._settle(now)
        part = b""
        if self._pieces:
            start, audio = self._pieces[0]
            part = audio[: max(0, round((now - start) * 1000 * BYTES_PER_MS))]
        return bytes(self._heard) + part

    def left_ms(self, now: float) -> float:
        """Milliseconds until all was played."""
        return max(0.0, (self._end - now) * 1000)

    def _settle(self, now: float) -> None:
        pieces = self._pieces
        while pieces and pieces[0][0] + _seconds(pieces[0][1]) <= now:
            self._heard += pieces.popleft()[1]


def _seconds(audio: bytes) -> float:
    return len(audio) / (BYTES_PER_MS * 1000)
