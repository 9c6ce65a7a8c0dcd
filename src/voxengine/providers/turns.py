"""What the turns of all vendors begin with that tell neither of them clearly: ids, settings, and the response.

A vendor's `Turns` are its messages as turns and responses. They do no I/O: their methods return events in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.events import ProviderEvent

__all__ = ["CHUNK_MS", "BaseTurns", "Response", "SpacedResponse"]

#: Milliseconds of the longest chunk that is handed on: who interrupts should not have to wait for its end.
CHUNK_MS = 1000.0


class Response(msgspec.Struct):
    """What the agent is saying."""

    id: str
    item_id: str


class SpacedResponse(Response):
    """One whose text comes in pieces (words, sentences), without the blanks between them."""

    #: Whether nothing has to stand before the next piece.
    ends_blank: bool = True

    def spaced(self, text: str) -> str:
        """The next piece, which is not empty, with what stands before it."""
        gap = "" if self.ends_blank or text[0].isspace() else " "
        self.ends_blank = text[-1].isspace()
        return gap + text


R = TypeVar("R", bound=Response)


class BaseTurns(Generic[R]):
    """Of one connection.

    Args:
        meta: gives the fields that all events have: timestamp, provider, session_id.
        prefix: begins all ids; may be changed.

    Attributes:
        transcripts, partials: whether the user's words are wanted, finally and while they are said.
        vad_events: whether the beginning and the end of the user's speech are.
    """

    def __init__(self, meta: Callable[[], dict[str, Any]], prefix: str) -> None:
        self.transcripts = True
        self.partials = True
        self.vad_events = True
        self.prefix = prefix
        self._meta = meta
        self._count = 0
        self._response: R | None = None

    @property
    def response_id(self) -> str | None:
        """The response that is under way."""
        return self._response.id if self._response is not None else None

    @property
    def deadline(self) -> float | None:
        """When `tick` has something to do, if nothing comes before; in seconds of the loop's clock."""
        return None

    def tick(self, now: float) -> list[ProviderEvent]:
        """What has ended by now without a word."""
        return []

    def forget(self) -> str | None:
        """The connection is gone: nothing is under way any more. Returns the response that was."""
        response_id, self._response = self.response_id, None
        return response_id

    def _chunks(self, audio: bytes, response: Response, format: AudioFormat) -> list[ProviderEvent]:
        """Audio of the response, whole samples, in chunks that are not too long."""
        size = format.n_bytes(CHUNK_MS)
        if len(audio) <= size:
            return [self._chunk(audio, response, format)] if audio else []
        pieces = (audio[at : at + size] for at in range(0, len(audio), size))
        return [self._chunk(piece, response, format) for piece in pieces]

    def _chunk(self, audio: bytes, response: Response, format: AudioFormat) -> ev.AudioOutputChunk:
        return ev.AudioOutputChunk(
            audio_data=audio,
            sample_rate=format.sample_rate,
            encoding=format.encoding,
            item_id=response.item_id,
            response_id=response.id,
            **self._meta(),
        )

    def _piece(
        self,
        response: Response,
        text: str,
        start_ms: float | None = None,
        end_ms: float | None = None,
    ) -> ev.TextOutput:
        """The next piece of the response's text; where it is in the response's audio, if that is known."""
        return ev.TextOutput(
            text=text,
            is_partial=True,
            item_id=response.item_id,
            response_id=response.id,
            audio_start_ms=start_ms,
            audio_end_ms=end_ms,
            **self._meta(),
        )

    def _called(
        self, call_id: str, name: str, arguments: str, response: Response
    ) -> ev.FunctionInvoked:
        """The response calls a tool."""
        return ev.FunctionInvoked(
            call_id=call_id,
            name=name,
            arguments=arguments or "{}",
            response_id=response.id,
            **self._meta(),
        )

    def _new_id(self, kind: str) -> str:
        self._count += 1
        return f"{self.prefix}_{kind}_{self._count}"
