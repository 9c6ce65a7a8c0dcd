"""What the caller hears: audio and marks on their way down, and the marks that come back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pybase64

from voxengine.events import AudioOutputChunk
from voxengine.gateway.peer import Peer
from voxengine.gateway.twilio.messages import TELEPHONE

__all__ = ["Line", "Speaker"]

#: Milliseconds of audio between two marks: so exactly it is known what was heard.
MARK_MS = 100.0
_MARK_BYTES = TELEPHONE.n_bytes(MARK_MS)
#: Marks that may be on their way, those of half an hour; more are not waited for.
MOST_MARKS = 18_000
#: Milliseconds of audio that may still be heard when the call is ended, and the seconds that this may take. The
#: engine's own clock says when all was heard, and the caller's telephone is behind it.
LAST_MS = 1000.0
LAST_WORDS = 2.0


class Speaker:
    """Plays to one stream.

    Args:
        peer: who is sent what is to be played.
        stream_sid: the id of the stream.
        heard: told of an item that so many milliseconds of it were played.
    """

    def __init__(self, peer: Peer, stream_sid: str, heard: Callable[[str, float], object]) -> None:
        self._peer = peer
        self._heard = heard
        sid = msgspec.json.encode(stream_sid)
        self._media = b'{"event":"media","streamSid":' + sid + b',"media":{"payload":"'
        self._mark = b'{"event":"mark","streamSid":' + sid + b',"mark":{"name":"'
        self._clear = b'{"event":"clear","streamSid":' + sid + b"}"
        #: What is said, and the bytes of it that were sent, in all and after the last mark.
        self._item_id = ""
        self._bytes = 0
        self._unmarked = 0
        #: Marks that have not come back, in order: the item and its milliseconds before each, and all bytes before it.
        self._marks: dict[str, tuple[str, float, int]] = {}
        self._count = 0
        #: All bytes that were sent, and played, since the beginning.
        self._sent = 0
        self._played = 0
        #: Called when nothing is left to be played.
        self.on_quiet: Callable[[], object] | None = None

    @property
    def unheard_ms(self) -> float:
        """Milliseconds that were sent, and of which we do not know yet that they were played."""
        return TELEPHONE.duration_ms(self._sent - self._played)

    def play(self, event: AudioOutputChunk) -> None:
        """Send a chunk, with a mark after each 100 ms of the item."""
        if event.item_id != self._item_id:
            self.finish()
            self._item_id, self._bytes = event.item_id or "", 0
        audio, begin, send = event.audio_data, 0, self._peer.send
        while begin < len(audio):
            piece = audio[begin : begin + _MARK_BYTES - self._unmarked]
            send(self._media + pybase64.b64encode(piece) + b'"}}')
            n = len(piece)
            begin += n
            self._bytes += n
            self._sent += n
            self._unmarked += n
            if self._unmarked >= _MARK_BYTES:
                self.finish()

    def finish(self) -> None:
        """Mark what was sent so far, if it is not marked yet."""
        if not self._unmarked:
            return
        self._unmarked = 0
        self._count += 1
        name = str(self._count)
        self._marks[name] = self._item_id, TELEPHONE.duration_ms(self._bytes), self._sent
        if len(self._marks) > MOST_MARKS:
            del self._marks[next(iter(self._marks))]
        self._peer.send(self._mark + name.encode() + b'"}}')

    def stop(self) -> None:
        """Throw away what was not played. The marks that come back for it do not count as heard."""
        if self._sent > self._played:
            self._peer.send(self._clear)
        self._marks.clear()
        self._unmarked = 0
        self._played = self._sent
        self._look()

    def returned(self, name: str) -> None:
        """A mark has come back."""
        if name not in self._marks:
            return  # of something that was thrown away
        while (first := next(iter(self._marks))) != name:
            del self._marks[first]  # it was lost on the way; this one says more
        item_id, ms, self._played = self._marks.pop(name)
        if item_id:
            self._heard(item_id, ms)
        self._look()

    def _look(self) -> None:
        if self.on_quiet is not None and self._played >= self._sent:
            self.on_quiet()


class Line:
    """The connection, as the call sees it: it is closed when the last words were heard, at once if there are more."""

    def __init__(self, peer: Peer, speaker: Speaker) -> None:
        self._peer = peer
        self._speaker = speaker
        self._farewell: tuple[int, str] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._gone = False

    def send(self, message: bytes) -> None:
        """Send a message."""
        self._peer.send(message)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Hang up. May be called again."""
        if self._gone or self._farewell is not None:
            return
        self._farewell = code, reason
        self._speaker.finish()
        if not 0 < self._speaker.unheard_ms <= LAST_MS:
            self._close()
            return
        self._speaker.on_quiet = self._close
        self._timer = asyncio.get_running_loop().call_later(LAST_WORDS, self._close)

    def gone(self) -> None:
        """The connection is closed, or about to be."""
        self._gone = True
        self._speaker.on_quiet = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close(self) -> None:
        self.gone()
        assert self._farewell is not None, "it is closed by `close`"
        self._peer.close(*self._farewell)
