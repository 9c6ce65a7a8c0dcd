"""The arithmetic of sample-rate conversion: a polyphase windowed-sinc filter that gives out samples as they come.

Imports numpy, so it is itself imported only when audio is first converted.

Why not a stream of libsoxr: its filters work on blocks of 1024 samples and give audio out in
bursts. Measured with soxr 1.1.0 and frames of 20 ms, the worst time that audio stays inside (input
so far minus output so far):

    rates             HQ / MQ      LQ       QQ (no anti-alias filter)      this filter
    8 <-> 16 kHz      115-118 ms   61 ms    0.3 ms                         3.0 ms
    8 <-> 24 kHz      73-75 ms     40 ms    0.2 ms                         3.0 ms
    16 <-> 24, 48     37-38 ms     20 ms    0.1 ms                         1.5 ms
    time per frame    5-9 us       5-9 us   5-11 us                        12-21 us

So a frame of telephone audio would reach the recogniser 40 ms later than it could, and half of the
frames would come out empty. A finite filter of 24 periods of the lower rate on each side waits for
nothing but those. It costs ten microseconds a frame more.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["HALF_PERIODS", "Polyphase"]

#: Length of the filter to each side, in sample periods of the lower of the two rates. This is the
#: whole delay.
HALF_PERIODS = 24
#: Middle of the transition band as a part of the lower rate. With the window below, the pass band
#: ends at 0.42 of the lower rate (3.4 kHz of 8 kHz) and the stop band begins at 0.52 (what folds
#: back lies above 3.8 kHz).
_CUTOFF = 0.47
#: Attenuation of the stop band in dB, and the Kaiser window's parameter for it (Oppenheim and
#: Schafer, Discrete-Time Signal Processing, the design formula for attenuations above 50 dB).
_ATTENUATION = 80.0
_BETA = 0.1102 * (_ATTENUATION - 8.7)
#: At most so many input samples are worked on at once: bounds the memory that one large chunk
#: takes.
_SLICE = 48000


def _taps(up: int, down: int) -> NDArray[np.float64]:
    """One row of filter taps for each of the `up` phases; tap i of phase p weighs the input at i - half + 1 - p/up."""
    stretch = max(1.0, down / up)
    half = math.ceil(HALF_PERIODS * stretch)
    t = np.arange(-half + 1, half + 1)[None, :] - (np.arange(up) / up)[:, None]
    window = np.i0(_BETA * np.sqrt(np.maximum(0.0, 1.0 - (t / half) ** 2)))
    h = np.sinc(2 * _CUTOFF / stretch * t) * window
    # Every phase lets a constant through unchanged; without this, DC would ripple at the output
    # rate.
    return np.asarray(h / h.sum(axis=1, keepdims=True))


class Polyphase:
    """Converts a stream of int16 samples by the ratio of two rates.

    The work is one product of matrices: row k of the left one is the stretch of input that block k
    of the output depends on, the columns of the right one are the filter's phases, each shifted to
    its place in that stretch.
    """

    def __init__(self, source_rate: int, target_rate: int) -> None:
        divisor = math.gcd(source_rate, target_rate)
        self._up = up = target_rate // divisor
        self._down = down = source_rate // divisor
        taps = _taps(up, down)
        n_taps = taps.shape[1]
        self._half = n_taps // 2
        # Short patterns are repeated until a block is at least four samples: fewer, longer rows.
        repeat = max(1, math.ceil(4 / up))
        self._block_out = up * repeat
        self._block_in = down * repeat
        starts = np.arange(self._block_out) * down // up
        self._width = int(starts[-1]) + n_taps
        matrix = np.zeros((self._width, self._block_out), np.float32)
        for i, start in enumerate(starts):
            matrix[start : start + n_taps, i] = taps[i * down % up]
        self._matrix = matrix
        self._n_taps = n_taps
        #: Seconds by which output lags input.
        self.delay = self._half / source_rate
        self.reset()

    def reset(self) -> None:
        """Forget what came before."""
        self._held: NDArray[np.float32] = np.zeros(self._half - 1, np.float32)
        #: Samples of the first block in `_held` that were already given out.
        self._given = 0
        self._fed = 0
        self._made = 0

    def push(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Take int16 samples [n]; return the int16 samples that are now complete [about n * target / source]."""
        self._fed += len(samples)
        if len(samples) <= _SLICE:
            return self._run(samples)
        pieces = [self._run(samples[i : i + _SLICE]) for i in range(0, len(samples), _SLICE)]
        return np.concatenate(pieces)

    def finish(self) -> NDArray[np.int16]:
        """Return what is still inside, as if silence followed, and begin anew.

        In all, n input samples become round(n * target / source) output samples.
        """
        wanted = (2 * self._fed * self._up + self._down) // (2 * self._down) - self._made
        rest = self._run(np.zeros(self._half + self._down, np.int16))[:wanted]
        self.reset()
        return rest

    def _run(self, samples: NDArray[Any]) -> NDArray[np.int16]:
        held = np.concatenate((self._held, samples), dtype=np.float32)
        reach = len(held) - self._n_taps + 1
        if reach <= 0:
            self._held = held
            return np.zeros(0, np.int16)
        # Output n starts at input n * down // up, so those with n * down / up < reach are complete.
        complete = -(-reach * self._up // self._down)
        blocks = -(-complete // self._block_out)
        needed = (blocks - 1) * self._block_in + self._width
        padded = held
        if needed > len(held):
            # The last block is not complete: its missing input is taken as zero, and only its
            # complete samples count.
            padded = np.zeros(needed, np.float32)
            padded[: len(held)] = held
        # Overlapping rows of the one buffer; made by hand, as numpy's helper for it takes longer than
        # the product does.
        shape, strides = (blocks, self._width), (4 * self._block_in, 4)
        rows: NDArray[np.float32] = np.ndarray(shape, np.float32, padded, 0, strides)
        out = (rows.copy() @ self._matrix).ravel()[self._given : complete]
        whole = complete // self._block_out
        # A copy, so that a short rest does not keep a long chunk alive.
        self._held = held[whole * self._block_in :].copy()
        self._given = complete - whole * self._block_out
        self._made += len(out)
        np.rint(out, out=out)
        np.maximum(out, -32768, out=out)
        np.minimum(out, 32767, out=out)
        return out.astype(np.int16)
