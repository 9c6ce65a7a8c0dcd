"""The model of an emulated vendor: ears, a script for a mind, and a mouth that speaks at a pace.

It knows no vendor. A session gives it what the client says and does, and is told by the methods of `ModelListener` what
comes of it, which it writes in its vendor's words.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import msgspec

from voxengine.audio.formats import AudioFormat
from voxengine.errors import VoiceEngineError
from voxengine.providers.cascade.parts import SpokenWord
from voxengine.providers.mock.script import Reply, Script
from voxengine.testing.emulators.answer import Answer
from voxengine.testing.emulators.calling import Calls
from voxengine.testing.emulators.choosing import allowed
from voxengine.testing.emulators.faults import ErrorOnce, FaultPlan, LateAudio, Slow
from voxengine.testing.emulators.hearing import Hearing, Turn
from voxengine.testing.emulators.memory import Memory, Note
from voxengine.testing.emulators.metering import Meter, ModelUsage
from voxengine.testing.emulators.model_types import (
    Call,
    ModelListener,
    ModelSettings,
)
from voxengine.testing.emulators.mouth import speak_paced
from voxengine.testing.emulators.voice import Voice

__all__ = ["Call", "ModelListener", "ModelSettings", "ModelUsage", "ScriptedModel"]

#: What it says when it is asked to answer, but nobody said anything.
OPENING = "Hello. How can I help?"
#: Answers that may wait for their turn.
_MAX_WAITING = 64


class ScriptedModel:
    """A model that says what its script has.

    Args:
        listener: is told what it hears and does.
        script: what it answers.
        voice: its ears and mouth.
        input, output: formats of the user's audio, and of its own.
        faults: what goes wrong in answers.
        settings: how it behaves.
        session_id: the beginning of the ids of answers and calls.
        thens: what follows the result of each call, shared by sessions: a client may tell one the calls of another.

    Attributes:
        instructions: what it was told to be.
        voice_name: whose voice it was told to have.
        tools: names of the tools that it may call; None: of any.
        tool_choice: auto, none, required, or the name of a tool.
        parallel: whether it may call several at a time.
        active: the answer that is under way.
        slowness: how many times longer than planned everything takes.
    """

    def __init__(
        self,
        listener: ModelListener,
        script: Script,
        voice: Voice,
        input: AudioFormat,
        output: AudioFormat,
        *,
        faults: FaultPlan | None = None,
        settings: ModelSettings | None = None,
        session_id: str = "session",
        thens: dict[str, Any] | None = None,
    ) -> None:
        self.settings = settings or ModelSettings()
        self.input, self.output = input, output
        self.instructions = ""
        self.voice_name: str | None = None
        self.tools: Sequence[str] | None = ()
        self.tool_choice = "auto"
        self.parallel = True
        self.active: Answer | None = None
        self.slowness = 1.0
        self._listener = listener
        self._script = script
        self._voice = voice
        self._faults = faults or FaultPlan()
        self._id = session_id
        self._known = Memory()
        self._calls = Calls(script, session_id, {} if thens is None else thens)
        self._meter = Meter()
        self._waiting: deque[Reply] = deque(maxlen=_MAX_WAITING)
        self._late_audio = False
        self._count = 0
        self._before_ms = 0.0
        self._ending: list[asyncio.Task[None]] = []
        self._hearing = self._ears()

    # -- what it knows

    @property
    def memory(self) -> list[tuple[str, str]]:
        """The conversation as it knows it: (role, text), see `memory.Note`."""
        return self._known.lines()

    @property
    def known(self) -> Memory:
        """The same as notes, for a session whose client may place, cut and delete single items."""
        return self._known

    @property
    def pending(self) -> Mapping[str, Call]:
        """Calls that wait for their results, by id."""
        return self._calls.pending

    @property
    def usage(self) -> ModelUsage:
        """All that was used."""
        return self._meter.total

    @property
    def last_usage(self) -> ModelUsage:
        """What the last answer used."""
        return self._meter.last

    @property
    def turn(self) -> Turn | None:
        """The user's turn that is under way."""
        return self._hearing.turn

    @property
    def heard_ms(self) -> float:
        """Milliseconds of all audio that came in."""
        return self._before_ms + self._hearing.position_ms

    @property
    def held_ms(self) -> float:
        """Milliseconds of audio that are not yet a turn."""
        return self._hearing.held_ms

    def configure(
        self, input: AudioFormat | None = None, output: AudioFormat | None = None, **settings: Any
    ) -> None:
        """Change formats and settings; what was heard and is not a turn yet is forgotten if that changes the ears."""
        old = self._ear_settings()
        self.settings = msgspec.structs.replace(self.settings, **settings)
        self.input, self.output = input or self.input, output or self.output
        if self._ear_settings() != old:
            self._before_ms += self._hearing.position_ms
            self._ending.append(self._hearing.close())
            self._hearing = self._ears()

    # -- what the user does

    def hear(self, audio: bytes) -> None:
        """Listen to some more."""
        self._hearing.feed(audio)

    def commit(self, *, answer: bool = True) -> bool:
        """What was heard so far is a turn, answered if `answer`; False if nothing was heard."""
        return self._hearing.commit(answer=answer)

    def clear(self) -> None:
        """Forget what was heard and is not a turn yet."""
        self._hearing.clear()

    def text(self, text: str) -> None:
        """The user writes something. It is answered at once, whatever is being said."""
        self._known.add(Note("user", text))
        self.interrupt()
        self._begin(lambda: self._script.reply_to(text))

    def add(self, role: str, text: str, *, call_id: str | None = None) -> None:
        """Something to know, not to answer. A role "tool" with a call's id is the result of an earlier call."""
        self._known.add(Note(role, text, call_id))

    def history(self, lines: Iterable[tuple[str, str]]) -> None:
        """An earlier conversation, as (role, text)."""
        for role, text in lines:
            self.add(role, text)

    def tool_result(self, call_id: str, output: str) -> bool:
        """The result of a call; False if none is awaited for it. With the last of an answer's calls it goes on."""
        if call_id not in self.pending:
            return False
        self._known.add(Note("tool", output, call_id))
        self._returned(call_id, output)
        return True

    def withdraw(self, call_id: str) -> None:
        """No result of this call is awaited any more."""
        if call_id in self.pending:
            self._returned(call_id, None)

    # -- what it is told to do

    def respond(self, instructions: str | None = None) -> bool:
        """Answer the conversation as it is; False if an answer is under way. `instructions` are for this one."""
        if self.active is not None:
            return False
        self._begin(lambda: self._reply(instructions), patient=True)
        return True

    def say(self, text: str, *, queue: bool = False) -> None:
        """Say this word for word: at once, instead of what is being said, or (`queue`) after it."""
        if queue and self.active is not None:
            self._waiting.append(Reply(text=text))
            return
        self.interrupt()
        self._begin(lambda: Reply(text=text))

    def greet(self) -> None:
        """Say the greeting, if it has one."""
        if self.settings.greeting:
            self.say(self.settings.greeting)

    def cancel(self) -> bool:
        """Stop the answer because the client wants that; False if there is none."""
        return self._end("cancelled")

    def interrupt(self) -> None:
        """Stop the answer because the user speaks or writes."""
        self._end("interrupted", go_on=False)
        if self.settings.cancels_tools and self.pending:
            self._listener.on_tools_cancelled(self._calls.withdraw_all())

    def truncate(
        self,
        *,
        heard_ms: float | None = None,
        text: str | None = None,
        reply_id: str | None = None,
    ) -> str | None:
        """Forget what was not heard of an answer, the last one without `reply_id`; stops it if it is under way.

        Returns what is left of its text; None if there is no such answer.
        """
        if self.active is not None and reply_id in (None, self.active.id):
            self.interrupt()
        return self._known.truncate(heard_ms=heard_ms, text=text, reply_id=reply_id)

    def fail(self, code: str, message: str) -> bool:
        """Let the answer fail; False if there is none."""
        if self.active is None:
            return False
        self._listener.on_error(code, message)
        self._end("failed")
        return True

    def strike(self, fault: Any) -> bool:
        """Let something go wrong; False if that is not the model's: an error without an answer, or one of the wire."""
        match fault:
            case Slow(factor=factor):
                self.slowness *= factor
            case LateAudio():
                self._late_audio = True
            case ErrorOnce(code=code, message=message):
                return self.fail(code, message)
            case _:
                return False
        return True

    def close(self) -> list[asyncio.Task[None]]:
        """Hear and say no more. The tasks that are returned end soon."""
        tasks = [*self._ending, self._hearing.close()]
        if self.active is not None:
            self.active.stop("closed")
            tasks += [self.active.task] if self.active.task is not None else []
        self.active = None
        self._waiting.clear()
        return tasks

    # -- told by its ears

    def on_speech_started(self, audio_ms: float) -> None:
        """The user began to speak."""
        self._listener.on_speech_started(self._before_ms + audio_ms)
        if self.settings.interrupts:
            self.interrupt()

    def on_speech_stopped(self, audio_ms: float) -> None:
        """The user's turn is over."""
        self._listener.on_speech_stopped(self._before_ms + audio_ms)

    def on_user_partial(self, text: str) -> None:
        """Words so far."""
        self._listener.on_user_partial(text)

    def on_pause(self, text: str) -> None:
        """The turn may be over."""
        self._listener.on_pause(text)

    def on_resumed(self) -> None:
        """It is not."""
        self._listener.on_resumed()

    def on_turn(self, turn: Turn, text: str) -> None:
        """All words of a turn."""
        self._meter.spoken_s += ((turn.end_ms or turn.start_ms) - turn.start_ms) / 1000
        if text:
            self._known.add(Note("user", text))
        self._listener.on_user_text(text)
        speaks_on = self.turn is not None and self.settings.interrupts
        if self.active is not None or speaks_on:
            return
        if text and turn.answer and self.settings.answers:
            self._begin(lambda: self._script.reply_to(text))
        else:
            self._go_on()

    def on_failure(self, failure: BaseException) -> None:
        """A mistake of the listener's."""
        self._listener.on_failure(failure)

    # -- inside

    def _done(self, task: asyncio.Task[None]) -> None:
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            self._listener.on_failure(failure)

    def _ear_settings(self) -> tuple[Any, ...]:
        s = self.settings
        return self.input, s.silence_ms, s.pause_ms, s.detects, s.partials, s.transcripts

    def _ears(self) -> Hearing:
        s = self.settings
        return Hearing(
            self.input,
            self._voice,
            self,
            silence_ms=s.silence_ms,
            pause_ms=s.pause_ms,
            detect=s.detects,
            partials=s.partials,
            transcripts=s.transcripts,
        )

    def _reply(self, instructions: str | None) -> Reply:
        """The reply to the conversation."""
        told = self._script.find(instructions) if instructions else None
        if told is not None:
            return told
        results = self._known.results()
        if results:
            return self._calls.after(results[-1].call_id, [note.text for note in results])
        asked = self._known.last_of_user()
        if asked is None:
            return Reply(text=self.settings.greeting or OPENING)
        return self._script.reply_to(asked)

    def _returned(self, call_id: str, output: str | None) -> None:
        reply = self._calls.returned(call_id, output)
        if reply is not None and self.settings.answers_tools:
            self._waiting.append(reply)
            self._go_on()

    def _go_on(self) -> None:
        """Give the next answer that waits, if nobody speaks."""
        if self.active is None and self._waiting:
            if self.turn is not None and self.settings.interrupts:
                return
            reply = self._waiting.popleft()
            self._begin(lambda: reply)

    def _begin(self, make: Callable[[], Reply], *, patient: bool = False) -> None:
        """Begin an answer; `patient`: first all that was heard has to be understood."""
        self._count += 1
        answer = Answer(
            f"{self._id}_reply_{self._count}",
            self._faults.responding(),
            self.settings.plays_out,
        )
        self.active = answer
        self._listener.on_reply_started(answer.id)
        if answer.status is None:
            answer.task = asyncio.create_task(
                self._run(answer, make, patient), name="emulator-answer"
            )
            answer.task.add_done_callback(self._done)

    async def _run(self, answer: Answer, make: Callable[[], Reply], patient: bool) -> None:
        if patient:
            await self._hearing.understood()
        reply = make()
        if self.tools is not None:
            reply = allowed(reply, self.tools, choice=self.tool_choice, parallel=self.parallel)
        await self._sleep(self.settings.latency_ms + reply.delay_ms)
        self._struck(answer)
        if reply.error is not None and answer.status is None:
            self.fail(reply.error, f"the answer failed: {reply.error}")
        try:
            if reply.text.strip() and answer.status is None:
                await self._utter(answer, reply)
        except VoiceEngineError as failure:
            self.fail("server_error", str(failure))
        if answer.status is None and reply.tools:
            self._call(answer, reply)
        if answer.status is None:
            self._listener.on_reply_generated()
            if self.settings.plays_out:
                await asyncio.sleep(max(0.0, answer.audio_ms - answer.played_ms) / 1000)
        if answer.status is None:
            self._end("completed")

    async def _utter(self, answer: Answer, reply: Reply) -> None:
        answer.text = reply.text.strip()
        self._listener.on_reply_text(answer.text)
        if not (self.settings.speaks and reply.audio):
            await self._write(answer)
            return
        pieces = speak_paced(
            self._voice,
            answer.text,
            self.output,
            chunk_ms=self.settings.chunk_ms,
            pace=self.settings.pace,
            speed=self.settings.speed,
            slowness=lambda: self.slowness,
        )
        async with aclosing(pieces):
            async for piece in pieces:
                if answer.began is None:
                    answer.began = asyncio.get_running_loop().time()
                for word in piece.words:
                    answer.words.append(word)
                    self._listener.on_words(word.text, word.start_ms, word.end_ms)
                if answer.status is not None:
                    return
                answer.spoke(piece)
                self._listener.on_audio(piece.audio, piece.words)
                self._struck(answer)
                if answer.status is not None:
                    return

    async def _write(self, answer: Answer) -> None:
        for index, word in enumerate(answer.text.split()):
            piece = (" " if index else "") + word
            answer.words.append(SpokenWord(piece, 0.0, 0.0))
            answer.sent += 1
            self._listener.on_written(piece)
            self._struck(answer)
            if answer.status is not None:
                return
            await self._sleep(self.settings.chunk_ms / self.settings.pace)

    def _call(self, answer: Answer, reply: Reply) -> None:
        answer.remember(self._known)
        calls = self._calls.make(reply)
        for call in calls:
            self._known.add(Note("tool_call", f"{call.name} {call.text}", call.id))
        self._listener.on_tool_calls(calls)

    def _struck(self, answer: Answer) -> None:
        for fault in self._faults.at_chunk(answer.number, answer.sent):
            if answer.status is None:  # the fault before this one may have ended it
                self._listener.on_fault(fault)

    def _end(self, status: str, *, go_on: bool = True) -> bool:
        answer = self.active
        if answer is None:
            return False
        self.active = None
        context = [self.instructions, *(text for _, text in self.memory)]
        answer.stop(status)
        answer.remember(self._known)
        self._meter.count(answer, context, self.heard_ms / 1000, self.settings.audio_tokens_s)
        self._listener.on_reply_ended(status, answer.said)
        if self._late_audio and answer.last and status in ("cancelled", "interrupted"):
            self._late_audio = False
            self._listener.on_audio(answer.last, ())
        if go_on:
            self._go_on()
        return True

    async def _sleep(self, ms: float) -> None:
        await asyncio.sleep(ms / 1000 * self.slowness)
