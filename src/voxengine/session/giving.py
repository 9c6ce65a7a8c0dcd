"""Gives the notes of the application to the provider, and holds the handles that tell what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from voxengine.conversation import Item
from voxengine.conversation.injection import Injection, Note
from voxengine.errors import ConnectionError, MessageError
from voxengine.providers.base import BaseProvider
from voxengine.session import effects as fx
from voxengine.session.core import SessionCore
from voxengine.session.leg import Leg
from voxengine.session.means import instructions_with
from voxengine.session.rules.assistant import LOSS_FOLLOWS

if TYPE_CHECKING:
    from voxengine.session.performing import Performer

__all__ = ["NoteGiver", "to_say"]


class NoteGiver:
    """One for each session. `instructions` gives those of the session, without any notes."""

    def __init__(
        self, hands: Performer, core: SessionCore, instructions: Callable[[], str | None]
    ) -> None:
        self._hands = hands
        self._core = core
        self._instructions = instructions
        self._handles: dict[str, Injection] = {}
        self._timers: set[asyncio.TimerHandle] = set()

    def put_in(self, text: str, **options: Any) -> Injection:
        """A note of the application; `options` are the fields of `Note`.

        Raises:
            MessageError: an option makes no sense, or this is the condition of another note.
        """
        core = self._core
        self._check_judging()
        handle = Injection(Note(id=core.new_id("inj"), text=text, **options), self._cancel)
        self._handles[handle.id] = handle
        self._hands.apply(fx.Inject(handle.note))
        return handle

    def _cancel(self, note_id: str) -> None:
        self._check_judging()
        self._hands.apply(fx.CancelInjection(note_id))

    def _check_judging(self) -> None:
        if self._core.notes.judging:
            raise MessageError(
                "the condition of a note looks at the conversation, and changes nothing"
            )

    def settle(self, effect: fx.NoteSettled) -> None:
        """Tell whoever holds it what became of a note."""
        handle = self._handles.pop(effect.result.injection_id, None)
        if handle is not None:
            handle.settle(effect.result)

    def with_notes(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Settings for the provider at work: changed instructions go on holding the notes that they held."""
        notes = tuple(self._core.notes.instructions.values())
        if "instructions" not in settings or not notes:
            return settings
        return {**settings, "instructions": instructions_with(settings["instructions"], notes)}

    def give(self, leg: Leg, effect: fx.GiveNote) -> None:
        """Hand a note over, and have the core know when the provider has taken it."""
        done = leg.outbox.do(self._call(leg.provider, effect))
        done.add_done_callback(partial(self._given, leg, effect.injection_id))

    def _call(self, provider: BaseProvider, effect: fx.GiveNote) -> Callable[[], Awaitable[Any]]:
        match effect.means:
            case "system":
                return partial(provider.send_text, effect.text, "system")
            case "items":
                item = Item(
                    id=effect.item_id or "",
                    role="assistant" if effect.role == "assistant" else "user",
                    text=effect.text,
                    status="completed",
                )
                return partial(provider.add_conversation_history, [item])
            case "instructions":

                def change() -> Awaitable[None]:
                    # The instructions are those of the time when its turn comes.
                    words = instructions_with(self._instructions(), effect.instructions)
                    return provider.update_session(instructions=words)

                return change
            case _:
                return to_say(provider, effect.text)

    def _given(self, leg: Leg, note_id: str, done: asyncio.Future[Any]) -> None:
        failure = None if done.cancelled() else done.exception()
        hands = self._hands
        if leg is not hands.leg or leg.lost is not None:
            return  # the next one is given it
        if not isinstance(failure, Exception):
            hands.apply(fx.NoteTaken(note_id))
        elif isinstance(failure, ConnectionError) and self._core.options.recovers:
            # That it is lost may be told in a moment.
            loop = asyncio.get_running_loop()
            self._timers = {timer for timer in self._timers if timer.when() > loop.time()}
            self._timers.add(loop.call_later(LOSS_FOLLOWS, self._refused, leg, note_id, failure))
        else:
            self._refused(leg, note_id, failure)

    def _refused(self, leg: Leg, note_id: str, failure: Exception) -> None:
        if leg is not self._hands.leg or leg.lost is not None:
            return
        if note_id:
            self._hands.apply(fx.NoteRefused(note_id, str(failure)))
        else:
            self._hands.complain(failure)

    def stop(self) -> None:
        """The session ends."""
        for timer in self._timers:
            timer.cancel()


def to_say(provider: BaseProvider, text: str) -> Callable[[], Awaitable[Any]]:
    """The call that has a text spoken, word for word or nearly so."""
    if provider.capabilities.say:
        return partial(provider.generate_tts, text)
    words = f"Say exactly the following, word for word, and nothing else: {text}"
    return partial(provider.create_response, instructions=words)
