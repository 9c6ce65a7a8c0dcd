"""Silero VAD v6 on onnxruntime.

The file that faster-whisper ships is an export of its own: `input` [n, 576] holds n frames of 512 samples, each with
the 64 samples before it in front; the LSTM's state goes in as `h` and `c` [1, 1, 128] and comes out as `hn` and `cn`;
`speech_probs` is [n]. Used here with n = 1, about 0.1 ms of one core for 32 ms of audio, so it may run on the event
loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxengine.errors import AudioError, ProviderError
from voxengine.providers.cascade.local.libraries import library
from voxengine.providers.cascade.local.models import locate
from voxengine.providers.cascade.local.worker import Priority, shared_worker

if TYPE_CHECKING:
    from voxengine.providers.cascade.parts import Samples

__all__ = ["CONTEXT_SAMPLES", "FRAME_SAMPLES", "SileroStream", "SileroVAD"]

#: Samples of a frame (32 ms at 16 kHz), and of the audio before it that the model wants to see again.
FRAME_SAMPLES = 512
CONTEXT_SAMPLES = 64
_STATE = (1, 1, 128)


class SileroVAD:
    """One model for all sessions of the process."""

    name = "silero"

    def __init__(self) -> None:
        self._session: Any = None

    async def load(self) -> None:
        """Check the file, load and run it once.

        Raises:
            MissingDependencyError: onnxruntime or the package with the model is not installed.
            ModelError: the file is not the pinned one.
        """
        if self._session is None:
            await shared_worker().submit("load", Priority.URGENT, self._open, lane="load")

    def _open(self) -> None:
        if self._session is not None:
            return
        path = locate("silero-vad").file("silero_vad_v6.onnx")
        ort = library("onnxruntime", "Silero VAD")
        options = ort.SessionOptions()
        # More threads cost more than they save on a model this small.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        import numpy as np

        SileroStream(session).process(np.zeros(FRAME_SAMPLES, np.float32))
        self._session = session

    def stream(self) -> SileroStream:
        """State for one session.

        Raises:
            ProviderError: `load` was not awaited (loading here would stop the event loop).
        """
        if self._session is None:
            raise ProviderError(
                "await load() of the VAD before its first stream", code="not_loaded"
            )
        return SileroStream(self._session)


class SileroStream:
    """Voice activity of one stream: the LSTM's state, and the last 64 samples."""

    frame_samples = FRAME_SAMPLES

    def __init__(self, session: Any) -> None:
        import numpy as np

        self._run = session.run
        #: The model's input [1, 576]; its first 64 samples are the end of the frame before.
        self._input = np.zeros((1, CONTEXT_SAMPLES + FRAME_SAMPLES), np.float32)
        self._zeros = np.zeros(_STATE, np.float32)
        self._h = self._c = self._zeros

    def process(self, frame: Samples) -> float:
        """Probability in [0, 1] that the 512 samples hold speech.

        Raises:
            AudioError: the frame has another length.
        """
        if len(frame) != FRAME_SAMPLES:
            raise AudioError(
                f"Silero VAD takes {FRAME_SAMPLES} samples at a time, not {len(frame)}",
                code="audio_frame",
            )
        row = self._input[0]
        row[:CONTEXT_SAMPLES] = row[-CONTEXT_SAMPLES:]
        row[CONTEXT_SAMPLES:] = frame
        out, self._h, self._c = self._run(None, {"input": self._input, "h": self._h, "c": self._c})
        return float(out[0])

    def reset(self) -> None:
        """Forget the stream so far."""
        self._input.fill(0.0)
        self._h = self._c = self._zeros
