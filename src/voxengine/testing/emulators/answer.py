"""An answer of an emulated model that is under way: what was said of it, and what was played."""

from __future__ import annotations

import asyncio

import msgspec

from voxengine.providers.cascade.parts import SpokenWord
from voxengine.testing.emulators.memory import Memory, Note, joined
from voxengine.testing.emulators.mouth import Piece

__all__ = ["Answer"]


class Answer(msgspec.Struct):
    """One answer. What was said of it is what was sent; if it `plays_out`, what was played by the clock."""

    id: str
    #: Which answer of all sessions it is, as faults count them.
    number: int
    plays_out: bool
    text: str = ""
    #: Its words that were sent, and milliseconds of audio.
    words: list[SpokenWord] = []
    audio_ms: float = 0.0
    #: Pieces that were sent, and the last of audio.
    sent: int = 0
    last: bytes = b""
    #: The loop's time of its first audio, None for one that is not spoken.
    began: float | None = None
    #: How it ended, None while it is under way.
    status: str | None = None
    note: Note | None = None
    task: asyncio.Task[None] | None = None

    def stop(self, status: str) -> None:
        """It has ended; nothing more of it is said."""
        self.status = status
        if self.task is not None and self.task is not asyncio.current_task():
            self.task.cancel()

    def spoke(self, piece: Piece) -> None:
        """A piece of it is sent."""
        self.sent += 1
        self.audio_ms, self.last = piece.end_ms, piece.audio

    @property
    def played_ms(self) -> float:
        """How much of it a listener who plays it at once has heard."""
        if self.began is None:
            return 0.0
        passed = (asyncio.get_running_loop().time() - self.began) * 1000
        return min(self.audio_ms, passed)

    @property
    def said(self) -> str:
        """What was said of it."""
        if self.status == "completed":
            return self.text
        if self.plays_out and self.began is not None:
            played = self.played_ms
            return joined(word for word in self.words if word.end_ms <= played)
        return joined(self.words)

    def remember(self, memory: Memory) -> None:
        """Let the model know what was said of it so far."""
        said = self.said
        if self.note is None and said:
            self.note = memory.add(Note("assistant", said, reply_id=self.id))
        if self.note is not None:
            self.note.text = said
            self.note.words = tuple(self.words) if self.began is not None else ()
            if not said:
                memory.drop(self.note)
