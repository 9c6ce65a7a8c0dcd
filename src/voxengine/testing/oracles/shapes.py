"""A judge for a vendor that publishes no types: by strict structs of our own, of the shape that its documents show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from voxengine.testing.oracles.counting import UNKNOWN_TYPE, CountingJudge

__all__ = ["DOCUMENTED", "ShapeJudge"]

#: What such a judge judges by, for reports.
DOCUMENTED = "documented shape"


class ShapeJudge(CountingJudge[Mapping[str, Any]]):
    """Judges every message of a connection by its name, and counts.

    Args:
        client, server: the shape of each message, by its name: any type that msgspec decodes to. What a struct does not
            know is only a problem where it says `forbid_unknown_fields`.
        name_of: the name of a message; None if it has none.
        kept: how many violations are kept in words.
    """

    oracle = DOCUMENTED

    def __init__(
        self,
        *,
        client: Mapping[str, Any],
        server: Mapping[str, Any],
        name_of: Callable[[Mapping[str, Any]], str | None],
        kept: int = 100,
    ) -> None:
        super().__init__(client=client, server=server, kept=kept)
        self._name_of = name_of

    def _judge(
        self, side: str, rules: Mapping[str, Any], seen: Counter[str], message: Any
    ) -> list[str]:
        name, problems = self._problems(rules, message)
        seen[name if name in rules else UNKNOWN_TYPE] += 1
        return self._keep(side, name, problems)

    def _problems(self, shapes: Mapping[str, Any], message: Any) -> tuple[str, list[str]]:
        if not isinstance(message, Mapping):
            try:
                message = msgspec.json.decode(message)
            except (msgspec.DecodeError, UnicodeDecodeError):
                return "", ["the message: not JSON"]
        name = self._name_of(message) if isinstance(message, Mapping) else None
        if name is None:
            return "", ["the message: not an object with a name"]
        if name not in shapes:
            return name, ["name: unknown"]
        try:
            msgspec.convert(message, shapes[name], strict=True)
        except msgspec.ValidationError as refusal:
            return name, [str(refusal)]
        return name, []
