"""Performs the effects that the session core answers with: on the leg at work, the timers, the running tools."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

from voxengine.clock import Clock
from voxengine.errors import ConnectionError, MessageError, UnsupportedFeatureError
from voxengine.events import ErrorGeneral, ProviderEvent
from voxengine.session import effects as fx
from voxengine.session.core import SessionCore
from voxengine.session.effects import Command, Effect
from voxengine.session.giving import NoteGiver, to_say
from voxengine.session.hedging import Hedge
from voxengine.session.leg import Leg
from voxengine.session.moments import Moments
from voxengine.session.replay import TurnAudio
from voxengine.session.rules.assistant import LOSS_FOLLOWS
from voxengine.session.tools import Toolbox
from voxengine.session.uplink import Uplink

__all__ = ["Performer"]

#: Seconds that the replay of the user's audio may take.
REPLAY_BUDGET = 30.0

_Waits: TypeAlias = "list[Awaitable[Any]] | None"


class Performer:
    """The hands of a session.

    `show` gets the events for the application; `rotate` is called when another connection is to take over, `renew` when
    that is to be told the log anew, `fail_over` when another provider is; `hedge` is told what a second one has to know
    as well; `instructions` gives those of the session.
    """

    def __init__(
        self,
        core: SessionCore,
        clock: Clock,
        tools: Toolbox,
        audio: TurnAudio,
        uplink: Uplink,
        *,
        show: Callable[[ProviderEvent], None],
        rotate: Callable[[], None],
        fail_over: Callable[[str, str], None],
        hedge: Hedge,
        instructions: Callable[[], str | None],
        renew: Callable[[], None],
    ) -> None:
        self._renew = renew
        self._hedge = hedge
        self._core = core
        self._tools = tools
        self._audio = audio
        self._uplink = uplink
        self._show = show
        self._rotate = rotate
        self._fail_over = fail_over
        #: Those who wait for a moment in the conversation.
        self.moments = Moments(core)
        #: The notes of the application.
        self.notes = NoteGiver(self, core, instructions)
        self._time = clock.now
        self._loop = asyncio.get_running_loop()
        #: The leg at work, in whatever state.
        self.leg: Leg | None = None
        #: The place from which on it is to be replayed to the leg at work.
        self.replay_from = 0
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._failures = itertools.count()
        self._stopped = False
        self.running: dict[str, asyncio.Task[None]] = {}

    def apply(self, event: ProviderEvent | Command, waits: _Waits = None) -> None:
        """Give the core an event or a command, and do what it answers; what can be waited for goes into `waits`."""
        self.perform(self._core.apply(event, self._time()), waits)

    def perform(self, effects: Sequence[Effect], waits: _Waits = None) -> None:
        """Do all of it, in order."""
        for effect in effects:
            if isinstance(effect, ProviderEvent):
                self._show(effect)
            elif self.leg is not None or type(effect) in _WITHOUT_PROVIDER:
                _PERFORM[type(effect)](self, effect, waits)
        if self.moments:
            self.moments.look()

    def stop(self) -> list[asyncio.Task[None]]:
        """Stop the timers and the tools; returns those that have yet to end."""
        self._stopped = True
        # A tool may be what ends the conversation: it is not stopped in the middle of that.
        running = [task for task in self.running.values() if task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self.moments.close()
        self.notes.stop()
        return running

    # -- calls that fail

    def call_failed(self, leg: Leg, failure: Exception) -> None:
        """A call that nobody waits for has failed. If that is because the connection is gone, we shall hear of it."""
        follows = isinstance(failure, ConnectionError) and failure.retryable
        if leg.hidden or (leg.lost is not None and self._core.options.recovers):
            return
        if follows and leg is self.leg and self._core.options.recovers:
            name = f"failure_{next(self._failures)}"
            self._timers[name] = self._loop.call_later(
                LOSS_FOLLOWS, self._still_failed, name, leg, failure
            )
            return
        self._failed(failure)

    def loss_follows(self, leg: Leg, failure: ConnectionError) -> bool:
        """Whether audio that could not be sent may be taken for a loss that is about to be told."""
        if self._stopped or leg.doubted:
            return False
        if not self._core.options.recovers or not failure.retryable:
            return False
        if leg.lost is None and "loss" not in self._timers:
            self._timers["loss"] = self._loop.call_later(LOSS_FOLLOWS, self._no_loss, leg)
        return True

    def _no_loss(self, leg: Leg) -> None:
        self._timers.pop("loss", None)
        leg.doubted = leg.lost is None

    def _still_failed(self, name: str, leg: Leg, failure: Exception) -> None:
        self._timers.pop(name, None)
        if leg is self.leg and leg.lost is None:
            self._failed(failure)

    def _failed(self, failure: Exception) -> None:
        self.complain(failure)
        self.apply(fx.CallFailed())

    def complain(self, failure: Exception) -> None:
        """Tell of something that failed, and that no answer depends on."""
        meta = self.leg.provider.meta() if self.leg is not None else {}
        code = getattr(failure, "code", "error")
        self.apply(
            ErrorGeneral(exception=failure, error=str(failure), code=code, recoverable=True, **meta)
        )

    # -- effects on the provider

    def _to_provider(
        self,
        call: Callable[[], Awaitable[Any]],
        waits: _Waits,
        quiet: bool = False,
        on_error: Callable[[Exception], None] | None = None,
    ) -> None:
        leg = self.leg
        if leg is None:
            return
        if waits is None or quiet:
            leg.outbox.put(call, quiet=quiet, on_error=on_error)
        else:
            waits.append(leg.outbox.do(call))

    def _at_work(self) -> Leg:
        assert self.leg is not None, "`perform` has seen to it"
        return self.leg

    def _send_text(self, effect: fx.SendText, waits: _Waits) -> None:
        # The role of a user is the default, and all that some providers know.
        role = () if effect.role == "user" else (effect.role,)
        self._to_provider(partial(self._at_work().provider.send_text, effect.text, *role), waits)
        self._hedge.text(effect)

    def _request_response(self, effect: fx.RequestResponse, waits: _Waits) -> None:
        modalities = list(effect.modalities) if effect.modalities else None
        provider = self._at_work().provider
        options: dict[str, Any] = {"instructions": effect.instructions}
        if effect.overrides:
            options["overrides"] = effect.overrides
        self._to_provider(partial(provider.create_response, modalities, **options), waits)

    def _speak(self, effect: fx.Speak, waits: _Waits) -> None:
        self._to_provider(to_say(self._at_work().provider, effect.text), waits)

    def _cancel_response(self, _: fx.CancelResponse, waits: _Waits) -> None:
        provider = self._at_work().provider

        async def interrupt() -> None:
            try:
                await provider.interrupt()
            except UnsupportedFeatureError:
                # It talks on, and nobody is to hear it: for those who asked for silence, that is as good.
                if provider.capabilities.cancel:
                    raise

        self._to_provider(interrupt, waits, on_error=self.complain)

    def _truncate(self, effect: fx.Truncate, _: _Waits) -> None:
        provider = self._at_work().provider
        call = partial(provider.truncate_item, effect.item_id, effect.heard_ms, effect.heard_text)
        self._to_provider(call, None, on_error=self.complain)

    def _send_tool_result(self, effect: fx.SendToolResult, _: _Waits) -> None:
        provider = self._at_work().provider
        call = partial(provider.send_tool_result, effect.call_id, effect.output)
        self._to_provider(call, None, quiet=effect.best_effort)

    def _tell_items(self, effect: fx.TellItems, waits: _Waits) -> None:
        leg = self._at_work()
        items = [i for i in map(self._core.conversation.get, effect.item_ids) if i is not None]
        leg.told.update(effect.item_ids)
        place: dict[str, Any] = {} if effect.after is None else {"after": effect.after}
        call = partial(leg.provider.add_conversation_history, items, **place)
        self._to_provider(call, waits if effect.waited_for else None)

    def _forget_item(self, effect: fx.ForgetItem, waits: _Waits) -> None:
        leg = self._at_work()
        if effect.item_id in leg.left_out:
            return  # it was never told of it

        async def forget() -> None:
            with contextlib.suppress(MessageError):  # it does not know it, which is as good
                await leg.provider.delete_item(effect.item_id)

        self._to_provider(forget, waits, on_error=self.complain)

    # -- notes of the application

    def _give_note(self, effect: fx.GiveNote, _: _Waits) -> None:
        self.notes.give(self._at_work(), effect)
        self._hedge.note(effect)

    def _settle_note(self, effect: fx.NoteSettled, _: _Waits) -> None:
        self.notes.settle(effect)

    # -- effects on the user's audio

    def _keep_audio(self, effect: fx.KeepAudio, _: _Waits) -> None:
        self._audio.keep(effect.item_id, effect.audio_ms)

    def _turn_over(self, effect: fx.TurnOver, _: _Waits) -> None:
        self._audio.turn_ended(effect.audio_ms)

    def _forget_audio(self, effect: fx.ForgetAudio, _: _Waits) -> None:
        self._audio.forget(effect.item_id)

    def _replay(self, effect: fx.Replay, _: _Waits) -> None:
        leg = self._at_work()
        self._uplink.sink = None
        self._audio.away(self.replay_from)  # until it was sent, and heard
        # Where the turn ended; what was said after it is not a part of it.
        until = self._audio.turn_end if effect.commit else None

        def failed(failure: Exception) -> None:
            self._listen_to(leg)
            self.complain(failure)

        leg.outbox.put(partial(self._pour, leg, until), on_error=failed, budget=REPLAY_BUDGET)

    async def _pour(self, leg: Leg, until: int | None) -> None:
        """Replay the user's audio; then live audio goes the straight way again."""
        begin = self.replay_from
        if until is not None:
            await self._pour_pieces(leg, begin, until)
            self._audio.commit(until)
            await leg.commit_audio()
            begin = max(begin, until)
        await self._pour_pieces(leg, begin, None)
        self._listen_to(leg)

    async def _pour_pieces(self, leg: Leg, begin: int, until: int | None) -> None:
        for piece in self._audio.pieces(begin, until):
            await leg.send_audio(piece)
            await asyncio.sleep(0)  # whatever else has to be done, comes between

    def _listen_to(self, leg: Leg) -> None:
        if leg is self.leg and leg.lost is None:
            self._audio.replayed()
            self._uplink.sink = leg

    # -- other effects

    def _start_renewal(self, _: fx.RenewMemory, __: _Waits) -> None:
        self._renew()

    def _start_failover(self, effect: fx.FailOver, _: _Waits) -> None:
        self._fail_over(effect.code, effect.reason)

    def _start_rotation(self, _: fx.Rotate, __: _Waits) -> None:
        self._rotate()

    def _run_tool(self, effect: fx.RunTool, _: _Waits) -> None:
        async def run() -> None:
            try:
                report = await self._tools.run(effect.call_id, effect.name, effect.arguments)
            finally:
                del self.running[effect.call_id]
            self.apply(report)

        self.running[effect.call_id] = self._loop.create_task(
            run(), name=f"voxengine-tool-{effect.name}"
        )

    def _cancel_tool(self, effect: fx.CancelTool, _: _Waits) -> None:
        task = self.running.get(effect.call_id)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def _set_timer(self, effect: fx.SetTimer, _: _Waits) -> None:
        self._clear_timer(effect, None)
        self._timers[effect.name] = self._loop.call_at(effect.at, self._fire, effect.name)

    def _clear_timer(self, effect: fx.SetTimer | fx.ClearTimer, _: _Waits) -> None:
        timer = self._timers.pop(effect.name, None)
        if timer is not None:
            timer.cancel()

    def _fire(self, name: str) -> None:
        self._timers.pop(name, None)
        self.apply(fx.TimerFired(name))


_WITHOUT_PROVIDER = frozenset(
    {fx.CancelTool, fx.SetTimer, fx.ClearTimer, fx.ForgetAudio, fx.NoteSettled}
)

_PERFORM: dict[type, Callable[[Performer, Any, _Waits], None]] = {
    fx.SendText: Performer._send_text,
    fx.RequestResponse: Performer._request_response,
    fx.Speak: Performer._speak,
    fx.CancelResponse: Performer._cancel_response,
    fx.Truncate: Performer._truncate,
    fx.SendToolResult: Performer._send_tool_result,
    fx.TellItems: Performer._tell_items,
    fx.ForgetItem: Performer._forget_item,
    fx.RenewMemory: Performer._start_renewal,
    fx.GiveNote: Performer._give_note,
    fx.NoteSettled: Performer._settle_note,
    fx.KeepAudio: Performer._keep_audio,
    fx.TurnOver: Performer._turn_over,
    fx.ForgetAudio: Performer._forget_audio,
    fx.Replay: Performer._replay,
    fx.Rotate: Performer._start_rotation,
    fx.FailOver: Performer._start_failover,
    fx.RunTool: Performer._run_tool,
    fx.CancelTool: Performer._cancel_tool,
    fx.SetTimer: Performer._set_timer,
    fx.ClearTimer: Performer._clear_timer,
}
