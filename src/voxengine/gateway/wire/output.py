"""What a client is told of responses: the engine's events as the server events of OpenAI's wire, in their order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.conversation import Item
from voxengine.errors import UnsupportedFeatureError
from voxengine.gateway.wire.announcement import Announcement
from voxengine.gateway.wire.aside import Asides
from voxengine.gateway.wire.audio import Sounding
from voxengine.gateway.wire.ends import end_of, failed
from voxengine.gateway.wire.expected import Expected
from voxengine.gateway.wire.functions import Functions
from voxengine.gateway.wire.items import Items, Talk
from voxengine.gateway.wire.plan import Plan, plan_of
from voxengine.gateway.wire.playback import Playback
from voxengine.gateway.wire.response import Response
from voxengine.gateway.wire.settings import unsupported
from voxengine.gateway.wire.sofar import tell_so_far
from voxengine.providers.capabilities import Capabilities
from voxengine.realtime import schema
from voxengine.realtime.errors import Complaint

__all__ = ["Output"]

_BY_CLIENT = {"type": "cancelled", "reason": "client_cancelled"}
_BY_SPEECH = {"type": "cancelled", "reason": "turn_detected"}
#: The names of limits that the wire has.
_LIMITS = ("requests", "tokens")


class Output:
    """One client's output.

    At most one response of the conversation is under way, besides those that stand outside of it. It is told as soon as
    the provider begins it; what the provider sends of one that is over is not told.
    """

    def __init__(self, session: Talk) -> None:
        self._session = session
        self._engine = session.call.engine
        self._outbox = session.outbox
        self.items = Items(session)
        self._functions = Functions(session.call.tools)
        self._asides = Asides(session, self.items)
        self._playback = Playback(self._outbox, self.items) if session.rtc else None
        #: The response under way, and the engine's id of it.
        self._active: Response | None = None
        self._active_id: str | None = None
        #: The audio of what is being said.
        self._sound: Sounding | None = None
        #: Items that the log has lost while the response under way still tells of them.
        self._lost: list[str] = []
        #: What the client has asked for and no provider has begun; and whether the engine knows.
        self._asked: Plan | None = None
        self._asked_of_engine = False
        self._expected = Expected(self._not_come)
        #: What was not answered because its provider failed: another one may do it, unless something else comes first.
        self._owed: Plan | None = None
        self._announcement: Announcement | None = None

    def close(self) -> None:
        """The client is gone: what only it has asked for is given up."""
        self._asides.close()
        self._expected.close()

    def join(self, before: Output | None) -> None:
        """The client has come in the middle of the call: it is told of the response under way from here on.

        `before` is the output of the client whose place it takes. The words so far are told; what was said is not said
        again.
        """
        response_id = self._engine.response_id
        if before is not None:
            self._owed = before._asked or before._owed
        if response_id is None or self._active is not None or self._is_deaf:
            return
        known = before._of(response_id) if before is not None else None
        plan = known.plan if known is not None else self._plan()
        self._active_id = response_id
        self._active = response = self._response(plan, known.id if known is not None else None)
        tell_so_far(response, response_id, self._engine.conversation, self._functions)
        self._sound = response.sound

    async def set_tools(self, tools: list[dict[str, Any]]) -> None:
        """Let the functions of the session be these, in OpenAI's form.

        Raises:
            Complaint: one of them cannot be.
            VoiceEngineError: the provider does not take them.
        """
        await self._engine.set_tools(self._functions.set(tools))

    # -- what the engine tells

    def on_event(self, event: ev.ProviderEvent) -> None:
        """Tell the client what an event of the engine means for it."""
        kind = type(event)
        if kind is ev.AudioOutputChunk:
            sound = self._sound
            if (
                sound is not None
                and event.item_id == sound.item_id  # type: ignore[attr-defined]
                and event.response_id == sound.response_id  # type: ignore[attr-defined]
            ):
                sound.push(event)  # type: ignore[arg-type]
                return
        rule = _RULES.get(kind)
        if rule is not None:
            rule(self, event)
            active = self._active
            self._sound = None if active is None else active.sound
        if self._asked is not None and self._asked_of_engine:
            self._look_for_asked(event)

    def _started(self, event: ev.ResponseStarted) -> None:
        if self._is_deaf:
            return  # it was not asked for, and is called off
        plan = self._asked or self._expected.take() or self._owed or self._plan()
        self._asked = self._owed = None
        self._active_id = event.response_id
        self._active = self._response(plan)

    @property
    def _is_deaf(self) -> bool:
        """Whether the client wants no answers at all."""
        return self._session.settings.kind == "transcription"

    def _response(self, plan: Plan, told_id: str | None = None) -> Response:
        return Response(
            told_id or self._session.new_id("resp"),
            plan,
            self._outbox,
            self.items,
            silent=self._session.rtc,
            speaker=self._session.speaker,
        )

    def _plan(self, asked: schema.ResponseParams | None = None) -> Plan:
        plan = plan_of(self._session.settings, self._conversation_id, asked)
        provider = self._engine.provider
        can = provider.capabilities if provider is not None else Capabilities()
        if not can.audio_output:
            plan = plan.with_text()
        if "temperature" in plan.overrides and "temperature" not in can.session_options:
            del plan.overrides["temperature"]
            self._outbox.fail(unsupported("temperature", "a temperature", "response"))
        return plan

    @property
    def _conversation_id(self) -> str:
        return f"conv_{self._engine.conversation.id}"

    def _of(self, response_id: str | None) -> Response | None:
        """The response under way, if it is that one."""
        return self._active if response_id is not None and response_id == self._active_id else None

    def _text(self, event: ev.TextOutput) -> None:
        if event.response_id is None:
            self._announce(event)
        elif (response := self._of(event.response_id)) is not None:
            response.words(event)

    def _audio(self, event: ev.AudioOutputChunk) -> None:
        if event.response_id is None:
            self._announce(event)
        elif (response := self._of(event.response_id)) is not None:
            format = AudioFormat(event.encoding, event.sample_rate)
            response.audio(event, format.duration_ms(len(event.audio_data)))

    def _audio_started(self, event: ev.AudioOutputStarted) -> None:
        if event.response_id is None:
            self._announce(event)
            return
        response = self._of(event.response_id)
        if response is not None and event.item_id is not None:
            response.begin(event.item_id, event.response_id)
            if self._playback is not None and response.plan.modality == "audio":
                self._playback.started(event, response.id)

    def _audio_stopped(self, event: ev.AudioOutputStopped) -> None:
        if event.interrupted and self._session.speaker is not None:
            self._session.speaker.cut()
        if self._playback is not None:
            self._playback.stopped(event)

    def _interrupted(self, event: ev.ConversationInterrupted) -> None:
        if self._playback is not None:
            self._playback.interrupted(event)

    def _announce(self, event: Any) -> None:
        """The session says something by itself. It is told as a response, since only those are played."""
        talk = self._announcement
        if talk is None or talk.item.id != event.item_id:
            item = self._engine.conversation.get(event.item_id)
            if item is None:
                return
            talk = self._announcement = Announcement(self._response(self._plan()), item)
        if type(event) is ev.AudioOutputStarted and self._playback is not None:
            self._playback.started(event, talk.response.id)
        if talk.take(event):
            self._announcement = None
            if self._playback is not None:
                self._playback.ended(talk.response.id)

    def _called(self, event: ev.FunctionInvoked) -> None:
        response = self._of(event.response_id)
        log = self._engine.conversation
        item = next((i for i in reversed(log.items) if i.call_id == event.call_id), None)
        if response is None or item is None:
            return
        if self._functions.is_clients(event, item, response, log):
            response.call(item.id, event.call_id, event.name, event.arguments)
        else:
            self.items.tell(item)

    def _call_cancelled(self, event: ev.FunctionCancelled) -> None:
        self._functions.cancelled(event.call_id)

    def _log_changed(self, event: ev.ConversationUpdated) -> None:
        item: Item = event.item
        if event.action == "added" and not _told_by_response(item):
            self.items.added(event)
        elif event.action == "removed":
            if self._active is not None and item.id in self._active.items:
                self._lost.append(item.id)
            else:
                self.items.removed(item.id)

    def _used(self, event: ev.UsageUpdated) -> None:
        response = self._of(event.response_id)
        if response is not None:
            response.used(event)

    def _limits(self, event: ev.RateLimitsUpdated) -> None:
        limits = [
            {
                "name": limit.name,
                "limit": limit.limit,
                "remaining": limit.remaining,
                "reset_seconds": limit.reset_seconds,
            }
            for limit in event.limits
            if limit.name in _LIMITS
        ]
        if limits:
            self._outbox.send({"type": "rate_limits.updated", "rate_limits": limits})

    def _speech(self, event: ev.VadSpeechStarted) -> None:
        self._owed = None
        vad = self._session.settings.turn_detection
        if vad is not None and vad.get("interrupt_response", True):
            self._asides.interrupt(_BY_SPEECH)

    # -- the end of a response

    def _ended(self, event: ev.ResponseCompleted | ev.ResponseCancelled | ev.ResponseError) -> None:
        response = self._of(event.response_id)
        if response is None:
            if type(event) is not ev.ResponseError or self._asked is None:
                return
            plan, self._asked = self._asked, None  # it failed before it began
            response = self._response(plan)
        status, details = end_of(event)
        self._finish(response, status, details)
        if status == "failed" or details == {"type": "cancelled"}:
            self._owed = response.plan

    def _finish(self, response: Response, status: str, details: dict[str, Any] | None) -> None:
        if self._active is response:
            self._active = self._active_id = None
        self._expected.ended(response.plan)
        response.finish(status, details)
        for item_id, ms in response.items.items():
            if ms:
                # It was read at once, and nobody listens to it.
                self._engine.acknowledge_playback(item_id, ms)
        if self._playback is not None:
            self._playback.ended(response.id)
        lost, self._lost = self._lost, []
        for item_id in lost:
            self.items.removed(item_id)

    def _look_for_asked(self, event: ev.ProviderEvent | None) -> None:
        """What was asked for may have come to nothing before it began: its client waits for the end of it."""
        if self._engine.responding:
            return
        if type(event) is ev.ErrorGeneral:
            status, details = "failed", failed(event.code, event.error or event.code)
        else:
            spoken = type(event) is ev.VadSpeechStarted
            status, details = "cancelled", _BY_SPEECH if spoken else _BY_CLIENT
        self._give_up_asked(status, details)

    def _give_up_asked(self, status: str, details: dict[str, Any]) -> None:
        plan, self._asked = self._asked or self._plan(), None
        self._finish(self._response(plan), status, details)

    # -- what the client asks for

    async def create(self, asked: schema.ResponseParams | None = None) -> None:
        """`response.create`.

        Raises:
            Complaint: a response is under way, or it asks for what cannot be done.
            VoiceEngineError: the provider does not do it.
        """
        if self._session.settings.kind == "transcription":
            raise Complaint(
                "Responses cannot be created in a transcription session.", "invalid_value", "type"
            )
        plan = self.plan_for(asked)
        given = asked.input if asked is not None else None
        beside = plan.conversation_id is None
        if beside or isinstance(given, list):
            self._check_asks()
            self._asides.begin(plan, given if isinstance(given, list) else None)
            return
        self._asked, self._asked_of_engine, self._owed = plan, False, None
        modalities = [plan.modality] if asked is not None and asked.output_modalities else None
        try:
            await self._ask(plan, modalities)
        except BaseException:
            self._asked = None
            raise
        self._asked_of_engine = True
        if self._asked is not None:
            self._look_for_asked(None)

    async def _ask(self, plan: Plan, modalities: list[str] | None) -> None:
        """Ask the engine. Speech of one who cannot but speak is told as text."""
        ask = partial(
            self._engine.create_response,
            instructions=plan.instructions,
            overrides=plan.overrides or None,
        )
        try:
            await ask(modalities)
        except UnsupportedFeatureError:
            if modalities != ["text"]:
                raise
            await ask(None)

    def plan_for(self, asked: schema.ResponseParams | None) -> Plan:
        """The plan of a response that is asked for.

        Raises:
            Complaint: a response is under way, or it asks for what cannot be done.
        """
        plan = self._plan(asked)
        self._functions.check(plan.tools, "response.tools")
        if plan.conversation_id is not None:
            self._check_free()
        return plan

    def expect(self, plan: Plan) -> asyncio.Future[None]:
        """The provider is about to answer by itself, and that is what its response is to be like.

        Returns what is done when the response has ended, or it is clear that there will be none.
        """
        self._owed = None
        return self._expected.begin(plan)

    def _not_come(self, plan: Plan) -> None:
        words = "the provider did not answer what it was given to hear"
        self._finish(self._response(plan), "failed", failed("timeout", words))

    def _check_asks(self) -> None:
        """Look whether the provider answers what is not said to it."""
        provider = self._engine.provider
        if provider is not None and not provider.capabilities.response_on_request:
            raise Complaint(
                "The provider of this session answers what it hears, and gives no response on request.",
                "unsupported",
                "response",
            )

    def _check_free(self) -> None:
        under_way = self._active or self._asides.joined
        waiting = self._asked is not None or self._expected.due
        if under_way is None and not waiting and not self._engine.responding:
            return
        which = f": {under_way.id}" if under_way is not None else ""
        raise Complaint(
            f"Conversation already has an active response in progress{which}. "
            "Wait until the response is finished before creating a new one.",
            "conversation_already_has_active_response",
        )

    async def cancel(self, response_id: str | None = None) -> None:
        """`response.cancel`.

        Raises:
            Complaint: there is none that could be.
            VoiceEngineError: the provider does not do it.
        """
        if self._asides.cancel(response_id, _BY_CLIENT):
            return
        active = self._active
        if active is not None and response_id in (None, active.id):
            await self._engine.interrupt()
            if self._active is active:
                self._finish(active, "cancelled", _BY_CLIENT)
            return
        if active is None and response_id is None and self._engine.responding:
            asked = self._asked
            await self._engine.interrupt()
            if asked is self._asked:  # otherwise it was told already
                self._give_up_asked("cancelled", _BY_CLIENT)
            return
        raise Complaint(
            "Cancellation failed: no active response found", "response_cancel_not_active"
        )

    async def clear_audio(self) -> None:
        """`output_audio_buffer.clear`: silence, now.

        Raises:
            Complaint: the audio is not ours to clear.
        """
        if self._playback is None:
            raise Complaint(
                "output_audio_buffer.clear is only supported for WebRTC and SIP connections.",
                "invalid_value",
                "type",
            )
        if self._playback.playing:
            await self._engine.interrupt()


def _told_by_response(item: Item) -> bool:
    """Whether a response tells of an item that the log has now: one that has only begun, and what the session says."""
    begun = item.role == "assistant" and item.status == "in_progress"
    return begun or (item.response_id is None and item.provider == Announcement.PROVIDER)


_RULES: dict[type, Callable[[Output, Any], None]] = {
    ev.ResponseStarted: Output._started,
    ev.TextOutput: Output._text,
    ev.AudioOutputStarted: Output._audio_started,
    ev.AudioOutputChunk: Output._audio,
    ev.AudioOutputStopped: Output._audio_stopped,
    ev.ConversationInterrupted: Output._interrupted,
    ev.ConversationUpdated: Output._log_changed,
    ev.FunctionInvoked: Output._called,
    ev.FunctionCancelled: Output._call_cancelled,
    ev.UsageUpdated: Output._used,
    ev.RateLimitsUpdated: Output._limits,
    ev.VadSpeechStarted: Output._speech,
    ev.ResponseCompleted: Output._ended,
    ev.ResponseCancelled: Output._ended,
    ev.ResponseError: Output._ended,
}
