"""When to go over to a fresh connection, where the vendor ends each after some time: the policy, without I/O."""

from __future__ import annotations

__all__ = ["Rotation"]

#: The last seconds before the limit, in which a quiet moment is no longer waited for.
LAST_CALL = 30.0
#: Seconds after which it is tried again when the new connection could not be opened, or came at a bad moment.
RETRY_AFTER = 15.0
BUSY_RETRY = 1.0


class Rotation:
    """The times of one connection, which was opened at `opened_at` (the loop's clock) and may last `limit` seconds."""

    def __init__(self, opened_at: float, limit: float, margin: float) -> None:
        margin = min(margin, limit / 3)
        self._due = opened_at + limit - margin
        self._forced = opened_at + limit - min(LAST_CALL, margin / 2)
        self._retry = min(RETRY_AFTER, margin / 10)
        self._under_way = False

    def ends_in(self, now: float, seconds: float) -> None:
        """The vendor says itself when it ends."""
        margin = min(seconds, LAST_CALL)
        self._due = min(self._due, now)
        self._forced = min(self._forced, now + seconds - margin / 2)

    @property
    def next_look(self) -> float:
        """When to look again, if nothing happens before."""
        return self._due

    def wanted(self, now: float, quiet: bool, answering: bool) -> bool:
        """Whether to begin now. `quiet`: nothing is said, heard or waited for; `answering`: an answer is under way.

        Having said yes it says no until it `failed`.
        """
        if self._under_way or not self.fits(now, quiet, answering):
            return False
        self._under_way = True
        return True

    def fits(self, now: float, quiet: bool, answering: bool) -> bool:
        """Whether this is a moment to go over."""
        return now >= self._due and (quiet or (now >= self._forced and not answering))

    def look_again(self, now: float) -> float | None:
        """It was looked, and nothing was to be done: when to look again; None if an event will be the occasion."""
        if now < self._due:
            return self._due
        return self._forced if now < self._forced else None

    def failed(self, now: float, busy: bool = False) -> float:
        """The new connection could not be opened, or is not wanted at this moment; returns when to look again."""
        self._under_way = False
        self._due = now + (BUSY_RETRY if busy else self._retry)
        return self._due
