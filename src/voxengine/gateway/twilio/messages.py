"""The messages of Twilio Media Streams (twilio.com/docs/voice/media-streams/websocket-messages).

From Twilio: `connected`, `start`, then `media` every 20 ms, `dtmf`, `mark`, and `stop`. To Twilio: `media`, `mark`,
`clear`. Audio is G.711 u-law at 8 kHz in base64. Twilio keeps what it is sent and plays it in order. It sends a mark
back when all before it was played, or when `clear` has thrown that away.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from voxengine.audio.formats import AudioFormat

__all__ = ["TELEPHONE", "Message", "Start", "decode"]

#: The one format of Twilio's streams.
TELEPHONE = AudioFormat("g711_ulaw", 8000)


_Sid = Annotated[str, Meta(min_length=1, max_length=64)]


class MediaFormat(msgspec.Struct, frozen=True, rename="camel"):
    """`start.mediaFormat`."""

    encoding: str = ""
    sample_rate: int = 0
    channels: int = 0

    @property
    def is_telephone(self) -> bool:
        """Whether it is the one that there is."""
        return (self.encoding, self.sample_rate, self.channels) == ("audio/x-mulaw", 8000, 1)


class Start(msgspec.Struct, frozen=True, rename="camel"):
    """`start`: which call the stream belongs to. `custom_parameters` are those of the TwiML."""

    stream_sid: _Sid
    call_sid: _Sid
    media_format: MediaFormat
    custom_parameters: dict[str, str] = {}


class Media(msgspec.Struct, frozen=True, gc=False):
    """`media`: audio of the caller's (`track` "inbound")."""

    payload: bytes
    track: str = "inbound"


class Mark(msgspec.Struct, frozen=True, gc=False):
    """`mark`: that of ours which has been reached."""

    name: str


class Dtmf(msgspec.Struct, frozen=True, gc=False):
    """`dtmf`: a key that the caller pressed."""

    digit: str


class Message(msgspec.Struct, frozen=True, gc=False):
    """Any message of Twilio's; what is not needed of it is left out."""

    event: str
    media: Media | None = None
    start: Start | None = None
    mark: Mark | None = None
    dtmf: Dtmf | None = None


#: Raises `msgspec.DecodeError` for what is none.
decode = msgspec.json.Decoder(Message).decode
