"""What both emulated recognisers have in common: ears, and an end when nothing comes."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from voxengine.audio.formats import AudioFormat
from voxengine.testing.emulators.deepgram.agent import format_of
from voxengine.testing.emulators.hearing import Hearing, Turn
from voxengine.testing.emulators.vendor_session import VendorSession

if TYPE_CHECKING:
    from voxengine.testing.emulators.deepgram.emulator import DeepgramEmulator

__all__ = ["ListeningSession", "words_of"]

#: How sure it is of a word.
CONFIDENCE = 0.98


def words_of(text: str, start: float, end: float) -> list[dict[str, Any]]:
    """Each word of a text and where it is in the seconds between, spread evenly."""
    words = text.split()
    step = max(0.0, end - start) / max(1, len(words))
    return [
        {
            "word": word,
            "start": round(start + n * step, 3),
            "end": round(start + (n + 1) * step, 3),
            "confidence": CONFIDENCE,
        }
        for n, word in enumerate(words)
    ]


class ListeningSession(VendorSession, ABC):
    """The server's side of one connection to a recogniser."""

    emulator: DeepgramEmulator
    #: Which of `SPEECH` it is.
    interface: ClassVar[str] = ""

    def opened(self) -> None:
        """Listen."""
        self.judge = self.emulator.judges[self.interface]
        self.request_id = str(uuid.uuid4())
        self.hearing: Hearing | None = None
        query = self.request.query
        format = format_of(query, 16000)
        if format is None or not query.get("model"):
            self.end(1008, "DATA-0000")
            return
        self.format: AudioFormat = format
        self.hearing = self.make_ears()
        self.chunks = 0
        self._wait()

    @abstractmethod
    def make_ears(self) -> Hearing:
        """How it listens."""

    def ears(self, **settings: Any) -> Hearing:
        """Ears with these settings, and those of the emulator."""
        own = self.emulator.settings
        return Hearing(
            self.format, self.emulator.voice, self, transcripts=own.transcripts, **settings
        )

    def is_audio(self, message: Any) -> bool:
        """Messages carry none."""
        return False

    def received_audio(self, audio: bytes) -> None:
        """Hear some more."""
        self._wait()
        if self.hearing is not None:
            self.hearing.feed(audio)

    def _wait(self) -> None:
        self.later("idle", self.emulator.settings.idle_s, self.end, 1011, "NET-0001")

    def alive(self) -> None:
        """The client is there."""
        self._wait()

    def strike_if_due(self, number: int) -> bool:
        """Whether a fault has ended it: the n-th turn has so many results by now."""
        self.chunks += 1
        for fault in self.emulator.faults.at_chunk(number, self.chunks):
            self.strike(fault)
        return self.over or self.hearing is None

    def on_turn(self, turn: Turn, text: str) -> None:
        """All words of a turn."""

    def end(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection."""
        if self.hearing is not None:
            self.tasks.append(self.hearing.close())
            self.hearing = None
        super().end(code, reason)

    def closed(self) -> None:
        """Hear no more."""
        if self.hearing is not None:
            self.tasks.append(self.hearing.close())
            self.hearing = None
