"""What the emulated model decides to say and to call: the script's reply, within what the session allows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from voxengine.providers.mock.script import Reply, Script
from voxengine.testing.emulators.choosing import allowed
from voxengine.testing.emulators.openai.items import Item

__all__ = ["Mind"]

#: Calls of which it is known what follows their results.
MAX_CALLS = 1000
#: What it says when nobody said anything, and when the user has been silent for too long.
GREETING = "Hello. How can I help?"
ARE_YOU_THERE = "Are you still there?"


class Mind:
    """The model's side of one session's conversation.

    `script` has the replies. `transcripts` is what it understands of speech that carries no words, in rotation; None
    is speech that cannot be transcribed. `then` is what follows the result of each call: sessions that share it know it
    of each other's calls, which a client may tell them as an earlier conversation.
    """

    def __init__(
        self,
        script: Script,
        greeting: str | None = None,
        transcripts: Sequence[str | None] = (),
        then: dict[str, Any] | None = None,
    ) -> None:
        self._script = script
        self._greeting = GREETING if greeting is None else greeting
        self._transcripts = tuple(transcripts)
        self._asked = 0
        self._then = {} if then is None else then

    def understand(self, words: str) -> str | None:
        """What it takes speech for whose words are these."""
        if words or not self._transcripts:
            return words
        found = self._transcripts[self._asked % len(self._transcripts)]
        self._asked += 1
        return found

    async def reply(self, context: Sequence[Item], instructions: str | None, idle: bool) -> Reply:
        """The reply to a conversation. `instructions` are those of this response; `idle`: nobody said anything."""
        if idle:
            return Reply(text=ARE_YOU_THERE)
        told = self._script.find(instructions) if instructions else None
        if told is not None:
            return told
        outputs = _trailing_outputs(context)
        if outputs:
            then = self._then.get(str(outputs[-1].value["call_id"]))
            return self._script.after_tools(then, [str(item.value["output"]) for item in outputs])
        asked = next((item for item in reversed(context) if item.role == "user"), None)
        if asked is None:
            return Reply(text=self._greeting)
        text = asked.text
        if asked.heard is not None:
            # Others wait for the words, too, also when this response is cancelled.
            heard = await asyncio.shield(asked.heard)
            text = heard or text
        return self._script.reply_to(text)

    def allowed(
        self, reply: Reply, tools: Iterable[Mapping[str, Any]], choice: Any, parallel: bool
    ) -> Reply:
        """The reply, with calls only of tools that the model was given."""
        names = [str(tool["name"]) for tool in tools if tool.get("type") == "function"]
        if isinstance(choice, Mapping):
            choice = choice["name"] if choice.get("type") == "function" else "auto"
        return allowed(reply, names, choice=str(choice), parallel=parallel)

    def called(self, call_id: str, reply: Reply) -> None:
        """A call of that reply was made."""
        self._then[call_id] = reply.then
        if len(self._then) > MAX_CALLS:
            del self._then[next(iter(self._then))]


def _trailing_outputs(context: Sequence[Item]) -> list[Item]:
    """The results of tools that came after all else, in their order."""
    found: list[Item] = []
    for item in reversed(context):
        if item.type == "function_call_output":
            found.insert(0, item)
        elif (item.type == "message" and item.role != "system") or (
            item.type == "function_call" and found
        ):
            break
    return found


def pieces_of(arguments: str) -> list[str]:
    """The text of a call's arguments as it is streamed: in two pieces, if it has that many characters."""
    middle = len(arguments) // 2
    return [piece for piece in (arguments[:middle], arguments[middle:]) if piece] or [
        json.dumps({})
    ]
