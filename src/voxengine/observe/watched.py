"""What is observed: anything that tells events, such as a `VoiceEngine`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from voxengine.events import Subscription

__all__ = ["Watched"]


class Watched(Protocol):
    """Tells its events to whoever subscribes."""

    def on(self, selector: Iterable[Any], handler: Callable[[Any], Any]) -> Subscription:
        """Call the handler with each event of these types."""
