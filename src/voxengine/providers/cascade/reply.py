"""One response: the brain's stream becomes sentences, the sentences become speech, calls of tools are waited for.

Two coroutines share the work, so that the first sentence is spoken while the brain still writes: one reads the brain
and cuts its text into units, the other says them. Between them is a short queue, which is also what holds a fast brain
back. A voice that streams is given words instead of sentences, and speaks them in its own time; only its last words
are waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from voxengine import events as ev
from voxengine.errors import ProviderError
from voxengine.providers.cascade.memory import Entry, Memory
from voxengine.providers.cascade.parts import (
    BrainEvent,
    BrainText,
    BrainToolCall,
    BrainUsage,
    ToolCall,
    ToolSpec,
)
from voxengine.providers.cascade.recital import Recital
from voxengine.providers.cascade.sentences import SentenceSplitter
from voxengine.providers.cascade.settings import CascadeSettings
from voxengine.providers.cascade.speaking import Mouth, SpokenItem
from voxengine.providers.cascade.watch import as_provider_error, watched, within
from voxengine.providers.cascade.wording import Phrase, Wording

__all__ = ["Reply", "ReplyTools"]

#: Sentences that the brain may be ahead of the voice, and phrases.
_UNITS_AHEAD = 32
_PHRASES_AHEAD = 1024
#: Sentences in a row that may fail to be spoken before the response is given up.
_MAX_SILENT = 2


@dataclass(slots=True)
class ReplyTools:
    """What a reply works with.

    Attributes:
        ask: the brain's answer to the conversation so far; the argument is the tools it may call.
        ready: waits until the conversation is complete; False if there is nothing to answer.
        done: told the error when the response has ended by itself, None if it went well.
        emit: takes the class of an event and its fields.
        used: takes what the brain says about its costs.
        new_id: makes the id of the next item.
        silent: names of the tools whose results are not waited for.
    """

    ask: Callable[[Sequence[ToolSpec]], AsyncIterator[BrainEvent]]
    ready: Callable[[], Awaitable[bool]]
    done: Callable[[Reply, ProviderError | None], None]
    emit: Callable[..., None]
    used: Callable[[BrainUsage], None]
    new_id: Callable[[], str]
    memory: Memory
    mouth: Mouth
    settings: CascadeSettings
    tools: Sequence[ToolSpec] = ()
    silent: frozenset[str] = frozenset()


#: A sentence, or words for a voice that streams, or a call.
_Line: TypeAlias = str | Phrase | ToolCall


@dataclass(slots=True)
class _Lines:
    """What is to be said next, in order: units of text and calls; the end is known as soon as it is written."""

    limit: int
    items: deque[_Line] = field(default_factory=deque)
    ended: bool = False
    #: Nobody is there to say it.
    left: bool = False
    failure: Exception | None = None
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    async def put(self, item: _Line) -> None:
        while len(self.items) >= self.limit:
            self._moved.clear()
            await self._moved.wait()
        self.items.append(item)
        self._moved.set()

    def end(self, failure: Exception | None = None) -> None:
        self.ended, self.failure = True, failure
        self._moved.set()

    def leave(self) -> None:
        """No more is taken."""
        self.left = True
        self._moved.set()

    async def take(self) -> _Line | None:
        """The next one, None at the end."""
        while self.left or not self.items:
            if self.left or self.ended:
                return None
            self._moved.clear()
            await self._moved.wait()
        item = self.items.popleft()
        self._moved.set()
        return item

    def no_more_text(self) -> bool:
        """Whether it is certain that no text follows in this round."""
        return isinstance(self.items[0], ToolCall) if self.items else self.ended


class Reply:
    """A response under way. `run` is its life; cancel the task that runs it to stop it."""

    def __init__(self, id: str, with_: ReplyTools, *, aloud: bool = True) -> None:
        self.id = id
        #: Whether it is spoken, or only written.
        self.aloud = aloud
        #: Ids of its items that have words.
        self.items: list[str] = []
        self._with = with_
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._stages: set[str] = set()
        self._silent = 0
        self._spoken_ms = 0.0
        self._failed: ProviderError | None = None
        #: Whether its words go to a voice that streams, and what that is saying.
        self._streams = aloud and with_.mouth.streaming is not None
        self._recital: Recital | None = None
        self._has_output = False
        self._stopped = False

    def stop(self) -> None:
        """From now on nothing is told any more, whatever still has to be cancelled."""
        self._stopped = True
        if self._recital is not None:
            self._recital.mute()

    def _emit(self, kind: type[ev.ProviderEvent], **fields: Any) -> None:
        if not self._stopped:
            self._with.emit(kind, **fields)

    async def run(self) -> None:
        """Answer. Ends with `done`, unless it is cancelled."""
        failure: ProviderError | None = None
        try:
            if not await self._with.ready():
                self._emit(
                    ev.ResponseCompleted,
                    response_id=self.id,
                    status="incomplete",
                    reason="no_speech",
                )
                self._with.done(self, None)
                return
            await self._rounds()
        except Exception as error:
            failure = as_provider_error(error, "the response")
        if failure is not None:
            self._emit(
                ev.ResponseError,
                response_id=self.id,
                code=failure.code,
                retryable=failure.retryable,
                error=str(failure),
            )
        else:
            self._emit(ev.ResponseCompleted, response_id=self.id)
        self._with.done(self, failure)

    async def _rounds(self) -> None:
        limit = self._with.settings.tool_rounds
        for n in range(limit + 1):
            # In the last round the brain has no tools, so that it has to say something.
            calls = await self._round(self._with.tools if n < limit else ())
            if not calls:
                break
            await self._results(calls)
        else:
            raise ProviderError(
                f"the brain called tools {limit + 1} times in a row", code="tool_loop"
            )
        if not self._has_output:
            raise ProviderError("the brain said nothing", code="empty_response", retryable=True)
        if self._failed is not None and not self._spoken_ms:
            raise self._failed

    async def _round(self, tools: Sequence[ToolSpec]) -> list[ToolCall]:
        """One answer of the brain; returns the calls in it."""
        lines = _Lines(_PHRASES_AHEAD if self._streams else _UNITS_AHEAD)
        reader = asyncio.ensure_future(self._read(lines, tools))
        try:
            calls = await self._perform(lines)
        finally:
            if not reader.done():
                reader.cancel()
                # Its stream closes in bounded time; nothing is left running when a reply is over.
                await asyncio.wait((reader,))
        if lines.failure is not None:
            raise lines.failure
        return calls

    # -- reading the brain

    async def _read(self, lines: _Lines, tools: Sequence[ToolSpec]) -> None:
        """Never raises: a failure comes at the end of the lines, behind what was said before it."""
        settings = self._with.settings
        splitter = Wording() if self._streams else SentenceSplitter()
        try:
            stream = watched(
                self._with.ask(tools),
                first=settings.first_token_timeout,
                between=settings.token_timeout,
                what="the brain",
            )
            async with contextlib.aclosing(stream) as answer:
                async for event in answer:
                    for line in self._lines_of(event, splitter):
                        await lines.put(line)
            for unit in splitter.flush():
                await lines.put(unit)
            if self._streams:
                self._stage("last_token")
            lines.end()
        except Exception as failure:
            # What was not a whole sentence yet is not said.
            lines.end(as_provider_error(failure, "the brain"))

    def _lines_of(self, event: BrainEvent, splitter: SentenceSplitter | Wording) -> Sequence[_Line]:
        match event:
            case BrainText(text):
                if not text:
                    return []
                self._stage("first_token")
                return splitter.feed(text)
            case BrainToolCall(call):
                self._stage("first_token")
                return [*splitter.flush(), call]
            case BrainUsage():
                self._with.used(event)
                return []
        raise ProviderError(
            f"the brain gave {type(event).__name__}, which is no event of a brain",
            code="bad_response",
        )

    def _stage(self, name: str) -> None:
        if name not in self._stages:
            self._stages.add(name)
            self._emit(ev.TimingStage, stage=name, response_id=self.id)

    # -- saying it

    async def _perform(self, lines: _Lines) -> list[ToolCall]:
        """Say the lines and make the calls; returns the calls whose results this answer goes on with."""
        try:
            calls = await self._perform_all(lines)
            await self._finish_reciting()
            return calls
        finally:
            if self._recital is not None:
                await self._recital.close()
                self._recital = None

    async def _perform_all(self, lines: _Lines) -> list[ToolCall]:
        item: SpokenItem | None = None
        entry: Entry | None = None
        open_, called = False, False
        held: list[str | Phrase] = []
        calls: list[ToolCall] = []
        while (line := await lines.take()) is not None:
            if isinstance(line, ToolCall):
                await self._finish_reciting()
                entry = entry or self._with.memory.answer(self._with.new_id(), self.id)
                call = self._call(line, entry)
                called = True
                if call.name not in self._with.silent:
                    calls.append(call)
                continue
            if (item is None or called) and not _text(line).strip():
                held.append(line)  # white space alone is not yet an answer
                continue
            if item is None or called:
                # Words after a call are another item: they follow it.
                item, called = self._new_item(), False
                entry = item.entry
            line = _joined([*held, line])
            held.clear()
            if isinstance(line, Phrase):
                self._recite(item, line, lines)
            else:
                self._stage("first_sentence")
                open_ = not await self._say(item, line, lines)
        if open_ and item is not None:
            self._with.mouth.close_item(item)
        return calls

    def _new_item(self) -> SpokenItem:
        item_id = self._with.new_id()
        item = SpokenItem(item_id, self.id, self._with.memory.answer(item_id, self.id))
        self._with.mouth.open(item)
        self.items.append(item_id)
        return item

    async def _say(self, item: SpokenItem, text: str, lines: _Lines) -> bool:
        """Say a unit; returns whether the item was said to end with it."""
        was_last = False

        def last() -> bool:
            nonlocal was_last
            was_last = lines.no_more_text()
            return was_last

        self._has_output = True
        before = item.audio_ms
        failure = await self._with.mouth.say(
            item, text, aloud=self.aloud, last=last, first_audio=lambda: self._stage("first_audio")
        )
        self._spoken_ms += item.audio_ms - before
        if failure is None:
            self._silent = 0
            return was_last
        self._failed = failure
        self._silent += 1
        if self._silent >= _MAX_SILENT:
            raise failure
        self._emit(
            ev.SystemWarning,
            code="sentence_not_spoken",
            message=f"a sentence was not spoken: {failure}",
        )
        return was_last

    def _recite(self, item: SpokenItem, phrase: Phrase, lines: _Lines) -> None:
        """Give words to a voice that streams."""
        self._has_output = True
        if self._recital is None:
            self._recital = self._with.mouth.recite(
                item, first_audio=lambda: self._stage("first_audio"), failed=lines.leave
            )
        self._recital.say(phrase)
        if phrase.ends:
            self._stage("first_sentence")

    async def _finish_reciting(self) -> None:
        """Wait until the voice has given all that it was given."""
        if self._recital is not None:
            await self._recital.finish()
            self._recital = None

    # -- tools

    def _call(self, call: ToolCall, entry: Entry) -> ToolCall:
        call = self._with.memory.called(entry, call)
        self._has_output = True
        self._waiting[call.call_id] = asyncio.get_running_loop().create_future()
        self._emit(
            ev.FunctionInvoked,
            call_id=call.call_id,
            name=call.name,
            arguments=call.arguments,
            response_id=self.id,
        )
        return call

    def returned(self, call_id: str) -> None:
        """The result of a call is in the memory."""
        future = self._waiting.get(call_id)
        if future is not None and not future.done():
            future.set_result(None)

    async def _results(self, calls: Sequence[ToolCall]) -> None:
        waiting = [self._waiting[c.call_id] for c in calls]
        await within(asyncio.gather(*waiting), self._with.settings.tool_timeout, "a tool")


def _text(line: str | Phrase) -> str:
    return line if isinstance(line, str) else line.text


def _joined(lines: Sequence[str | Phrase]) -> str | Phrase:
    """Lines of one kind as one."""
    if isinstance(lines[-1], str):
        return "".join(map(_text, lines))
    words = [word for line in lines if isinstance(line, Phrase) for word in line.words]
    return Phrase(tuple(words), lines[-1].ends)
