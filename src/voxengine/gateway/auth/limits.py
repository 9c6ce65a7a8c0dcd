"""How often, and how many at once: what is counted of each key and each client secret.

Counted in this process. Where several processes share a port, each of them counts for itself; what is spent, they count
together (see `ledger`).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Literal

import msgspec

from voxengine.gateway.refusal import Refused

__all__ = ["Account", "Accounts", "Bucket", "Limited", "Rates"]


class Rates(msgspec.Struct, frozen=True):
    """The limits that are counted; None: there is none."""

    concurrency: int | None = None
    calls_per_minute: int | None = None
    requests_per_minute: int | None = None


class Bucket:
    """A token bucket: holds a minute's worth, and fills evenly."""

    __slots__ = ("_at", "_used")

    def __init__(self) -> None:
        self._used = 0.0
        self._at = 0.0

    def take(self, per_minute: int, now: float) -> float:
        """Take one. Returns 0.0, or the seconds after which there is one again; then none was taken."""
        used = self.used(per_minute, now)
        if used > per_minute - 1:
            return (used - (per_minute - 1)) * 60.0 / per_minute
        self._used, self._at = used + 1.0, now
        return 0.0

    def used(self, per_minute: int, now: float) -> float:
        """How many of the minute's worth are taken."""
        return max(0.0, self._used - (now - self._at) * per_minute / 60.0)

    def idle(self, now: float) -> bool:
        """Whether it is full again, whatever its rate."""
        return now - self._at >= 60.0


class Limited(Refused):
    """429: too many. Its headers say how many there may be, how many are left, and when there are more."""

    def __init__(self, message: str, retry_after: float, headers: dict[str, str]) -> None:
        super().__init__(429, "rate_limit_exceeded", message, "requests", retry_after)
        self._more = headers

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        return {**super().headers, **self._more}


class Account:
    """What one key or client secret is using."""

    __slots__ = ("buckets", "calls")

    def __init__(self) -> None:
        #: Calls that are live.
        self.calls = 0
        self.buckets = {"requests": Bucket(), "calls": Bucket()}

    def count(self, what: Literal["requests", "calls"], rates: Rates, now: float) -> None:
        """Count a request or a new call.

        Raises:
            Limited: there were too many in the last minute.
        """
        limit = getattr(rates, f"{what}_per_minute")
        if limit is None:
            return
        wait = self.buckets[what].take(limit, now)
        if wait:
            words = f"Rate limit reached: {limit} {what} in a minute. Try again in {wait:.1f}s."
            raise Limited(words, wait, self.headers(rates, now))

    def check_room(self, rates: Rates, now: float) -> None:
        """Raise, if there is no room for another call at the same time.

        Raises:
            Limited: there is none.
        """
        if rates.concurrency is not None and self.calls >= rates.concurrency:
            words = f"Limit reached: {rates.concurrency} calls at the same time. Hang up one first."
            # Nobody knows when a call ends; ask again soon.
            raise Limited(words, 5.0, self.headers(rates, now))

    def headers(self, rates: Rates, now: float) -> dict[str, str]:
        """OpenAI's headers about limits, for those limits that there are."""
        found = {}
        for what, bucket in self.buckets.items():
            limit = getattr(rates, f"{what}_per_minute")
            if limit is not None:
                used = bucket.used(limit, now)
                found[f"x-ratelimit-limit-{what}"] = str(limit)
                found[f"x-ratelimit-remaining-{what}"] = str(max(0, math.floor(limit - used)))
                found[f"x-ratelimit-reset-{what}"] = f"{used * 60.0 / limit:.3f}s"
        if rates.concurrency is not None:
            left = max(0, rates.concurrency - self.calls)
            found["x-ratelimit-limit-concurrent-calls"] = str(rates.concurrency)
            found["x-ratelimit-remaining-concurrent-calls"] = str(left)
        return found

    def idle(self, now: float) -> bool:
        """Whether forgetting it would change nothing."""
        return not self.calls and all(bucket.idle(now) for bucket in self.buckets.values())


class Accounts:
    """Accounts by the id of the key or client secret. Those that have long been idle are forgotten.

    An account is only made for somebody who was let in, so there are never more than keys and live client secrets.
    """

    #: So many are looked at whenever a new one is made, the longest unused first.
    _SWEEP = 4

    def __init__(self) -> None:
        self._accounts: OrderedDict[str, Account] = OrderedDict()

    def __len__(self) -> int:
        return len(self._accounts)

    def get(self, name: str, now: float) -> Account:
        """The account of that name."""
        account = self._accounts.get(name)
        if account is None:
            self._sweep(now)
            account = self._accounts[name] = Account()
        self._accounts.move_to_end(name)
        return account

    def _sweep(self, now: float) -> None:
        for _ in range(min(self._SWEEP, len(self._accounts))):
            name, account = next(iter(self._accounts.items()))
            if account.idle(now):
                del self._accounts[name]
            else:
                self._accounts.move_to_end(name)
