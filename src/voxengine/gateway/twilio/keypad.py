"""Keys that the caller presses: what belongs together is told together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["Keypad"]

#: Seconds without a further key after which a number is complete. "#" completes it at once.
PAUSE = 1.5
#: Keys of one number.
MOST_KEYS = 64
_KEYS = frozenset("0123456789*#ABCD")


class Keypad:
    """Gathers keys, and tells `entered(keys)`."""

    def __init__(self, entered: Callable[[str], object]) -> None:
        self._entered = entered
        self._keys = ""
        self._timer: asyncio.TimerHandle | None = None

    def press(self, key: str) -> None:
        """A key was pressed. What is no key of a telephone is ignored."""
        if key not in _KEYS:
            return
        self.close()
        self._keys += key
        if key == "#" or len(self._keys) >= MOST_KEYS:
            self._tell()
        else:
            self._timer = asyncio.get_running_loop().call_later(PAUSE, self._tell)

    def close(self) -> None:
        """Tell nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell(self) -> None:
        self._timer = None
        keys, self._keys = self._keys, ""
        self._entered(keys)
