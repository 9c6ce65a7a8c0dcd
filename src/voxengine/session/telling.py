"""What of the log another connection can be told."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from voxengine.conversation import Conversation, Fitted, Item
from voxengine.events import ProviderEvent, SystemWarning
from voxengine.session.briefing import Briefing
from voxengine.session.core import SessionCore
from voxengine.session.leg import Leg
from voxengine.session.replay import TurnAudio
from voxengine.session.rules import turns

__all__ = ["Teller", "tellable"]


def tellable(conversation: Conversation, without: Collection[str] = ()) -> list[Item]:
    """All that is complete and has something in it, but for the items `without` (by their ids)."""
    return [
        item
        for item in conversation
        if item.status != "in_progress"
        and (item.text or item.kind != "message")
        and not _is_open_call(item)
        and item.id not in without
    ]


def _is_open_call(item: Item) -> bool:
    """A call that was called off has no result; vendors refuse a call without one."""
    return item.kind == "function_call" and item.status != "completed"


class Teller:
    """Tells connections of the log. One for each session; `show` gets the events for the application."""

    def __init__(
        self,
        core: SessionCore,
        briefing: Briefing,
        audio: TurnAudio,
        show: Callable[[ProviderEvent], None],
    ) -> None:
        self._core = core
        self._briefing = briefing
        self._audio = audio
        self._show = show

    async def history(self, leg: Leg) -> Fitted:
        """What of the log it is told."""
        core = self._core
        hurry = core.recovering or core.failing_over
        return await self._briefing.of(leg.provider, leg.config, self._tellable(leg), hurry)

    def _tellable(self, leg: Leg) -> Sequence[Item]:
        """What of the log can be told to it: without what will be replayed."""
        if leg.provider.capabilities.history == "none":
            return ()
        hear = turns.to_hear(self._core, leg.provider.capabilities) if len(self._audio) else ()
        return tellable(self._core.conversation, hear)

    def rest(self, leg: Leg) -> bool:
        """What was added to the log since it was told, and what it cannot be told. Whether there was anything."""
        provider = leg.provider
        if provider.resumed:
            leg.told.clear()
            leg.left_out.clear()
            return False
        if provider.capabilities.history in ("items", "before_audio"):
            known = leg.told | leg.left_out
            new = [i for i in self._tellable(leg) if i.id not in known]
            rest = self._briefing.rest(provider, leg.config, new)
            leg.knows(rest)
            if rest.told:
                leg.outbox.put(lambda: provider.add_conversation_history(rest.told))
            return bool(rest.told)
        if provider.capabilities.history == "none" and (
            n := len(tellable(self._core.conversation))
        ):
            words = f"provider {leg.name!r} takes no earlier conversation; {n} items are not told"
            self._show(SystemWarning(code="history_not_carried", message=words, **provider.meta()))
        return False
