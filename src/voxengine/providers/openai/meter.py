"""What is paid by the second: audio in both directions, and messages in writing."""

from __future__ import annotations

from typing import Any

from voxengine.audio.formats import AudioFormat
from voxengine.events import UsageUpdated

__all__ = ["SecondsMeter"]


class SecondsMeter:
    """Turns counts that only grow into reports of what was added."""

    def __init__(self, given: AudioFormat, taken: AudioFormat) -> None:
        self._given = given
        self._taken = taken
        self._reported = (0, 0, 0)
        #: Messages that were put in in writing.
        self.messages = 0

    def report(
        self,
        sent_bytes: int,
        received_bytes: int,
        model: str,
        response_id: str | None,
        meta: dict[str, Any],
    ) -> UsageUpdated | None:
        """What was used since the last report; None if that is nothing."""
        before = self._reported
        # What was reported may have been dropped since: then it counts as a part of what is sent next.
        self._reported = (max(sent_bytes, before[0]), received_bytes, self.messages)
        sent, received, messages = (
            new - old for new, old in zip(self._reported, before, strict=True)
        )
        if not (sent or received or messages):
            return None
        return UsageUpdated(
            response_id=response_id,
            model=model,
            input_audio_seconds=self._given.duration_ms(sent) / 1000,
            output_audio_seconds=self._taken.duration_ms(received) / 1000,
            input_text_messages=messages,
            **meta,
        )
