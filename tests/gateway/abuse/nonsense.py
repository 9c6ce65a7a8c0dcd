"""Messages of a client that are nearly right: built by the types of its events, then spoiled. Chance has a seed."""

from __future__ import annotations

import base64
import copy
import json
import random
from collections.abc import Callable
from typing import Any

from msgspec import inspect

from voxengine.realtime import schema

__all__ = ["Nonsense"]

#: Ids that are used again and again, so that many are of something that is there.
IDS = ("item_a", "item_b", "item_c", "item_d", "call_a", "call_b", "root", "")
WORDS = (
    *IDS,
    "Hello",
    "weather",
    "play",
    "other",
    "nobody",
    "alloy",
    "\x00",
    "\ud83d\ude00" * 40,
    "\u202e../../etc/passwd\r\nX-Evil: 1",
    "x" * 2000,
    "{{text}} {0} %s",
    base64.b64encode(b"\0\1" * 2400).decode(),
    base64.b64encode(b"odd").decode(),
    "not base64!",
)
NUMBERS = (0, 1, -1, 0.5, 24000, 8000, 44100, 500, 6000, 2**31, 2**63, 2**70, -(2**70), 1e308, 0.1)
ANYTHING: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**64,
    "",
    "x",
    [],
    {},
    [[]],
    {"": None},
)


class Nonsense:
    """An endless supply; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._events = [(k, inspect.type_info(s)) for k, s in schema.CLIENT_EVENTS.items()]
        self._session = inspect.type_info(schema.SessionParams)
        self._count = 0

    def message(self) -> bytes:
        """One message: one in three is as the types have it, the others are spoiled."""
        event = self.event()
        chance = self.random.random()
        if chance > 1 / 3:
            for _ in range(self.random.randint(1, 3)):
                self._spoil(event)
        if chance < 0.9:
            return json.dumps(event, ensure_ascii=self.random.random() < 0.5).encode(
                "utf-8", "replace"
            )
        return self._spoil_bytes(json.dumps(event).encode())

    def event(self) -> dict[str, Any]:
        """An event as its type has it."""
        kind, shape = self.random.choice(self._events)
        event: dict[str, Any] = self.value(shape)
        event["type"] = kind
        if kind == "session.update":
            event["session"] = self.value(self._session)
        if kind == "input_audio_buffer.append" and self.random.random() < 0.7:
            event["audio"] = base64.b64encode(self.random.randbytes(960)).decode()
        self._count += 1
        event["event_id"] = f"event_{self._count}"
        return event

    # -- by the types

    def value(self, shape: inspect.Type) -> Any:
        """A value of that type."""
        make: Callable[[Any], Any] | None = _MAKERS.get(type(shape))
        assert make is not None, f"there is no maker of {shape}"
        return make(self, shape)  # type: ignore[call-arg]

    def _struct(self, shape: inspect.StructType) -> dict[str, Any]:
        made = {
            field.encode_name: self.value(field.type)
            for field in shape.fields
            if field.required or self.random.random() < 0.35
        }
        if shape.tag_field is not None:
            made[shape.tag_field] = shape.tag
        return made

    def _union(self, shape: inspect.UnionType) -> Any:
        types = [each for each in shape.types if not isinstance(each, _NO_VALUE)]
        return self.value(self.random.choice(types))

    def _text(self, shape: Any) -> str:
        return self.random.choice(WORDS)

    def _number(self, shape: Any) -> Any:
        least, most = shape.ge, shape.le
        if least is not None and most is not None and self.random.random() < 0.7:
            number = self.random.uniform(least, most)
            return round(number) if isinstance(shape, inspect.IntType) else number
        return self.random.choice(NUMBERS)

    def _list(self, shape: inspect.ListType) -> list[Any]:
        return [self.value(shape.item_type) for _ in range(self.random.randint(0, 3))]

    def _dict(self, shape: inspect.DictType) -> dict[str, Any]:
        return {
            self.random.choice(WORDS): self.value(shape.value_type)
            for _ in range(self.random.randint(0, 2))
        }

    def _any(self, shape: Any) -> Any:
        return copy.deepcopy(self.random.choice(ANYTHING))

    # -- spoiled

    def _spoil(self, event: dict[str, Any]) -> None:
        place: Any = event
        while True:
            inner = [v for v in _values(place) if isinstance(v, (dict, list)) and v]
            if not inner or self.random.random() < 0.4:
                break
            place = self.random.choice(inner)
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = self.random.choice(keys)
        chance = self.random.random()
        if chance < 0.25:
            del place[key]
            if place is event and not event:
                event["type"] = None
        elif chance < 0.35 and isinstance(place, dict):
            place[self.random.choice(WORDS)] = self._any(None)
        elif chance < 0.4:
            deep: Any = []
            for _ in range(self.random.choice((10, 900))):
                deep = [deep]
            place[key] = deep
        else:
            place[key] = copy.deepcopy(self.random.choice((*ANYTHING, *WORDS, *NUMBERS)))

    def _spoil_bytes(self, data: bytes) -> bytes:
        at = self.random.randrange(len(data))
        more = self.random.choice((b"", b"\xff", b"\0", b'"', b"}", b"[" * 3000, b"\xed\xa0\x80"))
        match self.random.randrange(4):
            case 0:
                return data[:at]
            case 1:
                return data[:at] + more + data[at:]
            case 2:
                return data[:at] + more + data[at + 1 :]
        return more


_NO_VALUE = (inspect.CustomType,)
_MAKERS: dict[type, Any] = {
    inspect.StructType: Nonsense._struct,
    inspect.UnionType: Nonsense._union,
    inspect.StrType: Nonsense._text,
    inspect.IntType: Nonsense._number,
    inspect.FloatType: Nonsense._number,
    inspect.ListType: Nonsense._list,
    inspect.DictType: Nonsense._dict,
    inspect.AnyType: Nonsense._any,
    inspect.BoolType: lambda self, shape: self.random.random() < 0.5,
    inspect.NoneType: lambda self, shape: None,
    inspect.LiteralType: lambda self, shape: self.random.choice(shape.values),
}


def _values(place: Any) -> list[Any]:
    return list(place.values()) if isinstance(place, dict) else list(place)
