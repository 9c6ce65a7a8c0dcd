"""What a caller may still spend: of its key's budget for the day or the month, and of its client secret's."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from voxengine.clock import Clock
from voxengine.gateway.auth.days import Period, begin_of, day_of, seconds_left
from voxengine.gateway.auth.ledger import Ledger, LedgerError
from voxengine.gateway.refusal import Refused

__all__ = ["Allowance", "Purse"]


class Allowance(msgspec.Struct, frozen=True):
    """So many US dollars in each period, noted under the name of an account."""

    account: str
    usd: float
    per: Period


class Purse:
    """The money of one caller. What it pays is noted under every one of `accounts`, limited or not."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        accounts: Sequence[str],
        allowances: Sequence[Allowance],
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._accounts = accounts
        self._allowances = allowances

    def left(self) -> float | None:
        """US dollars that may still be spent; None: any.

        Raises:
            LedgerError: the ledger cannot be asked.
        """
        return min((self._left_of(allowance) for allowance in self._allowances), default=None)

    def check(self) -> None:
        """Raise, if nothing is left.

        Raises:
            Refused: 429 with OpenAI's code `insufficient_quota`.
            LedgerError: the ledger cannot be asked.
        """
        for allowance in self._allowances:
            if self._left_of(allowance) > 0:
                continue
            whose = "key" if allowance.per != "ever" else "key or client secret"
            period = "" if allowance.per == "ever" else f" for this {allowance.per}"
            raise Refused(
                429,
                "insufficient_quota",
                f"The budget of your {whose} is used up{period}.",
                "insufficient_quota",
                seconds_left(allowance.per, self._clock.wall()),
            )

    def pay(self, usd: float) -> None:
        """Note that so much more was spent."""
        today = day_of(self._clock.wall())
        for account in self._accounts:
            self._ledger.spend(account, today, usd)

    def may_go_on(self) -> bool:
        """Whether something is left. A ledger that cannot be asked cuts no call off."""
        try:
            left = self.left()
        except LedgerError:
            return True
        return left is None or left > 0

    def _left_of(self, allowance: Allowance) -> float:
        since = begin_of(allowance.per, self._clock.wall())
        return max(0.0, allowance.usd - self._ledger.spent(allowance.account, since))
