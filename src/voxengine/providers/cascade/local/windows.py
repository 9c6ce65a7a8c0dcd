"""Cuts long speech into windows at its pauses, because Whisper sees at most 30 s, and is slower the more it sees.

The cuts depend only on the audio before and shortly after them: a turn that has grown is cut at the same places again.
So what a partial transcript wrote down for a finished window need not be decoded again for the next one.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from voxengine.providers.cascade.parts import INPUT_RATE

if TYPE_CHECKING:
    import numpy as np

    from voxengine.providers.cascade.parts import Samples

__all__ = ["MAX_WINDOW_S", "MIN_WINDOW_S", "PAUSE_MS", "split_at_pauses"]

#: Seconds before which nothing is cut, and after which it is cut even where there is no pause.
MIN_WINDOW_S = 12.0
MAX_WINDOW_S = 26.0
#: What counts as a pause. Half of it stays on each side of a cut, enough that no word loses its end.
PAUSE_MS = 300
#: Milliseconds of one energy frame, and of the voice that must follow a pause for it to be a cut.
_FRAME_MS = 10
_VOICE_MS = 50
#: A pause is this far (24 dB) below the loud parts of its window.
_BELOW_LOUD = 10 ** (-24 / 20)


def split_at_pauses(samples: Samples) -> list[tuple[int, int]]:
    """The windows [start, end) of speech at 16 kHz, in samples; together they are all of it."""
    hop = INPUT_RATE * _FRAME_MS // 1000
    levels = _levels(samples, hop)
    minimum = int(MIN_WINDOW_S * 1000) // _FRAME_MS
    maximum = int(MAX_WINDOW_S * 1000) // _FRAME_MS
    cuts = [0]
    while len(levels) - cuts[-1] > minimum:
        start = cuts[-1]
        loud = float(sorted(levels[start : start + minimum].tolist())[minimum * 9 // 10])
        region = levels[start + minimum : start + maximum]
        cut = _first_pause(region < loud * _BELOW_LOUD)
        if cut is None:
            if len(levels) - start <= maximum:
                break
            cut = _quietest(region)
        cuts.append(start + minimum + cut)
    edges = [cut * hop for cut in cuts] + [len(samples)]
    return list(itertools.pairwise(edges))


def _levels(samples: Samples, hop: int) -> Samples:
    """RMS of each whole frame of `hop` samples, [len // hop]."""
    import numpy as np

    frames = samples[: len(samples) // hop * hop].reshape(-1, hop)
    levels: Samples = np.sqrt(np.einsum("ij,ij->i", frames, frames) / hop)
    return levels


def _first_pause(quiet: np.ndarray[Any, np.dtype[np.bool_]]) -> int | None:
    """The frame in the middle of the first pause after which the voice goes on, None where there is none."""
    need, voice = PAUSE_MS // _FRAME_MS, _VOICE_MS // _FRAME_MS
    run = 0
    for index, is_quiet in enumerate(quiet.tolist()):
        if is_quiet:
            run += 1
        else:
            if (
                run >= need
                and not quiet[index : index + voice].any()
                and len(quiet) - index >= voice
            ):
                # From the start of the pause, so that the cut is known before the pause is over.
                return index - run + need // 2
            run = 0
    return None


def _quietest(levels: Samples) -> int:
    """The middle of the quietest 100 ms."""
    import numpy as np

    width = 100 // _FRAME_MS
    return int(np.convolve(levels, np.ones(width, np.float32), "valid").argmin()) + width // 2
