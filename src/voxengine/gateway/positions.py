"""Places for the items of a log that may grow in the middle, so that one is stored without moving the others."""

from __future__ import annotations

from voxengine.conversation import Conversation

__all__ = ["Positions"]


class Positions:
    """A number for each item, in the order of the log. One that comes between two others gets the middle of theirs."""

    def __init__(self) -> None:
        self._places: dict[str, float] = {}
        #: Not below that of any item there is.
        self._last = 0.0

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._places

    def __getitem__(self, item_id: str) -> float:
        return self._places[item_id]

    def append(self, item_id: str) -> float:
        """The place of an item that comes after all others."""
        self._last += 1.0
        self._places[item_id] = self._last
        return self._last

    def remove(self, item_id: str) -> None:
        """The item is gone."""
        self._places.pop(item_id, None)

    def insert(self, item_id: str, log: Conversation) -> float | None:
        """The place of an item of the log; None where there is none between its neighbours.

        Neighbours that have no place yet are passed over: they find theirs beside this one.
        """
        if log[-1].id == item_id:
            return self.append(item_id)
        ids = [item.id for item in log]
        index = ids.index(item_id)
        places = self._places
        above = next((places[i] for i in ids[index + 1 :] if i in places), None)
        if above is None:
            return self.append(item_id)
        below = next((places[i] for i in reversed(ids[:index]) if i in places), above - 1.0)
        place = (below + above) / 2
        if not below < place < above:
            return None
        places[item_id] = place
        return place
