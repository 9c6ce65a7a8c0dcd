"""The calls that are live."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Iterator

from voxengine.gateway.call import Call

__all__ = ["Calls"]


class Calls:
    """Live calls, by their id and by the id of their session."""

    def __init__(self) -> None:
        self._calls: dict[str, Call] = {}
        self._sessions: dict[str, Call] = {}
        #: Set when a call has ended; who waits for it clears it.
        self.changed = asyncio.Event()

    def add(self, call: Call) -> None:
        """A call begins; it is forgotten when it ends."""
        self._calls[call.id] = call
        self._sessions[call.session_id] = call
        call.on_end(self._forget)

    def get(self, call_id: str) -> Call | None:
        """The call of this id."""
        return self._calls.get(call_id)

    def by_session(self, session_id: str) -> Call | None:
        """The call of the session of this id."""
        call = self._sessions.get(session_id)
        # The table finds it by its hash; this compares all of it, in a time that tells nothing.
        if call is None or not hmac.compare_digest(call.session_id.encode(), session_id.encode()):
            return None
        return call

    def __iter__(self) -> Iterator[Call]:
        return iter(tuple(self._calls.values()))

    def __len__(self) -> int:
        return len(self._calls)

    def _forget(self, call: Call) -> None:
        self._calls.pop(call.id, None)
        self._sessions.pop(call.session_id, None)
        self.changed.set()
