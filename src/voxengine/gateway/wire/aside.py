"""Responses outside of the conversation, and those with a context of their own.

Each has an engine of its own, with what the call's is set to: it is told the context, asked once, and closed. What it
says is never in the log, unless the client gave only the context and wants the answer in the conversation. What it
costs is booked to the call.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.config import VoiceEngineConfig
from voxengine.conversation import Conversation, Item
from voxengine.engine import VoiceEngine
from voxengine.errors import VoiceEngineError
from voxengine.gateway.wire.ends import end_of, failed
from voxengine.gateway.wire.functions import client_tool
from voxengine.gateway.wire.given import item_of
from voxengine.gateway.wire.plan import Plan
from voxengine.gateway.wire.response import Response
from voxengine.realtime import schema
from voxengine.realtime.errors import Complaint

if TYPE_CHECKING:
    from voxengine.gateway.wire.items import Items, Talk

__all__ = ["Asides"]

logger = logging.getLogger("voxengine.gateway")

#: Such responses that may be under way at a time.
MOST = 4
#: Seconds that one may take, from the connection to its end.
BUDGET = 120.0


class Asides:
    """Those of one client that are under way."""

    def __init__(self, session: Talk, items: Items) -> None:
        self._session = session
        self._items = items
        self._open: dict[str, _Aside] = {}

    def begin(self, plan: Plan, given: Sequence[Any] | None) -> None:
        """Begin one. `given` is its context in the client's form; None is the conversation as it stands.

        Raises:
            Complaint: there are too many, or its context cannot be told.
        """
        if len(self._open) >= MOST:
            raise Complaint("Too many responses are in progress.", "rate_limit_exceeded")
        if self._session.rtc and plan.modality == "audio":
            raise Complaint(
                "Only the conversation is heard here: a response with a context of its own is one of text.",
                "unsupported_parameter",
                "response.output_modalities",
            )
        log = self._session.call.engine.conversation
        context = _copies(log) if given is None else self._context(given)
        provider = self._session.call.engine.provider
        if context and provider is not None and provider.capabilities.history == "none":
            raise Complaint(
                "The provider of this session cannot be told a context: 'input' has to be [].",
                "unsupported_parameter",
                "response.input",
            )
        aside = _Aside(self._session, self._items, plan, context)
        self._open[aside.response.id] = aside
        aside.task.add_done_callback(lambda _: self._open.pop(aside.response.id, None))

    def _context(self, given: Sequence[Any]) -> list[Item]:
        """Raises: Complaint: an item does not fit, or there is none of that id."""
        log = self._session.call.engine.conversation
        items: dict[str, Item] = {}
        for i, value in enumerate(given):
            at = f"response.input[{i}]"
            if isinstance(value, schema.ItemReference):
                found = log.get(value.id)
                if found is None:
                    raise Complaint(
                        f"Item with id '{value.id}' does not exist.", "item_not_found", f"{at}.id"
                    )
                item = _copy(found)
            else:
                own = getattr(value, "id", msgspec.UNSET)
                item_id = self._session.new_id("item") if own is msgspec.UNSET else str(own)
                item = item_of(value, item_id, self._session.new_id, at)
                if item.kind == "message" and not item.text:
                    raise Complaint(
                        "An item of the input has a text, or speech with its transcript.",
                        "unsupported_content",
                        f"{at}.content",
                    )
            if item.id in items:
                raise Complaint(
                    f"Item with id '{item.id}' already exists.", "item_already_exists", f"{at}.id"
                )
            items[item.id] = item
        return list(items.values())

    @property
    def joined(self) -> Response | None:
        """The one under way whose answer joins the conversation."""
        return next((a.response for a in self._open.values() if a.joins and not a.over), None)

    def cancel(self, response_id: str | None, details: dict[str, Any]) -> bool:
        """Call off one of them, or without an id the one that joins the conversation; False if there is none."""
        joined = self.joined
        if response_id is None and joined is not None:
            response_id = joined.id
        found = self._open.get(response_id or "")
        return found is not None and found.stop("cancelled", details)

    def interrupt(self, details: dict[str, Any]) -> None:
        """The user speaks: what joins the conversation is cut short."""
        joined = self.joined
        if joined is not None:
            self._open[joined.id].stop("cancelled", details)

    def close(self) -> None:
        """The client is gone."""
        for aside in list(self._open.values()):
            aside.stop("cancelled", {"type": "cancelled"})


class _Aside:
    """One of them; it begins when it is made."""

    def __init__(self, session: Talk, items: Items, plan: Plan, context: list[Item]) -> None:
        self._session = session
        self._items = items
        self._plan = plan
        self._ids: dict[str, str] = {}
        self.joins = plan.conversation_id is not None
        self._call_engine = session.call.engine
        self._conversation = Conversation()
        #: A text that is said, so that it is answered as one, where what is told at the beginning is only known.
        self._said = context.pop() if self._has_text_to_say(context) else None
        for item in context:
            self._conversation.add(item)
        self.response = Response(
            session.new_id("resp"),
            plan,
            session.outbox,
            None,
            silent=session.rtc,
            item_id=self._told_id,
        )
        self._end: asyncio.Future[tuple[str, dict[str, Any] | None]] = (
            asyncio.get_running_loop().create_future()
        )
        self.task = asyncio.get_running_loop().create_task(
            self._run(), name=f"voxengine-{self.response.id}"
        )

    @property
    def over(self) -> bool:
        """Whether its end was told, or is about to be."""
        return self._end.done()

    def stop(self, status: str, details: dict[str, Any] | None) -> bool:
        """End it; False if it has ended already."""
        if self._end.done():
            return False
        self._end.set_result((status, details))
        return True

    async def _run(self) -> None:
        engine: VoiceEngine | None = None
        try:
            async with asyncio.timeout(BUDGET):
                engine = VoiceEngine(self._config(), conversation=self._conversation)
                engine.on("*", self._on_event)
                await self._until_end(self._ask(engine))
        except TimeoutError:
            self.stop("failed", failed("timeout", f"the response took longer than {BUDGET:g} s"))
        except Complaint as complaint:
            self.stop("failed", failed(complaint.code or "invalid_value", str(complaint)))
        except VoiceEngineError as failure:
            self.stop("failed", failed(getattr(failure, "code", "provider_error"), str(failure)))
        except Exception as failure:
            logger.error("a response beside the conversation failed", exc_info=failure)
            self.stop("failed", failed("server_error", "The server had an error."))
        finally:
            self.stop("cancelled", {"type": "cancelled"})
            try:
                await self._finish()
            finally:
                if engine is not None:
                    await engine.disconnect()

    async def _until_end(self, asking: Any) -> None:
        """Ask, and wait until it has ended, or is called off."""
        task = asyncio.ensure_future(asking)
        try:
            await asyncio.wait({task, self._end}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                await task
                await asyncio.shield(self._end)
        finally:
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, VoiceEngineError):
                    await task

    async def _ask(self, engine: VoiceEngine) -> None:
        own = self._plan.overrides.get("tools")
        tools = self._session.settings.values["tools"] if own is None else ()
        await engine.set_tools(own or [client_tool(tool) for tool in tools])
        await engine.connect()
        if self._said is not None:
            await engine.add_item(self._said)
        choice = self._plan.overrides.get("tool_choice")
        overrides = {"tool_choice": choice} if choice is not None else None
        await engine.create_response(instructions=self._plan.instructions, overrides=overrides)

    def _has_text_to_say(self, context: list[Item]) -> bool:
        provider, last = self._call_engine.provider, context[-1] if context else None
        if provider is None or last is None or last.role != "user" or not last.text:
            return False
        can = provider.capabilities
        return can.history != "items" and can.text_input and self._plan.instructions is None

    def _config(self) -> VoiceEngineConfig:
        plan, config = self._plan, self._call_engine.config
        own = {
            name: value
            for name, value in plan.overrides.items()
            if name in ("voice", "max_response_tokens")
        }
        provider = self._call_engine.provider
        writes = provider is None or provider.capabilities.text_output
        if plan.modality == "text" and writes:
            own["modalities"] = ["text"]
        elif plan.modality == "audio":
            own["modalities"] = ["audio"]
        return config.with_changes(
            **own,
            mode="big",
            output_format=plan.format,
            turn_options={},
            reconnect_timeout=0.0,
            fallback=[],
            hedge=None,
            economy=None,
            warm_standby=False,
            max_cost=None,
            max_duration=None,
            apology=None,
            goodbye=None,
        )

    # -- what its engine tells

    def _on_event(self, event: ev.ProviderEvent) -> None:
        if isinstance(event, ev.UsageUpdated):
            self.response.used(event)
            self._book(event)
        if self._end.done():
            return
        response = self.response
        match event:
            case ev.TextOutput():
                response.words(event)
            case ev.AudioOutputStarted(item_id=str(item_id)):
                response.begin(item_id, event.response_id)
            case ev.AudioOutputChunk():
                format = AudioFormat(event.encoding, event.sample_rate)
                response.audio(event, format.duration_ms(len(event.audio_data)))
            case ev.FunctionInvoked():
                item_id = event.item_id or event.call_id
                call_id = self._session.new_id("call")
                response.call(item_id, call_id, event.name, event.arguments)
            case ev.ResponseCompleted() | ev.ResponseCancelled() | ev.ResponseError():
                self.stop(*end_of(event))
            case ev.ErrorGeneral() if not response.items:
                self.stop("failed", failed(event.code, event.error or event.code))
            case ev.ConnectionLost() | ev.ConversationEnded():
                self.stop("failed", failed("connection", "the connection was lost"))

    def _book(self, event: ev.UsageUpdated) -> None:
        with contextlib.suppress(VoiceEngineError):  # the call has ended before this
            self._call_engine.book(msgspec.structs.replace(event, response_id=self.response.id))

    # -- the end

    async def _finish(self) -> None:
        status, details = self._end.result()
        self.response.end_message("completed" if status == "completed" else "incomplete")
        if self.joins:
            for value in self.response.wire()["output"]:
                await self._join(value)
        self.response.finish(status, details)

    async def _join(self, value: dict[str, Any]) -> None:
        """Put an item of the output into the conversation."""
        item = Item(id=value["id"], role="assistant")
        if value["type"] == "function_call":
            item.kind = "function_call"
            item.call_id, item.name = value["call_id"], value["name"]
            item.arguments = value["arguments"]
        else:
            part = value["content"][0]
            item.text = part.get("transcript") or part.get("text") or ""
            self._items.keep_content(item.id, value["content"])
        with contextlib.suppress(VoiceEngineError):  # there was not a word, or the call has ended
            await self._call_engine.add_item(item)

    def _told_id(self, item_id: str) -> str:
        if item_id not in self._ids:
            self._ids[item_id] = self._session.new_id("item")
        return self._ids[item_id]


def _copies(log: Conversation) -> list[Item]:
    return [_copy(item) for item in log if item.text or item.kind != "message"]


def _copy(item: Item) -> Item:
    return msgspec.structs.replace(item, spans=list(item.spans))
