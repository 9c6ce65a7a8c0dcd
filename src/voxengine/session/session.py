"""The runner: performs what the session core decides.

It owns the leg, the timers, the running tools and the ledger. Events of the provider come in by `_receive`, commands of
the application by `command`; both go through the core, and what the core answers is done here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from voxengine.audio.formats import check_audio
from voxengine.audio.playout import PlayoutClock
from voxengine.clock import Clock
from voxengine.config import VoiceEngineConfig
from voxengine.conversation import Conversation, Item
from voxengine.errors import AudioError, ConnectionError, SessionClosedError
from voxengine.events import (
    ConnectionClosed,
    ConnectionEstablished,
    ConnectionFailed,
    ConnectionLost,
    ConnectionStarting,
    ConversationStarted,
    ErrorGeneral,
    EventBus,
    EventType,
    ProviderEvent,
    SystemWarning,
    UsageUpdated,
)
from voxengine.session import effects as fx
from voxengine.session.core import CoreOptions, SessionCore
from voxengine.session.effects import PASS, Command, Effect
from voxengine.session.ledger import Ledger
from voxengine.session.leg import CLOSE_BUDGET, Leg
from voxengine.session.tools import Toolbox

__all__ = ["Session"]

#: Types of events that a mode keeps from the application. `fast` is the least work; `provider` adds nothing of ours.
HIDDEN: dict[str, frozenset[str]] = {
    "fast": frozenset(
        {
            EventType.TRANSCRIPT_PARTIAL,
            EventType.TRANSCRIPT_COMPLETED,
            EventType.TRANSCRIPT_FAILED,
            EventType.VAD_SPEECH_STARTED,
            EventType.VAD_SPEECH_ENDED,
            EventType.CONVERSATION_UPDATED,
            EventType.METRICS_UPDATED,
            EventType.TIMING_STAGE,
            EventType.RAW,
        }
    ),
    "big": frozenset(),
    "provider": frozenset({EventType.CONVERSATION_UPDATED, EventType.METRICS_UPDATED}),
}


_ABOUT_CONNECTION = frozenset(
    {
        ConnectionStarting,
        ConnectionEstablished,
        ConnectionFailed,
        ConnectionLost,
        ConnectionClosed,
        UsageUpdated,
    }
)


class Session:
    """One open conversation. Made, opened and closed once."""

    def __init__(
        self,
        config: VoiceEngineConfig,
        *,
        bus: EventBus,
        tools: Toolbox,
        conversation: Conversation,
        ledger: Ledger,
    ) -> None:
        self.config = config
        self.conversation = conversation
        self.ledger = ledger
        self._bus = bus
        self._tools = tools
        self._hidden = HIDDEN[config.mode]
        self._clock = Clock()
        self._loop = asyncio.get_running_loop()
        options = CoreOptions(
            response_timeout=config.response_timeout,
            stall_timeout=config.stall_timeout,
            text_only=config.modalities == ["text"],
            manual_turns=config.turn_detection == "none",
            metrics=config.mode == "big",
            epoch=self._clock.epoch,
        )
        self.core = SessionCore(conversation, options, PlayoutClock(config.output_latency_ms))
        self._time = self._clock.now
        self._leg: Leg | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._publish: Callable[[ProviderEvent], None] = bus.publish

    @property
    def current_leg(self) -> Leg | None:
        """The leg at work, in whatever state; None before `open` and after `close`."""
        return self._leg

    @property
    def leg(self) -> Leg:
        """The leg at work.

        Raises:
            SessionClosedError: the session is not open.
            ConnectionError: it is open, but its provider is lost.
        """
        if self._leg is None:
            raise SessionClosedError("not connected; call connect() first")
        if not self.core.connected:
            name = self._leg.name
            raise ConnectionError(
                f"the connection to provider {name!r} is lost", provider=name, code="closed"
            )
        return self._leg

    # -- life

    async def open(self) -> None:
        """Connect the configured provider.

        Raises:
            ProviderError: it could not be connected.
        """
        leg = await self._connect(self.config)
        self._attach(leg)
        self._show(ConversationStarted(conversation_id=self.conversation.id, **leg.provider.meta()))

    async def switch(self, config: VoiceEngineConfig) -> None:
        """Go on with another provider: it is opened and told the conversation first, then the present one is closed.

        Raises:
            ProviderError: the other could not be connected; all is as it was.
        """
        leg = await self._connect(config)
        old = self._leg
        try:
            if self.core.connected:
                self._perform(self.core.apply(fx.Interrupt(), self._time()))
                if old is not None:
                    await old.outbox.flush()
            leg.check()
        except BaseException:
            await leg.close(quiet=True)
            raise
        self.config = config
        self._attach(leg)
        if old is not None:
            await old.close(quiet=True)

    async def close(self, reason: str = "") -> None:
        """Disconnect, stop the tools, end the conversation. May be called again."""
        leg, self._leg = self._leg, None
        try:
            if leg is not None:
                await leg.close()
        finally:  # also if that is broken off: there is nobody who would do the rest
            running = self._end(leg, reason)
        if running:
            await asyncio.wait(running, timeout=CLOSE_BUDGET)

    def _end(self, leg: Leg | None, reason: str) -> list[asyncio.Task[None]]:
        """Stop everything; the tools that have yet to end."""
        if leg is not None:
            self._perform(self.core.apply(fx.Close(reason), self._time()))
        # A tool may be what ends the conversation: it is not stopped in the middle of that.
        running = [task for task in self._running.values() if task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self.conversation.on_change = None
        return running

    async def _connect(self, config: VoiceEngineConfig) -> Leg:
        leg = Leg(config.provider, config, self._tools.schemas(), self._receive, self._call_failed)
        await leg.open(self._history(leg))
        return leg

    def _history(self, leg: Leg) -> Sequence[Item]:
        items = [
            i
            for i in self.conversation
            if i.status != "in_progress"
            and (i.text or i.kind != "message")
            and not _is_open_call(i)
        ]
        if items and leg.provider.capabilities.history == "none":
            self._show(
                SystemWarning(
                    code="history_not_carried",
                    message=f"provider {leg.name!r} takes no earlier conversation; {len(items)} items are not told",
                    **leg.provider.meta(),
                )
            )
            return ()
        return items

    def _attach(self, leg: Leg) -> None:
        if self._leg is not None:
            self._leg.next_chunk = None
        self._leg = leg
        leg.next_chunk, leg.publish = self.core.next_chunk, self._publish
        capabilities = leg.provider.capabilities
        self.ledger.begin(leg.name, capabilities.on_device)
        self._perform(self.core.apply(fx.Attached(leg.name, capabilities), self._time()))

    # -- in

    async def send_audio(self, audio: bytes) -> None:
        """Pass on what the microphone heard, in the configured input format.

        Raises:
            AudioError: it cannot be audio of that format.
            SessionClosedError, ConnectionError: there is nobody to send it to.
        """
        if not isinstance(audio, bytes):
            if not isinstance(audio, (bytearray, memoryview)):
                raise AudioError(f"audio is bytes, not {type(audio).__name__}", code="audio_type")
            audio = bytes(audio)
        leg = self.leg
        check_audio(audio, self.config.input_format, leg.name)
        if audio:
            await leg.send_audio(audio)

    async def command(self, command: Command) -> None:
        """Do what the application asks, and wait until the provider has taken it.

        Raises:
            ProviderError: it did not.
        """
        self.leg  # noqa: B018 - raises where there is none
        waits: list[Awaitable[Any]] = []
        self._perform(self.core.apply(command, self._time()), waits)
        if waits:
            try:
                await asyncio.gather(*waits)
            except Exception:
                self._perform(self.core.apply(fx.CallFailed(), self._time()))
                raise

    async def call(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Make any other call to the provider, in its turn."""
        return await self.leg.outbox.do(call)

    def acknowledge(self, item_id: str, played_ms: float) -> None:
        """The client's own report of what it has played."""
        self._perform(self.core.apply(fx.PlaybackAck(item_id, played_ms), self._time()))

    def _receive(self, leg: Leg, event: ProviderEvent) -> None:
        kind = type(event)
        if leg is not self._leg and self._leg is not None:
            # One that is about to take over, or that was replaced: of the conversation it has nothing to say.
            if kind is UsageUpdated:
                self.ledger.add(event)  # type: ignore[arg-type]
            if kind in _ABOUT_CONNECTION:
                self._show(event)
            return
        effects = self.core.apply(event, self._time())
        if effects is PASS:
            self._publish(event)
            return
        # One that comes twice is not counted twice; one that comes after the end is.
        if kind is UsageUpdated and (event in effects or self.core.state == "closed"):
            self.ledger.add(event)  # type: ignore[arg-type]
        self._perform(effects)
        if kind is ConnectionLost:
            leg.outbox.close()

    # -- out

    def _perform(
        self, effects: Sequence[Effect], waits: list[Awaitable[Any]] | None = None
    ) -> None:
        for effect in effects:
            if isinstance(effect, ProviderEvent):
                self._show(effect)
            elif self._leg is not None or type(effect) in _WITHOUT_PROVIDER:
                _PERFORM[type(effect)](self, effect, waits)

    def _show(self, event: ProviderEvent) -> None:
        if event.type not in self._hidden:
            self._publish(event)

    def _to_provider(
        self,
        call: Callable[[], Awaitable[Any]],
        waits: list[Awaitable[Any]] | None,
        quiet: bool = False,
        on_error: Callable[[Exception], None] | None = None,
    ) -> None:
        leg = self._leg
        if leg is None:
            return
        if waits is None or quiet:
            leg.outbox.put(call, quiet=quiet, on_error=on_error)
        else:
            waits.append(leg.outbox.do(call))

    def _call_failed(self, failure: Exception) -> None:
        self._complain(failure)
        self._perform(self.core.apply(fx.CallFailed(), self._time()))

    def _complain(self, failure: Exception) -> None:
        meta = self._leg.provider.meta() if self._leg is not None else {}
        code = getattr(failure, "code", "error")
        event = ErrorGeneral(
            exception=failure, error=str(failure), code=code, recoverable=True, **meta
        )
        self._perform(self.core.apply(event, self._time()))

    # -- effects

    def _send_text(self, effect: fx.SendText, waits: list[Awaitable[Any]] | None) -> None:
        provider = self.leg.provider
        # The role of a user is the default, and all that some providers know.
        role = () if effect.role == "user" else (effect.role,)
        self._to_provider(partial(provider.send_text, effect.text, *role), waits)

    def _request_response(
        self, effect: fx.RequestResponse, waits: list[Awaitable[Any]] | None
    ) -> None:
        modalities = list(effect.modalities) if effect.modalities else None
        call = partial(
            self.leg.provider.create_response, modalities, instructions=effect.instructions
        )
        self._to_provider(call, waits)

    def _speak(self, effect: fx.Speak, waits: list[Awaitable[Any]] | None) -> None:
        provider = self.leg.provider
        if provider.capabilities.say:
            self._to_provider(partial(provider.generate_tts, effect.text), waits)
        else:
            words = f"Say exactly the following, word for word, and nothing else: {effect.text}"
            self._to_provider(partial(provider.create_response, instructions=words), waits)

    def _cancel_response(self, _: fx.CancelResponse, waits: list[Awaitable[Any]] | None) -> None:
        self._to_provider(self.leg.provider.interrupt, waits, on_error=self._complain)

    def _truncate(self, effect: fx.Truncate, _: list[Awaitable[Any]] | None) -> None:
        call = partial(
            self.leg.provider.truncate_item, effect.item_id, effect.heard_ms, effect.heard_text
        )
        self._to_provider(call, None, on_error=self._complain)

    def _send_tool_result(self, effect: fx.SendToolResult, _: list[Awaitable[Any]] | None) -> None:
        call = partial(self.leg.provider.send_tool_result, effect.call_id, effect.output)
        self._to_provider(call, None, quiet=effect.best_effort)

    def _run_tool(self, effect: fx.RunTool, _: list[Awaitable[Any]] | None) -> None:
        async def run() -> None:
            try:
                report = await self._tools.run(effect.call_id, effect.name, effect.arguments)
            finally:
                # Another provider may have given the same id to another call.
                ours = self._running.get(effect.call_id) is asyncio.current_task()
                if ours:
                    del self._running[effect.call_id]
            if ours:
                self._perform(self.core.apply(report, self._time()))

        self._running[effect.call_id] = self._loop.create_task(
            run(), name=f"voxengine-tool-{effect.name}"
        )

    def _cancel_tool(self, effect: fx.CancelTool, _: list[Awaitable[Any]] | None) -> None:
        task = self._running.get(effect.call_id)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def _set_timer(self, effect: fx.SetTimer, _: list[Awaitable[Any]] | None) -> None:
        self._clear_timer(effect, None)
        self._timers[effect.name] = self._loop.call_at(effect.at, self._fire, effect.name)

    def _clear_timer(
        self, effect: fx.SetTimer | fx.ClearTimer, _: list[Awaitable[Any]] | None
    ) -> None:
        timer = self._timers.pop(effect.name, None)
        if timer is not None:
            timer.cancel()

    def _fire(self, name: str) -> None:
        self._timers.pop(name, None)
        self._perform(self.core.apply(fx.TimerFired(name), self._time()))


_WITHOUT_PROVIDER = frozenset({fx.CancelTool, fx.SetTimer, fx.ClearTimer})


def _is_open_call(item: Item) -> bool:
    """A call that was called off has no result; vendors refuse a call without one."""
    return item.kind == "function_call" and item.status != "completed"


_PERFORM: dict[type, Callable[[Session, Any, list[Awaitable[Any]] | None], None]] = {
    fx.SendText: Session._send_text,
    fx.RequestResponse: Session._request_response,
    fx.Speak: Session._speak,
    fx.CancelResponse: Session._cancel_response,
    fx.Truncate: Session._truncate,
    fx.SendToolResult: Session._send_tool_result,
    fx.RunTool: Session._run_tool,
    fx.CancelTool: Session._cancel_tool,
    fx.SetTimer: Session._set_timer,
    fx.ClearTimer: Session._clear_timer,
}
