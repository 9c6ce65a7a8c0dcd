"""What the messages of a transcription session mean in their order; without I/O.

A session tells which item each stretch of audio becomes, and the words of items, which may come in another order. An
item is ended by us (a commit, which is asked for), or by the server's turn detection, which says first that speech has
stopped.
"""

from __future__ import annotations

from collections.abc import Callable

from voxengine.providers.cascade.parts import (
    STTEvent,
    STTFailed,
    STTFinal,
    STTPartial,
    STTSpeechStarted,
    STTTurnEnded,
    STTUsage,
)
from voxengine.providers.openai import messages as ms
from voxengine.providers.openai.failures import code_of, error_of

__all__ = ["Hearing"]

#: There was nothing to be committed.
_EMPTY = "input_audio_buffer_commit_empty"
_WORDS = "conversation.item.input_audio_transcription."
#: Items whose words are awaited; of more, the oldest is forgotten.
_MAX_ITEMS = 64


class Hearing:
    """Turns and words of one session.

    Args:
        tell: is given the events.
        name: who complains.
    """

    def __init__(self, tell: Callable[[STTEvent], None], name: str) -> None:
        self._tell = tell
        self._name = name
        #: Commits that were asked for and are not items yet.
        self._asked = 0
        #: Words so far by item; and whose end made it an item: it was asked for (True), or the server found it.
        self._words: dict[str, str] = {}
        self._mine: dict[str, bool] = {}
        #: Answers that are owed, in the order in which they were asked for; the words of those that have come.
        self._owed: dict[str, str | None] = {}

    def ask(self) -> None:
        """A commit is sent."""
        self._asked += 1

    def take(self, message: ms.Message) -> None:
        """A message of the server.

        Raises:
            msgspec.DecodeError: a part of it is not of the form that it should have.
        """
        kind, item = message.type, message.item_id or ""
        if kind == "input_audio_buffer.speech_started":
            self._tell(STTSpeechStarted(message.audio_start_ms))
        elif kind == "input_audio_buffer.speech_stopped":
            self._ends(item, mine=False)
        elif kind == "input_audio_buffer.committed":
            self._committed(item)
        elif kind.startswith(_WORDS):
            self._word(kind.removeprefix(_WORDS), item, message)
        elif kind == "error":
            self._error(ms.parse(message.error, ms.Failure) or ms.Failure())

    def _ends(self, item: str, *, mine: bool) -> None:
        self._mine[item] = mine
        while len(self._mine) > _MAX_ITEMS:
            oldest = next(iter(self._mine))
            del self._mine[oldest]
            self._words.pop(oldest, None)
            self._owed.pop(oldest, None)

    def _committed(self, item: str) -> None:
        """One whose end the server has not told before is ours."""
        if self._asked and item not in self._mine:
            self._asked -= 1
            self._ends(item, mine=True)
            self._owed[item] = None

    def _word(self, what: str, item: str, message: ms.Message) -> None:
        if what == "delta":
            so_far = self._words[item] = self._words.get(item, "") + (message.delta or "")
            if so_far.strip():
                self._tell(STTPartial(so_far.strip()))
        elif what == "completed":
            self._used(message)
            self._over(item, (message.transcript or "").strip())
        elif what == "failed":
            failure = error_of(ms.parse(message.error, ms.Failure) or ms.Failure(), self._name)
            failure.retryable = True
            self._tell(STTFailed(failure))

    def _used(self, message: ms.Message) -> None:
        usage = ms.parse(message.usage, ms.TranscriptionUsage)
        if usage is not None and usage.seconds:
            self._tell(STTUsage(usage.seconds))

    def _over(self, item: str, text: str) -> None:
        """Answers are told in the order in which they were asked for, whatever the order in which they come."""
        self._words.pop(item, None)
        if self._mine.pop(item, False):
            self._owed[item] = text
            while self._owed and (text_of := next(iter(self._owed.values()))) is not None:
                del self._owed[next(iter(self._owed))]
                self._tell(STTFinal(text_of, asked=True))
        elif text:
            self._tell(STTTurnEnded(text))

    def _error(self, failure: ms.Failure) -> None:
        if failure.code == _EMPTY:
            if self._asked:
                self._asked -= 1
                self._tell(STTFinal("", asked=True))
            return
        error = error_of(failure, self._name)
        error.retryable = code_of(failure) not in ("auth", "quota", "not_found")
        self._tell(STTFailed(error))
