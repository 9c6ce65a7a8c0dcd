"""What has to be remembered of a connection, without growing with it."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

__all__ = ["Bounded", "ItemAudio", "SeenEvents"]

_V = TypeVar("_V")


class Bounded(OrderedDict[str, _V]):
    """A dict that keeps its newest keys. What is that old belongs to nothing that is still under way."""

    LIMIT = 64

    def __setitem__(self, key: str, value: _V) -> None:
        super().__setitem__(key, value)
        if len(self) > self.LIMIT:
            self.popitem(last=False)


class SeenEvents:
    """Which events of items and responses came already, by the ids that the server gives them.

    Some compatible servers give all events one id, or count from one in each response. So an id that comes with another
    type, response or item shows that ids say nothing here.
    """

    #: Events that are remembered at least. What they take of memory is for each call out of the caches when its next
    #: event comes, so that it is kept small.
    LIMIT = 32

    __slots__ = ("_before", "_latest", "_trusted")

    def __init__(self) -> None:
        # Hashes of the type, the response and the item: the texts themselves are let go of.
        self._latest: dict[str, int] = {}
        self._before: dict[str, int] = {}
        self._trusted = True

    def again(
        self, event_id: str | None, kind: str, response_id: str | None, item_id: str | None
    ) -> bool:
        """Whether this event, of a response or an item, came before; from now on it has."""
        if event_id is None or not self._trusted:
            return False
        latest = self._latest
        known = latest.get(event_id)
        if known is None:
            known = self._before.get(event_id)
        if known is None:
            if len(latest) >= self.LIMIT:
                self._before, self._latest = latest, {}
            self._latest[event_id] = hash((kind, response_id, item_id))
            return False
        self._trusted = known == hash((kind, response_id, item_id))
        return self._trusted and not (response_id is None and item_id is None)


class ItemAudio:
    """How many bytes of audio came of the latest items, and in which part of the item's content."""

    __slots__ = ("_before", "_content_index", "_current", "_n_bytes", "total")

    def __init__(self) -> None:
        self._current: str | None = None
        self._n_bytes = 0
        self._content_index = 0
        #: Bytes of all items.
        self.total = 0
        self._before: Bounded[tuple[int, int]] = Bounded()

    def add(self, item_id: str | None, n_bytes: int, content_index: int) -> None:
        """Some more came. Nearly always of the same item as before."""
        if item_id != self._current:
            if self._current is not None:
                self._before[self._current] = (self._n_bytes, self._content_index)
            self._current = item_id
            self._n_bytes = self._before.pop(item_id or "", (0, 0))[0]
            self._content_index = content_index
        self._n_bytes += n_bytes
        self.total += n_bytes

    def of(self, item_id: str) -> tuple[int, int]:
        """Bytes, and the index of the content that they belong to; 0 bytes of an item that is not known."""
        if item_id == self._current:
            return self._n_bytes, self._content_index
        return self._before.get(item_id, (0, 0))
