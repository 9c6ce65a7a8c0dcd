"""`elevenlabs/scribe_v2_realtime`: speech to text by Scribe, while the user speaks.

Audio goes in as it comes; guesses come back, and what Scribe is asked to commit. By default only `finalize` commits;
with the option `commit_strategy="vad"` Scribe finds the turns, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pybase64

from voxengine.errors import ConfigurationError, ProviderError
from voxengine.net import Closed, WebSocket
from voxengine.providers.cascade.parts import (
    STTEvent,
    STTFailed,
    STTFinal,
    STTPartial,
    STTTurnEnded,
    STTUsage,
)
from voxengine.providers.elevenlabs.access import Access
from voxengine.providers.failures import code_of_close, error_of

__all__ = ["ElevenLabsSTT", "make_stt"]

DEFAULT_MODEL = "scribe_v2_realtime"
PATH = "/v1/speech-to-text/realtime"
RATE = 16000
_FORMAT = "pcm_16000"
_SECOND = 2 * RATE
#: Bytes that go in one message, but for the last before a commit; and of audio that a commit has to be about at least.
_GATHER = _SECOND // 10
_LEAST = _SECOND * 3 // 10
#: Characters of what was said before that a stream is told which takes the place of another.
_CONTEXT = 200

_OPTIONS = ("commit_strategy", "language", "previous_text", "no_verbatim")

#: Errors by the types of their messages: our code.
_CODES = {
    "error": "server",
    "transcriber_error": "server",
    "auth_error": "auth",
    "unaccepted_terms": "auth",
    "quota_exceeded": "quota",
    "rate_limited": "rate_limit",
    "queue_overflow": "overloaded",
    "resource_exhausted": "overloaded",
    "session_time_limit_exceeded": "session_expired",
    "chunk_size_exceeded": "message",
    "input_error": "message",
    "invalid_request": "message",
}
#: Those that only say that there is nothing to commit.
_NOTHING = frozenset({"commit_throttled", "insufficient_audio_activity"})


class _Message(msgspec.Struct, gc=False):
    """Any message of Scribe's: of its fields, those that are read."""

    message_type: str
    text: str = ""
    language_code: str | None = None
    error: str = ""


_decode = msgspec.json.Decoder(_Message).decode


def make_stt(model: str, options: Mapping[str, Any]) -> ElevenLabsSTT:
    """The part "elevenlabs/MODEL".

    Raises:
        ConfigurationError: there is no key, or an option is not right.
    """
    return ElevenLabsSTT(model or DEFAULT_MODEL, **options)


class ElevenLabsSTT:
    """Scribe in real time, a `StreamingSTT`.

    Args:
        model: "scribe_v2_realtime".
        options: `commit_strategy` ("manual", or "vad": it finds the turns), `language`, `previous_text` (what the
            conversation is about), `no_verbatim` (leave out what is no word), and how it is reached: `api_key`,
            `endpoint`, `residency`, `connect_timeout`, `proxy`, `ssl_context`.

    Raises:
        ConfigurationError: there is no key, or an option is not right.
    """

    sample_rate = RATE
    takes_vocabulary = True
    tells_emotion = False

    def __init__(self, model: str = DEFAULT_MODEL, **options: Any) -> None:
        self.name = f"elevenlabs/{model}"
        self.model = model
        self._options = options
        self._access = Access(self.name, options, _OPTIONS)
        strategy = options.get("commit_strategy", "manual")
        if strategy not in ("manual", "vad"):
            raise ConfigurationError(f"commit_strategy is manual or vad, not {strategy!r}")
        self.detects_turns = strategy == "vad"
        #: Of the last session, what was said: another stream of it is told that.
        self._said = ("", "")

    async def load(self) -> None:
        """There is nothing to look for: the key is there."""

    async def open(
        self,
        on_event: Callable[[STTEvent], None],
        *,
        session: str,
        language: str | None = None,
        vocabulary: Sequence[str] = (),
        turn_options: Mapping[str, Any] | None = None,
    ) -> ScribeStream:
        """Open a stream. Of `turn_options` it has `threshold` and `silence_duration_ms`, where it finds the turns.

        Raises:
            ProviderError: it could not be opened.
        """
        turns = (turn_options or {}) if self.detects_turns else {}
        silence, threshold = turns.get("silence_duration_ms"), turns.get("threshold")
        spoken = language or self._options.get("language")
        parameters: dict[str, str | Sequence[str] | None] = {
            "model_id": self.model,
            "audio_format": _FORMAT,
            "commit_strategy": "vad" if self.detects_turns else "manual",
            "language_code": spoken.replace("_", "-").partition("-")[0] if spoken else None,
            "keyterms": list(vocabulary) or None,
            "vad_silence_threshold_secs": None if silence is None else f"{silence / 1000:g}",
            "vad_threshold": None if threshold is None else f"{threshold:g}",
            "no_verbatim": "true" if self._options.get("no_verbatim") else None,
        }
        before = self._said[1] if self._said[0] == session else ""
        before = before or self._options.get("previous_text") or ""
        stream = ScribeStream(self, self._access, on_event, session, before)
        await stream.connect(parameters)
        return stream

    def said(self, session: str, text: str) -> None:
        """Something was said in a session."""
        before = self._said[1] if self._said[0] == session else ""
        self._said = session, f"{before} {text}".strip()[-_CONTEXT:]


class ScribeStream:
    """One stream."""

    def __init__(
        self,
        stt: ElevenLabsSTT,
        access: Access,
        on_event: Callable[[STTEvent], None],
        session: str,
        before: str,
    ) -> None:
        self._stt = stt
        self._access = access
        self._tell: Callable[[STTEvent], None] | None = on_event
        self._session = session
        #: What was said before it: goes with the first audio.
        self._before = before
        self._socket: WebSocket | None = None
        self._started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._gathered = bytearray()
        #: Commits that were asked for and not answered; bytes since the last one, and those that were not billed.
        self._asked = 0
        self._open_bytes = self._unbilled = 0
        self._told: str | None = None

    async def connect(self, parameters: Mapping[str, str | Sequence[str] | None]) -> None:
        """Open it.

        Raises:
            ProviderError: it could not be opened.
        """
        try:
            self._socket = await self._access.connect(
                PATH,
                parameters,
                on_text=self._on_text,
                on_closed=self._on_closed,
                on_dropped=self._on_dropped,
            )
            async with asyncio.timeout(self._access.budget):
                await self._started
        except TimeoutError:
            await self.close()
            words = "Scribe has not begun in time"
            raise error_of("timeout", words, self._stt.name) from None
        except BaseException:
            await self.close()
            raise

    # -- the contract

    def feed(self, audio: bytes) -> None:
        """Take the next audio."""
        self._gathered += audio
        if len(self._gathered) >= _GATHER:
            self._send(commit=False)

    def finalize(self) -> None:
        """Have what was said committed."""
        wanting = _LEAST - self._open_bytes - len(self._gathered)
        if wanting > 0:
            # Less is refused. Silence does no harm.
            self._gathered += bytes(wanting)
        self._asked += 1
        self._send(commit=True)
        self._open_bytes = 0

    async def close(self) -> None:
        """Close it."""
        self._bill()
        self._tell = None
        socket, self._socket = self._socket, None
        if not self._started.done():
            self._started.cancel()
        elif not self._started.cancelled():
            self._started.exception()  # so that nobody complains that it was never looked at
        if socket is not None:
            await socket.close()

    # -- out

    def _send(self, *, commit: bool) -> None:
        audio = bytes(self._gathered)
        self._gathered.clear()
        socket = self._socket
        if socket is None or not socket.is_open:
            return
        self._open_bytes += len(audio)
        self._unbilled += len(audio)
        message = {
            "message_type": "input_audio_chunk",
            "audio_base_64": pybase64.b64encode(audio).decode(),
            "commit": commit,
            "sample_rate": RATE,
        }
        if self._before:
            message["previous_text"], self._before = self._before, ""
        encoded = msgspec.json.encode(message)
        if commit:
            socket.send_text(encoded)
        else:
            socket.send_audio(encoded, len(audio), binary=False)

    # -- in

    def _on_text(self, payload: memoryview) -> None:
        try:
            message = _decode(payload)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return  # of no message it is known what it would be good for
        match message.message_type:
            case "session_started":
                if not self._started.done():
                    self._started.set_result(None)
            case "partial_transcript" | "final_transcript":
                if message.text and self._tell is not None:
                    self._tell(STTPartial(message.text))
            case "committed_transcript":
                self._committed(message)
            case kind if kind in _NOTHING:
                if self._asked:
                    self._committed(_Message("committed_transcript"))
            case kind if kind in _CODES:
                self._told = _CODES[kind]
                self._fail(error_of(self._told, self._access.masked(message.error), self._stt.name))

    def _committed(self, message: _Message) -> None:
        text = message.text.strip()
        if text:
            self._stt.said(self._session, text)
        asked = self._asked > 0
        self._asked = max(0, self._asked - 1)
        tell = self._tell
        if tell is None:
            return
        if asked:
            tell(STTFinal(text, message.language_code, asked=True))
        elif text:
            ended = STTTurnEnded if self._stt.detects_turns else STTFinal
            tell(ended(text, message.language_code))
            self._open_bytes = 0
        self._bill()

    def _bill(self) -> None:
        seconds, self._unbilled = self._unbilled / _SECOND, 0
        if seconds and self._tell is not None:
            self._tell(STTUsage(seconds))

    def _fail(self, failure: ProviderError) -> None:
        if not self._started.done():
            self._started.set_exception(failure)
            return
        tell, self._tell = self._tell, None
        if tell is not None:
            tell(STTFailed(failure))

    def _on_closed(self, closed: Closed) -> None:
        if closed.cause == "local":
            return
        code, retryable = code_of_close(closed, told=self._told)
        failure = error_of(code, self._access.masked(closed.reason) or code, self._stt.name)
        failure.retryable = retryable
        self._fail(failure)

    def _on_dropped(self, messages: int, n_bytes: int) -> None:
        words = f"{n_bytes / _SECOND:.1f} s of audio were not taken"
        self._fail(error_of("overloaded", words, self._stt.name))
