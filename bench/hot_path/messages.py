"""The conversation that the load server plays: every message of a turn, encoded once.

A turn lasts 8 s in ticks of 100 ms: the user speaks for less than a second, then the assistant answers with 6.7 s of
audio in real time and a word or two of transcript every 300 ms. The events around it are those of OpenAI's Realtime
API (GA). The next turn begins when the answer has been played, so nothing is cut short.

A `Template` is the JSON text of a message with fixed places for what differs: the number of the event, the number of
the turn in the ids, the place in the user's audio, and in an audio delta the time of sending. To send it is to
overwrite these places.
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import pybase64

__all__ = [
    "DELTA_BYTES",
    "DELTA_MS",
    "TURN_S",
    "TURN_TICKS",
    "Template",
    "session_event",
    "timeline",
]

#: One audio delta: 100 ms of pcm16 at 24 kHz. A tick of the server's clock is as long.
DELTA_MS = 100
DELTA_BYTES = 4800
#: Ticks of a turn.
TURN_TICKS = 80
#: Seconds of a turn. A window as long as this holds one turn of each call, wherever in it the call is.
TURN_S = TURN_TICKS * DELTA_MS / 1000
_SPEECH_ENDS, _ANSWERS, _ENDS = 8, 9, 76
#: Deltas that come at once at the beginning of an answer: vendors are ahead of real time from the first on.
_AHEAD = 2
_TEXT_EVERY = 3

_EVENT_MARK = "event_000000000000"
_TURN_MARK = "t000000"
_EVENT_DIGITS, _TURN_DIGITS = 12, 6
#: Milliseconds of the user's audio; JSON allows the spaces that fill the place up.
_AUDIO_MARK, _AUDIO_DIGITS = 9999999, 7
#: How much later than in the audio the vendor tells of the beginning and the end of speech.
_AUDIO_LAG_MS = {"audio_start_ms": 300, "audio_end_ms": 500}
#: Nine bytes are twelve characters of base64: the time, and one byte more.
_STAMP = struct.Struct("<qx")
_WORDS = (
    " It",
    " is about",
    " four hundred",
    " metres",
    " from here,",
    " and",
    " the way",
    " is flat.",
)


class Template:
    """A message with places to fill in."""

    __slots__ = ("_audio_at", "_audio_lag", "_event_at", "_stamp_at", "_text", "_turns_at")

    def __init__(self, message: dict[str, Any]) -> None:
        text = msgspec.json.encode(message)
        self._text = bytearray(text)
        self._event_at = text.index(_EVENT_MARK.encode()) + len(_EVENT_MARK) - _EVENT_DIGITS
        self._turns_at = [at + 1 for at in _places(text, _TURN_MARK.encode())]
        self._audio_at = text.find(str(_AUDIO_MARK).encode())
        self._audio_lag = next((n for name, n in _AUDIO_LAG_MS.items() if name in message), 0)
        is_audio = message["type"] == "response.output_audio.delta"
        self._stamp_at = text.index(message["delta"].encode()) if is_audio else 0

    def fill(self, event: int, turn: int, now_ns: int, heard_ms: int) -> bytearray:
        """The message as the `event`th of a connection that has taken `heard_ms` of audio so far.

        Valid until the next call: the buffer is always the same.
        """
        text = self._text
        at = self._event_at
        text[at : at + _EVENT_DIGITS] = b"%012d" % event
        number = b"%06d" % turn
        for at in self._turns_at:
            text[at : at + _TURN_DIGITS] = number
        at = self._stamp_at
        if at:
            text[at : at + 12] = pybase64.b64encode(_STAMP.pack(now_ns))
        at = self._audio_at
        if at >= 0:
            text[at : at + _AUDIO_DIGITS] = b"%7d" % max(0, heard_ms - self._audio_lag)
        return text

    @property
    def is_audio(self) -> bool:
        """Whether it is an audio delta."""
        return bool(self._stamp_at)


def _places(text: bytes, mark: bytes) -> list[int]:
    places, at = [], text.find(mark)
    while at >= 0:
        places.append(at)
        at = text.find(mark, at + 1)
    return places


def timeline() -> list[list[Template]]:
    """What is sent at each tick of a turn."""
    ticks: list[list[dict[str, Any]]] = [[] for _ in range(TURN_TICKS)]
    ticks[0] = [
        _event("input_audio_buffer.speech_started", item_id=_USER, audio_start_ms=_AUDIO_MARK)
    ]
    ticks[_SPEECH_ENDS] = _end_of_speech()
    ticks[_ANSWERS] = _beginning()
    ticks[_ENDS] = _end()
    delta = Template(_audio_delta())
    filled = [[Template(message) for message in tick] for tick in ticks]
    filled[_ANSWERS] += [delta] * _AHEAD
    for tick in range(_ANSWERS, _ENDS):
        if _ANSWERS < tick <= _ENDS - _AHEAD:
            filled[tick].append(delta)
        if (tick - _ANSWERS) % _TEXT_EVERY == 0:
            word = _WORDS[(tick - _ANSWERS) // _TEXT_EVERY % len(_WORDS)]
            filled[tick].append(Template(_text_delta(word)))
    return filled


def session_event(kind: str, number: int, changes: dict[str, Any] | None = None) -> bytes:
    """`session.created`, or `session.updated` with the settings that the client asked for."""
    session: dict[str, Any] = {
        "type": "realtime",
        "object": "realtime.session",
        "id": f"sess_{number:06d}",
        "model": "gpt-realtime",
        "output_modalities": ["audio"],
        "instructions": "",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "prompt": None,
        "expires_at": 1_900_000_000,
        "truncation": "auto",
        "include": None,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.5,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 500,
                    "idle_timeout_ms": None,
                    "create_response": True,
                    "interrupt_response": True,
                },
            },
            "output": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "voice": "alloy",
                "speed": 1.0,
            },
        },
    }
    return msgspec.json.encode(
        {
            "type": kind,
            "event_id": f"event_session_{number:06d}",
            "session": _merged(session, changes or {}),
        }
    )


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for name, value in changes.items():
        old = result.get(name)
        both = isinstance(value, dict) and isinstance(old, dict)
        result[name] = _merged(old, value) if both and isinstance(old, dict) else value
    return result


# -- the messages

_USER, _ASSISTANT, _RESPONSE = (f"{kind}_{_TURN_MARK}" for kind in ("item_u", "item_a", "resp"))
_TRANSCRIPT = "How far is it to the station?"
_ANSWER = "".join(_WORDS[k % len(_WORDS)] for k in range(-(-(_ENDS - _ANSWERS) // _TEXT_EVERY)))
_PLACE = {"response_id": _RESPONSE, "item_id": _ASSISTANT, "output_index": 0, "content_index": 0}


def _event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "event_id": _EVENT_MARK, **fields}


def _user_item(transcript: str | None) -> dict[str, Any]:
    return {
        "id": _USER,
        "type": "message",
        "object": "realtime.item",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_audio", "transcript": transcript}],
    }


def _assistant_item(done: bool) -> dict[str, Any]:
    return {
        "id": _ASSISTANT,
        "type": "message",
        "object": "realtime.item",
        "status": "completed" if done else "in_progress",
        "role": "assistant",
        "content": [{"type": "output_audio", "transcript": _ANSWER}] if done else [],
    }


def _response(done: bool) -> dict[str, Any]:
    response: dict[str, Any] = {
        "object": "realtime.response",
        "id": _RESPONSE,
        "status": "completed" if done else "in_progress",
        "status_details": None,
        "output": [_assistant_item(True)] if done else [],
        "conversation_id": "conv_1",
        "output_modalities": ["audio"],
        "max_output_tokens": "inf",
        "audio": {
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy"},
        },
        "usage": None,
        "metadata": None,
    }
    if done:
        response["usage"] = {
            "total_tokens": 253,
            "input_tokens": 119,
            "output_tokens": 134,
            "input_token_details": {
                "text_tokens": 109,
                "audio_tokens": 10,
                "image_tokens": 0,
                "cached_tokens": 64,
                "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0, "image_tokens": 0},
            },
            "output_token_details": {"text_tokens": 30, "audio_tokens": 104},
        }
    return response


def _end_of_speech() -> list[dict[str, Any]]:
    return [
        _event("input_audio_buffer.speech_stopped", item_id=_USER, audio_end_ms=_AUDIO_MARK),
        _event("input_audio_buffer.committed", item_id=_USER, previous_item_id=None),
        _event("conversation.item.added", item=_user_item(None), previous_item_id=None),
        _event("conversation.item.done", item=_user_item(None), previous_item_id=None),
    ]


def _beginning() -> list[dict[str, Any]]:
    item = _assistant_item(False)
    return [
        _event("response.created", response=_response(False)),
        _event(
            "conversation.item.input_audio_transcription.completed",
            item_id=_USER,
            content_index=0,
            transcript=_TRANSCRIPT,
            usage={
                "type": "tokens",
                "total_tokens": 22,
                "input_tokens": 13,
                "input_token_details": {"text_tokens": 0, "audio_tokens": 13},
                "output_tokens": 9,
            },
        ),
        _event("response.output_item.added", response_id=_RESPONSE, output_index=0, item=item),
        _event("conversation.item.added", item=item, previous_item_id=_USER),
        _event("response.content_part.added", **_PLACE, part={"type": "audio", "transcript": ""}),
    ]


def _end() -> list[dict[str, Any]]:
    item = _assistant_item(True)
    limit = {"name": "tokens", "limit": 40000, "remaining": 38000, "reset_seconds": 3.0}
    return [
        _event("response.output_audio.done", **_PLACE),
        _event("response.output_audio_transcript.done", **_PLACE, transcript=_ANSWER),
        _event(
            "response.content_part.done", **_PLACE, part={"type": "audio", "transcript": _ANSWER}
        ),
        _event("conversation.item.done", item=item, previous_item_id=_USER),
        _event("response.output_item.done", response_id=_RESPONSE, output_index=0, item=item),
        _event("response.done", response=_response(True)),
        _event("rate_limits.updated", rate_limits=[limit]),
    ]


def _audio_delta() -> dict[str, Any]:
    # A quiet triangle; the first bytes are overwritten with the time of sending.
    samples = [abs(k % 96 - 48) * 40 - 960 for k in range(DELTA_BYTES // 2)]
    audio = _STAMP.pack(0) + struct.pack(f"<{len(samples)}h", *samples)[_STAMP.size :]
    return _event("response.output_audio.delta", **_PLACE, delta=pybase64.b64encode(audio).decode())


def _text_delta(word: str) -> dict[str, Any]:
    return _event("response.output_audio_transcript.delta", **_PLACE, delta=word)
