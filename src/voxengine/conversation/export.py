"""The form in which a conversation is kept and handed on: plain data, JSON, with a version.

`SCHEMA_VERSION` counts changes after which older programs would misread what newer ones write. Fields that are only
added do not change it: whoever does not know them passes over them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import msgspec

from voxengine.conversation.items import Item
from voxengine.errors import ConfigurationError

__all__ = ["SCHEMA_VERSION", "conversation_schema", "export", "read", "read_json"]

SCHEMA_VERSION = 1


class _Exported(msgspec.Struct):
    """A conversation: the items in the order in which they were said."""

    version: int
    items: list[Item]
    id: str = ""


def export(id: str, items: Sequence[Item]) -> dict[str, Any]:
    """Plain data: a version, the id, and the items, each without what it does not have."""
    return {"version": SCHEMA_VERSION, "id": id, "items": [_plain(item) for item in items]}


def _plain(item: Item) -> dict[str, Any]:
    plain = item.as_dict()
    if item.spans:
        plain["spans"] = msgspec.to_builtins(item.spans)
    return plain


def read(data: Any) -> tuple[str, list[Item]]:
    """The id and the items of exported data.

    Raises:
        ConfigurationError: it is of another version, or broken; the message says where.
    """
    version = data.get("version") if isinstance(data, dict) else None
    if type(version) is int and version != SCHEMA_VERSION:
        raise ConfigurationError(
            f"the conversation is of version {version}; this program reads version {SCHEMA_VERSION}"
        )
    try:
        found = msgspec.convert(data, _Exported)
    except msgspec.ValidationError as failure:
        raise ConfigurationError(f"this is no exported conversation: {failure}") from None
    _check(found.items)
    return found.id, found.items


def read_json(text: str | bytes) -> tuple[str, list[Item]]:
    """As `read`, of JSON text.

    Raises:
        ConfigurationError: it is no JSON, of another version, or broken.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as failure:
        raise ConfigurationError(f"the conversation is not valid JSON: {failure}") from None
    return read(data)


def conversation_schema() -> dict[str, Any]:
    """The JSON Schema of the exported form."""
    return msgspec.json.schema(_Exported)


def _check(items: Sequence[Item]) -> None:
    """Raise where the types are right and the values are not."""
    ids: set[str] = set()
    for n, item in enumerate(items):
        where = f"items[{n}] ({item.id!r})"
        if not item.id:
            raise ConfigurationError(f"items[{n}] has an empty id")
        if item.id in ids:
            raise ConfigurationError(f"{where}: another item has the same id")
        ids.add(item.id)
        numbers = [item.audio_ms, item.heard_ms, item.created_at]
        for span in item.spans:
            numbers += [span.start_ms, span.end_ms or 0.0]
        if not all(map(math.isfinite, numbers)):
            raise ConfigurationError(f"{where}: a time is not a number")
        if item.kind != "message" and not item.call_id:
            raise ConfigurationError(f"{where}: a call of a tool and its result have a call_id")
        try:
            "".join(filter(None, _texts(item))).encode()
        except UnicodeEncodeError as failure:
            raise ConfigurationError(f"{where}: holds what UTF-8 cannot: {failure}") from None


def _texts(item: Item) -> tuple[str | None, ...]:
    return (item.text, item.unheard_text, item.name, item.arguments, item.output)
