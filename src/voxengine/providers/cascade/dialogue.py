"""One live conversation: what is heard leads to answers, and speech cuts them short.

The rules are few. A turn that ends is answered. When the user begins to speak, whatever is being thought, said or
played stops at once, and the brain remembers only what was heard. If nothing was, the user had not finished: the
answer is void, and what is said now belongs to the same turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.config import ProviderConfig
from voxengine.errors import MessageError, ProviderError
from voxengine.providers.cascade.asking import Ask, Asking
from voxengine.providers.cascade.assembly import Parts, silent_tools, tool_specs
from voxengine.providers.cascade.draft import Draft
from voxengine.providers.cascade.ears import make_ears
from voxengine.providers.cascade.memory import Memory
from voxengine.providers.cascade.parts import BrainEvent, BrainText, ToolSpec
from voxengine.providers.cascade.reply import Reply, ReplyTools
from voxengine.providers.cascade.settings import CascadeSettings
from voxengine.providers.cascade.speaking import Mouth
from voxengine.providers.cascade.turn import Turn
from voxengine.providers.cascade.usage import Usage

__all__ = ["Dialogue"]

#: Seconds that tasks which were cancelled may take to end.
_LEAVING = 2.0


class Dialogue:
    """What a connected cascade consists of. It is the `Listener` of its own ears.

    Args:
        config: read again at every use, so that a changed setting counts from the next answer on.
        emit: takes the class of an event and its fields.
        session: names the call to the parts, which serve several.
        new_id: makes an id that is unique in all conversations, from a prefix.
        wall: the time, as events tell it.
        deaf: told when nothing can be heard any more.
    """

    def __init__(
        self,
        parts: Parts,
        config: ProviderConfig,
        settings: CascadeSettings,
        emit: Callable[..., None],
        *,
        format: AudioFormat,
        session: str,
        new_id: Callable[[str], str],
        wall: Callable[[], float],
        deaf: Callable[[ProviderError], None],
    ) -> None:
        self.memory = Memory(settings.memory_items)
        self.mouth = Mouth(parts.tts, settings, emit, session=session, voice=config.voice)
        streaming = self.mouth.streaming
        self.usage = Usage(parts.brain.name, None if streaming is None else streaming.name)
        self._parts = parts
        self._config = config
        self._settings = settings
        self._emit = emit
        self._session = session
        self._new_id = new_id
        #: The response under way, and the task that runs it.
        self._reply: Reply | None = None
        self._task: asyncio.Task[None] | None = None
        #: The last answer to a turn that was heard by the ears, which may turn out to have gone on.
        self._answered: tuple[Turn, Reply] | None = None
        #: Why a committed turn could not be transcribed.
        self._lost: ProviderError | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._deaf = deaf
        self._asking = Asking(
            parts.brain,
            self.memory,
            config,
            settings,
            emit,
            session=session,
            wall=wall,
            used=self.usage.add,
        )
        self.hearing = make_ears(
            self,
            parts,
            config,
            settings,
            format=format,
            session=session,
            new_id=lambda: new_id("item"),
        )

    # -- what is heard

    def min_speech_ms(self) -> float:
        """How much speech it takes: more while the assistant is heard, so that a click does not cut it short."""
        if self._reply is not None or self.mouth.speaking:
            return max(self._settings.barge_in_ms, self._settings.min_speech_ms)
        return self._settings.min_speech_ms

    def goes_on(self, turn: Turn, before_ms: float) -> bool:
        """Whether nothing of the answer to this turn had been heard (or read) `before_ms` ago."""
        if self._answered is None or self._answered[0] is not turn:
            return False
        if self.hearing.manual or not self._interrupted:
            return False
        reply = self._answered[1]
        return not any(self.mouth.perceived(item_id, before_ms) for item_id in reply.items)

    def speech_started(self, turn: Turn, audio_ms: float) -> None:
        """The user speaks: whatever is being said stops."""
        if self.hearing.manual:
            return
        goes_on = self._answered is not None and self._answered[0] is turn
        talks = self._reply is not None or self.mouth.speaking
        cuts = self._interrupted and (talks or goes_on)
        if cuts or self._config.vad_events is not False:
            # Told in any case where it cuts an answer short: what is already buffered for playing has to go.
            turn.announced = True
            self._emit(ev.VadSpeechStarted, item_id=turn.item_id, audio_ms=audio_ms)
        if cuts:
            self._stop("turn_detected", void=goes_on)

    def speech_ended(self, turn: Turn, audio_ms: float, lag_ms: float) -> None:
        """The user is silent."""
        if turn.announced:
            turn.announced = False
            self._emit(ev.VadSpeechEnded, item_id=turn.item_id, audio_ms=audio_ms, lag_ms=lag_ms)

    def partial(self, turn: Turn, text: str) -> None:
        """The user's words so far."""
        self._emit(ev.TranscriptPartial, text=text, item_id=turn.item_id)

    def turn_ended(self, turn: Turn, audio_ms: float) -> None:
        """The turn is over: answer it, unless it was only a noise."""
        text, failure = turn.result()
        if text or failure is not None:
            self._emit(ev.TurnDetected, item_id=turn.item_id, audio_ms=audio_ms)
        self._note(turn, text, failure)
        if text or failure is not None:
            self._answer_if_wanted(turn, None if text else failure)

    def committed(self, turn: Turn, audio_ms: float) -> None:
        """The application ended the turn."""
        self._emit(ev.TurnDetected, item_id=turn.item_id, audio_ms=audio_ms)

    def transcribed(self, turn: Turn) -> None:
        """The words of a committed turn: where turns are manual, an answer has to be asked for."""
        text, failure = turn.result()
        self._note(turn, text, failure, always=not text)
        if self.hearing.manual or not self._answers:
            self._lost = None if text else failure
        elif (text or failure is not None) and not self.hearing.user_speaks:
            self._answer_if_wanted(turn, None if text else failure)

    def eager(self, turn: Turn, text: str) -> None:
        """The turn may be over: the brain begins, and nobody is told."""
        if self._answers and self._reply is None and text.strip():
            self._asking.begin(turn.item_id, text)

    def resumed(self, turn: Turn) -> None:
        """The turn goes on: what was begun is of no use."""
        if self._reply is None:
            self._asking.drop()

    def felt(self, turn: Turn, scores: Mapping[str, float]) -> None:
        """How the user sounds."""
        if self._config.emotion is not False and scores:
            ordered = dict(sorted(scores.items(), key=lambda score: -score[1]))
            self._emit(ev.EmotionDetected, scores=ordered, item_id=turn.item_id)

    def deaf(self, failure: ProviderError) -> None:
        """Nothing will be heard any more: with that the conversation is over, for this provider."""
        reply = self._reply
        self._end_reply()
        if reply is not None:
            words = "speech recognition was lost"
            self._emit(
                ev.ResponseError,
                response_id=reply.id,
                code=failure.code,
                retryable=failure.retryable,
                error=words,
            )
        self._deaf(failure)

    def _note(
        self, turn: Turn, text: str, failure: ProviderError | None, always: bool = False
    ) -> None:
        """Tell of the words of a turn, and remember them."""
        if failure is not None and not text:
            self._emit(ev.TranscriptFailed, item_id=turn.item_id, error=str(failure))
            return
        if failure is not None:
            words = f"a part of what the user said could not be transcribed: {failure}"
            self._emit(ev.SystemWarning, code="transcript_incomplete", message=words)
        if always or self._config.transcription is not False:
            self._emit(
                ev.TranscriptCompleted, text=text, item_id=turn.item_id, language=turn.language
            )
        if text:
            self.memory.said(turn.item_id, text)

    # -- responses

    @property
    def responding(self) -> bool:
        """Whether a response is under way."""
        return self._reply is not None

    @property
    def _answers(self) -> bool:
        """Whether a turn is answered without being asked for."""
        return self._config.auto_response is not False

    @property
    def _interrupted(self) -> bool:
        """Whether the user's speech cuts an answer short."""
        return self._config.interruptions is not False

    def _answer_if_wanted(self, turn: Turn, failure: ProviderError | None) -> None:
        # An answer that is not to be interrupted goes on: what was said meanwhile is answered on request.
        if self._answers and (self._interrupted or self._reply is None):
            self._answer(turn, failure)

    def _answer(self, turn: Turn, failure: ProviderError | None) -> None:
        draft = self._asking.take() if failure is None else None
        # A response that began while the user was speaking is overtaken by what was said.
        if self._reply is not None:
            draft = None
        self._stop("turn_detected", only_response=True)

        async def ready() -> bool:
            if failure is not None:
                raise failure
            return True

        self._answered = (turn, self._start(self._asking.ask(draft=draft), ready, draft=draft))

    def respond(self, aloud: bool | None = None, instructions: str | None = None) -> None:
        """Answer the conversation as it is, with `instructions` for this answer only.

        Raises:
            MessageError: a response is under way.
        """
        self._refuse_if_responding()
        self._start(self._asking.ask(instructions), self._complete, aloud)

    def say(self, text: str, *, apology: bool = False) -> None:
        """Speak this text, word for word.

        Raises:
            MessageError: a response is under way.
        """
        self._refuse_if_responding()

        async def words(_: Sequence[ToolSpec]) -> AsyncIterator[BrainEvent]:
            yield BrainText(text)

        async def ready() -> bool:
            return True

        self._start(words, ready, apology=apology)

    def user_wrote(self, text: str) -> None:
        """The user typed something: answer it, instead of what is being answered."""
        self._stop("client_cancelled", only_response=True)
        self.memory.said(self._new_id("item"), text)
        self.respond()

    def _refuse_if_responding(self) -> None:
        if self._reply is not None:
            raise MessageError(
                f"the response {self._reply.id} is under way; interrupt it, or wait for its end",
                code="response_active",
            )

    async def _complete(self) -> bool:
        """Wait for the words of a committed turn; False if there were none and nothing else is to be answered."""
        if not self.hearing.finishing:
            return True
        await self.hearing.finished()
        lost, self._lost = self._lost, None
        if lost is not None:
            raise lost
        return self.memory.unanswered

    def _start(
        self,
        ask: Ask,
        ready: Callable[[], Awaitable[bool]],
        aloud: bool | None = None,
        *,
        apology: bool = False,
        draft: Draft | None = None,
    ) -> Reply:
        if aloud is None:
            aloud = self._config.modalities is None or "audio" in self._config.modalities
        with_ = ReplyTools(
            ask=ask,
            ready=ready,
            done=lambda reply, failure: self._done(reply, failure, apology),
            emit=self._emit if draft is None else self._asking.stamped(draft),
            used=self.usage.add,
            new_id=lambda: self._new_id("item"),
            memory=self.memory,
            mouth=self.mouth,
            settings=self._settings,
            tools=tool_specs(self._config.tools),
            silent=silent_tools(self._config.tools),
        )
        self._answered = None
        if draft is None:
            self._asking.drop()
        self._reply = reply = Reply(
            self._new_id("resp"), with_, aloud=aloud and self._parts.tts is not None
        )
        self._emit(ev.ResponseStarted, response_id=reply.id)
        if draft is not None:
            self._asking.tell_begun(draft, reply.id)
        self._task = asyncio.get_running_loop().create_task(
            reply.run(), name=f"voxengine-{reply.id}"
        )
        return reply

    def _done(self, reply: Reply, failure: ProviderError | None, apology: bool) -> None:
        if reply is not self._reply:
            return
        self._reply = self._task = None
        self._asking.drop()
        self._report(reply.id)
        if failure is None:
            return
        self._answered = None
        if failure.code == "internal":
            self._emit(ev.ErrorGeneral, exception=failure, code=failure.code, error=str(failure))
        if self._settings.apology and not apology and not self.hearing.user_speaks:
            # Somebody waits for an answer: silence would leave them guessing.
            self.say(self._settings.apology, apology=True)

    def _report(self, response_id: str | None = None) -> None:
        for fields in self.usage.since_last(
            self.hearing.seconds, self.mouth.seconds, self.mouth.characters
        ):
            self._emit(ev.UsageUpdated, response_id=response_id, **fields)

    # -- being cut short

    def interrupt(self) -> None:
        """Fall silent. Without a response, and with nothing playing, nothing happens."""
        self._stop("client_cancelled")

    def _stop(self, reason: str, *, void: bool = False, only_response: bool = False) -> None:
        """Stop the response and what is playing; the brain remembers what was heard, nothing at all if `void`."""
        reply = self._reply
        answered, self._answered = self._answered, None
        self._end_reply()
        if reply is not None or not only_response:
            for cut in self.mouth.stop():
                if self.memory.knows(cut.item.id):
                    self.memory.heard(cut.item.id, cut.heard_text)
        if void and answered is not None:
            self.memory.void(answered[1].id)
        if reply is not None:
            self._emit(ev.ResponseCancelled, response_id=reply.id, reason=reason)
            self._report(reply.id)

    def _end_reply(self) -> None:
        reply, task = self._reply, self._task
        self._reply = self._task = None
        if reply is not None and task is not None:
            self._asking.drop()
            reply.stop()
            task.cancel()
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    def heard(self, item_id: str, heard_ms: float, text: str) -> None:
        """The session's word on how much of an item was heard.

        Raises:
            MessageError: there is no such item.
        """
        if self.mouth.playing == item_id and self._reply is None:
            self._stop("client_cancelled")
        self.memory.heard(item_id, self.mouth.cut_at(item_id, heard_ms, text))

    def tool_returned(self, call_id: str, output: str) -> None:
        """A tool has its result.

        Raises:
            MessageError: there is no such call, or it has its result.
        """
        response_id = self.memory.returned(call_id, output)
        if self._reply is not None and self._reply.id == response_id:
            self._reply.returned(call_id)

    # -- the end

    async def close(self) -> None:
        """Stop everything; when this returns, no task is left."""
        self._stop("client_cancelled")
        self._asking.drop()
        tasks: set[asyncio.Task[Any]] = {
            *self.hearing.close(),
            *self._leaving,
            *self._asking.leaving,
            *self.mouth.close(),
        }
        if tasks:
            await asyncio.wait(tasks, timeout=_LEAVING)
        self._report()  # last, for a recogniser may tell what it has used when it is closed
        await self._parts.close()
