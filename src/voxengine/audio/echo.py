"""Taking the engine's own voice out of what the microphone hears.

Echo cancellation is WebRTC's AEC3, from the package pywebrtc-audio. It is needed wherever
microphone and loudspeaker are opened through PortAudio, which offers none on any platform; browsers
and telephones bring their own.
"""

from __future__ import annotations

from typing import Any

from voxengine.audio.formats import AudioFormat, check_audio
from voxengine.errors import AudioError, ConfigurationError, MissingDependencyError

__all__ = ["EchoCanceller"]

#: The longest stretch of reference that waits for its microphone audio.
_MAX_REFERENCE_MS = 500


class EchoCanceller:
    """Removes from the microphone's audio what comes from the loudspeaker.

    Call `playback` with each frame that is handed to the loudspeaker and `capture` with each frame
    of the microphone, in the order in which the device takes and gives them. Frames are pcm16 mono
    in whole tens of milliseconds.

    The first words of someone who speaks over the engine may be clipped while both are audible;
    stop the engine's voice as soon as speech is detected. Not thread-safe.
    """

    def __init__(
        self, rate: int = 16000, *, delay_ms: int = 0, noise_suppression: bool = False
    ) -> None:
        """`delay_ms`: from handing over a frame to the microphone hearing it, where known; else it is found out.

        Raises:
            MissingDependencyError: the `devices` extra is not installed.
            ConfigurationError: the rate does not have a whole number of samples in 10 ms, or is
                below 8000.
        """
        try:
            from pywebrtc_audio import AudioProcessor
        except ImportError as error:
            raise MissingDependencyError("echo cancellation", "devices") from error
        if rate < 8000 or rate % 100:
            raise ConfigurationError(
                f"echo cancellation needs a rate of at least 8000 Hz that 100 divides, not {rate}"
            )
        self._format = AudioFormat(sample_rate=rate)
        self._step = self._format.n_bytes(10)
        self._reference = bytearray()
        self._limit = self._format.n_bytes(_MAX_REFERENCE_MS)
        self._processor: Any = AudioProcessor(
            sample_rate=rate,
            echo_cancellation=True,
            noise_suppression=noise_suppression,
            ns_level=1,
            stream_delay_ms=delay_ms,
        )

    @property
    def delay_ms(self) -> int:
        """What the canceller is told of the delay from loudspeaker to microphone."""
        return int(self._processor.stream_delay_ms)

    @delay_ms.setter
    def delay_ms(self, value: int) -> None:
        self._processor.stream_delay_ms = value

    def playback(self, frame: bytes) -> None:
        """Hand over what goes to the loudspeaker now.

        Raises:
            AudioError: `frame` is not a whole number of samples.
        """
        check_audio(frame, self._format)
        self._reference += frame
        # More than this can only gather when the microphone stands still; then its oldest part is
        # of no use.
        del self._reference[: max(0, len(self._reference) - self._limit)]

    def capture(self, frame: bytes) -> bytes:
        """Take a frame of the microphone; return it without the echo, as long as it was.

        Raises:
            AudioError: `frame` is not whole tens of milliseconds.
        """
        if len(frame) % self._step:
            raise AudioError(
                f"echo cancellation works on whole tens of milliseconds; {len(frame)} bytes are "
                f"{self._format.duration_ms(len(frame)):.2f} ms",
                code="audio_frame",
            )
        if not frame:
            return frame
        import numpy as np

        far = bytes(self._reference[: len(frame)])
        del self._reference[: len(frame)]
        near = np.frombuffer(frame, "<i2")
        reference = np.frombuffer(far.ljust(len(frame), b"\0"), "<i2")
        cleaned: bytes = self._processor.process(near, reference).tobytes()
        return cleaned

    def reset(self) -> None:
        """Forget the room and all audio."""
        self._reference.clear()
        self._processor.reset()
