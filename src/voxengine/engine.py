"""`VoiceEngine`: the one object that an application holds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

from voxengine.audio.sentence import SentenceLike
from voxengine.config import CHANGEABLE, VoiceEngineConfig
from voxengine.conversation import Conversation, Item
from voxengine.conversation.injection import Injection, InjectionPoint
from voxengine.errors import (
    ConfigurationError,
    MessageError,
    ProviderError,
    SessionClosedError,
)
from voxengine.events import (
    ErrorGeneral,
    EventBus,
    EventStream,
    EventType,
    Handler,
    ProviderEvent,
    Selector,
    Subscription,
    UsageUpdated,
)
from voxengine.events.bus import Filter
from voxengine.observe import Metrics
from voxengine.providers.base import BaseProvider, ConnectionState, Flag
from voxengine.session import Ledger, Session, Tool, Toolbox
from voxengine.session import effects as fx
from voxengine.session.chain import successor_config
from voxengine.session.moments import When, check_when
from voxengine.session.sentences import prepare

if TYPE_CHECKING:
    from voxengine.audio.portaudio import Device
    from voxengine.listen import Listening

__all__ = ["VoiceEngine"]

logger = logging.getLogger("voxengine")

_F = TypeVar("_F", bound=Callable[..., Any])

#: Seconds that handlers have at the end to work off their events.
DRAIN_BUDGET = 5.0
#: Characters that may be put in as one text.
MAX_TEXT = 100_000


class VoiceEngine:
    """A voice conversation with any provider.

    Use it as a context manager, or call `connect` and `disconnect`. Subscribe before or after connecting; what was
    subscribed and registered stays when the provider changes. The conversation stays too, also after `disconnect`: a
    later `connect` goes on with it.
    """

    def __init__(
        self,
        config: VoiceEngineConfig | None = None,
        *,
        conversation: Conversation | None = None,
        **settings: Any,
    ) -> None:
        """Make an engine from a configuration, or from its settings by name.

        `conversation` is one to go on with: the provider is told it on connecting.

        Raises:
            ConfigurationError: a setting is not allowed.
        """
        if config is not None and not isinstance(config, VoiceEngineConfig):
            raise ConfigurationError(
                f"an engine is made with a VoiceEngineConfig, not {type(config).__name__}"
            )
        if config is None:
            config = VoiceEngineConfig.load(**settings)
        elif settings:
            config = config.with_changes(**settings)
        #: What the application has chosen; after a failover another one is at work.
        self._config = config
        self._conversation = Conversation(os.urandom(4).hex())
        #: What was used and what it cost, while the conversation goes on.
        self.usage = Ledger(config.prices)
        self._bus = EventBus(self._handler_failed)
        self._tools = Toolbox(config.tool_timeout)
        self._metrics = Metrics(self._bus)
        self._session: Session | None = None
        if conversation is not None:
            self.conversation = conversation
        #: Held while a provider comes or goes.
        self._changing = asyncio.Lock()

    # -- the conversation

    @property
    def conversation(self) -> Conversation:
        """All that was said, heard and called. Before `connect` it may be replaced by another, to go on with that."""
        return self._conversation

    @conversation.setter
    def conversation(self, conversation: Conversation) -> None:
        if self._session is not None:
            raise ConfigurationError("a conversation is given before connect()")
        if not isinstance(conversation, Conversation):
            raise ConfigurationError(
                "a conversation is a Conversation, such as Conversation.from_json(text) gives, "
                f"not {type(conversation).__name__}"
            )
        self._conversation = conversation

    @property
    def config(self) -> VoiceEngineConfig:
        """The configuration at work: after a failover, that of the provider that took over."""
        return self._session.config if self._session is not None else self._config

    # -- life

    async def connect(self) -> bool:
        """Open the conversation. Without effect when it is open; when its provider was lost, connect that anew.

        While a lost connection is being restored, wait for that.

        Raises:
            ProviderError: the provider could not be connected; `code` says why.
            ConfigurationError, MissingDependencyError, ModelError: it could not even be made.
        """
        while (session := self._session) is not None and session.recovering:
            with contextlib.suppress(ProviderError, SessionClosedError):
                await session.recovered()
        async with self._changing:
            await self._connect(self._config)
        return True

    async def _connect(self, config: VoiceEngineConfig) -> None:
        if self._session is not None:
            if not self._session.core.connected and not self._session.recovering:
                await self._session.reopen(config)
            return
        session = Session(
            config,
            bus=self._bus,
            tools=self._tools,
            conversation=self._conversation,
            ledger=self.usage,
            hang_up=self.disconnect,
        )
        try:
            await session.open()
        except BaseException:
            await session.close()
            raise
        self._session = session

    async def disconnect(self, reason: str = "") -> None:
        """End the conversation, and every `async for` over its events. May be called again.

        Coroutine handlers have a few seconds to work off what is queued for them.
        """
        if self._session is not None:
            self._session.stop_waiting()  # or it would wait for the moment of a switch
        async with self._changing:
            session, self._session = self._session, None
            if session is None:
                return
            try:
                await session.close(reason)
            except BaseException:
                self._bus.close()
                raise
        try:
            await self._bus.drain(DRAIN_BUDGET)
        finally:
            self._bus.close()

    async def __aenter__(self) -> VoiceEngine:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.disconnect()

    # -- in

    async def send_audio(self, audio: bytes) -> None:
        """Send what the user's microphone heard: samples in `config.input_format`, best in frames of 20 to 100 ms.

        While a lost connection is being restored it is kept, and sent then.

        Raises:
            AudioError: it cannot be audio of that format; nothing was sent and the conversation goes on.
            SessionClosedError: not connected. ConnectionError: the provider is lost.
        """
        session = self._session
        if session is None:
            raise self._closed()
        waits = session.take_audio(audio)
        if waits is not None:
            await waits

    def take_audio(self, audio: bytes) -> Awaitable[None] | None:
        """As `send_audio`, without a coroutine where none is needed: returns what has to be awaited, if anything has.

        Raises (also out of what is returned):
            AudioError, SessionClosedError, ConnectionError: as of `send_audio`.
        """
        session = self._session
        if session is None:
            raise self._closed()
        return session.take_audio(audio)

    async def send_text(self, text: str, role: str = "user") -> None:
        """Put a text into the conversation. The user's is answered; that of "system" or "assistant" is only noted.

        Raises:
            MessageError: the text is empty or too long, or the role is unknown.
            UnsupportedFeatureError: the provider takes no text of this role.
            ProviderError: the provider did not take it.
        """
        _check_text(text)
        if role not in ("user", "system", "assistant"):
            raise MessageError(f"role {role!r} is unknown; it is 'user', 'system' or 'assistant'")
        session = self._open
        leg = session.current_leg or session.leg
        provider = leg.provider
        can = provider.capabilities
        if role == "user" and not can.text_input:
            raise provider.unsupported("texts of the user")
        if role != "user" and not (
            can.system_messages or (role == "assistant" and can.history == "items")
        ):
            raise provider.unsupported(f"texts of role {role!r} in mid-conversation")
        await session.command(fx.Text(text, role))

    def inject(
        self,
        text: str,
        role: str = "system",
        *,
        when: InjectionPoint = "now",
        priority: int = 0,
        ttl: float | None = None,
        key: str | None = None,
        condition: Callable[[Conversation], bool] | None = None,
        speak: bool = False,
        silence_s: float = 5.0,
    ) -> Injection:
        """Put a note into the conversation, now or at a later moment; `await` the handle to know what became of it.

        `when` is "now", "next_turn" (after the user's next turn, before its answer), "before_response",
        "after_response" or "on_silence" (nobody has spoken for `silence_s` seconds). With `speak` the assistant
        responds to it, or says it word for word where `role` is "assistant"; otherwise nothing is said because of it.
        Of those for one moment the one of the highest `priority` goes first; `ttl` is how many seconds it is worth
        waiting; a later note of the same `key` replaces one that waits; `condition` is asked when the moment comes.

        Raises:
            MessageError: the text is empty or too long, or an option makes no sense.
            SessionClosedError: not connected.
        """
        _check_text(text)
        return self._open.inject(
            text,
            role=role,
            when=when,
            priority=priority,
            ttl=ttl,
            key=key,
            condition=condition,
            speak=speak,
            silence_s=silence_s,
        )

    async def create_response(
        self,
        modalities: list[str] | None = None,
        *,
        instructions: str | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        """Ask for a response. While one is under way this waits for its end, or is met by it if nothing is new.

        `overrides` are settings for this response only: `voice`, `tools` (Tool objects or JSON schemas), `tool_choice`,
        `max_response_tokens` (None: without a limit), `temperature`. A provider that has no such thing has its session
        changed for as long as the response takes.

        Raises:
            UnsupportedFeatureError: the provider cannot change one of them.
        """
        await self._open.editor.create_response(
            tuple(modalities) if modalities else None, instructions, overrides or {}
        )

    # -- the log

    async def add_item(self, item: Item, *, after: str | None = None) -> None:
        """Put an item into the conversation under the id that it has; it is not answered by itself.

        A message of the user, the assistant or the system, a call of a tool, or the result of one. The result of a call
        that is still running is its result: its tool is stopped. `after` is the id of the item that it follows, "" puts
        it at the beginning; None at the end. A provider that takes no items is told in the next best way.

        Raises:
            MessageError: its id is there already (`item_exists`), there is no item `after` (`item_not_found`), or it
                has nothing in it. ProviderError: the provider did not take it; then it is not in the log either.
        """
        await self._open.editor.add_item(item, after)

    async def delete_item(self, item_id: str) -> None:
        """Take an item out of the conversation.

        A response that it is of goes on. A provider that cannot forget one thing is connected anew, at the next quiet
        moment, and told the rest.

        Raises:
            MessageError: there is none of that id (`item_not_found`).
        """
        await self._open.editor.delete_item(item_id)

    async def truncate_item(self, item_id: str, audio_ms: float) -> None:
        """Tell that of an item of the assistant only so much was heard: also of one that was cut elsewhere before.

        It is taken to play no more; its response goes on, and what is yet to come of it changes the log no more.

        Raises:
            MessageError: there is none (`item_not_found`), it has no speech, or less than that (`invalid_value`).
        """
        await self._open.editor.truncate_item(item_id, audio_ms)

    async def interrupt(self) -> None:
        """Stop what is being said or thought. Without any, nothing happens."""
        await self._open.command(fx.Interrupt())

    async def say(self, text: str) -> None:
        """Speak this text, word for word, instead of whatever is being said.

        Raises:
            MessageError: the text is empty or too long.
        """
        _check_text(text)
        await self._open.command(fx.Say(text))

    async def announce(self, sentence: SentenceLike) -> None:
        """Say something that no provider is needed for: the path of a WAV file, or a dict of `text` and `audio`.

        It plays after what has come so far, and is part of the conversation. Of an outage it need not wait for the end.

        Raises:
            ConfigurationError: it is no sentence, or its file cannot be used.
        """
        session = self._open
        ready = await asyncio.to_thread(prepare, sentence, session.config.output_format)
        session.announce(ready)

    async def generate_tts(self, text: str) -> None:
        """As `say`."""
        await self.say(text)

    async def commit_audio(self, item_id: str | None = None) -> None:
        """End the user's turn, where turn detection is "none". `item_id`: that of `hear_speech`, if that was told."""
        await self._open.commit_audio(item_id)

    def hear_speech(
        self, began: bool, item_id: str, *, audio_ms: float | None = None, lag_ms: float = 0.0
    ) -> None:
        """Tell that the user began to speak, or fell silent, where the application has a detector of its own.

        The effect is that of the provider's own detection: events, an item of this id, an answer that is cut short.
        For turn detection "none": `commit_audio(item_id)` ends the turn. `audio_ms` and `lag_ms` are as in the events.

        Raises:
            SessionClosedError: not connected.
        """
        self._open.apply(fx.HearSpeech(began, item_id, audio_ms, lag_ms))

    def hear_turn(
        self, item_id: str, *, audio_ms: float | None = None, duration_ms: float = 0.0
    ) -> None:
        """Tell that the user's turn is over whose audio is sent to the provider only later. It is not answered.

        What the provider will then tell of it belongs to the item of this id.

        Raises:
            SessionClosedError: not connected.
        """
        self._open.apply(fx.HearTurn(item_id, audio_ms, duration_ms))

    async def clear_audio(self) -> None:
        """Throw away audio that is not part of a turn yet."""
        await self._open.clear_audio()

    async def update_session(self, **settings: Any) -> None:
        """Change settings of the provider in mid-conversation: instructions, voice, temperature, ...

        Those that every provider has are also those of `config` from then on, and so of a later provider. A new
        `input_format` or `output_format` holds from the next audio on. `tools` replaces all tools, as `set_tools`;
        they may be functions or JSON schemas as well, and a schema of a registered tool leaves that as it is.

        Raises:
            ConfigurationError: a value is not allowed. ToolError: a tool cannot be described.
            UnsupportedFeatureError: the provider cannot work with such a setting.
        """
        if not settings:
            return
        session = self._open
        tools = settings.pop("tools", None)
        offered = None if tools is None else self._tools.resolved(tools)
        kept = {name: value for name, value in settings.items() if name in CHANGEABLE}
        changed = self._config.with_changes(**kept)  # raises where a value is not allowed
        for name in ("input_format", "output_format"):
            if name in kept:
                kept[name] = settings[name] = getattr(changed, name)
        if settings:
            await session.editor.update(settings, kept)
            self._config = changed
        if offered is not None:
            await session.editor.set_tools(*offered)

    async def set_tools(self, tools: Sequence[Tool]) -> None:
        """Offer these tools, and no others, to the provider at work and those that come later.

        Calls that are running go on.

        Raises:
            UnsupportedFeatureError: the provider knows no tools, or cannot change them.
        """
        if self._session is None:
            self._tools.replace(tools)
        else:
            await self._session.editor.set_tools(tools, ())

    async def switch_provider(
        self, name: str, config: VoiceEngineConfig | None = None, when: When = "now"
    ) -> None:
        """Go on with another provider, which is told the conversation so far. Before `connect`: begin with it.

        Without a configuration the present one is used, but for the key, the model and the provider's own settings; the
        voice becomes the other's nearest. `name` may be "provider/model" then.

        The other is connected first, and takes over at the moment that `when` names: at once, when the answer under way
        has come, or when it was heard as well and nobody speaks. A turn of the user's that has no answer yet is
        replayed to it. `provider_switched` tells what it was given.

        Raises:
            ProviderError: it could not be connected; then nothing has changed.
            ConfigurationError: there is no such moment, or a setting is not allowed.
        """
        check_when(when)
        changed = config.with_changes(provider=name) if config is not None else None
        config = changed or successor_config(self.config, name)
        async with self._changing:
            session = self._session
            if session is None:
                await self._connect(config)
                self._config = config
                return
            try:
                await session.switch(config, when)
            finally:  # it may be broken off after it was done
                if session.config is config:
                    self._config = config

    def acknowledge_playback(self, item_id: str, played_ms: float) -> None:
        """Tell how much of an item's audio the listener's device has really played, if you know better than a clock."""
        self._open.acknowledge(item_id, played_ms)

    def listen(
        self, *, device: Device = None, echo_cancellation: bool = True, frame_ms: int = 20
    ) -> Listening:
        """Talk by microphone and loudspeaker, with echo cancellation. Needs the `devices` extra, and to be connected.

        `async with engine.listen():` keeps them open for the block, `await engine.listen()` until the conversation is
        over.
        """
        from voxengine.listen import Listening

        return Listening(
            self,
            device=device,
            echo_cancellation=echo_cancellation,
            frame_ms=frame_ms,
            publish=self._bus.publish,
        )

    # -- tools

    @overload
    def tool(self, function: _F, /) -> _F: ...

    @overload
    def tool(
        self,
        function: None = None,
        /,
        *,
        name: str | None = None,
        description: str | None = None,
        parameters: dict[str, Any] | None = None,
        timeout: float | None = None,
        responds: bool = True,
    ) -> Callable[[_F], _F]: ...

    def tool(self, function: Any = None, /, **options: Any) -> Any:
        """Offer a function to the assistant: `@engine.tool`, or `@engine.tool(timeout=5)`.

        Its name, type hints and docstring describe it. It may be a plain function, which runs in a thread, or a
        coroutine function; the user's barge-in cancels it. Whatever it raises is told to the assistant. With
        `responds=False` its result is told and not answered until `create_response`; neither speech nor `interrupt`
        stops such a call.

        Raises:
            ToolError: the function cannot be described.
        """

        def register(target: _F) -> _F:
            self._tools.add(Tool(target, **options))
            if self._session is not None:
                self._session.editor.tools_changed()
                logger.warning(
                    "a tool added to an open conversation is told to the next provider only"
                )
            return target

        return register(function) if function is not None else register

    # -- out

    @overload
    def on(
        self,
        selector: Selector | Iterable[Selector],
        handler: Handler,
        *,
        filter: Filter | None = None,
        once: bool = False,
    ) -> Subscription: ...

    @overload
    def on(
        self,
        selector: Selector | Iterable[Selector],
        handler: None = None,
        *,
        filter: Filter | None = None,
        once: bool = False,
    ) -> Callable[[_F], _F]: ...

    def on(
        self,
        selector: Selector | Iterable[Selector],
        handler: Handler | None = None,
        *,
        filter: Filter | None = None,
        once: bool = False,
    ) -> Any:
        """Call a function with each event of a type, a pattern ("audio_*") or "*". Without one, a decorator.

        A plain function is called on the spot and should be quick; a coroutine function has a queue of its own.
        Returns the subscription, which `cancel` ends.
        """
        return self._bus.on(selector, handler, filter=filter, once=once)

    def events(self, *selectors: Selector, filter: Filter | None = None) -> EventStream:
        """`async for event in engine.events("audio_chunk", "text_chunk")`; all events without arguments.

        It sees what happens from this call on, and ends when the engine is disconnected.
        """
        return self._bus.stream(*selectors, filter=filter)

    def book(self, usage: UsageUpdated) -> None:
        """Count what was used for this conversation, and not by its provider at work: it is told, and costs, as that.

        Raises:
            SessionClosedError: not connected.
        """
        self._open.book(usage)

    async def get_usage(self) -> dict[str, Any]:
        """What was used so far: tokens, seconds, characters; in all, and by provider and model."""
        await self.usage.settle()
        return self.usage.as_dict()

    async def estimate_cost(self) -> float | None:
        """US dollars so far; None when a price is not known.

        Where the provider reports no usage, it is asked itself.
        """
        provider = self.provider
        if provider is None or not self.usage.empty:
            await self.usage.settle()
            return self.usage.cost
        return await provider.estimate_cost()

    def get_metrics(self) -> dict[str, Any]:
        """Counts of what happened, and the latencies of the turns (in mode "big")."""
        return {"provider": self.config.provider, "state": self.state, **self._metrics.as_dict()}

    @property
    def state(self) -> str:
        """disconnected, idle, listening (the user speaks), thinking, speaking, or closed."""
        return self._session.core.state if self._session is not None else "disconnected"

    @property
    def responding(self) -> bool:
        """Whether a response is due or under way, as far as it has not been sent whole: what still plays is not.

        One whose tools are running is, if it goes on by itself when they return.
        """
        return self._session is not None and self._session.core.owes_answer

    @property
    def response_id(self) -> str | None:
        """The id of the response that has begun and was not sent whole yet, None where there is none."""
        active = self._session.core.replies.active if self._session is not None else None
        return active.id if active is not None else None

    @property
    def connection_state(self) -> ConnectionState:
        """Where the connection to the provider stands."""
        if self.is_reconnecting:
            return ConnectionState.RECONNECTING
        provider = self.provider
        return provider.state if provider is not None else ConnectionState.DISCONNECTED

    @property
    def is_connected(self) -> Flag:
        """Whether there is a connection to the provider. May be read or called."""
        return Flag(self._session is not None and self._session.core.connected)

    @property
    def is_reconnecting(self) -> Flag:
        """Whether a lost connection is being restored. May be read or called."""
        return Flag(self._session is not None and self._session.recovering)

    @property
    def provider(self) -> BaseProvider | None:
        """The provider at work, for what only it can do."""
        leg = self._session.current_leg if self._session is not None else None
        return leg.provider if leg is not None else None

    def __repr__(self) -> str:
        return f"<VoiceEngine {self.config.provider!r} {self.state}>"

    # -- inside

    @property
    def _open(self) -> Session:
        if self._session is None:
            raise self._closed()
        return self._session

    def _closed(self) -> SessionClosedError:
        return SessionClosedError(
            "the engine is not connected; call connect(), or use 'async with'"
        )

    def _handler_failed(
        self, handler: Handler, event: ProviderEvent, failure: BaseException
    ) -> None:
        logger.error("a handler of %s failed: %r", event.type, handler, exc_info=failure)
        if event.type != EventType.ERROR_GENERAL:
            self._bus.publish(
                ErrorGeneral(
                    exception=failure,
                    error=f"a handler of {event.type} raised {type(failure).__name__}: {failure}",
                    code="handler",
                    timestamp=event.timestamp,
                    provider=event.provider,
                )
            )


def _check_text(text: Any) -> None:
    if not isinstance(text, str) or not text.strip():
        raise MessageError("a text that is put into the conversation is a string that is not empty")
    if len(text) > MAX_TEXT:
        raise MessageError(
            f"a text of {len(text)} characters is too long; at most {MAX_TEXT} are taken"
        )
    try:
        text.encode()
    except UnicodeEncodeError as failure:
        raise MessageError(f"the text holds what UTF-8 cannot: {failure}") from None
