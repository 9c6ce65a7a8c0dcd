"""`cartesia`: text to speech by Cartesia, from words as they come.

All answers of a session go over one socket, each in a context of its own. The vendor gathers words until they make good
speech; a flush, at the end of a sentence, says that no more will come for it. Where each word is spoken is told with
the speech. An interruption cancels the context; what comes of it afterwards is let go.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

from voxengine.errors import ConfigurationError, ConnectionError, ProviderError
from voxengine.providers.cartesia.codec import (
    Chunk,
    Done,
    FlushDone,
    Timestamps,
    VoiceSettings,
    encode_cancel,
    encode_text,
)
from voxengine.providers.cartesia.link import Link
from voxengine.providers.cartesia.places import Places
from voxengine.providers.cartesia.voices import VOICES
from voxengine.providers.cascade.parts import Speech
from voxengine.providers.endpoints import need_key
from voxengine.providers.voices import map_voice

__all__ = ["CartesiaTTS", "make"]

_log = logging.getLogger("voxengine.providers")

DEFAULT_MODEL = "sonic-3"
KEY_VARIABLES = ("CARTESIA_API_KEY",)
#: What the vendor makes pcm16 of.
SAMPLE_RATES = (8000, 16000, 22050, 24000, 44100, 48000)
#: The vendor's limits of `generation_config`.
SPEED = (0.6, 1.5)
VOLUME = (0.5, 2.0)
BUFFER_MS = (0, 5000)
#: Seconds without speech after which a context is not used again; it ends by itself after one second.
IDLE_S = 0.8
#: Speech that is given before the places of its words have come; the rest of it waits for them. Milliseconds.
AHEAD_MS = 240.0
#: Seconds for which it waits.
WORDS_S = 0.2

_OPTIONS = (
    "api_key",
    "buffer_ms",
    "connect_timeout",
    "emotion",
    "endpoint",
    "language",
    "pronunciation",
    "proxy",
    "sample_rate",
    "ssl_context",
    "version",
    "voice",
    "volume",
)
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def make(model: str, options: Mapping[str, Any]) -> CartesiaTTS:
    """`cartesia/MODEL`.

    Raises:
        ConfigurationError: an option is unknown or wrong, or there is no key.
    """
    if unknown := sorted(set(options) - set(_OPTIONS)):
        raise ConfigurationError(
            f"the cartesia voice has no option {', '.join(map(repr, unknown))}; it has {', '.join(_OPTIONS)}"
        )
    return CartesiaTTS(model, options)


class CartesiaTTS:
    """Cartesia's text to speech; made for one session, for it holds its socket.

    Args:
        model: "sonic-3", "sonic-3.5", or a snapshot of one.
        options: see docs/providers/cartesia.md.
    """

    #: Any id may be asked for.
    voices: tuple[str, ...] = ()

    def __init__(self, model: str, options: Mapping[str, Any]) -> None:
        self.model = model or DEFAULT_MODEL
        self.name = f"cartesia/{self.model}"
        self.sample_rate = int(options.get("sample_rate") or 24000)
        if self.sample_rate not in SAMPLE_RATES:
            raise ConfigurationError(
                f"sample_rate of the cartesia voice is one of {', '.join(map(str, SAMPLE_RATES))}"
            )
        self._language = _text(options, "language")
        self._voice = _voice_id(_text(options, "voice") or VOICES[0].wire_name)
        self._pronunciation = _text(options, "pronunciation")
        self._buffer_ms = _number(options, "buffer_ms", BUFFER_MS)
        self._volume = _number(options, "volume", VOLUME)
        self._emotion = _text(options, "emotion")
        key = need_key("cartesia", options.get("api_key"), KEY_VARIABLES)
        self._link = Link(key, options)

    def __repr__(self) -> str:
        return f"CartesiaTTS(model={self.model!r})"

    async def load(self) -> None:
        """Connect, so that the first answer does not wait for that.

        Raises:
            ProviderError: it cannot be reached, or the key is not accepted.
        """
        await self._link.open()

    async def close(self) -> None:
        """Close the socket of the session."""
        await self._link.close()

    async def open(self, *, voice: str | None, speed: float, session: str) -> _Stream:
        """Begin an answer, on the socket that is there; a new one, if the vendor has closed it.

        Raises:
            ProviderError: it cannot be reached any more, or the key is not accepted.
        """
        await self._link.open()
        generation: dict[str, float | str] = {}
        if speed != 1.0:
            generation["speed"] = min(max(speed, SPEED[0]), SPEED[1])
        if self._volume is not None:
            generation["volume"] = self._volume
        if self._emotion is not None:
            generation["emotion"] = self._emotion
        settings = VoiceSettings(
            model=self.model,
            voice=self._voice if voice is None else _voice_id(voice),
            sample_rate=self.sample_rate,
            # "de-DE" is the language "de" to the vendor.
            language=self._language.partition("-")[0].lower() if self._language else None,
            generation=generation,
            buffer_ms=None if self._buffer_ms is None else int(self._buffer_ms),
            pronunciation=self._pronunciation,
        )
        return _Stream(self._link, settings)


class _Stream:
    """One answer: a context at a time."""

    def __init__(self, link: Link, settings: VoiceSettings) -> None:
        self._link = link
        self._settings = settings
        self._places = Places(settings.language)
        self._clock = asyncio.get_running_loop().time
        #: Speech, a failure, or None at the end. What the vendor speaks ahead is bounded by the answer's words.
        self._speech: asyncio.Queue[Speech | ProviderError | None] = asyncio.Queue()
        self._context: str | None = None
        #: Blanks that came before any word.
        self._blanks = ""
        #: Whether words were sent that no flush has followed, and flushes whose end has not come.
        self._unflushed = False
        self._flushing = 0
        self._last_at = 0.0
        #: Whether words' places have come; speech that waits for them, and until when.
        self._timed = False
        self._waiting = bytearray()
        self._patience: asyncio.TimerHandle | None = None
        self._ended = False
        self._over = False

    # -- the contract

    def push(self, text: str) -> None:
        """Take a further piece of the text."""
        if self._ended or self._over:
            return
        text = self._blanks + text
        if not text.strip():
            self._blanks = text
            return
        self._blanks = ""
        self._leave_idle_context()
        if self._context is None:
            self._context = self._link.begin(self)
            self._places.next_context()
        self._unflushed = True
        self._send(text)

    def flush(self) -> None:
        """Speak what has been pushed."""
        if self._unflushed and not self._ended and not self._over:
            self._unflushed = False
            self._flushing += 1
            self._send("", flush=True)

    def end(self) -> None:
        """No more text comes."""
        if self._ended or self._over:
            return
        self._ended = True
        if self._context is None:
            self._finish(None)
        else:
            self._send("", more=False)

    async def __aiter__(self) -> AsyncIterator[Speech]:
        """The speech, and where its words are."""
        try:
            while (found := await self._speech.get()) is not None:
                if isinstance(found, ProviderError):
                    raise found
                yield found
        finally:
            self._leave()

    async def cancel(self, heard_ms: float | None = None) -> str | None:
        """Speak no more. The vendor does not say what was heard; the places of the words do."""
        self._leave()
        while not self._speech.empty():
            self._speech.get_nowait()
        self._speech.put_nowait(None)
        return None

    # -- told by the link

    def take(self, message: Chunk | Timestamps | FlushDone | Done) -> None:
        """A message for the context."""
        self._last_at = self._clock()
        if isinstance(message, Chunk):
            self._take_audio(message.data)
        elif isinstance(message, Timestamps):
            words = self._places.words(message)
            if words:
                self._timed = True
                self._speech.put_nowait(Speech(b"", words))
                self._release()
        elif isinstance(message, FlushDone):
            self._flushing = max(0, self._flushing - 1)
        else:
            self._drop_context()
            if self._ended:
                self._finish(None)

    def fail(self, failure: ProviderError) -> None:
        """Nothing more comes."""
        self._context = None
        self._finish(failure)

    # -- inside

    def _take_audio(self, audio: bytes) -> None:
        """Give speech on. A little of it may be given before its words' places are known, not much."""
        rate = self._settings.sample_rate
        before = self._places.audio_ms
        self._places.audio_ms += len(audio) / 2 / rate * 1000
        if self._timed:
            self._speech.put_nowait(Speech(audio))
            return
        now = max(0, int((AHEAD_MS - before) * rate / 1000)) * 2
        if audio[:now]:
            self._speech.put_nowait(Speech(audio[:now]))
        self._waiting += audio[now:]
        if self._waiting and self._patience is None:
            loop = asyncio.get_running_loop()
            self._patience = loop.call_later(WORDS_S, self._release)

    def _release(self) -> None:
        """Give what has waited."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self._timed = True  # or it is never told: nothing waits for it any more
        if self._waiting:
            self._speech.put_nowait(Speech(bytes(self._waiting)))
            self._waiting.clear()

    def _leave_idle_context(self) -> None:
        """All was spoken, and that a while ago: the context may end at any moment, and these words with it."""
        idle = not self._flushing and not self._unflushed
        if self._context is not None and idle and self._clock() - self._last_at > IDLE_S:
            self._send("", more=False)
            self._drop_context()

    def _send(self, text: str, *, more: bool = True, flush: bool = False) -> None:
        if self._context is None:
            return
        try:
            self._link.send(
                encode_text(self._settings, self._context, text, more=more, flush=flush)
            )
        except ConnectionError as failure:
            self.fail(failure)

    def _drop_context(self) -> None:
        if self._context is not None:
            self._link.end(self._context)
        self._context, self._unflushed, self._flushing = None, False, 0

    def _finish(self, failure: ProviderError | None) -> None:
        if self._over:
            return
        self._release()
        self._over = True
        self._speech.put_nowait(failure)

    def _leave(self) -> None:
        """Nothing more is wanted of it."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self._context is not None:
            with contextlib.suppress(ConnectionError):
                self._link.send(encode_cancel(self._context))
        self._drop_context()
        self._over = True


def _voice_id(wanted: str) -> str:
    """The id to ask for: of any voice by its id, of ours by name, or of the nearest to one of another vendor's."""
    if _ID.fullmatch(wanted):
        return wanted.lower()
    found = map_voice(wanted, VOICES)
    if not found.exact:
        _log.warning("cartesia: %s", found.reason)
    return found.voice


def _text(options: Mapping[str, Any], name: str) -> str | None:
    value = options.get(name)
    if value is None or (isinstance(value, str) and value.strip()):
        return value.strip() if value else None
    raise ConfigurationError(f"option {name!r} of the cartesia voice is a text, not {value!r}")


def _number(options: Mapping[str, Any], name: str, limits: tuple[float, float]) -> float | None:
    value = options.get(name)
    if value is None:
        return None
    low, high = limits
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ConfigurationError(
            f"option {name!r} of the cartesia voice is a number from {low:g} to {high:g}, not {value!r}"
        )
    return value
