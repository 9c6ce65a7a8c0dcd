"""Calls of tools that an emulated model makes, and what follows their results."""

from __future__ import annotations

from typing import Any

import msgspec

from voxengine.providers.mock.script import Reply, Script, ToolUse
from voxengine.testing.emulators.model_types import Call

__all__ = ["Calls"]

#: Calls of which it is known what follows their results.
MAX_CALLS = 1000


class _Round(msgspec.Struct):
    """The calls of one answer: what follows them, and the results so far."""

    then: Any
    waiting: list[str]
    outputs: dict[str, str] = {}


class Calls:
    """The calls of one session. `thens` says what follows the result of each; it may be shared by sessions."""

    def __init__(self, script: Script, prefix: str, thens: dict[str, Any]) -> None:
        #: Those that wait for their results, by id.
        self.pending: dict[str, Call] = {}
        self._script = script
        self._prefix = prefix
        self._thens = thens
        self._rounds: dict[str, _Round] = {}
        self._count = 0

    def make(self, reply: Reply) -> list[Call]:
        """The calls of a reply; they wait for their results from now on."""
        calls = [self._call(use) for use in reply.tools]
        made = _Round(reply.then, [call.id for call in calls])
        for call in calls:
            self.pending[call.id] = call
            self._rounds[call.id] = made
            self._thens[call.id] = reply.then
        while len(self._thens) > MAX_CALLS:
            del self._thens[next(iter(self._thens))]
        return calls

    def returned(self, call_id: str, output: str | None) -> Reply | None:
        """A call that waited has its result; None: it is not wanted any more.

        Returns what follows, if that was the last of its round.
        """
        del self.pending[call_id]
        made = self._rounds.pop(call_id)
        made.waiting.remove(call_id)
        if output is not None:
            made.outputs[call_id] = output
        if made.waiting or not made.outputs:
            return None
        return self._script.after_tools(made.then, list(made.outputs.values()))

    def after(self, call_id: str | None, outputs: list[str]) -> Reply:
        """What follows results, the last of which is that of this call."""
        return self._script.after_tools(self._thens.get(call_id or ""), outputs)

    def withdraw_all(self) -> list[str]:
        """No result is wanted any more; returns the ids of those that were."""
        ids = list(self.pending)
        self.pending.clear()
        self._rounds.clear()
        return ids

    def _call(self, use: ToolUse) -> Call:
        self._count += 1
        try:
            arguments = msgspec.json.decode(use.arguments, type=dict[str, Any])
        except msgspec.DecodeError:
            arguments = {}
        return Call(f"{self._prefix}_call_{self._count}", use.name, arguments, use.arguments)
