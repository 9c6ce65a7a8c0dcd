"""What the brain of a session is asked, and that it may begin before it is certain that it is to answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeAlias

import msgspec

from voxengine import events as ev
from voxengine.config import ProviderConfig
from voxengine.providers.cascade.assembly import tool_specs
from voxengine.providers.cascade.draft import Draft, Question
from voxengine.providers.cascade.memory import Memory
from voxengine.providers.cascade.parts import Brain, BrainEvent, BrainUsage, ToolSpec
from voxengine.providers.cascade.settings import CascadeSettings

__all__ = ["Ask", "Asking"]

#: Asks the brain; the argument is the tools that it may call.
Ask: TypeAlias = Callable[[Sequence[ToolSpec]], AsyncIterator[BrainEvent]]


class Asking:
    """The way to the brain, with the draft of an answer if there is one.

    Args:
        config: read again at every use.
        emit: takes the class of an event and its fields.
        session: names the call to the brain.
        wall: the time, as events tell it.
        used: takes what the brain says about the costs of a draft.
    """

    def __init__(
        self,
        brain: Brain,
        memory: Memory,
        config: ProviderConfig,
        settings: CascadeSettings,
        emit: Callable[..., None],
        *,
        session: str,
        wall: Callable[[], float],
        used: Callable[[BrainUsage], None],
    ) -> None:
        self._brain = brain
        self._memory = memory
        self._config = config
        self._settings = settings
        self._emit = emit
        self._session = session
        self._wall = wall
        self._used = used
        self._draft: Draft | None = None
        #: Tasks that were cancelled, and may not have ended yet.
        self.leaving: set[asyncio.Task[None]] = set()

    def _question(
        self, instructions: str | None = None, said: tuple[str, str] | None = None
    ) -> Question:
        system = "\n\n".join(part for part in (self._config.instructions, instructions) if part)
        return Question(
            self._memory.messages(system, said),
            tool_specs(self._config.tools),
            self._config.temperature,
        )

    def _reply(self, question: Question) -> AsyncIterator[BrainEvent]:
        return self._brain.reply(
            question.messages,
            question.tools,
            session=self._session,
            temperature=question.temperature,
        )

    def ask(self, instructions: str | None = None, draft: Draft | None = None) -> Ask:
        """Asks for the answer to the conversation as it then is; the first time, `draft` is the answer."""
        drafts = [] if draft is None else [draft]

        def ask(tools: Sequence[ToolSpec]) -> AsyncIterator[BrainEvent]:
            if drafts:
                return drafts.pop().events()
            return self._reply(msgspec.structs.replace(self._question(instructions), tools=tools))

        return ask

    # -- before it is certain

    def begin(self, item_id: str, text: str) -> None:
        """Let the brain begin to answer this of the user's, instead of what it has begun; unless that is the same."""
        question = self._question(said=(item_id, text))
        if self._draft is not None and self._draft.question.same_as(question):
            return
        self.drop()
        self._draft = Draft(
            question, self._reply(question), self._settings, wall=self._wall, used=self._used
        )

    def take(self) -> Draft | None:
        """The draft, if it answers the conversation as it is; else it is thrown away. To be dropped at its end."""
        draft = self._draft
        if draft is None or (not draft.failed and draft.question.same_as(self._question())):
            return draft
        self.drop()
        return None

    def drop(self) -> None:
        """Stop the draft, whatever has become of it."""
        draft, self._draft = self._draft, None
        if draft is not None and not draft.task.done():
            draft.task.cancel()
            self.leaving.add(draft.task)
            draft.task.add_done_callback(self.leaving.discard)

    def tell_begun(self, draft: Draft, response_id: str) -> None:
        """Tell that the brain had begun with this response before it was told of."""
        self._emit(
            ev.TimingStage,
            stage="brain_started",
            response_id=response_id,
            timestamp=draft.begun_at,
        )

    def stamped(self, draft: Draft) -> Callable[..., None]:
        """As `emit`, for an answer whose first word was there before it was told of."""

        def emit(kind: type[ev.ProviderEvent], **fields: Any) -> None:
            if kind is ev.TimingStage and fields["stage"] == "first_token":
                fields["timestamp"] = draft.first_at or self._wall()
            self._emit(kind, **fields)

        return emit
