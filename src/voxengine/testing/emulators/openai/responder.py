"""Makes responses: one at a time in the conversation, any number beside it, each a task that sends at a pace."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from voxengine.errors import VoiceEngineError
from voxengine.providers.mock.faults import FaultPlan
from voxengine.providers.mock.script import Reply, ToolUse
from voxengine.realtime.errors import Complaint
from voxengine.testing.emulators.openai.items import Conversation
from voxengine.testing.emulators.openai.outbox import Outbox
from voxengine.testing.emulators.openai.replies import Mind, pieces_of
from voxengine.testing.emulators.openai.response import Plan, Response
from voxengine.testing.emulators.openai.usage import Meter
from voxengine.testing.emulators.voice import Voice

__all__ = ["Pace", "Responder"]

CHUNK_MS = 100.0
#: Responses beside the conversation that may be under way.
MAX_BESIDE = 16


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How fast responses come."""

    #: Milliseconds from the request to the first words.
    latency_ms: float = 100.0
    #: How many times faster than it plays audio is sent.
    factor: float = 5.0
    #: Milliseconds between pieces of text that is not spoken.
    text_ms: float = 20.0


class Responder:
    """One session's responses.

    `spawn` starts a task that belongs to the session; `strike` lets a fault do its work.
    """

    def __init__(
        self,
        outbox: Outbox,
        conversation: Conversation,
        mind: Mind,
        voice: Voice,
        pace: Pace,
        faults: FaultPlan,
        new_id: Callable[[str], str],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        *,
        partial_usage: bool = False,
    ) -> None:
        self._outbox = outbox
        self._conversation = conversation
        self._mind = mind
        self._voice = voice
        self._pace = pace
        self._faults = faults
        self._new_id = new_id
        self._spawn = spawn
        self._partial_usage = partial_usage
        self.meter = Meter()
        #: The response that writes to the conversation.
        self.active: Response | None = None
        #: Those beside it, by id.
        self.beside: dict[str, Response] = {}
        self.has_spoken = False
        #: How many times longer than planned everything takes.
        self.slowness = 1.0
        #: Whether a cancelled response sends one more piece of audio.
        self.late_audio = False
        self.strike: Callable[[Any], None] = lambda _: None
        self.on_end: Callable[[Response], None] = lambda _: None

    # -- asked for

    def create(self, plan: Plan, verbatim: str | None = None) -> Response:
        """Begin a response; `verbatim` is said word for word.

        Raises:
            Complaint: one is active in the conversation, or too many beside it.
        """
        if plan.joins and self.active is not None:
            raise Complaint(
                f"Conversation already has an active response in progress: {self.active.id}. "
                "Wait until the response is finished before creating a new one.",
                "conversation_already_has_active_response",
            )
        if len(self.beside) >= MAX_BESIDE:
            raise Complaint("Too many responses are in progress.", "rate_limit_exceeded")
        number = self._faults.responding()
        response = Response(self._new_id("resp"), number, plan, self._outbox, self._conversation)
        if plan.joins:
            self.active = response
        else:
            self.beside[response.id] = response
        self._outbox.send({"type": "response.created", "response": response.wire()})
        self._rate_limits(number)
        response.task = self._spawn(self._run(response, verbatim))
        return response

    def cancel(self, response_id: str | None = None) -> None:
        """The client cancels a response.

        Raises:
            Complaint: there is none.
        """
        found = self.active
        if response_id is not None and (found is None or found.id != response_id):
            found = self.beside.get(response_id)
        if found is None:
            raise Complaint(
                "Cancellation failed: no active response found", "response_cancel_not_active"
            )
        self._stop(found, "cancelled", {"type": "cancelled", "reason": "client_cancelled"})

    def interrupt(self) -> None:
        """The user began to speak."""
        if self.active is not None:
            reason = {"type": "cancelled", "reason": "turn_detected"}
            self._stop(self.active, "cancelled", reason)

    def fail(self, code: str, message: str) -> bool:
        """Let the active response fail; False if there is none."""
        if self.active is None:
            return False
        self._fail(self.active, code, message)
        return True

    # -- inside

    def _rate_limits(self, number: int) -> None:
        left = max(0, 1000 - number)
        limits = [
            {"name": "requests", "limit": 1000, "remaining": left, "reset_seconds": 60.0},
            {"name": "tokens", "limit": 200_000, "remaining": 190_000, "reset_seconds": 3.0},
        ]
        self._outbox.send({"type": "rate_limits.updated", "rate_limits": limits})

    def _fail(self, response: Response, code: str, message: str) -> None:
        error = {"type": "server_error", "code": code, "message": message}
        self._stop(response, "failed", {"type": "failed", "error": error})

    def _stop(self, response: Response, status: str, details: dict[str, Any] | None) -> None:
        """End a response at once, however far it is."""
        if response.ended:
            return
        if response.task is not None and response.task is not asyncio.current_task():
            response.task.cancel()
        response.close_item("completed" if status == "completed" else "incomplete")
        plan = response.plan
        usage = self.meter.response((plan.instructions, plan.tools), plan.context, response.output)
        response.finish(status, details, usage)
        if self.active is response:
            self.active = None
        self.beside.pop(response.id, None)
        self._outbox.send(self._done(response))
        if self.late_audio and status == "cancelled":
            self.late_audio = False
            response.late_audio()
        self.on_end(response)

    def _done(self, response: Response) -> dict[str, Any]:
        wire = response.wire()
        event = {"type": "response.done", "response": wire}
        if self._partial_usage:
            usage = wire.pop("usage")
            if response.status == "completed":
                event["usage"] = {k: usage[k] for k in ("input_tokens", "output_tokens")}
        return event

    async def _run(self, response: Response, verbatim: str | None) -> None:
        try:
            reply = await self._reply(response, verbatim)
            await self._sleep(self._pace.latency_ms + reply.delay_ms)
            self._struck(response)
            if reply.error is not None and not response.ended:
                self._fail(response, reply.error, f"the response failed: {reply.error}")
            if reply.text.strip() and not response.ended:
                if not reply.audio:
                    response.plan = msgspec.structs.replace(response.plan, modality="text")
                await self._say(response, reply.text)
            for use in reply.tools:
                if not response.ended:
                    self._call(response, use, reply)
            self._stop(response, "completed", None)
        except VoiceEngineError as failure:  # the voice could not do it
            self._fail(response, "server_error", str(failure))

    async def _reply(self, response: Response, verbatim: str | None) -> Reply:
        if verbatim is not None:
            return Reply(text=verbatim)
        plan = response.plan
        reply = await self._mind.reply(plan.context, plan.own_instructions, plan.idle)
        return self._mind.allowed(reply, plan.tools, plan.tool_choice, plan.parallel)

    async def _say(self, response: Response, text: str) -> None:
        plan = response.plan
        pieces = re.findall(r"\s*\S+", text)
        if plan.modality == "text":
            response.open_message(self._new_id("item"))
            await self._write(response, pieces)
        else:
            audio = await self._voice.say(text, plan.format, speed=plan.speed)
            response.open_message(self._new_id("item"))
            await self._speak(response, pieces, audio)
        if not response.ended:
            response.close_item("completed")

    async def _write(self, response: Response, pieces: list[str]) -> None:
        for piece in pieces:
            if response.over_budget(0, piece):
                self._incomplete(response)
                return
            response.words(piece)
            self._struck(response)
            if response.ended:
                return
            await self._sleep(self._pace.text_ms)

    async def _speak(self, response: Response, pieces: list[str], audio: bytes) -> None:
        """Words come before the audio that they are spread over by their length."""
        format = response.plan.format
        size = format.n_bytes(CHUNK_MS)
        letters = sum(map(len, pieces))
        said, at = 0, 0
        for offset in range(0, len(audio), size):
            chunk = audio[offset : offset + size]
            if response.over_budget(len(chunk), ""):
                self._incomplete(response)
                return
            until = letters * (offset + len(chunk)) / len(audio)
            while said < len(pieces) and at < until:
                response.words(pieces[said])
                at += len(pieces[said])
                said += 1
            self.has_spoken = True
            response.audio(chunk, asyncio.get_running_loop().time())
            self._struck(response)
            if response.ended:
                return
            await self._sleep(CHUNK_MS / self._pace.factor)
        for piece in pieces[said:]:
            response.words(piece)

    def _call(self, response: Response, use: ToolUse, reply: Reply) -> None:
        call_id = self._new_id("call")
        self._mind.called(call_id, reply)
        response.open_call(self._new_id("item"), call_id, use.name)
        for piece in pieces_of(use.arguments):
            if response.over_budget(0, piece):
                self._incomplete(response)
                return
            response.arguments(piece)
        response.close_item("completed")

    def _incomplete(self, response: Response) -> None:
        self._stop(response, "incomplete", {"type": "incomplete", "reason": "max_output_tokens"})

    def _struck(self, response: Response) -> None:
        for fault in self._faults.at_chunk(response.number, response.sent):
            if not response.ended:  # the fault before this one may have ended it
                self.strike(fault)

    async def _sleep(self, ms: float) -> None:
        await asyncio.sleep(ms / 1000 * self.slowness)
