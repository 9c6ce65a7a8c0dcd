"""As much of a conversation as another model is to be told: within limits of items, bytes, tokens and money. Pure.

What is too much is trimmed by this rule:

1. A call of a tool and its result go together. One without the other is never told.
2. Notes of the application (role "system") are kept first, the newest before the older, in up to half of the room.
3. Then whole turns, the newest first, until one does not fit: that one and all before it are left out. A turn is
   what the user said and everything up to what the user said next.
4. If not even the last turn fits whole, its end is kept, item by item. If its last item alone is too long, that is
   cut between two words: of words the end is kept, of a tool's result the beginning. A mark says so.
5. What room is left goes to the notes that had none.

Sizes: bytes are those of the words in UTF-8. How a vendor counts tokens is its own affair, and known only afterwards;
the estimate here is one for each four bytes, which is close for English and on the safe side for most other
languages, and `ITEM_TOKENS` for what lies around an item.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from voxengine.conversation.items import Item

__all__ = [
    "CUT",
    "ITEM_TOKENS",
    "Fitted",
    "HistoryBudget",
    "as_prompt",
    "bytes_of",
    "fit",
    "summary_item",
    "tokens_of",
]

#: Tokens around the words of an item: who said it, where it begins and ends.
ITEM_TOKENS = 4
#: Bytes of text that make a token.
TOKEN_BYTES = 4
#: Stands where words were left out.
CUT = "[...]"
#: Bytes around a call or its result, where tools are told of in words ("weather was called with ...").
_TOOL_BYTES = 24

_SPEAKERS = {"user": "User", "assistant": "Assistant", "system": "Note"}


class HistoryBudget(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a conversation is told at a time. None: as much as there is."""

    max_items: int | None = None
    max_bytes: int | None = None
    max_tokens: int | None = None
    #: US dollars, and what a token costs: without that price `max_cost` limits nothing.
    max_cost: float | None = None
    token_price: float | None = None

    @property
    def tokens(self) -> int | None:
        """Tokens that are allowed, of themselves or by what they cost."""
        if self.max_cost is None or not self.token_price:
            return self.max_tokens
        affordable = int(self.max_cost / self.token_price)
        return affordable if self.max_tokens is None else min(affordable, self.max_tokens)

    def part(self, share: float) -> HistoryBudget:
        """A share of it, such as a half."""
        return HistoryBudget(
            max_items=_share(self.max_items, share),
            max_bytes=_share(self.max_bytes, share),
            max_tokens=_share(self.tokens, share),
        )


def _share(limit: int | None, share: float) -> int | None:
    return None if limit is None else int(limit * share)


class Fitted(msgspec.Struct, frozen=True):
    """What of a conversation is told, in its order, and what does not fit.

    An item that had to be cut is a copy under the same id. `summary` is a note that stands for those `summed_up`.
    """

    items: tuple[Item, ...] = ()
    left_out: tuple[Item, ...] = ()
    summary: Item | None = None
    summed_up: tuple[Item, ...] = ()

    @property
    def told(self) -> tuple[Item, ...]:
        """The summary, if there is one, and the items."""
        return self.items if self.summary is None else (self.summary, *self.items)


def bytes_of(item: Item) -> int:
    """Bytes of what is told of an item."""
    if item.kind == "message":
        return len(item.text.encode(errors="replace"))
    words = (item.name, item.arguments if item.kind == "function_call" else item.output)
    return _TOOL_BYTES + sum(len((word or "").encode(errors="replace")) for word in words)


def tokens_of(item: Item) -> int:
    """Tokens that an item takes, by the estimate of this module."""
    return ITEM_TOKENS - (-bytes_of(item) // TOKEN_BYTES)


def summary_item(text: str, n: int) -> Item:
    """The note that stands for the first `n` items of a conversation."""
    words = f"Earlier in this conversation: {text.strip()}"
    return Item(id=f"summary_{n}", role="system", text=words, status="completed")


def fit(items: Iterable[Item], budget: HistoryBudget, summary: Item | None = None) -> Fitted:
    """As much of the items as the budget allows, by the rule at the head of this module.

    `summary` comes before them and takes its room first; one that is too long is cut at its end.
    """
    all_items = tuple(items)
    room = _Room(budget)
    if summary is not None:
        summary = _cut_end(summary, room)
        if summary is not None:
            room.take([summary])
    notes, turns = _units(all_items)
    kept: dict[int, Item] = {}

    def keep(units: Sequence[_Unit], where: _Room = room) -> bool:
        places = [place for unit in units for place in unit]
        if not where.take([all_items[place] for place in places]):
            return False
        kept.update((place, all_items[place]) for place in places)
        return True

    half = room.half()
    untold = [note for note in reversed(notes) if not keep([note], half)]
    room.take(list(kept.values()))
    whole = 0
    for turn in reversed(turns):
        if not keep(turn):
            break
        whole += 1
    if turns and not whole:
        _keep_end(turns[-1], all_items, room, kept)
    for note in untold:
        keep([note])
    units = (*notes, *(unit for turn in turns for unit in turn))
    left = sorted(place for unit in units for place in unit if place not in kept)
    return Fitted(
        tuple(kept[place] for place in sorted(kept)),
        tuple(all_items[place] for place in left),
        summary,
    )


def as_prompt(items: Iterable[Item]) -> str:
    """An earlier conversation as text, for a model that takes it only as a part of its prompt.

    Of what was cut short, only what was heard.
    """
    lines = []
    for item in items:
        if item.kind == "function_call":
            lines.append(f"Tool {item.name} was called with {item.arguments or '{}'}")
        elif item.kind == "function_output":
            lines.append(f"Tool {item.name} returned {item.output or ''}")
        elif item.text:
            broken = " (interrupted here)" if item.interrupted else ""
            lines.append(f"{_SPEAKERS.get(item.role, item.role)}: {item.text}{broken}")
    return "\n".join(lines)


# -- what belongs together

#: Places in the list of items: one message, or a call and its result.
_Unit = tuple[int, ...]


def _units(items: Sequence[Item]) -> tuple[list[_Unit], list[list[_Unit]]]:
    """The notes, and the turns. Calls without a result and results without a call are in neither."""
    results = {
        item.call_id: place for place, item in enumerate(items) if item.kind == "function_output"
    }
    notes: list[_Unit] = []
    turns: list[list[_Unit]] = []
    for place, item in enumerate(items):
        if item.kind == "function_output":
            continue
        if item.kind == "function_call":
            result = results.pop(item.call_id, None)
            if result is None or result < place:
                continue
            unit: _Unit = (place, result)
        elif item.role == "system":
            notes.append((place,))
            continue
        else:
            unit = (place,)
        if not turns or item.role == "user":
            turns.append([])
        turns[-1].append(unit)
    return notes, turns


def _keep_end(
    turn: Sequence[_Unit], items: Sequence[Item], room: _Room, kept: dict[int, Item]
) -> None:
    """Keep of a turn that is too long what fits of its end."""
    for n, unit in enumerate(reversed(turn)):
        members = [items[place] for place in unit]
        if not room.take(members):
            if n == 0:
                kept.update(zip(unit, _cut_unit(members, room), strict=False))
            return
        kept.update(zip(unit, members, strict=True))


def _cut_unit(members: Sequence[Item], room: _Room) -> list[Item]:
    """A message, or a call and its result, made to fit; nothing, if that cannot be."""
    *whole, last = members
    rest = room.without(whole)
    cut = _cut_begin(last, rest) if last.kind == "message" else _cut_end(last, rest)
    shorter = [*whole, cut] if cut is not None else []
    return shorter if room.take(shorter) else []


# -- room


class _Room:
    """What is left of a budget."""

    def __init__(self, budget: HistoryBudget) -> None:
        self._budget = budget
        self._items = self._bytes = self._tokens = 0

    def take(self, items: Sequence[Item]) -> bool:
        """Take room for all of them; False if there is not enough."""
        n = self._items + len(items)
        size = self._bytes + sum(map(bytes_of, items))
        tokens = self._tokens + sum(map(tokens_of, items))
        budget = self._budget
        if not (
            _within(n, budget.max_items)
            and _within(size, budget.max_bytes)
            and _within(tokens, budget.tokens)
        ):
            return False
        self._items, self._bytes, self._tokens = n, size, tokens
        return True

    @property
    def left(self) -> HistoryBudget:
        """What is not taken yet."""
        budget = self._budget
        return HistoryBudget(
            max_items=_less(budget.max_items, self._items),
            max_bytes=_less(budget.max_bytes, self._bytes),
            max_tokens=_less(budget.tokens, self._tokens),
        )

    def half(self) -> _Room:
        """Room for half of what is left."""
        return _Room(self.left.part(0.5))

    def without(self, items: Sequence[Item]) -> _Room:
        """What would be left after these; nothing, if they are too much."""
        rest = _Room(self.left)
        return rest if rest.take(items) else _Room(HistoryBudget(max_items=0))

    def text_bytes(self, item: Item) -> int | None:
        """Bytes of text that one more item of this kind may have; None: as many as it likes."""
        left = self.left
        if left.max_items == 0:
            return 0
        around = 0 if item.kind == "message" else _TOOL_BYTES + len((item.name or "").encode())
        limits = []
        if left.max_bytes is not None:
            limits.append(left.max_bytes - around)
        if left.max_tokens is not None:
            limits.append((left.max_tokens - ITEM_TOKENS) * TOKEN_BYTES - around)
        return max(0, min(limits)) if limits else None


def _within(n: int, limit: int | None) -> bool:
    return limit is None or n <= limit


def _less(limit: int | None, used: int) -> int | None:
    return None if limit is None else max(0, limit - used)


# -- cutting


def _cut_begin(item: Item, room: _Room) -> Item | None:
    """The end of somebody's words; None if there is no room for a word of them."""
    limit = room.text_bytes(item)
    raw = item.text.encode(errors="replace")
    if limit is None or len(raw) <= limit:
        return item
    tail = raw[len(raw) - max(0, limit - len(CUT) - 1) :].decode(errors="ignore")
    before = item.text[: len(item.text) - len(tail)]
    if tail and not (tail[0].isspace() or before[-1:].isspace()):
        tail = tail.partition(" ")[2] or tail
    tail = tail.strip()
    return _with_words(item, f"{CUT} {tail}") if tail else None


def _cut_end(item: Item, room: _Room) -> Item | None:
    """The beginning of a text or of a tool's result; None if there is no room for a word of it."""
    limit = room.text_bytes(item)
    words = item.text if item.kind == "message" else item.output or ""
    raw = words.encode(errors="replace")
    if limit is None or len(raw) <= limit:
        return item
    head = raw[: max(0, limit - len(CUT) - 1)].decode(errors="ignore")
    if head and not (head[-1].isspace() or words[len(head) : len(head) + 1].isspace()):
        head = head.rpartition(" ")[0] or head
    head = head.strip()
    return _with_words(item, f"{head} {CUT}") if head else None


def _with_words(item: Item, words: str) -> Item:
    if item.kind == "message":
        return msgspec.structs.replace(item, text=words, spans=[])
    return msgspec.structs.replace(item, output=words)
