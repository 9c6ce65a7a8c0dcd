"""The application's own ear: who tells when the user speaks is not the provider.

What it hears becomes what a provider's own detection would have told: an item of the log, an interruption, a turn. The
provider gives that turn another id, when it hears of it; the item keeps the one that the application has told already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxengine import events as ev
from voxengine.conversation import Item
from voxengine.session import effects as fx
from voxengine.session.rules import turns, user

if TYPE_CHECKING:
    from voxengine.session.core import SessionCore


def speech(core: SessionCore, command: fx.HearSpeech) -> None:
    """The user began to speak, or fell silent."""
    meta: dict[str, Any] = {"timestamp": core.now + core.options.epoch, "provider": core.provider}
    where: dict[str, Any] = {"item_id": command.item_id, "audio_ms": command.audio_ms}
    if not command.began:
        user.speech_ended(core, ev.VadSpeechEnded(lag_ms=command.lag_ms, **where, **meta))
        return
    core.own_ear = True  # the provider has not stopped by itself: it does not listen for speech
    try:
        user.speech_started(core, ev.VadSpeechStarted(**where, **meta))
    finally:
        core.own_ear = False


def name_turn(core: SessionCore, command: fx.NameTurn) -> None:
    """The turn of which the provider tells next is made by hand, and is this item; or is not, because that failed."""
    item_id = command.item_id
    if command.made:
        core.by_hand += 1
        if item_id is not None and item_id not in core.reopened:
            core.reopened.append(item_id)
        return
    core.by_hand = max(0, core.by_hand - 1)
    if item_id in core.reopened:
        core.reopened.remove(item_id)


def turn(core: SessionCore, command: fx.HearTurn) -> None:
    """The user's turn is over, and the provider will hear of it later: it is told, and nothing is due yet."""
    item = core.conversation.get(command.item_id) or core.add(Item(id=command.item_id, role="user"))
    core.user_speaking = False
    core.turn_id = item.id
    turns.keep(core, item, None)
    item.audio_ms = max(item.audio_ms, command.duration_ms)
    user.end_turn(core)
    if item.id not in core.reopened:
        core.reopened.append(item.id)
    core.detected.add(item.id)
    core.emit(ev.TurnDetected, item_id=item.id, audio_ms=command.audio_ms)
