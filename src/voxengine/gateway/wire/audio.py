"""The audio path down: a chunk of the engine's becomes one message of the wire, without a JSON object in between."""

from __future__ import annotations

from typing import Protocol

import msgspec
import pybase64

from voxengine.audio.formats import AudioFormat
from voxengine.audio.resample import Converter, converter_for
from voxengine.events import AudioOutputChunk
from voxengine.gateway.wire.outbox import Outbox

__all__ = ["Sound", "Sounding", "Speaker"]

_encode = msgspec.json.encode


class Sounding(Protocol):
    """The audio of one item, on its way to the client."""

    @property
    def item_id(self) -> str | None:
        """The engine's id of the item."""

    @property
    def response_id(self) -> str | None:
        """The engine's id of the response that it is part of."""

    def push(self, event: AudioOutputChunk) -> None:
        """Some more of it."""

    def finish(self) -> None:
        """No more follows."""


class Speaker(Protocol):
    """Where audio goes that is not part of the messages: a track that the client plays."""

    def begin(self, item_id: str, response_id: str | None) -> Sounding:
        """An item begins to be spoken, after all that was given before."""

    def cut(self) -> None:
        """What was given and not played yet is not to be heard."""


class Sound:
    """The audio of one item, on its way to the client.

    `format` is the one that the response was announced with; chunks in another are converted. `item_id` and
    `response_id` are the engine's, by which it knows what belongs to it; `told` are the wire's fields that say where it
    belongs.
    """

    __slots__ = (
        "_converter",
        "_encoding",
        "_format",
        "_head",
        "_outbox",
        "_rate",
        "item_id",
        "response_id",
    )

    def __init__(
        self,
        outbox: Outbox,
        format: AudioFormat,
        item_id: str | None,
        response_id: str | None,
        told: dict[str, str | int],
    ) -> None:
        self.item_id = item_id
        self.response_id = response_id
        self._outbox = outbox
        self._format = format
        self._rate, self._encoding = format.sample_rate, format.encoding
        self._converter: Converter | None = None
        kind = "response.audio.delta" if outbox.beta else "response.output_audio.delta"
        # All but the end of the object, which is the audio and the event's own id.
        self._head = _encode({"type": kind, **told})[:-1] + b',"delta":"'

    def push(self, event: AudioOutputChunk) -> None:
        """Send a chunk."""
        if event.sample_rate == self._rate and event.encoding == self._encoding:
            self._outbox.send_audio(self._head, pybase64.b64encode(event.audio_data))
        else:
            self._send(self._convert(event))

    def finish(self) -> None:
        """Send what a conversion still holds: no more follows."""
        converter, self._converter = self._converter, None
        if converter is not None:
            self._send(converter.flush())

    def _convert(self, event: AudioOutputChunk) -> bytes:
        source = AudioFormat(event.encoding, event.sample_rate)
        if self._converter is None or self._converter.source != source:
            self.finish()
            self._converter = converter_for(source, self._format)
        return (
            event.audio_data
            if self._converter is None
            else self._converter.process(event.audio_data)
        )

    def _send(self, audio: bytes) -> None:
        if audio:
            self._outbox.send_audio(self._head, pybase64.b64encode(audio))
