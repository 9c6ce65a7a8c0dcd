"""What the listener has heard.

A provider sends speech faster than it can be spoken, and the listener's device plays it back to
back. Nobody tells us what is being heard right now, so it is computed: each piece of audio has the
time at which it begins to be heard, which is when the piece before it ends, or when it arrived plus
the latency of the output, whichever is later.

A client that reports its own position (`ack`) is believed over the computation. Its reports usually
lag it: the client has a jitter buffer. The whole time line is then moved so that it agrees with the
report at that moment, and what is pushed later is expected with the same lag.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from voxengine.errors import ConfigurationError

__all__ = ["Heard", "PlayoutClock"]

#: Finished items that are remembered, and pieces of items whose times are remembered.
_KEEP = 64
#: A gap shorter than this is rounding, not silence. Seconds.
_SLACK = 0.001
#: The longest lag that is taken for a client's jitter buffer. More than that was a stall, and ends
#: with it. Seconds.
_MAX_LAG = 0.5


class Heard(NamedTuple):
    """What became of one item: milliseconds that were received, and that were heard."""

    item_id: str
    received_ms: float
    heard_ms: float


class _Piece:
    """Audio of one item that plays without a gap from `start` to `end` (seconds)."""

    __slots__ = ("end", "item", "item_id", "ms", "start")

    def __init__(self, item: _Item, start: float) -> None:
        self.item = item
        self.item_id = item.item_id
        self.start = start
        self.end = start
        self.ms = 0.0

    def heard(self, now: float) -> float:
        # At the end the exact length, whatever rounding the times have been through.
        if now >= self.end:
            return self.ms
        return max(0.0, min(self.ms, (now - self.start) * 1000))


class _Item:
    """An item: what was played in pieces no longer remembered, the pieces, and what the client reported."""

    __slots__ = ("acked", "folded", "item_id", "pieces", "stopped")

    def __init__(self, item_id: str) -> None:
        self.item_id = item_id
        self.folded = 0.0
        self.pieces: deque[_Piece] = deque()
        self.acked = 0.0
        #: Milliseconds that had been received when it was stopped, else None.
        self.stopped: float | None = None

    def received(self) -> float:
        total = self.folded
        for piece in self.pieces:
            total += piece.ms
        return total

    def heard(self, now: float) -> float:
        # Summed in the same order as `received`, so that a finished item's two numbers are equal to
        # the last bit.
        total = self.folded
        for piece in self.pieces:
            total += piece.heard(now)
        return total


class PlayoutClock:
    """Computes what has been heard of each item. All times are monotonic seconds, given by the caller.

    `latency_ms` is the time from handing audio over to hearing it: the buffer of the output device,
    where it is known.

    Of items that ended long ago the last 64 are remembered; about others it says 0.
    """

    __slots__ = ("_delay", "_items", "_lag", "_last", "_latency", "_pieces")

    def __init__(self, latency_ms: float = 0.0) -> None:
        """Begin with nothing pushed.

        Raises:
            ConfigurationError: the latency is negative.
        """
        if latency_ms < 0:
            raise ConfigurationError(f"a latency is not negative: {latency_ms} ms")
        self._latency = latency_ms / 1000
        self._items: dict[str, _Item] = {}
        #: All pieces whose times are known, in the order in which they play.
        self._pieces: deque[_Piece] = deque()
        self._last = _Piece(_Item(""), float("-inf"))
        #: What the client's reports added to the latency. Seconds.
        self._lag = 0.0
        #: Latency and lag, less the slack: audio that is pushed later than this before the end
        #: leaves a gap.
        self._delay = self._latency - _SLACK

    def push(self, item_id: str, ms: float, now: float) -> None:
        """`ms` of audio of an item were handed to the listener at `now`. Plays after all that was pushed before."""
        last = self._last
        if last.item_id == item_id and now + self._delay <= last.end:
            last.ms += ms
            last.end += ms * 0.001
        else:
            self._begin(item_id, ms, now)

    def extend(self, item_id: str, ms: float, now: float) -> float:
        """`ms` more of the item that was pushed last, which were there before it had been played to its end.

        Returns when all that was pushed will have been heard, as `end_time`.
        """
        last = self._last
        if last.item_id == item_id:
            last.ms += ms
            last.end += ms * 0.001
        else:
            self._begin(item_id, ms, now)
        end = self._last.end
        return end if end > now else now

    def _begin(self, item_id: str, ms: float, now: float) -> None:
        """Begin a new piece: another item, or the same one after the queue ran dry."""
        item = self._items.get(item_id)
        if item is None:
            item = self._items[item_id] = _Item(item_id)
        item.stopped = None
        start = self._last.end
        if now + self._delay > start:
            start = now + self._latency + self._lag
        piece = self._last = _Piece(item, start)
        piece.ms = ms
        piece.end = start + ms * 0.001
        item.pieces.append(piece)
        self._pieces.append(piece)
        self._forget(now)

    def _forget(self, now: float) -> None:
        pieces = self._pieces
        while len(pieces) > _KEEP and pieces[0].end <= now:
            old = pieces.popleft()
            old.item.pieces.popleft()
            old.item.folded += old.ms
        # Only what is over may be forgotten, and items end in the order in which they began, but
        # for one that was taken up again; it waits for its turn.
        while len(self._items) > _KEEP:
            oldest = next(iter(self._items.values()))
            if oldest.pieces and oldest.pieces[-1].end > now:
                break
            for piece in oldest.pieces:
                pieces.remove(piece)
            del self._items[oldest.item_id]

    def heard_ms(self, item_id: str, now: float) -> float:
        """Milliseconds of the item that were heard by `now`; 0 for an item that is not known."""
        item = self._items.get(item_id)
        return item.heard(now) if item is not None else 0.0

    def received_ms(self, item_id: str) -> float:
        """Milliseconds of the item that were pushed; 0 for an item that is not known."""
        item = self._items.get(item_id)
        if item is None:
            return 0.0
        return item.received() if item.stopped is None else item.stopped

    def playing(self, now: float) -> str | None:
        """The item that is being heard at `now`, None in silence (also while the first audio is on its way)."""
        for piece in reversed(self._pieces):
            if piece.start <= now:
                return piece.item_id if now < piece.end else None
        return None

    def end_time(self, now: float) -> float:
        """When all that was pushed will have been heard; `now` if it has been."""
        return max(now, self._last.end)

    def remaining_ms(self, now: float) -> float:
        """Milliseconds until all that was pushed will have been heard; 0 if it has been."""
        return max(0.0, (self._last.end - now) * 1000)

    def stop(self, now: float) -> list[Heard]:
        """Playing was cut at `now`: what was not heard by then never will be.

        Returns the items that lost something, in the order in which they began to play; of those
        that were not reached, 0 ms were heard. A later `ack` can still correct what was heard of
        them.
        """
        cut: list[Heard] = []
        for item in {piece.item_id: piece.item for piece in self._pieces}.values():
            received, heard = item.received(), item.heard(now)
            if heard < received:
                cut.append(Heard(item.item_id, received, heard))
            item.stopped = received
            item.folded = heard
            item.pieces.clear()
        self._pieces.clear()
        self._last = _Piece(_Item(""), float("-inf"))
        return cut

    def ack(self, item_id: str, ms: float, now: float) -> None:
        """The listener's client reports that it plays `item_id` at position `ms` at `now`.

        - The time line is moved to agree with that, forward or back, and later audio is expected with the same lag.
        - What was once reported stays: a report below an earlier one of the same item is out of order, and is ignored.
        - A report of all that was received says that at least that was heard; it does not move the line back, because
          a client may go on to report the end of what has ended.
        - Of an item that was stopped, the report corrects what was heard.
        - A report for an item that is not known is ignored, and one beyond what was received counts as all of it.
        """
        item = self._items.get(item_id)
        if item is None or ms < item.acked:
            return
        if item.stopped is not None:
            item.folded = item.acked = min(ms, item.stopped)
            return
        received = item.received()
        complete = ms >= received
        item.acked = ms = min(ms, received)
        if ms < item.folded:
            return
        shift = self._disagreement(item, ms, now)
        if shift > 0 and (complete or self._overtaken(item, ms)):
            return
        self._shift(shift)

    def _disagreement(self, item: _Item, ms: float, now: float) -> float:
        """Seconds by which the listener is later (or, below zero, earlier) at position `ms` than was computed."""
        position = item.folded
        ended: float | None = None
        for piece in item.pieces:
            if ms < position + piece.ms:
                at = piece.start + (ms - position) * 0.001
                if ms == position and ended is not None:
                    # At the seam of two pieces the position stands still from the end of one to the
                    # start of the next.
                    at = min(max(now, ended), piece.start)
                return now - at
            position += piece.ms
            ended = piece.end
        return 0.0 if ended is None else now - ended

    def _overtaken(self, item: _Item, ms: float) -> bool:
        """Whether the client has reported something that plays after this position of the item."""
        position, reached = item.folded, False
        for piece in self._pieces:
            if piece.item is item:
                position += piece.ms
                reached = reached or ms <= position
            elif reached and piece.item.acked > 0:
                return True
        return False

    def _shift(self, seconds: float) -> None:
        for piece in self._pieces:
            piece.start += seconds
            piece.end += seconds
        self._lag = min(max(self._lag + seconds, -self._latency), _MAX_LAG)
        self._delay = self._latency + self._lag - _SLACK
