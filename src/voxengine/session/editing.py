"""What the application changes while the conversation goes on: items of the log, settings, tools, formats."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from voxengine.config import VoiceEngineConfig
from voxengine.conversation import Conversation, Item
from voxengine.errors import ConfigurationError, MessageError, VoiceEngineError
from voxengine.session import effects as fx
from voxengine.session.core import SessionCore
from voxengine.session.hedging import Hedge
from voxengine.session.leg import Leg
from voxengine.session.replay import TurnAudio
from voxengine.session.tools import Tool, Toolbox
from voxengine.session.uplink import Uplink
from voxengine.session.wishes import check_wishes

__all__ = ["Editor", "Owner"]

#: Settings that a single response may have.
OVERRIDES = ("voice", "tools", "tool_choice", "max_response_tokens", "temperature")
#: Those of which None is a value: there is no limit, whatever that of the session is.
_UNLIMITED = frozenset({"max_response_tokens"})
#: Seconds that a response with settings of its own may take, before the session has its own again.
RESPONSE_BUDGET = 120.0
_FORMATS = ("input_format", "output_format")


class Owner(Protocol):
    """What it needs of the session."""

    config: VoiceEngineConfig
    core: SessionCore
    conversation: Conversation

    @property
    def current_leg(self) -> Leg | None:
        """The leg at work, in whatever state."""

    @property
    def leg(self) -> Leg:
        """The leg at work; raises where there is none."""

    def apply(self, command: fx.Command) -> None:
        """Give the core a command."""

    async def command(self, command: fx.Command) -> None:
        """As `apply`, and wait until the provider has taken it."""

    async def call(self, call: Callable[[Leg], Awaitable[Any]]) -> Any:
        """Make a call to the provider, in its turn."""

    async def update(self, settings: dict[str, Any], kept: dict[str, Any]) -> None:
        """Change settings of the provider."""

    async def change_settings(self, leg: Leg, settings: dict[str, Any]) -> bool:
        """Change settings of the provider; False: another connection is needed that begins with them."""

    async def renewed(self) -> None:
        """Wait for that connection, if one is coming."""

    async def quiet_moment(self, when: str, budget: float) -> bool:
        """Wait for it; whether it came."""


class Editor:
    """One for each session."""

    def __init__(
        self, owner: Owner, tools: Toolbox, hedge: Hedge, audio: TurnAudio, uplink: Uplink
    ) -> None:
        self._owner = owner
        self._tools = tools
        self._hedge = hedge
        self._audio = audio
        self._uplink = uplink
        #: Held while the provider's settings are those of one response.
        self._overriding = asyncio.Lock()
        self._restoring: set[asyncio.Task[None]] = set()

    def close(self) -> set[asyncio.Task[None]]:
        """The session ends; returns the tasks that have yet to."""
        for task in self._restoring:
            task.cancel()
        return set(self._restoring)

    # -- items of the log

    async def add_item(self, item: Item, after: str | None) -> None:
        """Put an item in.

        Raises:
            MessageError: it cannot be put in. ProviderError: the provider did not take it.
        """
        self._check(item, after)
        item.status = "completed"
        try:
            await self._owner.command(fx.AddItem(item, after))
        except VoiceEngineError:
            self._owner.apply(fx.DeleteItem(item.id))
            raise

    def _check(self, item: Item, after: str | None) -> None:
        log = self._owner.conversation
        if not item.id:
            raise MessageError("an item that is put in has an id", code="invalid_value")
        if item.id in log:
            raise MessageError(f"there is an item {item.id!r} already", code="item_exists")
        if after and after not in log:
            raise MessageError(f"there is no item {after!r}", code="item_not_found")
        if item.kind == "message" and not item.text.strip():
            raise MessageError("a message that is put in has a text", code="invalid_value")
        if item.kind == "message" and item.role not in ("user", "assistant", "system"):
            raise MessageError(f"nobody has the role {item.role!r}", code="invalid_value")
        if item.kind != "message" and not item.call_id:
            raise MessageError(f"a {item.kind} names its call", code="invalid_value")
        if item.kind == "function_call" and not item.name:
            raise MessageError("a function_call names its tool", code="invalid_value")

    async def delete_item(self, item_id: str) -> None:
        """Take an item out.

        Raises:
            MessageError: there is none.
        """
        self._known(item_id)
        await self._owner.command(fx.DeleteItem(item_id))

    async def truncate_item(self, item_id: str, audio_ms: float) -> None:
        """Shorten an item of the assistant to what was heard.

        Raises:
            MessageError: there is none, or it has no such audio.
        """
        core = self._owner.core
        was_cut = core.cut_out.get(item_id)
        item = was_cut[0] if was_cut is not None else self._known(item_id)
        if item.kind != "message" or item.role != "assistant" or not item.audio_ms:
            raise MessageError(
                "only speech of the assistant can be truncated", code="invalid_value"
            )
        if audio_ms < 0:
            raise MessageError("what was heard is at least 0 ms", code="invalid_value")
        core.book(asyncio.get_running_loop().time())
        if int(audio_ms) > item.audio_ms:
            raise MessageError(
                f"Audio content of {int(item.audio_ms)}ms is already shorter than {int(audio_ms)}ms",
                code="invalid_value",
            )
        await self._owner.command(fx.TruncateItem(item_id, audio_ms))

    def _known(self, item_id: str) -> Item:
        item = self._owner.conversation.get(item_id)
        if item is None or (item.role == "user" and item.status == "in_progress"):
            raise MessageError(f"there is no item {item_id!r}", code="item_not_found")
        return item

    # -- responses

    async def create_response(
        self,
        modalities: tuple[str, ...] | None,
        instructions: str | None,
        overrides: Mapping[str, Any],
    ) -> None:
        """Ask for a response, with settings of its own.

        Raises:
            ConfigurationError: there is no such setting. UnsupportedFeatureError: the provider cannot change it.
        """
        wanted = {n: v for n, v in overrides.items() if v is not None or n in _UNLIMITED}
        unknown = sorted(wanted.keys() - set(OVERRIDES))
        if unknown:
            raise ConfigurationError(
                f"a response has no setting {unknown[0]!r}; it has {', '.join(OVERRIDES)}"
            )
        if "tools" in wanted:
            wanted["tools"] = self._tools.lend(wanted["tools"])
            self.tools_changed()
        leg = self._owner.current_leg
        native = leg is None or wanted.keys() <= set(leg.provider.capabilities.response_overrides)
        command = fx.CreateResponse(modalities, instructions, wanted if native and wanted else None)
        if native:
            await self._owner.command(command)
        else:
            await self._respond_otherwise(command, wanted)

    async def _respond_otherwise(self, command: fx.CreateResponse, wanted: dict[str, Any]) -> None:
        """Change the session's settings, ask, and change them back when the response has ended."""
        await self._overriding.acquire()
        try:
            settings, before = self._as_settings(wanted)
            await self._owner.quiet_moment("no_response", RESPONSE_BUDGET)
            if settings:
                await self._change(settings)
            try:
                await self._owner.command(command)
            except BaseException:
                if settings:
                    await self._change(before)
                raise
        except BaseException:
            self._overriding.release()
            raise
        task = asyncio.get_running_loop().create_task(
            self._restore(before), name="voxengine-restore-settings"
        )
        self._restoring.add(task)
        task.add_done_callback(self._restored)

    def _as_settings(self, wanted: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the session is to be changed to, and back."""
        provider, config = self._owner.leg.provider, self._owner.config
        settings = dict(wanted)
        choice = settings.get("tool_choice")
        if (
            choice in ("auto", "none")
            and "tool_choice" not in provider.capabilities.session_options
        ):
            del settings["tool_choice"]
            if choice == "none":
                settings["tools"] = []
        elif choice is not None and "tool_choice" not in provider.capabilities.session_options:
            raise provider.unsupported("a choice of the tool")
        before: dict[str, Any] = {}
        for name in settings:
            if name == "tools":
                before[name] = self._tools.schemas()
            elif name == "tool_choice":
                before[name] = provider.config.option(name, "auto")
            else:
                before[name] = getattr(config, name)
        return settings, before

    async def _change(self, settings: dict[str, Any]) -> None:
        await self._owner.call(lambda leg: leg.provider.update_session(**settings))

    async def _restore(self, before: dict[str, Any]) -> None:
        with contextlib.suppress(VoiceEngineError):  # the next connection has the session's own
            await self._owner.quiet_moment("no_response", RESPONSE_BUDGET)
            if before:
                await self._change(before)

    def _restored(self, task: asyncio.Task[None]) -> None:
        self._restoring.discard(task)
        self._overriding.release()

    # -- settings

    async def update(self, settings: dict[str, Any], kept: dict[str, Any]) -> None:
        """Change settings; those that are `kept` are of the configuration.

        Raises:
            ConfigurationError, UnsupportedFeatureError: the provider cannot work with them.
        """
        owner = self._owner
        leg = owner.current_leg
        if leg is not None:
            check_wishes(leg.provider, owner.config.with_changes(**kept), kept)
        formats = {name: kept[name] for name in _FORMATS if name in kept}
        others = {name: value for name, value in settings.items() if name not in formats}
        if others:
            rest = {name: value for name, value in kept.items() if name not in formats}
            await owner.update(others, rest)
            owner.apply(
                fx.Configured(
                    auto_response=kept.get("auto_response"),
                    interruptions=kept.get("interruptions"),
                )
            )
        if formats:
            await owner.call(partial(self._change_formats, formats))

    async def _change_formats(self, formats: dict[str, Any], leg: Leg) -> None:
        """In its turn with all else that is said to the provider, which hears and speaks as it did before."""
        owner = self._owner
        config = owner.config.with_changes(**formats)
        self._audio.change_format(config.input_format)
        owner.config = config
        self._uplink.format = config.input_format
        leg.change_formats(config.input_format, config.output_format)
        self._uplink.renew()
        owner.apply(fx.Configured(new_format=True))
        if self._hedge.on:
            self._hedge.begin(config)

    # -- tools

    async def set_tools(self, tools: Sequence[Tool], declared: Sequence[dict[str, Any]]) -> None:
        """Offer these tools and no others; `declared` are schemas of some that have no function.

        Raises:
            UnsupportedFeatureError: the provider knows no tools.
        """
        provider = self._owner.leg.provider
        if (tools or declared) and not provider.capabilities.tools:
            raise provider.unsupported("tools")
        before = self._tools.offered
        self._tools.replace(tools, declared)
        self.tools_changed()
        schemas = self._tools.schemas()
        try:
            if provider.capabilities.tools:
                await self._offer(schemas)
        except VoiceEngineError:
            self._tools.replace(*before)
            self.tools_changed()
            raise
        if self._hedge.on:
            self._hedge.begin(self._owner.config)

    async def _offer(self, schemas: list[dict[str, Any]]) -> None:
        owner = self._owner

        async def change(leg: Leg) -> None:
            if not await owner.change_settings(leg, {"tools": schemas}):
                owner.apply(fx.Configured(stale=True))

        await owner.call(change)
        await owner.renewed()

    def tools_changed(self) -> None:
        """Others are registered than before."""
        self._owner.apply(fx.Configured(silent_tools=self._tools.silent))
