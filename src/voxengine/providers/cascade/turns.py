"""When a silence is the end of a turn: by what was said, and by how this caller pauses.

The text rule reads the transcript: "I would like to" goes on, "Turn it off." does not. It errs on the side of waiting,
for Whisper ends an unfinished sentence with a full stop now and then. The pauses inside the caller's turns then
stretch (or shorten) every wait.
"""

from __future__ import annotations

import enum
import math
import re

from voxengine.errors import ConfigurationError

__all__ = ["FILLERS", "HANGING", "AdaptiveTurnDetector", "Ending", "ending_of"]

_CONJUNCTIONS = (
    "and or but because although though unless until while whereas if than plus nor whether"
)
_DETERMINERS = "the a an my your our their its every"
_PREPOSITIONS = "of for with at from into onto between without during via per toward towards to"
_SUBJECTS = "i we they he she i'm i'd i'll i've we're we'll they're let's gonna wanna"
_THINKING = "um uhm uh er erm hm hmm mm mmm ah eh well like so"

#: Words that no finished sentence ends with, or hardly any. Prepositions that end commands ("turn it on") are not
#: among them. English.
HANGING = frozenset(f"{_CONJUNCTIONS} {_DETERMINERS} {_PREPOSITIONS} {_SUBJECTS}".split())
#: Sounds and words of somebody who is thinking.
FILLERS = frozenset(_THINKING.split())
#: Hanging words that do end questions ("Who is it for?").
_ENDS_QUESTIONS = frozenset(_PREPOSITIONS.split())
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_GOES_ON = re.compile(r"(?:\.{2,}|[…,;:\-–—])[\"'”’)\]\s]*$")
_STOPS = re.compile(r"[.!?。！？][\"'”’)\]\s]*$")


class Ending(enum.Enum):
    """What the text rule makes of a transcript."""

    COMPLETE = "complete"
    UNKNOWN = "unknown"
    GOES_ON = "goes_on"


def ending_of(text: str | None) -> Ending:
    """Whether a transcript looks finished."""
    if text is None:
        return Ending.UNKNOWN
    words = [word.lower().replace("’", "'") for word in _WORD.findall(text)]
    if all(word in FILLERS for word in words) or _GOES_ON.search(text):
        return Ending.GOES_ON
    last = words[-1]
    if last in FILLERS and len(words) > 1 and not (last == "well" and _STOPS.search(text)):
        return Ending.GOES_ON
    is_question = text.rstrip().rstrip("\"'”’)] ").endswith("?")
    if last in HANGING and not (is_question and last in _ENDS_QUESTIONS):
        return Ending.GOES_ON
    if last.isdigit() and len(last) >= 3:
        return Ending.UNKNOWN  # numbers are dictated in groups
    return Ending.COMPLETE if _STOPS.search(text) else Ending.UNKNOWN


class AdaptiveTurnDetector:
    """How long to wait, for one call. Make a new one for each: it learns its caller's pace.

    Args (milliseconds unless said otherwise):
        complete_ms, unknown_ms, goes_on_ms: the wait after each kind of ending, for a caller of ordinary pace.
        min_ms, max_ms: no wait is shorter or longer.
        usual_pause_ms: a pause inside a turn of a caller of ordinary pace.
        least_pause_ms: shorter gaps belong to the words (closed lips before a "p") and teach nothing.
        learn: part (0 to 1) of the way to the caller's pace that one observed pause moves. 0 learns nothing.
        forget: part of the way back to the ordinary pace that each rightly ended turn moves.
        least_pace, most_pace: limits of the pace, the factor on every wait.
    """

    name = "adaptive"

    def __init__(
        self,
        *,
        complete_ms: float = 280.0,
        unknown_ms: float = 500.0,
        goes_on_ms: float = 900.0,
        min_ms: float = 200.0,
        max_ms: float = 1500.0,
        usual_pause_ms: float = 300.0,
        least_pause_ms: float = 120.0,
        learn: float = 0.3,
        forget: float = 0.05,
        least_pace: float = 0.8,
        most_pace: float = 2.5,
    ) -> None:
        if not 0 <= min_ms <= complete_ms <= unknown_ms <= goes_on_ms <= max_ms:
            raise ConfigurationError(
                "turn detector: 0 <= min_ms <= complete_ms <= unknown_ms <= goes_on_ms <= max_ms does not hold"
            )
        if not (
            0 <= learn <= 1
            and 0 <= forget <= 1
            and 0 < least_pace <= 1 <= most_pace
            and usual_pause_ms > 0
        ):
            raise ConfigurationError(
                "turn detector: learn and forget are 0 to 1, least_pace up to 1, most_pace from 1, "
                "usual_pause_ms above 0"
            )
        self._waits = {
            Ending.COMPLETE: complete_ms,
            Ending.UNKNOWN: unknown_ms,
            Ending.GOES_ON: goes_on_ms,
        }
        self._min_ms = min_ms
        self._max_ms = max_ms
        self._usual_pause_ms = usual_pause_ms
        self._least_pause_ms = least_pause_ms
        self._learn = learn
        self._forget = forget
        self._least_pace = least_pace
        self._most_pace = most_pace
        #: The caller's pace: 1 is ordinary, 2 pauses twice as long.
        self.pace = 1.0

    def wait_ms(self, text: str | None, speech_ms: float) -> float:
        """Silence in ms after which the turn is over, given its transcript so far (None: not known yet)."""
        return min(self._max_ms, max(self._min_ms, self._waits[ending_of(text)] * self.pace))

    def observe_pause(self, pause_ms: float, ended_turn: bool) -> None:
        """Learn from a pause: one inside a turn shows the caller's pace, a right ending that all is well."""
        if ended_turn:
            self.pace += self._forget * (1.0 - self.pace)
            return
        if not math.isfinite(pause_ms) or pause_ms < self._least_pause_ms:
            return
        seen = min(self._most_pace, max(self._least_pace, pause_ms / self._usual_pause_ms))
        self.pace += self._learn * (seen - self.pace)
