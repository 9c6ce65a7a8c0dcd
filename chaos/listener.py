"""The listener: plays what comes, back to back and in real time, and throws away what is left when told to."""

from __future__ import annotations

from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import understand

__all__ = ["Listener"]


class Listener:
    """What was heard of each item. Times are seconds of the loop's clock."""

    def __init__(self, format: AudioFormat) -> None:
        self._format = format
        #: When each piece begins to sound, whose it is, and its audio.
        self._pieces: list[tuple[float, str, bytes]] = []
        self._end = 0.0

    def play(self, item_id: str, audio: bytes, now: float) -> None:
        """Play this after all that came before."""
        begin = max(now, self._end)
        self._pieces.append((begin, item_id, audio))
        self._end = begin + self._format.duration_ms(len(audio)) / 1000

    def stop(self, now: float) -> None:
        """Throw away what has not sounded yet."""
        kept = []
        for begin, item_id, audio in self._pieces:
            n = self._format.n_bytes(max(0.0, now - begin) * 1000)
            if n:
                kept.append((begin, item_id, audio[:n]))
        self._pieces = kept
        self._end = min(self._end, now)

    def ms(self, item_id: str) -> float:
        """Milliseconds of an item that have sounded, or will."""
        return self._format.duration_ms(sum(len(a) for _, i, a in self._pieces if i == item_id))

    def words(self, item_id: str) -> list[str]:
        """The words of an item that have sounded, or will: all that are completely there."""
        audio = b"".join(a for _, i, a in self._pieces if i == item_id)
        if not audio:
            return []
        # A little silence, so that a word that ends with the audio has its end.
        return understand(audio + silence(40, self._format), self._format).split()
