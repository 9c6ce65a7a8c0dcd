"""What every judge of a connection's messages does beside judging: it counts, and keeps what was wrong."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from typing import Any, Generic, TypeAlias, TypeVar

__all__ = ["UNKNOWN_TYPE", "CountingJudge", "Message"]

#: A message as it is on the wire, or as the object that its JSON means.
Message: TypeAlias = Mapping[str, Any] | bytes | bytearray | memoryview | str

#: Under this name all messages are counted whose type nobody knows: whoever sends them may send any number of types.
UNKNOWN_TYPE = "(unknown type)"

_R = TypeVar("_R")


class CountingJudge(ABC, Generic[_R]):
    """Judges every message of a connection by the rules of its direction, and counts.

    Attributes:
        oracle: by what it judges, for reports.
        client_seen: how many messages of each type the client sent, valid or not; the unknown under `UNKNOWN_TYPE`.
        server_seen: the same of the server.
        server_valid: how many messages of the server had nothing wrong.
        violations: what was wrong, as "client session.update: session.voice: unknown field", the first `kept` of them.
        violation_count: how many there were in all.
    """

    oracle: str

    def __init__(self, *, client: _R, server: _R, kept: int = 100) -> None:
        """`client` and `server` are what each may send; `kept` violations are kept in words."""
        self.client_seen: Counter[str] = Counter()
        self.server_seen: Counter[str] = Counter()
        self.server_valid = 0
        self.violations: list[str] = []
        self.violation_count = 0
        self._client = client
        self._server = server
        self._kept = kept

    def client(self, message: Message) -> list[str]:
        """What is wrong with a message of the client. Nothing is, if the list is empty."""
        return self._judge("client", self._client, self.client_seen, message)

    def server(self, message: Message) -> list[str]:
        """What is wrong with a message of the server. Nothing is, if the list is empty."""
        problems = self._judge("server", self._server, self.server_seen, message)
        self.server_valid += not problems
        return problems

    def figures(self) -> dict[str, int | str]:
        """The counts, as a report shows them. `client_events` is the number of different types that were seen."""
        return {
            "client_events": len(self.client_seen.keys() - {UNKNOWN_TYPE}),
            "server_events_sent": self.server_seen.total(),
            "server_events_valid": self.server_valid,
            "violations": self.violation_count,
            "oracle": self.oracle,
        }

    @abstractmethod
    def _judge(self, side: str, rules: _R, seen: Counter[str], message: Message) -> list[str]:
        """What is wrong with a message, which `_keep` was told of."""

    def _keep(self, side: str, name: str | None, problems: list[str]) -> list[str]:
        """Count what is wrong with a message, and keep it as far as there is room."""
        self.violation_count += len(problems)
        room = self._kept - len(self.violations)
        self.violations += [f"{side} {name}: {problem}" for problem in problems[:room]]
        return problems
