"""One item, spoken by a voice that is given the words while they are still being found.

The words go to the voice as they come, its speech comes back by itself, and a task between the two gives that on: the
speech, and the text with it. Where the voice says when its words are spoken, each is told with its place; where it
does not, the text is told as it comes, as soon as there is speech that it can belong to.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from voxengine.errors import ProviderError
from voxengine.providers.cascade.cues import Cues
from voxengine.providers.cascade.parts import Speech, SpokenWord, TTSStream
from voxengine.providers.cascade.watch import as_provider_error, within
from voxengine.providers.cascade.wording import Phrase

if TYPE_CHECKING:
    from voxengine.providers.cascade.speaking import Mouth, SpokenItem

__all__ = ["Recital"]

_WHAT = "speech synthesis"
#: Speech without a word's place after which the voice is taken for one that tells none. Milliseconds.
_NO_WORDS_MS = 300.0
#: Speech behind the last word of a sentence that is its end, and not the beginning of the next one. Milliseconds.
_TAIL_MS = 300.0
#: Times in a row that a sentence is begun again of which nothing was given.
_RETRIES = 1
#: Seconds that a stream may take to fall silent and to say what was heard, or to close.
_SILENCING = 1.0


class Recital:
    """Speaks one item. If `finish` did not return, it has to be closed.

    Args:
        limit: seconds within which speech has to come for what was given to the voice.
        first_audio: called before the first speech is given.
        failed: called when the voice is given up; `finish` then raises why.
    """

    def __init__(
        self,
        mouth: Mouth,
        item: SpokenItem,
        *,
        limit: float,
        first_audio: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        self._mouth = mouth
        self._item = item
        self._limit = limit
        self._first_audio = first_audio
        self._failed = failed
        loop = asyncio.get_running_loop()
        self._clock = loop.time
        self._cues = Cues()
        #: Where sentences end: the number of words up to there.
        self._ends: list[int] = []
        #: The answer at the voice; with which word, and where in the item's audio, it began.
        self._stream: TTSStream | None = None
        self._from_word = 0
        self._from_ms = 0.0
        #: Words that came before any audio to hear them in; where the last that was told begins and ends.
        self._early: list[SpokenWord] = []
        self._last_ms = (0.0, 0.0)
        #: Whether the voice says where its words are, None as long as that is not known.
        self._timed = mouth.tells_words
        self._ended = False
        #: Nothing is to be given any more; done when the voice has said what was heard, if it is asked.
        self._muted = False
        self._silenced: asyncio.Future[None] | None = None
        self._failure: ProviderError | None = None
        self._failures = 0
        #: Whether words were pushed since the last audio, and since when audio is due.
        self._unspoken = False
        self._due_since: float | None = None
        self._timer: asyncio.Timeout | None = None
        self._task = loop.create_task(self._run(), name="voxengine-recital")

    # -- what is to be said

    def say(self, phrase: Phrase) -> None:
        """Give the voice further words. Never waits."""
        begin = len(self._cues.words)
        for word in phrase.words:
            self._cues.add(word)
        if phrase.ends:
            self._ends.append(len(self._cues.words))
        if self._stream is not None and not self._muted and not self._task.done():
            self._push(self._stream, begin, None, flush=phrase.ends)
        if self._timed is False and self._item.audio_ms:
            self._tell_all()

    def _push(self, stream: TTSStream, begin: int, end: int | None, *, flush: bool) -> None:
        said = "".join(word.said for word in self._cues.words[begin:end])
        if said:
            stream.push(said)
            self._mouth.characters += len(said)
            self._unspoken = self._unspoken or self._cues.with_letters(begin, end)
        if flush:
            stream.flush()
            self._expect()

    async def finish(self) -> None:
        """No more words come: wait until all of it has been given.

        Raises:
            ProviderError: the voice failed.
        """
        self._ended = True
        if self._stream is not None and not self._task.done():
            self._stream.end()
            self._expect()
        await asyncio.wait((self._task,))
        if self._failure is not None:
            raise self._failure
        rest, start, end = self._cues.rest(), None, None
        if rest and self._timed is not False and self._item.audio_ms:
            # The words that were not told of are between the last one that was and the end.
            start, end = self._last_ms[1], max(self._last_ms[1], self._item.audio_ms)
        self._mouth.tell(self._item, rest, start, end, more=False)
        self._item.complete = True

    async def close(self) -> None:
        """Stop, however far it is."""
        if self._silenced is not None:
            # Whoever silences it wants to hear from the voice how much was heard.
            await asyncio.wait((self._silenced,), timeout=_SILENCING)
        self._task.cancel()
        await asyncio.wait((self._task,))

    # -- being cut short

    def mute(self) -> None:
        """From now on nothing is given any more."""
        self._muted = True

    def silence(self, heard_ms: float) -> Coroutine[Any, Any, str | None]:
        """Tell the voice that no more than this was heard of the item; returns its own word on which text that was.

        Nothing is given any more from the call on.
        """
        self._muted = True
        self._silenced = asyncio.get_running_loop().create_future()
        return self._silence(heard_ms, self._silenced)

    async def _silence(self, heard_ms: float, silenced: asyncio.Future[None]) -> str | None:
        stream, said = self._stream, None
        try:
            if stream is not None:
                ms = max(0.0, heard_ms - self._from_ms)
                said = await within(stream.cancel(ms), _SILENCING, _WHAT)
        except Exception:  # it is silent in any case, and our own estimate stands
            return None
        finally:
            silenced.set_result(None)
        if said is None or heard_ms < self._from_ms:
            return None
        return self._cues.up_to(said, self._from_word)

    # -- what is said

    async def _run(self) -> None:
        """Never raises: a failure is kept for `finish`."""
        while True:
            try:
                return await self._one_stream()
            except Exception as error:
                failure = as_provider_error(error, _WHAT)
            if self._muted:
                return None
            word = self._again() if failure.retryable and self._failures < _RETRIES else None
            if word is None:
                self._failure = failure
                return self._failed()
            self._failures += 1
            self._from_word = word
            self._cues.go_to(word)
            self._mouth.begins_again(failure)

    def _again(self) -> int | None:
        """The word to begin again with, if it is of a sentence of which nothing was given; else None."""
        given_ms = self._item.audio_ms
        if given_ms == self._from_ms:
            return self._from_word
        said = self._cues.said
        if not self._timed or given_ms - self._last_ms[1] > _TAIL_MS:
            return None
        end = next((end for end in (0, *self._ends) if end >= said), None)
        return end if end is not None and not self._cues.with_letters(said, end) else None

    async def _one_stream(self) -> None:
        self._stream = None
        self._from_ms = self._item.audio_ms
        self._unspoken, self._due_since = False, None
        self._early.clear()
        stream = await within(self._mouth.begin(), self._limit, _WHAT)
        self._stream, whole = stream, False
        try:
            begin = self._from_word
            for end in self._ends:
                if end > begin:
                    self._push(stream, begin, end, flush=True)
                    begin = end
            self._push(stream, begin, None, flush=False)
            if self._ended:
                stream.end()
                self._expect()
            await self._listen(stream)
            whole = not self._muted
        finally:
            if not whole and self._silenced is None:
                self._stream = None
                with contextlib.suppress(Exception):
                    await within(stream.cancel(), _SILENCING, _WHAT)
        if self._muted:
            return
        if not self._ended:
            raise ProviderError(f"{_WHAT} ended too soon", code="closed", retryable=True)
        if self._item.audio_ms == self._from_ms and self._cues.with_letters(self._from_word):
            raise ProviderError(f"{_WHAT} gave nothing", code="no_audio", retryable=True)

    async def _listen(self, stream: TTSStream) -> None:
        speech = aiter(stream)
        try:
            while not self._muted:
                await self._mouth.keep_pace()
                if self._due_since is not None:
                    self._due_since = max(self._due_since, self._clock())
                try:
                    async with asyncio.timeout_at(self._deadline()) as self._timer:
                        piece = await anext(speech)
                except StopAsyncIteration:
                    return
                except TimeoutError:
                    words = f"{_WHAT} took longer than {self._limit:g} s"
                    raise ProviderError(words, code="timeout", retryable=True) from None
                finally:
                    self._timer = None
                if not self._muted:
                    await self._take(piece)
        finally:
            close = getattr(speech, "aclose", None)
            if close is not None:
                with contextlib.suppress(Exception):
                    await within(close(), _SILENCING, _WHAT)

    async def _take(self, piece: Speech) -> None:
        """Give on a piece of speech, and before it the text that is told with it."""
        item, audio = self._item, piece.audio
        if piece.words and self._timed is None:
            self._timed = self._mouth.tells_words = True
        self._early += piece.words
        if audio:
            self._unspoken, self._failures = False, 0
            self._due_since = self._clock() if self._ended else None
            self._first_audio()
        ms = self._mouth.milliseconds(audio)
        given_ms = item.audio_ms + ms - self._from_ms
        if self._timed is None and given_ms >= _NO_WORDS_MS:
            self._timed = self._mouth.tells_words = False
        if given_ms and self._timed:
            self._tell_words()
        elif given_ms and self._timed is False:
            self._tell_all()
        if audio:
            self._mouth.seconds += ms / 1000
            item.audio_ms += ms
            await self._mouth.give(item, audio)

    def _tell_words(self) -> None:
        for word in self._early:
            line = self._cues.hear(word)
            if line is not None:
                start = max(self._from_ms + line.start_ms, self._last_ms[0])
                self._last_ms = start, max(self._from_ms + line.end_ms, start)
                self._mouth.tell(self._item, line.text, *self._last_ms, more=True)
        self._early.clear()

    def _tell_all(self) -> None:
        """All that has come belongs to the speech that is given now, or to what follows."""
        if text := self._cues.rest():
            self._mouth.tell(self._item, text, None, None, more=True)

    # -- waits

    def _expect(self) -> None:
        """Speech is due, if something was pushed that has not been spoken, or nothing more will be pushed."""
        if (self._unspoken or self._ended) and self._due_since is None:
            self._due_since = self._clock()
        if self._timer is not None and not self._timer.expired():
            self._timer.reschedule(self._deadline())

    def _deadline(self) -> float | None:
        return None if self._due_since is None else self._due_since + self._limit
