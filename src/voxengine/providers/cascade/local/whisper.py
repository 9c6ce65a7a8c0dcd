"""Speech to text with Whisper, on faster-whisper's model, tokenizer and spectrogram."""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from voxengine.errors import AudioError, ConfigurationError, ModelError, ProviderError
from voxengine.providers.cascade.local.decoding import Decoded, Decoder, Guards
from voxengine.providers.cascade.local.libraries import library
from voxengine.providers.cascade.local.models import ModelFiles
from voxengine.providers.cascade.local.whisper_models import DEFAULT_MODEL, find_whisper
from voxengine.providers.cascade.local.windows import MIN_WINDOW_S, split_at_pauses
from voxengine.providers.cascade.local.worker import Priority, shared_worker
from voxengine.providers.cascade.parts import INPUT_RATE, Transcription

if TYPE_CHECKING:
    from voxengine.providers.cascade.parts import Samples

__all__ = ["WhisperSTT"]

#: Seconds that loading may take, a download from the hub included.
LOAD_BUDGET_S = 900.0
#: Seconds that one window may take before it is given up.
DECODE_BUDGET_S = 60.0
#: Finished windows of long turns that are kept, of all sessions together (a few hundred bytes each).
KEPT_WINDOWS = 64


class WhisperSTT:
    """A Whisper model, shared by all sessions. It listens for the words of a session's vocabulary.

    Args:
        model: `tiny.en` (in the `local` extra), any name that faster-whisper knows, `owner/model` of the hub, or a
            path.
        language: of the speech ("en", "de-DE", ...); None detects it in each window (multilingual models only).
        beam: search width of final transcripts. 5 costs about a quarter more time than 1 on one thread, gets
            unclear speech right more often (WER 11.7 % against 15.4 % on real telephone and microphone clips), and sets
            the punctuation that the turn detector reads.
        partial_beam: of partial transcripts.
        compute_type: CTranslate2's; int8 is the fastest on a CPU.
        cpu_threads: threads of one decode. The worker runs one decode a core at once, which was faster in total, and
            with one call no slower, than one decode on two threads.
        guards: see `decoding.Guards`.
    """

    takes_vocabulary = True

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        language: str | None = None,
        beam: int = 5,
        partial_beam: int = 1,
        compute_type: str = "int8",
        cpu_threads: int = 1,
        guards: Guards | None = None,
    ) -> None:
        if min(beam, partial_beam, cpu_threads) < 1:
            raise ConfigurationError("whisper: beam, partial_beam and cpu_threads are at least 1")
        self.model = model or DEFAULT_MODEL
        self.name = f"whisper/{self.model}"
        #: Where the model was found, None before `load`.
        self.files: ModelFiles | None = None
        #: How many windows had to be decoded again, and how many came out of the store of finished ones.
        self.reruns = 0
        self.reused = 0
        # It knows languages, not countries.
        self._language = language.partition("-")[0].lower() if language else None
        self._beam = beam
        self._partial_beam = partial_beam
        self._compute_type = compute_type
        self._cpu_threads = cpu_threads
        self._guards = guards or Guards()
        self._decoder: Decoder | None = None
        self._windows: OrderedDict[tuple[str, int, int, int], Decoded] = OrderedDict()
        self._lock = threading.Lock()

    async def load(self) -> None:
        """Check the files, load the model and run it once.

        Raises:
            MissingDependencyError: faster-whisper or the package with the model is not installed.
            ModelError: the model is missing, corrupted, or could not be fetched.
        """
        if self._decoder is None:
            await shared_worker().submit(
                "load", Priority.URGENT, self._open, lane="load", budget_s=LOAD_BUDGET_S
            )

    def _open(self) -> None:
        if self._decoder is not None:
            return
        library("ctranslate2", "speech recognition with Whisper")
        faster_whisper = library("faster_whisper", "speech recognition with Whisper")
        self.files = find_whisper(self.model)
        try:
            model: Any = faster_whisper.WhisperModel(
                str(self.files.path),
                device="cpu",
                compute_type=self._compute_type,
                cpu_threads=self._cpu_threads,
                num_workers=shared_worker().threads("stt"),
            )
            decoder = Decoder(model, language=self._language, guards=self._guards)
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(
                f"{self.name} in {self.files.path} cannot be loaded: {error}"
            ) from error
        _warm_up(decoder, self._beam)
        self._decoder = decoder

    async def transcribe(
        self,
        samples: Samples,
        *,
        session: str,
        partial: bool = False,
        vocabulary: Sequence[str] = (),
    ) -> Transcription:
        """Write down speech at 16 kHz, of any length. The array is copied; "" is given for no speech.

        `vocabulary` are words and phrases that may come: the model is shown them before it listens, as if they had just
        been said. It reads about 200 tokens of them.

        Raises:
            AudioError: not a one-dimensional array of finite numbers.
            WorkSuperseded: (partials only) newer work of the session came first.
            ProviderError: the worker is overloaded, or the engine failed or took too long.
        """
        speech = _checked(samples)
        await self.load()
        priority = Priority.PARTIAL if partial else Priority.URGENT
        worker = shared_worker()
        windows = [(0, len(speech))]
        if len(speech) > MIN_WINDOW_S * INPUT_RATE:
            windows = await worker.submit(session, priority, lambda: split_at_pauses(speech))
        decoded: list[Decoded] = []
        # A job a window, so that one long turn does not hold up the other calls.
        for start, end in windows:
            closed = end < len(speech)
            job = _Window(
                self,
                speech[start:end],
                start,
                session,
                closed=closed,
                partial=partial,
                vocabulary=", ".join(vocabulary),
            )
            if (known := job.known()) is None:
                known = await worker.submit(session, priority, job, budget_s=DECODE_BUDGET_S)
            decoded.append(known)
        return _joined(decoded)

    def decode(self, samples: Samples, *, beam: int, vocabulary: str = "") -> Decoded:
        """Decode one window, on the calling thread."""
        if self._decoder is None:
            raise ProviderError("await load() of the STT first", code="not_loaded")
        try:
            result = self._decoder.decode(samples, beam=beam, vocabulary=vocabulary)
        except (RuntimeError, ValueError) as error:
            raise ProviderError(f"{self.name} failed: {error}", code="failed") from error
        with self._lock:
            self.reruns += result.reruns
        return result

    def beam(self, *, partial: bool) -> int:
        """The search width of a partial or a final transcript."""
        return self._partial_beam if partial else self._beam

    def recall(self, key: tuple[str, int, int, int]) -> Decoded | None:
        """What was written down for a finished window."""
        with self._lock:
            known = self._windows.get(key)
            self.reused += known is not None
            return known

    def remember(self, key: tuple[str, int, int, int], result: Decoded) -> None:
        """Keep the text of a finished window; the oldest is forgotten."""
        with self._lock:
            self._windows[key] = result
            while len(self._windows) > KEPT_WINDOWS:
                self._windows.popitem(last=False)


class _Window:
    """The job of decoding one window.

    A window that a later one follows will not change any more, so it is decoded well once, and then known.
    """

    def __init__(
        self,
        stt: WhisperSTT,
        samples: Samples,
        start: int,
        session: str,
        *,
        closed: bool,
        partial: bool,
        vocabulary: str,
    ) -> None:
        self._stt = stt
        self._samples = samples
        self._vocabulary = vocabulary
        self._beam = stt.beam(partial=partial and not closed)
        self._key = (
            (session, start, len(samples), zlib.crc32(samples.tobytes())) if closed else None
        )

    def known(self) -> Decoded | None:
        return self._stt.recall(self._key) if self._key else None

    def __call__(self) -> Decoded:
        result = self._stt.decode(self._samples, beam=self._beam, vocabulary=self._vocabulary)
        if self._key:
            self._stt.remember(self._key, result)
        return result


def _checked(samples: Samples) -> Samples:
    """A copy of its own, for the caller's buffer may change while the speech waits for its turn."""
    import numpy as np

    speech: Samples = np.array(samples, dtype=np.float32)
    if speech.ndim != 1:
        raise AudioError(
            f"speech is a one-dimensional array, not one of shape {speech.shape}",
            code="audio_shape",
        )
    if not np.isfinite(speech).all():
        raise AudioError(
            "speech holds samples that are not finite numbers", code="audio_not_finite"
        )
    return speech


def _joined(windows: list[Decoded]) -> Transcription:
    said = [window for window in windows if window.text]
    if not said:
        return Transcription("", windows[0].language)
    return Transcription(
        " ".join(window.text for window in said),
        said[0].language,
        sum(window.logprob for window in said) / len(said),
    )


def _warm_up(decoder: Decoder, beam: int) -> None:
    """One second of noise: allocates what the first turn would have to wait for."""
    import numpy as np

    noise = np.random.default_rng(0).standard_normal(INPUT_RATE).astype(np.float32)
    decoder.decode(noise * np.float32(0.05), beam=beam)
