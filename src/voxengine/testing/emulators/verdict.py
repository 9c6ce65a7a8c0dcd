"""What an emulator says at its end, if it was not true to its vendor: `EmulatorFailed`."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["MAX_VIOLATIONS", "EmulatorFailed"]

#: Kept of what was wrong in an emulator's own messages.
MAX_VIOLATIONS = 100


class EmulatorFailed(AssertionError):
    """The emulator broke its vendor's protocol, or failed. `violations` say how."""

    def __init__(self, violations: Sequence[str]) -> None:
        self.violations = list(violations)
        lines = "\n".join(f"  {violation}" for violation in violations)
        super().__init__(f"the emulator was not true to its vendor:\n{lines}")
