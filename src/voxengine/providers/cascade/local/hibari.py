"""Text to speech with hibari: a voice distilled from Kokoro-82M, about 100 times faster than real time on one core.

hibari speaks a sentence at once, with about 0.3 s of silence before and 0.5 s after it, which would make every reply
feel late. So a text is spoken piece by piece (sentences; very long ones by clause), each trimmed, while the piece
before it is being played.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from voxengine.errors import ConfigurationError, ProviderError
from voxengine.providers.cascade.local.libraries import library
from voxengine.providers.cascade.local.models import locate
from voxengine.providers.cascade.local.worker import Priority, shared_worker
from voxengine.providers.cascade.parts import Speech
from voxengine.providers.cascade.sentences import SentenceSplitter
from voxengine.providers.cascade.speakable import speakable

if TYPE_CHECKING:
    from voxengine.providers.cascade.parts import Samples

__all__ = ["DEFAULT_VOICE", "HibariTTS", "pronounceable"]

SAMPLE_RATE = 24000
DEFAULT_VOICE = "heart"
#: Voices that hibari can fetch.
FETCHED = ("fenrir", "emma", "fable", "kore")
#: The limits of hibari's `speed`; what is beyond them is moved to the nearest.
SPEEDS = (0.5, 2.0)
#: Bytes of one piece of audio: 100 ms.
CHUNK_BYTES = SAMPLE_RATE // 10 * 2
#: Seconds that loading may take (a voice that is not packaged is downloaded), and one piece of speech.
LOAD_BUDGET_S = 120.0
SPEAK_BUDGET_S = 30.0
#: Letters of scripts that hibari has no sounds for: all but Latin, Greek (it names those letters) and IPA.
_FOREIGN = re.compile(r"[^\W\d_\u0000-\u03ff\u1e00-\u1fff\u2070-\u218f]+")


def pronounceable(text: str) -> str:
    """The text without Markdown, emoji, and letters that an English voice cannot say; "" if nothing is left."""
    kept = re.sub(r"\s+", " ", _FOREIGN.sub(" ", speakable(text))).strip()
    return kept if any(char.isalnum() for char in kept) else ""


class HibariTTS:
    """The voices of hibari, shared by all sessions.

    Args:
        voice: the default. `heart` is in the package; those in `FETCHED` are fetched from the hub, by hibari and
            without a pinned hash, when they are named here.
        first_chars: the first piece of a long sentence ends at a clause after so many characters, so that its audio
            comes early (15 ms a second of speech). 0 never cuts a sentence short of `max_chars`.
        max_chars: no piece is longer.
        lead_ms, trail_ms: silence that is left before and after a piece.
        threshold: magnitude above which a sample counts as audible.
        seed: of the noise in voiceless sounds; the same text always gives the same samples.
    """

    name = "hibari"
    sample_rate = SAMPLE_RATE
    voices = (DEFAULT_VOICE,)

    def __init__(
        self,
        voice: str = DEFAULT_VOICE,
        *,
        first_chars: int = 80,
        max_chars: int = 240,
        lead_ms: float = 20.0,
        trail_ms: float = 120.0,
        threshold: float = 0.01,
        seed: int = 0,
    ) -> None:
        self._default = self._known(voice or DEFAULT_VOICE)
        if first_chars < 0 or max_chars < 20 or min(lead_ms, trail_ms, threshold) < 0:
            raise ConfigurationError(
                "hibari: first_chars, lead_ms, trail_ms and threshold are at least 0, max_chars at least 20"
            )
        self._first_chars = first_chars
        self._max_chars = max_chars
        self._lead_ms = lead_ms
        self._trail_ms = trail_ms
        self._threshold = threshold
        self._seed = seed
        #: The loaded voices, at most as many as there are. About 15 MB each.
        self._engines: dict[str, Any] = {}

    def _known(self, voice: str) -> str:
        if voice not in (*self.voices, *FETCHED):
            raise ProviderError(
                f"hibari has no voice {voice!r}; it has {', '.join((*self.voices, *FETCHED))}",
                code="unknown_voice",
            )
        return voice

    async def load(self) -> None:
        """Check the files, load the default voice and speak once.

        Raises:
            MissingDependencyError: hibari-tts or onnxruntime is not installed.
            ModelError: a file is not the pinned one.
            ProviderError: the voice is not packaged and could not be fetched.
        """
        await self._load(self._default)

    async def _load(self, voice: str) -> None:
        if voice not in self._engines:
            await shared_worker().submit(
                "load",
                Priority.URGENT,
                lambda: self._open(voice),
                lane="load",
                budget_s=LOAD_BUDGET_S,
            )

    def _open(self, voice: str) -> None:
        if voice in self._engines:
            return
        library("onnxruntime", "the voice hibari")
        hibari = library("hibari", "the voice hibari")
        locate("hibari-words")
        model = str(locate("hibari").file("hibari.onnx")) if voice == DEFAULT_VOICE else None
        try:
            engine = hibari.Hibari(voice=voice, model=model, threads=1)
        except (RuntimeError, OSError) as error:  # the download of a voice failed
            raise ProviderError(
                f"the voice {voice!r} cannot be loaded: {error}", code="voice"
            ) from error
        # A word that is in no lexicon loads the network for such words as well.
        engine("Voxengine is ready, number 1.", seed=self._seed)
        self._engines[voice] = engine

    async def synthesize(
        self, text: str, *, voice: str | None, speed: float, session: str
    ) -> AsyncIterator[Speech]:
        """Speak a text: pcm16 at 24 kHz in pieces of at most 100 ms. Nothing for a text with nothing to say.

        Raises:
            ProviderError: the voice is unknown, `speed` is no positive number, or the engine failed.
        """
        name = self._known(voice or self._default)
        if not (math.isfinite(speed) and speed > 0):
            raise ProviderError(
                f"the speed of speech is a positive number, not {speed}", code="speed"
            )
        pieces = self._pieces(pronounceable(text))
        if not pieces:
            return
        await self._load(name)
        rate = min(max(speed, SPEEDS[0]), SPEEDS[1])
        ahead = self._submit(pieces[0], name, rate, session, Priority.URGENT)
        try:
            for index in range(len(pieces)):
                audio = await ahead
                # The next piece is made while this one is taken.
                if index + 1 < len(pieces):
                    ahead = self._submit(pieces[index + 1], name, rate, session, Priority.NORMAL)
                for start in range(0, len(audio), CHUNK_BYTES):
                    yield Speech(audio[start : start + CHUNK_BYTES])
        finally:
            ahead.cancel()

    def _pieces(self, text: str) -> list[str]:
        splitter = SentenceSplitter(first_chars=self._first_chars, max_chars=self._max_chars)
        pieces = [*splitter.feed(text), *splitter.flush()]
        return [piece for piece in pieces if any(char.isalnum() for char in piece)]

    def _submit(
        self, text: str, voice: str, speed: float, session: str, priority: Priority
    ) -> asyncio.Future[bytes]:
        return shared_worker().submit(
            session,
            priority,
            lambda: self._speak(text, voice, speed),
            lane="tts",
            budget_s=SPEAK_BUDGET_S,
        )

    def _speak(self, text: str, voice: str, speed: float) -> bytes:
        """One piece, on a worker thread: trimmed pcm16."""
        import numpy as np

        from voxengine.audio.level import trim_silence

        try:
            wave: Samples = self._engines[voice](text, speed=speed, seed=self._seed)
        except Exception as error:  # whatever the engine's own code raises on a strange text
            raise ProviderError(
                f"hibari could not speak: {type(error).__name__}: {error}", code="failed"
            ) from error
        audible = trim_silence(wave, SAMPLE_RATE, self._lead_ms, self._trail_ms, self._threshold)
        return (np.clip(audible, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
