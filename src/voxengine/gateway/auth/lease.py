"""A call's claim on the limits of the key, and of the client secret, that it came with."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Protocol

from voxengine.gateway.auth.limits import Account

__all__ = ["Lease", "Till"]


class Till(Protocol):
    """Where a lease pays."""

    def pay(self, usd: float) -> None:
        """Note that so much more was spent."""

    def may_go_on(self) -> bool:
        """Whether anything is left of every budget."""


class Lease:
    """Holds a place among the calls at the same time, until `end`, or until nobody refers to it any more."""

    def __init__(self, accounts: Sequence[Account], till: Till) -> None:
        for account in accounts:
            account.calls += 1
        self._till = till
        self._paid = 0.0
        # A call that is lost instead of ended must not hold its place for ever.
        self._release = weakref.finalize(self, _leave, tuple(accounts))
        self._release.atexit = False

    def spend(self, total: float) -> bool:
        """Note what the call has cost so far, in US dollars. False: a budget is used up, and the call has to end."""
        more = total - self._paid
        if more > 0:
            self._paid = total
            self._till.pay(more)
        return self._till.may_go_on()

    def end(self, total: float | None = None) -> None:
        """Give the place back. `total` is what the call has cost; None: what was said last. May be called again."""
        if total is not None and total > self._paid:
            self._till.pay(total - self._paid)
            self._paid = total
        self._release()


def _leave(accounts: Sequence[Account]) -> None:
    for account in accounts:
        account.calls -= 1
