"""The user's audio that may be needed again: what has been said and not been answered yet.

A connection can be lost in the middle of a turn, or before its answer. What the user said in it is then sent to the
next connection. So the audio of a turn is kept until the turn is settled (answered, or known as text that another
connection can be told), from shortly before its start, because voice activity is told late. While nobody speaks, only
this pre-roll is held.

Everything is bounded: of a turn, or of an outage, that lasts longer than the limit the oldest audio is dropped, and
counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import first_audible_ms
from voxengine.audio.resample import converter_for

__all__ = ["LIMIT_MS", "PIECE_MS", "PRE_ROLL_MS", "TurnAudio"]

#: What is held while nobody speaks: longer than it takes until speech is told of.
PRE_ROLL_MS = 800.0
#: The most that is held.
LIMIT_MS = 30_000.0
#: Audio is replayed in pieces of this length.
PIECE_MS = 100.0
#: What lies so shortly before the first sound belongs to it.
_LEAD_MS = 300.0
#: So much that is loud may be a noise.
_UNHEARD_MS = 200.0
#: Frames that may come before what is too old is let go of: that is done for all of them at once.
_TRIM_AFTER = 16
#: Bytes of one that is too large to be among them.
_LARGE = 16_000
#: So much later at the latest it is told that somebody spoke.
_TOLD_AFTER_MS = 3000.0

#: By encoding, where to look for how loud a frame is, and the bytes there of what is below about -42 dB of full scale:
#: of 16 bit the upper halves of some samples, of G.711 some of the codes.
_QUIET: dict[str, tuple[int, int, bytes]] = {
    "pcm16": (1, 32, b"\x00\xff"),
    "g711_ulaw": (0, 16, bytes(c for c in range(256) if (~c & 0x7F) < 0x18)),
    "g711_alaw": (0, 16, bytes(c for c in range(256) if ((c ^ 0x55) & 0x7F) < 0x10)),
}


def _is_loud(frame: bytes, encoding: str) -> bool:
    """A quick look, which may miss a single click. It is taken of every frame."""
    begin, step, quiet = _QUIET[encoding]
    return bool(frame[begin::step].strip(quiet))


class TurnAudio:
    """Keeps the end of the stream of the user's audio; positions are bytes since its beginning.

    `always` holds the audio of all that is not a turn yet, up to the limit: for a provider that does not tell when
    speech begins. `silent_ms` says for how long a provider that owes us something has shown no sign of life: what was
    said since then it may not have heard. `on_unheard` is called, every few seconds at most, when there was
    something loud for a while that the provider did not tell of.
    """

    __slots__ = (
        "_away_from",
        "_committed",
        "_format",
        "_heard_at",
        "_held",
        "_limit",
        "_limit_ms",
        "_marks",
        "_max",
        "_on_unheard",
        "_open_from",
        "_origin",
        "_pre_roll",
        "_pre_roll_ms",
        "_reported_until",
        "_silent_ms",
        "_start",
        "_unheard",
        "always",
        "frames",
        "lost_ms",
        "room",
    )

    def __init__(
        self,
        format: AudioFormat,
        *,
        always: bool = False,
        pre_roll_ms: float = PRE_ROLL_MS,
        limit_ms: float = LIMIT_MS,
        silent_ms: Callable[[], float] = lambda: 0.0,
        on_unheard: Callable[[], None] = lambda: None,
    ) -> None:
        self.always = always
        self._silent_ms = silent_ms
        self._on_unheard = on_unheard
        #: Bytes that were loud, and were let go of although nobody had told of them; and up to where that is reported.
        self._unheard = self._reported_until = 0
        self._format = format
        self._pre_roll_ms, self._limit_ms = pre_roll_ms, limit_ms
        self._pre_roll = format.n_bytes(pre_roll_ms)
        self._max = format.n_bytes(limit_ms)
        #: Whole frames as they came: keeping one costs a reference, not a copy. The audio path adds to it by itself,
        #: and calls `trim` when there are more than `room`.
        self.frames: deque[bytes] = deque()
        self.room = _TRIM_AFTER
        #: Bytes that are held, and that were let go of before them, when it was last trimmed.
        self._held = 0
        self._start = 0
        self._limit = self._pre_roll
        #: Milliseconds that `begin` would have replayed, had they not been dropped.
        self.lost_ms = 0.0
        #: Where the turns begin that are not settled, by the id of their item.
        self._marks: dict[str, int] = {}
        #: What lies before this place belongs to a turn that is over.
        self._open_from = 0
        #: Where the turn ends that was committed, until the provider says that it has.
        self._committed: int | None = None
        #: Since when nobody has listened; None while somebody does.
        self._away_from: int | None = None
        #: After an outage: where the stream will be when everything of it has surely been told of.
        self._heard_at: int | None = None
        #: Where the audio begins that the present connection got: its millisecond 0.
        self._origin = 0
        self._update()

    def push(self, audio: bytes) -> None:
        """The next audio of the stream, which was checked already."""
        self.frames.append(audio)
        if len(self.frames) > self.room or len(audio) > _LARGE:
            self.trim()

    def trim(self) -> None:
        """Take account of what has come since, and let go of what is beyond the limit."""
        frames = self.frames
        held = self._held
        for i in range(self.room - _TRIM_AFTER, len(frames)):
            held += len(frames[i])
        if held > self._limit:
            held = self._let_go(held)
        self._held = held
        self.room = len(frames) + _TRIM_AFTER

    def _let_go(self, held: int) -> int:
        """Drop what is too old; returns what is still held."""
        frames, limit = self.frames, self._limit
        if limit < self._max:
            limit = min(self._max, limit + self._format.n_bytes(self._silent_ms()))
        # What is loud may be speech that is yet to be told of.
        patience = min(self._max, limit + self._format.n_bytes(_TOLD_AFTER_MS))
        while held > limit:
            untold = self._untold()
            if untold and held <= patience:
                break
            n = len(frames.popleft())
            if untold:
                self._unheard += n
            held -= n
            self._start += n
        if self._unheard > self._format.n_bytes(_UNHEARD_MS):
            self._unheard = 0
            if self._start >= self._reported_until:
                self._reported_until = self._start + self._format.n_bytes(_TOLD_AFTER_MS)
                self._on_unheard()
        return held

    def _untold(self) -> bool:
        """Whether the oldest frame may be speech that is yet to be told of."""
        return self._start >= self._open_from and _is_loud(self.frames[0], self._format.encoding)

    def change_format(self, format: AudioFormat) -> None:
        """What is pushed from here on has another format. What is held is converted, all places with it.

        Raises:
            ConfigurationError: it cannot be; nothing has changed.
        """
        converter = converter_for(self._format, format)
        if converter is None:
            return
        self.trim()
        held = converter.process(b"".join(self.frames)) + converter.flush()
        duration_ms = self._format.duration_ms

        def moved(place: int) -> int:
            return format.n_bytes(duration_ms(place))

        size = format.n_bytes(PIECE_MS)
        self.frames.clear()
        self.frames.extend(held[i : i + size] for i in range(0, len(held), size))
        self._start, self._held = moved(self._start), len(held)
        self.room = len(self.frames) + _TRIM_AFTER
        self._marks = {item_id: moved(place) for item_id, place in self._marks.items()}
        self._open_from, self._origin = moved(self._open_from), moved(self._origin)
        self._reported_until = moved(self._reported_until)
        self._committed = None if self._committed is None else moved(self._committed)
        self._away_from = None if self._away_from is None else moved(self._away_from)
        self._heard_at = None if self._heard_at is None else moved(self._heard_at)
        self._format = format
        self._pre_roll = format.n_bytes(self._pre_roll_ms)
        self._max = format.n_bytes(self._limit_ms)
        self._update()

    # -- what the session core says

    def keep(self, item_id: str, audio_ms: float | None = None) -> None:
        """A turn has begun, at this millisecond of the audio that the connection got, if that is known."""
        self._update()  # whether what came after an outage has been heard by now
        begin = self._end - self._pre_roll
        if audio_ms is not None:
            begin = min(begin, self._at(audio_ms - _LEAD_MS))
        elif self.always:
            begin = self._open_from
        elif self._away_from is not None:
            begin = self._origin
        self._marks[item_id] = max(begin, self._open_from, self._start)
        self._update()

    def turn_ended(self, audio_ms: float | None = None) -> None:
        """A turn is over: what comes from here on belongs to another."""
        self.trim()
        end = self._end if self._committed is None else self._committed
        if audio_ms is not None:
            end = min(self._end, self._at(audio_ms))
        self._committed = None
        self._open_from = max(self._open_from, end)
        self._unheard = 0
        self._update()

    def commit(self, place: int | None = None) -> None:
        """The application ends the turn here, or at that place; the provider's word for it comes later."""
        self.trim()
        self._committed = self._end if place is None else place

    def forget(self, item_id: str) -> None:
        """A turn is settled."""
        self._marks.pop(item_id, None)
        self._update()

    def clear(self) -> None:
        """What is not a turn yet was thrown away by the application."""
        self.trim()
        self._open_from = self._end
        self._update()

    def attached(self) -> None:
        """Another conversation partner listens from here on, and needs nothing of what was."""
        self.trim()
        self._away_from = self._heard_at = self._committed = None
        self._origin = self._open_from = self._end
        self._update()

    # -- an outage, and its end

    @property
    def last_heard(self) -> int:
        """Up to where the provider has surely heard the user, by its last sign of life."""
        self.trim()
        return max(0, self._end - self._format.n_bytes(self._silent_ms()))

    def away(self, since: int | None = None) -> None:
        """From here on nobody listens, or has not since this place: nothing after it is let go of."""
        if since is not None:
            # Before anything is let go of that was heard once, and is needed again.
            self._away_from, self._heard_at = since, None
        self._update()
        self._heard_at = None
        if self._away_from is None:
            self._away_from = self._end
            self._update()

    def begin(self) -> int:
        """Where another connection has to begin.

        That is at the first turn that is not settled, else shortly before the first sound that nobody listened to, else
        at the end.
        """
        self.trim()
        since = self._end if self._away_from is None else self._away_from
        first = min(self._marks.values(), default=since)
        self.lost_ms = self._format.duration_ms(max(0, self._start - first))
        # Without a turn: of what is held, also for being loud, and was not told of yet.
        begin = max(first if self._marks else self._open_from, self._start)
        if not self._marks:
            begin = self._first_sound(begin)
        self._origin = begin
        self._committed = None
        return begin

    @property
    def origin(self) -> int:
        """The place that is millisecond 0 of the present connection."""
        return self._origin

    @property
    def here(self) -> int:
        """The place at which the stream is."""
        self.trim()
        return self._end

    def heard_from(self, place: int) -> None:
        """Another connection has heard everything from this place on, which is its millisecond 0."""
        self._update()
        self._origin = place
        self._committed = self._away_from = self._heard_at = None
        self._update()

    def replayed(self) -> None:
        """All of it was sent; somebody listens again, but has yet to tell what was said."""
        self.trim()
        self._heard_at = self._end + self._format.n_bytes(_TOLD_AFTER_MS)
        self._update()

    def pieces(self, begin: int, until: int | None = None) -> Iterator[bytes]:
        """The audio from a place on, in pieces; what comes in while it is read is part of it."""
        size = self._format.n_bytes(PIECE_MS)
        place = begin
        self.trim()
        while place < (self._end if until is None else min(until, self._end)):
            place = max(place, self._start)
            stop = min(place + size, self._end if until is None else until)
            yield self._slice(place, stop)
            place = stop
            self.trim()

    @property
    def turn_end(self) -> int:
        """The place at which the last turn was over."""
        return self._open_from

    def ms_from(self, begin: int) -> float:
        """How much audio there is from a place on."""
        self.trim()
        return self._format.duration_ms(max(0, self._end - max(begin, self._start)))

    def __len__(self) -> int:
        """Bytes that are held."""
        self.trim()
        return self._held

    # -- inside

    @property
    def _end(self) -> int:
        return self._start + self._held

    def _at(self, audio_ms: float) -> int:
        return self._origin + self._format.n_bytes(max(0.0, audio_ms))

    def _update(self) -> None:
        """Hold as much as is needed now."""
        self.trim()
        if self._heard_at is not None and self._end >= self._heard_at:
            self._away_from = self._heard_at = None
        needed = bool(self._marks) or self._away_from is not None or self.always
        self._limit = self._max if needed else self._pre_roll
        first = min(self._marks.values(), default=self._end)
        if self.always:
            first = min(first, self._open_from)
        if self._away_from is not None:
            first = min(first, self._away_from - self._pre_roll)
        # What is before it was never needed, so that it is let go of and not lost.
        first = min(first, self._end - self._pre_roll)
        frames = self.frames
        while frames and self._start + len(frames[0]) <= first:
            if self._untold():
                break
            n = len(frames.popleft())
            self._held -= n
            self._start += n
        self.room = len(frames) + _TRIM_AFTER

    def _slice(self, begin: int, stop: int) -> bytes:
        parts: list[bytes] = []
        place = self._start
        for frame in self.frames:
            after = place + len(frame)
            if after > begin:
                parts.append(frame[max(0, begin - place) : stop - place])
            if after >= stop:
                break
            place = after
        return b"".join(parts)

    def _first_sound(self, since: int) -> int:
        audible = first_audible_ms(self._slice(since, self._end), self._format)
        if audible is None:
            return self._end
        return max(since, since + self._format.n_bytes(audible) - self._format.n_bytes(_LEAD_MS))
