"""What a dialect of a vendor's protocol does beyond that vendor's types: a short list, each entry with its reason.

A message of a dialect is not judged more softly. It is brought back to the vendor's vocabulary first, entry by entry,
and what comes out must then be valid to the letter.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

__all__ = [
    "AbsentField",
    "Exceptions",
    "ExtraEvent",
    "ExtraField",
    "MissingField",
    "OtherValue",
]


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. It holds for `events` (their `type`s) at `path`: names with dots between them, * for any one step."""

    events: tuple[str, ...]
    path: str
    reason: str

    def apply(self, message: dict[str, Any]) -> list[str]:
        """Change `message` to the vendor's vocabulary, and return what is wrong with it."""
        raise NotImplementedError


class ExtraField(_Entry, frozen=True, kw_only=True):
    """A field that the vendor's types lack. Its value must fit `shape`, which is any type that msgspec converts to."""

    shape: Any

    def apply(self, message: dict[str, Any]) -> list[str]:
        """Take the field away if it is well-formed."""
        wrong = []
        for holder, key in [*_places(message, self.path)]:
            problem = _misfit(holder[key], self.shape)
            if problem:
                wrong.append(f"{self.path}: {problem}")
            del holder[key]
        return wrong


class OtherValue(_Entry, frozen=True, kw_only=True):
    """A value that the vendor's types refuse. One that fits `shape` is judged as if it were `stands_in`."""

    shape: Any
    stands_in: Any

    def apply(self, message: dict[str, Any]) -> list[str]:
        """Put the vendor's value in place of the dialect's."""
        for holder, key in _places(message, self.path):
            if not _misfit(holder[key], self.shape):
                holder[key] = self.stands_in
        return []


class MissingField(_Entry, frozen=True, kw_only=True):
    """A field that the vendor requires and the dialect may leave out. Then the message is judged with `stands_in`."""

    stands_in: Any

    def apply(self, message: dict[str, Any]) -> list[str]:
        """Put the field where it is missing."""
        *above, last = self.path.split(".")
        for holder in [*_values(message, above)]:
            if isinstance(holder, dict):
                holder.setdefault(last, self.stands_in)
        return []


class AbsentField(_Entry, frozen=True, kw_only=True):
    """A field of the vendor's types that the dialect does not have, so that whoever sends it is mistaken."""

    def apply(self, message: dict[str, Any]) -> list[str]:
        """Report the field where it is present."""
        return [
            f"{self.path}: not in this dialect ({self.reason})" for _ in _places(message, self.path)
        ]


class ExtraEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that the vendor's types lack. Its messages must fit `shape`: any type that msgspec converts to."""

    side: Literal["client", "server"]
    type: str
    reason: str
    shape: Any

    def problems(self, message: dict[str, Any]) -> list[str]:
        """What is wrong with a message of this type."""
        problem = _misfit(message, self.shape)
        return [problem] if problem else []


class Exceptions(msgspec.Struct, frozen=True, kw_only=True):
    """All exceptions of one dialect."""

    dialect: str
    events: tuple[ExtraEvent, ...] = ()
    fields: tuple[ExtraField | OtherValue | MissingField | AbsentField, ...] = ()

    def event(self, side: str, kind: str) -> ExtraEvent | None:
        """The extra event of that type, None if the dialect has none."""
        return next((each for each in self.events if (each.side, each.type) == (side, kind)), None)

    def apply(self, kind: str, message: dict[str, Any]) -> list[str]:
        """Bring a message back to the vendor's vocabulary, in place, and return what is wrong with it."""
        return [
            problem
            for entry in self.fields
            if kind in entry.events
            for problem in entry.apply(message)
        ]

    def changes(self, kind: str) -> bool:
        """Whether anything is excepted for messages of that type."""
        return any(kind in entry.events for entry in self.fields)


def _misfit(value: Any, shape: Any) -> str | None:
    try:
        msgspec.convert(value, shape, strict=True)
    except msgspec.ValidationError as refusal:
        return str(refusal)
    return None


def _places(message: Any, path: str) -> Iterator[tuple[Any, Any]]:
    """Where the path leads: each container with the key or index of the value in it."""
    *above, last = path.split(".")
    for holder in _values(message, above):
        if isinstance(holder, dict):
            yield from ((holder, key) for key in [*holder] if last in (key, "*"))
        elif isinstance(holder, list):
            yield from (
                (holder, index) for index in range(len(holder)) if last in (str(index), "*")
            )


def _values(message: Any, steps: list[str]) -> Iterator[Any]:
    if not steps:
        yield message
        return
    for holder, key in _places(message, steps[0]):
        yield from _values(holder[key], steps[1:])
