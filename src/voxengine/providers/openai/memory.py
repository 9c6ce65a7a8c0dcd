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

    #: Events that are remembered at least.
    LIMIT = 128

    __slots__ = ("_before", "_latest", "_trusted")

    def __init__(self) -> None:
        self._latest: dict[str, tuple[str | None, ...]] = {}
        self._before: dict[str, tuple[str | None, ...]] = {}
        self._trusted = True

    def again(
        self, event_id: str | None, kind: str, response_id: str | None, item_id: str | None
    ) -> bool:
        """Whether this event, of a response or an item, came before; from now on it has."""
        if event_id is None or not self._trusted:
            return False
        known = self._latest.get(event_id) or self._before.get(event_id)
        if known is None:
            if len(self._latest) >= self.LIMIT:
                self._before, self._latest = self._latest, {}
            self._latest[event_id] = (kind, response_id, item_id)
            return False
        self._trusted = known == (kind, response_id, item_id)
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
