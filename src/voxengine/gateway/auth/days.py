"""Days and months by UTC, as budgets count them. Times are Unix seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

__all__ = ["Period", "begin_of", "day_of", "seconds_left"]

Period = Literal["day", "month", "ever"]


def day_of(now: float) -> str:
    """The day, as YYYY-MM-DD; such texts sort as the days do."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")


def begin_of(period: Period, now: float) -> str:
    """The first day of the period; "" for ever, which sorts before all days."""
    match period:
        case "day":
            return day_of(now)
        case "month":
            return f"{day_of(now)[:7]}-01"
        case "ever":
            return ""


def seconds_left(period: Period, now: float) -> float | None:
    """Seconds until the next period begins; None: none ever does."""
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    match period:
        case "day":
            following = today + timedelta(days=1)
        case "month":
            # The 28th and four days are in the next month, whatever this one is.
            following = (today.replace(day=28) + timedelta(days=4)).replace(day=1)
        case "ever":
            return None
    return following.timestamp() - now
