"""The eleven client events of OpenAI's Realtime API, as bytes.

Pure functions. `event_id`, where one is given, comes back in an error that the vendor answers with, which is how a
refusal finds the call that it belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pybase64

__all__ = [
    "APPEND_HEAD",
    "APPEND_TAIL",
    "CLIENT_EVENTS",
    "append_audio",
    "cancel_response",
    "clear_audio",
    "clear_output_audio",
    "commit_audio",
    "create_item",
    "create_response",
    "delete_item",
    "retrieve_item",
    "truncate_item",
    "update_session",
]

#: The types of all client events (`openai.types.realtime.RealtimeClientEvent`).
CLIENT_EVENTS = (
    "session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "output_audio_buffer.clear",
    "conversation.item.create",
    "conversation.item.retrieve",
    "conversation.item.truncate",
    "conversation.item.delete",
    "response.create",
    "response.cancel",
)

_encode = msgspec.json.Encoder().encode
#: What is around the base64 of the audio in an append.
APPEND_HEAD, APPEND_TAIL = b'{"type":"input_audio_buffer.append","audio":"', b'"}'


def append_audio(audio: bytes) -> bytes:
    """Up to 15 MiB of the user's audio; the vendor does not acknowledge it."""
    # By hand: 50 of these a second for each call. Base64 needs no escaping.
    return b"".join((APPEND_HEAD, pybase64.b64encode(audio), APPEND_TAIL))


def commit_audio(event_id: str | None = None) -> bytes:
    """Make the audio sent so far an item of the user."""
    return _event("input_audio_buffer.commit", event_id)


def clear_audio(event_id: str | None = None) -> bytes:
    """Throw away the audio sent since the last item."""
    return _event("input_audio_buffer.clear", event_id)


def clear_output_audio(event_id: str | None = None) -> bytes:
    """Throw away what the vendor's own player holds; only where it plays itself (WebRTC, SIP)."""
    return _event("output_audio_buffer.clear", event_id)


def update_session(session: Mapping[str, Any], event_id: str | None = None) -> bytes:
    """Change the session; only what is named changes."""
    return _event("session.update", event_id, session=session)


def create_item(
    item: Mapping[str, Any],
    event_id: str | None = None,
    *,
    previous_item_id: str | None = None,
) -> bytes:
    """Add an item, at the end or behind another ("root": at the start)."""
    where = {} if previous_item_id is None else {"previous_item_id": previous_item_id}
    return _event("conversation.item.create", event_id, **where, item=item)


def retrieve_item(item_id: str, event_id: str | None = None) -> bytes:
    """Ask for an item as the vendor has it."""
    return _event("conversation.item.retrieve", event_id, item_id=item_id)


def truncate_item(
    item_id: str, audio_end_ms: int, event_id: str | None = None, *, content_index: int = 0
) -> bytes:
    """Keep of an item of the assistant only so much of its audio, and forget its transcript."""
    return _event(
        "conversation.item.truncate",
        event_id,
        item_id=item_id,
        content_index=content_index,
        audio_end_ms=audio_end_ms,
    )


def delete_item(item_id: str, event_id: str | None = None) -> bytes:
    """Remove an item."""
    return _event("conversation.item.delete", event_id, item_id=item_id)


def create_response(
    response: Mapping[str, Any] | None = None, event_id: str | None = None
) -> bytes:
    """Ask for a response, with settings for this one only."""
    settings = {"response": response} if response else {}
    return _event("response.create", event_id, **settings)


def cancel_response(response_id: str | None = None, event_id: str | None = None) -> bytes:
    """Call off a response, or whichever is under way."""
    which = {} if response_id is None else {"response_id": response_id}
    return _event("response.cancel", event_id, **which)


def _event(type: str, event_id: str | None, **fields: Any) -> bytes:
    head = {"type": type} if event_id is None else {"type": type, "event_id": event_id}
    return _encode({**head, **fields})
