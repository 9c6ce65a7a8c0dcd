"""A judge for a vendor that publishes no types: by strict structs of our own, of the shape that its documents show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from voxengine.testing.oracles.judge import UNKNOWN_TYPE

__all__ = ["DOCUMENTED", "ShapeJudge"]

#: What such a judge judges by, for reports.
DOCUMENTED = "documented shape"


class ShapeJudge:
    """Judges every message of a connection, and counts. It has what `voxengine.testing.oracles.judge.Judge` has.

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
        self.client_seen: Counter[str] = Counter()
        self.server_seen: Counter[str] = Counter()
        self.server_valid = 0
        self.violations: list[str] = []
        self.violation_count = 0
        self._client = client
        self._server = server
        self._name_of = name_of
        self._kept = kept

    def client(self, message: Any) -> list[str]:
        """What is wrong with a message of the client. Nothing is, if the list is empty."""
        return self._judge("client", self._client, self.client_seen, message)

    def server(self, message: Any) -> list[str]:
        """What is wrong with a message of the server. Nothing is, if the list is empty."""
        problems = self._judge("server", self._server, self.server_seen, message)
        self.server_valid += not problems
        return problems

    def figures(self) -> dict[str, int | str]:
        """The counts, as a report shows them."""
        return {
            "client_events": len(self.client_seen.keys() - {UNKNOWN_TYPE}),
            "server_events_sent": self.server_seen.total(),
            "server_events_valid": self.server_valid,
            "violations": self.violation_count,
            "oracle": self.oracle,
        }

    def _judge(
        self, side: str, shapes: Mapping[str, Any], seen: Counter[str], message: Any
    ) -> list[str]:
        name, problems = self._problems(shapes, message)
        seen[name if name in shapes else UNKNOWN_TYPE] += 1
        self.violation_count += len(problems)
        room = self._kept - len(self.violations)
        self.violations += [f"{side} {name}: {problem}" for problem in problems[:room]]
        return problems

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
