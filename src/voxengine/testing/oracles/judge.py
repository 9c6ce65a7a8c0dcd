"""A judge of one connection's messages, in both directions, by a vendor's published types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from voxengine.testing.oracles.counting import UNKNOWN_TYPE, CountingJudge, Message
from voxengine.testing.oracles.exceptions import Exceptions
from voxengine.testing.oracles.strict import problems_of

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["UNKNOWN_TYPE", "Exceptions", "Judge", "Message", "Vocabulary"]


class _Typed(msgspec.Struct):
    """The one field that says what a message is. The others are skipped unread."""

    type: str


_TYPED = msgspec.json.Decoder(_Typed)


class Vocabulary(msgspec.Struct, frozen=True, kw_only=True):
    """The messages of one direction.

    Attributes:
        models: the model of each `type`.
        by_session: for types whose `session` is one of several models, the model for each `session.type`. The first is
            taken where that type is missing or unknown, so that something is judged and the type is complained of.
    """

    models: Mapping[str, type[BaseModel]]
    by_session: Mapping[str, Mapping[str, type[BaseModel]]] = {}

    def model(self, kind: str, message: Mapping[str, Any]) -> type[BaseModel]:
        """The model of a message whose `type` is among `models`."""
        variants = self.by_session.get(kind)
        if variants is None:
            return self.models[kind]
        session = message.get("session")
        named = session.get("type") if isinstance(session, Mapping) else None
        return variants.get(named if isinstance(named, str) else "", next(iter(variants.values())))


class Judge(CountingJudge[Vocabulary]):
    """Judges every message of a connection by its `type`, and counts."""

    oracle = "vendor types"

    def __init__(
        self,
        *,
        client: Vocabulary,
        server: Vocabulary,
        exceptions: Exceptions | None = None,
        kept: int = 100,
    ) -> None:
        """`client` and `server` are what each may send, `exceptions` what a dialect may do beyond that."""
        super().__init__(client=client, server=server, kept=kept)
        self._exceptions = exceptions

    def _judge(
        self, side: str, rules: Vocabulary, seen: Counter[str], message: Message
    ) -> list[str]:
        if isinstance(message, memoryview):
            message = bytes(message)
        kind = _type_of(message)
        if kind is None:
            problems = ["the message: not a JSON object with a type"]
        else:
            problems = self._problems(side, rules, kind, message)
        known = kind is not None and (
            kind in rules.models
            or (self._exceptions is not None and self._exceptions.event(side, kind) is not None)
        )
        seen[kind if kind is not None and known else UNKNOWN_TYPE] += 1
        return self._keep(side, kind, problems)

    def _problems(
        self, side: str, vocabulary: Vocabulary, kind: str, message: Message
    ) -> list[str]:
        exceptions = self._exceptions
        if kind not in vocabulary.models:
            extra = exceptions.event(side, kind) if exceptions is not None else None
            return extra.problems(_plain(message)) if extra is not None else ["type: unknown"]
        excepted = exceptions is not None and exceptions.changes(kind)
        if not excepted and kind not in vocabulary.by_session:  # such as audio: by far the most
            return problems_of(vocabulary.models[kind], message)
        plain = _plain(message)
        wrong = exceptions.apply(kind, plain) if exceptions is not None else []
        return wrong + problems_of(vocabulary.model(kind, plain), plain)


def _type_of(message: Message) -> str | None:
    if isinstance(message, Mapping):
        kind = message.get("type")
        return kind if isinstance(kind, str) else None
    try:
        return _TYPED.decode(message).type
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _plain(message: Message) -> dict[str, Any]:
    """A copy of a message that may be changed."""
    raw = msgspec.json.encode(message) if isinstance(message, Mapping) else message
    plain: dict[str, Any] = msgspec.json.decode(raw)
    return plain
