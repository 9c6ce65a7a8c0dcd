"""What the session says by itself: an apology, a goodbye. It comes at once, and no event says that it is whole."""

from __future__ import annotations

from typing import Any

from voxengine.audio.formats import AudioFormat
from voxengine.conversation import Item
from voxengine.events import AudioOutputChunk, AudioOutputStarted, TextOutput
from voxengine.gateway.wire.response import Response
from voxengine.session.rules.announcing import OURSELVES

__all__ = ["Announcement"]

#: Milliseconds of rounding.
_ROUNDING = 1.0


class Announcement:
    """An announcement that is told as a response."""

    PROVIDER = OURSELVES

    def __init__(self, response: Response, item: Item) -> None:
        self.response = response
        self.item = item
        self._ms = 0.0
        self._words = not item.text

    def take(self, event: Any) -> bool:
        """One of its events. True: it was the last."""
        if isinstance(event, AudioOutputStarted):
            self.response.begin(self.item.id, None)
        elif isinstance(event, TextOutput):
            self._words = True
            self.response.words(event)
        elif isinstance(event, AudioOutputChunk):
            format = AudioFormat(event.encoding, event.sample_rate)
            ms = format.duration_ms(len(event.audio_data))
            self._ms += ms
            self.response.audio(event, ms)
        if not self._words or self._ms < self.item.audio_ms - _ROUNDING:
            return False
        self.response.finish("completed")
        return True
