"""One window of speech through Whisper, with a short context and guards against what that does.

Whisper pads whatever it is given to 30 s. CTranslate2 takes a shorter spectrogram, which makes the encoder five times
faster (10 s: 90 ms, 30 s: 560 ms on one core). faster-whisper's own `chunk_length` does not: its `transcribe` pads each
segment to 30 s again before it encodes. Hence the model's `encode` and `generate` are called here directly.

Below 10 s of context tiny.en repeats itself on short clips ("Turn it off Turn it off"), so 10 s is the least. Repeats
that come nevertheless show as a text that is one phrase over and over, that compresses too well, or that never ends;
then the window is decoded again with the full 30 s that the model was trained on. And Whisper writes words on noise
("Thank you."); on those it is unsure *and* sees no speech, as its two probabilities say.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from voxengine.providers.cascade.local.libraries import library
from voxengine.providers.cascade.parts import INPUT_RATE

if TYPE_CHECKING:
    from voxengine.providers.cascade.parts import Samples

__all__ = ["Decoded", "Decoder", "Guards", "compression_ratio", "is_one_phrase_repeated"]

#: Seconds that the model was trained on, and frames of a spectrogram per second.
FULL_CONTEXT_S = 30.0
_FRAMES_PER_S = 100
#: Whisper's text context is 448 tokens, prompt included.
_MAX_TOKENS = 440
#: Of that, no more than this for words to listen for (half of the context, as the model was trained).
_MAX_WORDS = 223
#: Below this peak (-80 dBFS) there is nothing to hear; speech 60 dB below full scale is still transcribed.
_DIGITAL_SILENCE = 1e-4


class Guards(msgspec.Struct, frozen=True):
    """The numbers that decide how a window is decoded, and whether the result is believed."""

    #: Context in seconds: at least `min_context_s`, else the window and `margin_s` more.
    min_context_s: float = 10.0
    margin_s: float = 3.0
    #: More tokens than `base_tokens` and so many per second are a loop (fast speech has about 5 a second).
    base_tokens: int = 10
    tokens_per_s: float = 7.0
    #: A text that zlib makes smaller than by this factor is a loop.
    max_compression: float = 2.0
    #: A text that is one phrase over and over is a loop if it has more words per second of audio.
    loop_words_per_s: float = 2.5
    #: No speech, if the probability of "no speech" is above and the mean log probability of the words below.
    no_speech_prob: float = 0.6
    no_speech_logprob: float = -1.0


class Decoded(msgspec.Struct, frozen=True):
    """What a window said: "" for no speech."""

    text: str
    #: Mean log probability of a token.
    logprob: float
    no_speech_prob: float
    language: str
    #: How often the window was decoded again.
    reruns: int = 0


def compression_ratio(text: str) -> float:
    """How many times smaller zlib makes the text. Ordinary sentences stay below 1.6."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0


def is_one_phrase_repeated(text: str) -> bool:
    """Whether a text is nothing but a phrase of three or more words twice, or of any length three times or more.

    Short loops compress too little to show otherwise.
    """
    words = re.findall(r"\w+", text.lower())
    for length in range(1, len(words) // 2 + 1):
        times, rest = divmod(len(words), length)
        if rest or times < (2 if length >= 3 else 3):
            continue
        if words == words[:length] * times:
            return True
    return False


class _Attempt(msgspec.Struct, frozen=True):
    text: str
    logprob: float
    no_speech_prob: float
    suspicious: bool
    endless: bool


class Decoder:
    """A loaded Whisper and its tables. Safe to use from several threads at once."""

    def __init__(self, model: Any, *, language: str | None, guards: Guards) -> None:
        """`model` is a `faster_whisper.WhisperModel`; a `language` of None is detected in each window."""
        from faster_whisper.tokenizer import Tokenizer
        from faster_whisper.transcribe import get_suppressed_tokens

        def new_tokenizer(code: str) -> Any:
            return Tokenizer(
                model.hf_tokenizer, self._multilingual, task="transcribe", language=code
            )

        self._model = model
        self._storage = library("ctranslate2", "speech recognition with Whisper").StorageView
        self._language = language
        self._multilingual = bool(model.model.is_multilingual)
        self._guards = guards
        self._new_tokenizer = new_tokenizer
        tokenizer = new_tokenizer(language or "en")
        self._tokenizers: dict[str, Any] = {language or "en": tokenizer}
        self._suppressed = list(get_suppressed_tokens(tokenizer, [-1]))

    def decode(self, samples: Samples, *, beam: int, vocabulary: str = "") -> Decoded:
        """Write down one window of at most 30 s at 16 kHz (what is longer is cut off).

        `vocabulary`: words that may come, which the model is shown as what was said before.
        """
        guards = self._guards
        if len(samples) < INPUT_RATE // 20 or float(abs(samples).max()) < _DIGITAL_SILENCE:
            return Decoded("", 0.0, 1.0, self._language or "en")
        seconds = len(samples) / INPUT_RATE
        mel = self._model.feature_extractor(samples)
        context = min(FULL_CONTEXT_S, max(guards.min_context_s, seconds + guards.margin_s))
        encoded = self._encode(mel, context)
        language = self._language_of(encoded)
        ask = partial(
            self._generate, language=language, seconds=seconds, beam=beam, words=vocabulary
        )
        attempt = ask(encoded)
        reruns = 0
        if attempt.suspicious and not self._silent(attempt):
            attempt, reruns = self._again(mel, ask, attempt)
        silent = self._silent(attempt) or not any(char.isalnum() for char in attempt.text)
        text = "" if silent else attempt.text
        return Decoded(text, attempt.logprob, attempt.no_speech_prob, language, reruns)

    def _again(
        self, mel: Samples, ask: Callable[..., _Attempt], first: _Attempt
    ) -> tuple[_Attempt, int]:
        """Decode with the full context; if that loops too, without leave to repeat three words."""
        encoded = self._encode(mel, FULL_CONTEXT_S)
        second = ask(encoded)
        # Twice the same: the speaker does repeat himself.
        if not second.suspicious or (second.text == first.text and not second.endless):
            return second, 1
        return ask(encoded, no_repeat_ngram_size=3), 2

    def _silent(self, attempt: _Attempt) -> bool:
        return (
            attempt.no_speech_prob > self._guards.no_speech_prob
            and attempt.logprob < self._guards.no_speech_logprob
        )

    def _encode(self, mel: Samples, context_s: float) -> Any:
        """Spectrogram [mels, frames] -> the encoder's output for `context_s` seconds [1, frames / 2, width]."""
        import numpy as np

        frames = round(context_s * _FRAMES_PER_S)
        part = mel[:, :frames]
        padded = np.pad(part, ((0, 0), (0, frames - part.shape[1])))
        return self._model.model.encode(self._storage.from_array(padded[None]))

    def _language_of(self, encoded: Any) -> str:
        if self._language is not None or not self._multilingual:
            return self._language or "en"
        best: str = self._model.model.detect_language(encoded)[0][0][0]
        return best.strip("<|>")

    def _generate(
        self,
        encoded: Any,
        *,
        language: str,
        seconds: float,
        beam: int,
        words: str = "",
        no_repeat_ngram_size: int = 0,
    ) -> _Attempt:
        tokenizer = self._tokenizers.get(language) or self._tokenizers.setdefault(
            language, self._new_tokenizer(language)
        )
        prompt = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        if words:
            before = tokenizer.encode(f" {words.strip()}")[:_MAX_WORDS]
            prompt = [tokenizer.sot_prev, *before, *prompt]
        cap = min(
            _MAX_TOKENS - len(prompt),
            self._guards.base_tokens + int(self._guards.tokens_per_s * seconds),
        )
        result = self._model.model.generate(
            encoded,
            [prompt],
            beam_size=beam,
            max_length=len(prompt) + cap,
            no_repeat_ngram_size=no_repeat_ngram_size,
            suppress_blank=True,
            suppress_tokens=self._suppressed,
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        tokens = result.sequences_ids[0]
        text = tokenizer.decode(tokens).strip()
        endless = len(tokens) >= cap
        # Who says a thing several times takes the time to say it; a loop does not.
        hurried = len(text.split()) > self._guards.loop_words_per_s * seconds
        loops = compression_ratio(text) > self._guards.max_compression or (
            hurried and is_one_phrase_repeated(text)
        )
        return _Attempt(
            text, float(result.scores[0]), float(result.no_speech_prob), endless or loops, endless
        )
