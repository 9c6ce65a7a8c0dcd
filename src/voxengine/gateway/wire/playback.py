"""What a client is told of its loudspeaker, where the gateway paces the audio and so knows what is played: WebRTC.

Over a WebSocket the client has the audio, and says itself what it played of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxengine.events import AudioOutputStarted, AudioOutputStopped, ConversationInterrupted

if TYPE_CHECKING:
    from voxengine.gateway.wire.items import Items
    from voxengine.gateway.wire.outbox import Outbox

__all__ = ["Playback"]


class Playback:
    """Tells `output_audio_buffer.*`, and cuts an item by `conversation.item.truncated`, each once."""

    def __init__(self, outbox: Outbox, items: Items) -> None:
        self._outbox = outbox
        self._items = items
        #: The items that are being played, by the wire's id of their response, in order.
        self._playing: dict[str, list[str]] = {}
        #: Responses of which more may come.
        self._open: set[str] = set()

    @property
    def playing(self) -> bool:
        """Whether anything is."""
        return any(self._playing.values())

    def started(self, event: AudioOutputStarted, response_id: str) -> None:
        """The first audio of an item of a response goes out."""
        begins = response_id not in self._playing
        self._open.add(response_id)
        self._playing.setdefault(response_id, []).append(event.item_id or "")
        if begins:
            self._tell("started", response_id)

    def stopped(self, event: AudioOutputStopped) -> None:
        """An item was played to its end, or was cut."""
        for response_id, items in list(self._playing.items()):
            if event.item_id not in items:
                continue
            items.remove(event.item_id)
            if event.interrupted:
                del self._playing[response_id]
                self._open.discard(response_id)
                self._tell("cleared", response_id)
            else:
                self._look(response_id)

    def ended(self, response_id: str) -> None:
        """All of a response was sent."""
        self._open.discard(response_id)
        self._look(response_id)

    def interrupted(self, event: ConversationInterrupted) -> None:
        """So much of an item was heard."""
        if event.item_id is not None:
            self._items.tell_truncated(event.item_id, round(event.heard_ms))

    def _look(self, response_id: str) -> None:
        if response_id not in self._open and self._playing.get(response_id) == []:
            del self._playing[response_id]
            self._tell("stopped", response_id)

    def _tell(self, what: str, response_id: str) -> None:
        self._outbox.send({"type": f"output_audio_buffer.{what}", "response_id": response_id})
