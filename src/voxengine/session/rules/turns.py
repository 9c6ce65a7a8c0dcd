"""The user's turns that may have to be heard once more, by another connection.

The audio of a turn is kept until the turn is settled: answered, or known as text that another connection can be told.
If the connection is lost before, the next one is sent the audio, and what it tells of it belongs to the same item.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxengine.conversation import Item
from voxengine.session import effects as fx

if TYPE_CHECKING:
    from voxengine.providers.capabilities import Capabilities
    from voxengine.session.core import SessionCore

#: Turns that may be unsettled at a time. Where nobody answers, only a transcript settles one, and that may not come.
MOST = 16


def keep(core: SessionCore, item: Item, audio_ms: float | None) -> None:
    """The user speaks, and the words are part of this item."""
    core.transcribed.pop(item.id, None)
    if item.id not in core.kept:
        core.out.append(fx.KeepAudio(item.id, audio_ms))
    core.kept[item.id] = None
    if len(core.kept) > MOST:
        oldest = next(iter(core.kept))
        del core.kept[oldest]
        core.out.append(fx.ForgetAudio(oldest))


def over(core: SessionCore, item: Item, audio_ms: float | None) -> None:
    """The user's turn is over; of some providers this is the first that we hear of it."""
    if item.id not in core.kept and item.id not in core.transcribed:
        keep(core, item, None)
    core.out.append(fx.TurnOver(audio_ms))


def settle(core: SessionCore, seconds: float = 0.0) -> None:
    """All turns that are over are settled, now or in so many seconds."""
    for item_id in core.kept:
        item = core.conversation.get(item_id)
        if item is not None and item.status != "in_progress":
            core.kept[item_id] = core.now + seconds


def unsettle(core: SessionCore) -> None:
    """What was about to be settled is not: the answer is still owed."""
    for item_id, settled_at in core.kept.items():
        if settled_at is not None and settled_at > core.now:
            core.kept[item_id] = None


def release(core: SessionCore) -> None:
    """Let go of the audio of what is settled."""
    for item_id in [i for i in core.kept if _is_settled(core, i, core.capabilities)]:
        del core.kept[item_id]
        core.out.append(fx.ForgetAudio(item_id))


def drop(core: SessionCore) -> None:
    """Nothing of it will be needed."""
    core.out.extend(fx.ForgetAudio(item_id) for item_id in core.kept)
    core.kept.clear()
    core.reopened.clear()


def to_hear(core: SessionCore, capabilities: Capabilities | None = None) -> list[str]:
    """The items whose audio a connection of these capabilities (by default, as now) would have to hear, in order."""
    can = capabilities or core.capabilities
    return [i for i in core.kept if not _is_settled(core, i, can)]


def reopen(core: SessionCore) -> None:
    """Another connection is sent their audio: they go on until it has told of them."""
    core.reopened = to_hear(core)
    for item_id in core.reopened:
        item = core.conversation.get(item_id)
        if item is not None:
            item.status = "in_progress"
    if core.reopened:
        core.turn_id = core.reopened[0]


def our_id(core: SessionCore, item_id: str | None, begins: bool = False) -> str | None:
    """The id that an item of the user has in the log, by the one that the present connection gives to it."""
    if item_id is None:
        return core.reopened.pop(0) if begins and core.reopened else None
    if item_id not in core.aliases and core.reopened:
        if item_id in core.reopened:
            core.reopened.remove(item_id)
            core.aliases[item_id] = item_id
        elif item_id not in core.conversation or item_id in core.taken:
            core.aliases[item_id] = core.reopened.pop(0)
    return core.our_id(item_id)


def _is_settled(core: SessionCore, item_id: str, can: Capabilities) -> bool:
    item = core.conversation.get(item_id)
    if item is None:
        return True
    if item.status == "in_progress":
        return False
    if item_id in core.transcribed and can.history != "none":
        return True
    settled_at = core.kept[item_id]
    return settled_at is not None and settled_at <= core.now
