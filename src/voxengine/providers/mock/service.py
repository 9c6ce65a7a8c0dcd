"""The mock's vendor: remembers, decides what to answer and when, keeps account of tool calls. It knows no connection.

What is called here never emits within the call: events come later on the loop, as a real vendor's do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.config import ProviderConfig
from voxengine.errors import MessageError, ProviderError
from voxengine.providers.mock.config import MockSettings
from voxengine.providers.mock.memory import Entry, Memory
from voxengine.providers.mock.meter import Meter
from voxengine.providers.mock.player import Player, Response
from voxengine.providers.mock.script import Reply, Script, ToolUse
from voxengine.providers.mock.wire import Wire

__all__ = ["Ids", "Vendor"]


class Ids:
    """Ids that no other mock on this event loop uses."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._count: dict[str, int] = {}

    def new(self, kind: str) -> str:
        """The next id of a kind of thing."""
        number = self._count[kind] = self._count.get(kind, 0) + 1
        return f"{self._prefix}_{kind}_{number}"


class _Call(msgspec.Struct):
    """A tool call that is out. All calls of one response share `group`; `then` is what the script says comes after."""

    id: str
    use: ToolUse
    group: list[_Call]
    then: Any = None
    output: str | None = None
    #: Its result is answered on request only.
    silent: bool = False


class Vendor:
    """One session at the vendor's. `script` gives the script that is valid at the moment."""

    def __init__(
        self,
        name: str,
        settings: MockSettings,
        config: ProviderConfig,
        wire: Wire,
        ids: Ids,
        memory: Memory,
        script: Callable[[], Script],
    ) -> None:
        self.name = name
        self._capabilities = settings.capabilities
        self._settings = settings
        self._config = config
        self._wire = wire
        self._script = script
        self.ids = ids
        self.memory = memory
        self.meter = Meter(settings.capabilities.usage_unit)
        self.player = Player(settings, config, wire, ids, memory, self.meter)
        self.player.call_tools = self._call_tools
        self.player.on_end = self._next
        self._waiting: deque[Callable[[], None]] = deque()
        self._calls: dict[str, _Call] = {}
        self._returned: list[_Call] = []

    # -- answers

    def remember(self, role: str, text: str) -> Entry:
        """Put a message into its memory."""
        return self.memory.add(Entry(id=self.ids.new("item"), role=role, text=text))

    def answer(self, entry: Entry, instructions: str | None = None, audio: bool = True) -> None:
        """Answer something that the user said, when the current response has ended."""
        self.meter.told(entry.text)
        told = self._script().find(instructions) if instructions else None
        self._when_free(
            lambda: self.player.begin(told or self._script().reply_to(entry.text), audio)
        )

    def say(self, text: str) -> None:
        """Speak a text word for word, when the current response has ended."""
        self._when_free(lambda: self.player.begin(Reply(text=text)))

    def respond(self, instructions: str | None, audio: bool) -> None:
        """Answer what there is to answer.

        Raises:
            MessageError: a response is active already.
        """
        if self.player.active is not None:
            raise self.refusal("a response is active already", "response_active")
        last, outputs = self.memory.last_of_user(), self.memory.unanswered_outputs()
        if self._returned:
            self._go_on(audio)
        elif last is not None and outputs:
            # It was told of calls that another session has made, and of their results.
            then = self._script().reply_to(last.text).then
            self.player.begin(self._script().after_tools(then, outputs), audio)
        elif last is not None:
            self.answer(last, instructions, audio)
        else:
            found = self._script().find(instructions) if instructions else None
            self.player.begin(found or Reply(text=self._settings.greeting), audio)

    def cancel(self, reason: str) -> None:
        """Call off the active response, and those that wait for its end."""
        self._waiting.clear()
        self.player.cancel(reason)

    def barge_in(self) -> None:
        """The user began to speak."""
        if self._settings.cancels_tools:
            for call in self._calls.values():
                self._wire.send(
                    ev.FunctionCancelled,
                    call_id=call.id,
                    name=call.use.name,
                    reason="turn_detected",
                )
            self._calls.clear()
        if self._capabilities.self_interrupting:
            self.cancel("turn_detected")

    def _when_free(self, begin: Callable[[], None]) -> None:
        if self.player.active is None:
            begin()
        else:
            self._waiting.append(begin)

    def _next(self) -> None:
        while self._waiting and self.player.active is None:
            self._waiting.popleft()()

    # -- tools

    def _call_tools(self, response: Response) -> None:
        tools, then = response.reply.tools, response.reply.then
        if len(tools) > 1 and not self._capabilities.parallel_tools:
            # One at a time: what follows the first result is the call of the next.
            rest = [{"name": t.name, "arguments": t.arguments} for t in tools[1:]]
            tools, then = tools[:1], {"tools": rest, "then": then}
        group: list[_Call] = []
        for use in tools:
            silent = use.name in self._silent()
            call = _Call(self.ids.new("call"), use, [] if silent else group, then, silent=silent)
            call.group.append(call)
            self._calls[call.id] = call
            entry = Entry(id=self.ids.new("item"), role="assistant", kind="function_call")
            entry.call_id, entry.name, entry.arguments = call.id, use.name, use.arguments
            self.memory.add(entry)
            self._wire.send(
                ev.FunctionInvoked,
                call_id=call.id,
                name=use.name,
                arguments=use.arguments,
                item_id=entry.id,
                response_id=response.id,
            )

    def _silent(self) -> set[Any]:
        tools = self._config.tools or () if self._capabilities.silent_results else ()
        return {tool.get("name") for tool in tools if tool.get("responds") is False}

    def tool_result(self, call_id: str, output: str) -> None:
        """A tool returned.

        Raises:
            MessageError: no call of that id is out.
        """
        call = self._calls.pop(call_id, None)
        if call is None:
            raise self.refusal(f"no call {call_id!r} is waiting for a result", "unknown_call")
        call.output = output
        entry = Entry(id=self.ids.new("item"), role="tool", kind="function_output", call_id=call_id)
        entry.output = output
        self.memory.add(entry)
        if all(c.output is not None for c in call.group):
            self._returned += call.group
            if self._capabilities.continues_after_tool and not call.silent:
                self._when_free(self._go_on)

    def _go_on(self, audio: bool = True) -> None:
        """Answer with what the tools returned, unless that was done already."""
        if self._returned:
            calls, self._returned = self._returned, []
            reply = self._script().after_tools(calls[-1].then, [c.output or "" for c in calls])
            self.player.begin(reply, audio)

    # -- else

    def truncate(self, item_id: str, heard_ms: float, heard_text: str) -> None:
        """Forget what was not heard of an item.

        Raises:
            MessageError: there is no such item of the assistant's, or it has less audio than that.
        """
        entry = self.memory.get(item_id)
        if entry is None or entry.role != "assistant":
            raise self.refusal(f"there is no item {item_id!r} of the assistant's", "item_not_found")
        # Half a millisecond, because positions are rounded on the way.
        if not 0 <= heard_ms <= entry.audio_ms + 0.5:
            text = f"audio content of {entry.audio_ms:g} ms is already shorter than {heard_ms:g} ms"
            raise self.refusal(text, "truncate_range")
        entry.heard_ms, entry.text = heard_ms, heard_text

    def refusal(self, message: str, code: str) -> MessageError:
        """The error for something that makes no sense at this point."""
        return MessageError(message, provider=self.name, code=code)

    def complain(self, error: ProviderError) -> None:
        """Report an error that belongs to no response."""
        self._wire.send(
            ev.ErrorGeneral, exception=error, code=error.code, recoverable=True, error=str(error)
        )
