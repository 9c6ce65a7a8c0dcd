"""One realistic server message of each type, and a decoder to give them to."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any, TypeVar

from voxengine.audio.formats import AudioFormat
from voxengine.events import ProviderEvent
from voxengine.providers.openai.decode import Decoder

__all__ = ["AUDIO", "META", "SERVER", "decoder", "give", "one", "wire"]

E = TypeVar("E", bound=ProviderEvent)

#: 20 ms of audio at 24 kHz.
AUDIO = b"\x01\x02" * 480
META = {"timestamp": 5.0, "provider": "openai", "session_id": "sess_1"}

_ITEM = {"item_id": "item_a", "response_id": "resp_1", "output_index": 0}
_PART = {**_ITEM, "content_index": 0}
_HEARD = {"item_id": "item_u", "content_index": 0}
_CALL = {"response_id": "resp_1", "item_id": "item_c", "output_index": 1}
_CALL_ITEM = {
    "id": "item_c",
    "object": "realtime.item",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_1",
    "name": "lookup",
    "arguments": '{"order": 7}',
}
_SPOKEN = {
    "id": "item_a",
    "object": "realtime.item",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_audio", "transcript": "Order 7 ships today."}],
}
_SAID = {
    "id": "item_u",
    "object": "realtime.item",
    "type": "message",
    "status": "completed",
    "role": "user",
    "content": [{"type": "input_audio", "transcript": "Where is it?"}],
}
_SESSION = {
    "id": "sess_1",
    "object": "realtime.session",
    "type": "realtime",
    "model": "gpt-realtime-2.1",
    "expires_at": 1760000000,
    "output_modalities": ["audio"],
}
_USAGE = {
    "total_tokens": 90,
    "input_tokens": 60,
    "output_tokens": 30,
    "input_token_details": {
        "text_tokens": 20,
        "audio_tokens": 40,
        "image_tokens": 0,
        "cached_tokens": 16,
        "cached_tokens_details": {"text_tokens": 12, "audio_tokens": 4, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 10, "audio_tokens": 20},
}
_RESPONSE = {
    "id": "resp_1",
    "object": "realtime.response",
    "status": "in_progress",
    "conversation_id": "conv_1",
    "output": [],
}

_FIELDS: dict[str, dict[str, Any]] = {
    "session.created": {"session": _SESSION},
    "session.updated": {"session": _SESSION},
    "conversation.created": {"conversation": {"id": "conv_1", "object": "realtime.conversation"}},
    "conversation.item.added": {"previous_item_id": None, "item": _SAID},
    "conversation.item.done": {"previous_item_id": None, "item": _SAID},
    "conversation.item.created": {"previous_item_id": "item_0", "item": _SAID},
    "conversation.item.retrieved": {"item": _SAID},
    "conversation.item.deleted": {"item_id": "item_u"},
    "conversation.item.truncated": {**_HEARD, "item_id": "item_a", "audio_end_ms": 640},
    "conversation.item.input_audio_transcription.delta": {**_HEARD, "delta": "Where"},
    "conversation.item.input_audio_transcription.completed": {
        **_HEARD,
        "transcript": " Where is it? ",
        "usage": {"type": "duration", "seconds": 1.5},
    },
    "conversation.item.input_audio_transcription.failed": {
        **_HEARD,
        "error": {"type": "transcription_error", "code": "unintelligible", "message": "No words."},
    },
    "conversation.item.input_audio_transcription.segment": {
        **_HEARD,
        "id": "seg_1",
        "text": "Where",
        "speaker": "A",
        "start": 0.0,
        "end": 0.4,
    },
    "input_audio_buffer.committed": {"item_id": "item_u", "previous_item_id": None},
    "input_audio_buffer.cleared": {},
    "input_audio_buffer.speech_started": {"item_id": "item_u", "audio_start_ms": 300},
    "input_audio_buffer.speech_stopped": {"item_id": "item_u", "audio_end_ms": 1800},
    "input_audio_buffer.timeout_triggered": {
        "item_id": "item_u",
        "audio_start_ms": 0,
        "audio_end_ms": 5000,
    },
    "input_audio_buffer.dtmf_event_received": {"event": "5", "received_at": 1760000000},
    "output_audio_buffer.started": {"response_id": "resp_1"},
    "output_audio_buffer.stopped": {"response_id": "resp_1"},
    "output_audio_buffer.cleared": {"response_id": "resp_1"},
    "response.created": {"response": _RESPONSE},
    "response.done": {
        "response": {**_RESPONSE, "status": "completed", "output": [_SPOKEN], "usage": _USAGE}
    },
    "response.output_item.added": {
        "response_id": "resp_1",
        "output_index": 0,
        "item": {**_SPOKEN, "status": "in_progress", "content": []},
    },
    "response.output_item.done": {"response_id": "resp_1", "output_index": 1, "item": _CALL_ITEM},
    "response.content_part.added": {**_PART, "part": {"type": "audio", "transcript": ""}},
    "response.content_part.done": {**_PART, "part": {"type": "audio", "transcript": "Order 7"}},
    "response.output_text.delta": {**_PART, "delta": "Order"},
    "response.output_text.done": {**_PART, "text": "Order 7"},
    "response.output_audio.delta": {**_PART, "delta": base64.b64encode(AUDIO).decode()},
    "response.output_audio.done": _PART,
    "response.output_audio_transcript.delta": {**_PART, "delta": "Order"},
    "response.output_audio_transcript.done": {**_PART, "transcript": "Order 7"},
    "response.function_call_arguments.delta": {**_CALL, "call_id": "call_1", "delta": '{"or'},
    "response.function_call_arguments.done": {
        **_CALL,
        "call_id": "call_1",
        "name": "lookup",
        "arguments": '{"order": 7}',
    },
    "response.mcp_call_arguments.delta": {**_CALL, "delta": "{", "obfuscation": None},
    "response.mcp_call_arguments.done": {**_CALL, "arguments": "{}"},
    "response.mcp_call.in_progress": {"item_id": "item_m", "output_index": 0},
    "response.mcp_call.completed": {"item_id": "item_m", "output_index": 0},
    "response.mcp_call.failed": {"item_id": "item_m", "output_index": 0},
    "mcp_list_tools.in_progress": {"item_id": "item_m"},
    "mcp_list_tools.completed": {"item_id": "item_m"},
    "mcp_list_tools.failed": {"item_id": "item_m"},
    "rate_limits.updated": {
        "rate_limits": [
            {"name": "requests", "limit": 1000, "remaining": 999, "reset_seconds": 60.0},
            {"name": "tokens", "limit": 50000, "remaining": 49950, "reset_seconds": 0.5},
        ]
    },
    "error": {
        "error": {
            "type": "invalid_request_error",
            "code": "response_cancel_not_active",
            "message": "Cancellation failed: no active response found",
            "param": None,
            "event_id": "cancel",
        }
    },
}

_WITHOUT_ID = "input_audio_buffer.dtmf_event_received"

#: A message of each type that the vendor publishes.
SERVER: dict[str, dict[str, Any]] = {
    kind: {"type": kind, **({} if kind == _WITHOUT_ID else {"event_id": f"event_{n}"}), **fields}
    for n, (kind, fields) in enumerate(_FIELDS.items())
}


def wire(message: Any) -> bytes:
    """A message as it comes from the socket."""
    return json.dumps(message).encode()


def decoder(**options: Any) -> Decoder:
    """A decoder of 24 kHz PCM whose clock stands still."""
    made = Decoder(
        meta=lambda: dict(META),
        provider="openai",
        **{
            "output": AudioFormat("pcm16", 24000),
            "model": "gpt-realtime-2.1",
            "transcription_model": "gpt-transcribe",
            **options,
        },
    )
    made.session_id = "sess_1"
    made.now = lambda: 5.0
    return made


def give(to: Decoder, kind: str, **fields: Any) -> list[ProviderEvent]:
    """What the decoder makes of the message of this type, with other fields where they are given."""
    known = SERVER.get(kind, {"type": kind})
    return list(to.decode(memoryview(wire({**known, **fields}))))


def one(events: Sequence[ProviderEvent], kind: type[E]) -> E:
    """The only event there is, of this kind."""
    assert [type(event) for event in events] == [kind], events
    event = events[0]
    assert isinstance(event, kind)
    return event
