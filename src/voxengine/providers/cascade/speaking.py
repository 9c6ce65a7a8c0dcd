"""Speaking: from text to audio, never far ahead of what the listener hears.

A voice that is called speaks sentence by sentence (`Mouth.say`), one that streams an item as a whole (`Mouth.recite`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from voxengine import events as ev
from voxengine.audio.playout import PlayoutClock
from voxengine.conversation import Span, text_heard
from voxengine.errors import ProviderError
from voxengine.providers.cascade.cues import Cues, Line
from voxengine.providers.cascade.memory import Entry
from voxengine.providers.cascade.parts import TTS, SpokenWord, StreamingTTS, TTSStream
from voxengine.providers.cascade.recital import Recital
from voxengine.providers.cascade.settings import CascadeSettings
from voxengine.providers.cascade.speakable import speakable
from voxengine.providers.cascade.watch import as_provider_error, watched
from voxengine.providers.cascade.wording import Wording

__all__ = ["Cut", "Mouth", "SpokenItem"]

#: Items whose audio may still be playing, or that the session may still ask about.
_KEEP = 64
#: After so many chunks in a row others may run.
_CHUNKS_IN_A_ROW = 16
#: Two positions no further apart than this are the same cut: the session's clock and ours differ by less.
_SAME_CUT_MS = 100.0


@dataclass(slots=True, eq=False)
class SpokenItem:
    """One item of the assistant: its words so far, and where in its audio they are."""

    id: str
    response_id: str
    #: Its entry in the brain's memory.
    entry: Entry
    text: str = ""
    audio_ms: float = 0.0
    spans: list[Span] = field(default_factory=list)
    #: Whether all its text and audio is there.
    complete: bool = False
    #: What speaks it, where the voice streams.
    recital: Recital | None = None
    #: Where it was cut, and what the voice itself says was heard up to which place.
    cut_ms: float | None = None
    told_heard: tuple[float, str] | None = None

    def add(self, text: str, start_ms: float | None, end_ms: float | None) -> None:
        """Words, and where in the audio they are; None: from here on, and as far as it takes."""
        if text:
            start = self.audio_ms if start_ms is None else start_ms
            self.spans.append(Span(len(self.text), start, end_ms))
            self.text += text
            self.entry.text = self.text

    def heard(self, ms: float) -> str:
        """The words that a listener of the first `ms` has heard."""
        came = None if self.complete else self.text
        return text_heard(self.text, self.spans, self.audio_ms, ms, came=came)


@dataclass(slots=True, frozen=True)
class Cut:
    """An item that was cut short, and what was heard of it."""

    item: SpokenItem
    heard_ms: float
    heard_text: str


class Mouth:
    """The voice of one session.

    Args:
        emit: takes the class of an event and its fields.
    """

    def __init__(
        self,
        tts: TTS | StreamingTTS | None,
        settings: CascadeSettings,
        emit: Callable[..., None],
        *,
        session: str,
        voice: str | None = None,
    ) -> None:
        self.voice = voice
        self.playout = PlayoutClock()
        #: What was made so far: characters turned to speech, and seconds of it.
        self.characters = 0
        self.seconds = 0.0
        #: Whether a voice that streams says where its words are, None until it has spoken.
        self.tells_words: bool | None = None
        #: The voice that streams, and what it is called in reports of usage.
        self.streaming = tts if isinstance(tts, StreamingTTS) else None
        self._called = tts if not isinstance(tts, StreamingTTS) else None
        self._rate = tts.sample_rate if tts is not None else 0
        self._silencing: set[asyncio.Task[None]] = set()
        self._settings = settings
        self._emit = emit
        self._session = session
        self._clock = asyncio.get_running_loop().time
        self._items: OrderedDict[str, SpokenItem] = OrderedDict()

    # -- to speak

    def open(self, item: SpokenItem) -> None:
        """Remember an item that is about to be spoken."""
        now = self._clock()
        for earlier in self._items.values():
            if earlier.complete and self.playout.heard_ms(earlier.id, now) >= earlier.audio_ms:
                earlier.recital = None  # all was heard: there is nothing left to ask the voice for
        self._items[item.id] = item
        if len(self._items) > _KEEP:
            self._items.popitem(last=False)

    async def say(
        self,
        item: SpokenItem,
        text: str,
        *,
        aloud: bool,
        last: Callable[[], bool],
        first_audio: Callable[[], None],
    ) -> ProviderError | None:
        """Say a sentence: its text, then its audio. Waits first, if too much is waiting to be heard.

        `last()` tells whether it is the item's last, `first_audio()` is called before audio is given. Returns what
        went wrong with the audio, if anything; the text is given in any case.
        """
        audio, failure = b"", None
        words: tuple[SpokenWord, ...] = ()
        said = speakable(text) if aloud and self._called is not None else ""
        if said:
            await self.keep_pace()
            try:
                audio, words = await self._synthesize(said)
            except Exception as error:
                failure = as_provider_error(error, "speech synthesis")
        ms = self.milliseconds(audio)
        start = item.audio_ms
        lines = _lines(text, words, ms)
        if audio:
            self.characters += len(said)
            self.seconds += ms / 1000
            first_audio()
        is_last = last()
        for n, line in enumerate(lines, 1):
            begin, end = (start + line.start_ms, start + line.end_ms) if aloud else (None, None)
            self.tell(item, line.text, begin, end, more=n < len(lines) or not is_last)
        item.audio_ms += ms
        await self.give(item, audio)
        return failure

    async def _synthesize(self, words: str) -> tuple[bytes, tuple[SpokenWord, ...]]:
        assert self._called is not None
        stream = self._called.synthesize(
            words, voice=self.voice, speed=self._settings.speed, session=self._session
        )
        limit = self._settings.tts_timeout
        speech = watched(stream, first=limit, between=limit, what="speech synthesis")
        audio: list[bytes] = []
        placed: list[SpokenWord] = []
        async with contextlib.aclosing(speech) as pieces:
            # The whole sentence, so that it is known where its words end.
            async for piece in pieces:
                audio.append(piece.audio)
                placed += piece.words
        return b"".join(audio), tuple(placed)

    def recite(
        self, item: SpokenItem, *, first_audio: Callable[[], None], failed: Callable[[], None]
    ) -> Recital:
        """Begin to say an item with a voice that streams; the rest is the recital's affair."""
        item.recital = Recital(
            self,
            item,
            limit=self._settings.tts_timeout,
            first_audio=first_audio,
            failed=failed,
        )
        return item.recital

    # -- for what speaks

    async def begin(self) -> TTSStream:
        """A new answer of the voice that streams."""
        assert self.streaming is not None
        return await self.streaming.open(
            voice=self.voice, speed=self._settings.speed, session=self._session
        )

    def begins_again(self, failure: ProviderError) -> None:
        """The voice failed before anything of a sentence was given, which is begun again."""
        self._emit(
            ev.SystemWarning,
            code="speech_begun_again",
            message=f"a sentence is spoken once more: {failure}",
        )

    def tell(
        self,
        item: SpokenItem,
        text: str,
        start_ms: float | None,
        end_ms: float | None,
        *,
        more: bool,
    ) -> None:
        """Tell of words, and where in the item's audio they are."""
        item.add(text, start_ms, end_ms)
        self._emit(
            ev.TextOutput,
            text=text,
            is_partial=more,
            item_id=item.id,
            response_id=item.response_id,
            audio_start_ms=start_ms,
            audio_end_ms=end_ms,
        )

    async def give(self, item: SpokenItem, audio: bytes) -> None:
        """Hand audio to the listener, in chunks. Nothing is waited for before the first of them."""
        if not audio:
            return
        size = max(1, round(self._settings.chunk_ms * self._rate / 1000)) * 2
        for n, start in enumerate(range(0, len(audio), size)):
            if n and n % _CHUNKS_IN_A_ROW == 0:
                await asyncio.sleep(0)
            chunk = audio[start : start + size]
            # Before the event: whoever asks from within a handler finds it there.
            self.playout.push(item.id, self.milliseconds(chunk), self._clock())
            self._emit(
                ev.AudioOutputChunk,
                audio_data=chunk,
                sample_rate=self._rate,
                item_id=item.id,
                response_id=item.response_id,
            )

    async def keep_pace(self) -> None:
        """Wait while more is waiting to be heard than there should be."""
        ahead = self.playout.remaining_ms(self._clock()) / 1000 - self._settings.ahead_s
        if ahead > 0:
            await asyncio.sleep(ahead)

    def milliseconds(self, audio: bytes) -> float:
        """How long it takes to play."""
        return len(audio) / 2 * 1000 / self._rate if audio else 0.0

    # -- what was heard

    @property
    def speaking(self) -> bool:
        """Whether audio is still playing at the listener's, as far as we can tell."""
        return self.playout.remaining_ms(self._clock()) > 0

    def perceived(self, item_id: str, before_ms: float) -> bool:
        """Whether anything of an item had reached the listener `before_ms` ago, by ear or (without audio) by eye."""
        item = self._items.get(item_id)
        if item is None or not item.text:
            return False
        return (
            not item.audio_ms
            or self.playout.heard_ms(item_id, self._clock() - before_ms / 1000) > 0
        )

    @property
    def playing(self) -> str | None:
        """The item that is being heard."""
        return self.playout.playing(self._clock())

    def stop(self) -> list[Cut]:
        """Fall silent: what was not heard by now never will be. Returns the items that lost something.

        A voice that streams is told, and may correct what we take for heard (`ConversationInterrupted`).
        """
        now = self._clock()
        cuts = []
        for item_id, _, heard in self.playout.stop(now):
            item = self._items.get(item_id)
            if item is not None:
                cuts.append(Cut(item, heard, item.heard(heard)))
                item.cut_ms = heard
        for item in self._items.values():
            if item.recital is not None and (item.cut_ms is not None or not item.complete):
                self._silence(item, item.recital, self.playout.heard_ms(item.id, now))
        return cuts

    def _silence(self, item: SpokenItem, recital: Recital, heard_ms: float) -> None:
        said = recital.silence(heard_ms)

        async def silence() -> None:
            words = await said
            if words is not None and item.cut_ms is not None:
                item.told_heard = heard_ms, words
                self._correct(item, heard_ms, words)

        item.recital = None
        task = asyncio.get_running_loop().create_task(silence(), name="voxengine-silence")
        self._silencing.add(task)
        task.add_done_callback(self._silencing.discard)

    def _correct(self, item: SpokenItem, heard_ms: float, words: str) -> None:
        """What the voice says was heard counts, unless the listener's own word is another."""
        assert item.cut_ms is not None
        if item.entry.void or abs(item.cut_ms - heard_ms) > _SAME_CUT_MS:
            return
        item.entry.text = words
        self._emit(
            ev.ConversationInterrupted,
            item_id=item.id,
            response_id=item.response_id,
            heard_ms=heard_ms,
            heard_text=words,
        )

    def cut_at(self, item_id: str, heard_ms: float, text: str) -> str:
        """The session says where an item was cut: the words that were heard, the voice's own where they are known."""
        item = self._items.get(item_id)
        if item is None:
            return text
        item.cut_ms = heard_ms
        if item.told_heard is not None and abs(item.told_heard[0] - heard_ms) <= _SAME_CUT_MS:
            return item.told_heard[1]
        return text

    def close(self) -> set[asyncio.Task[None]]:
        """The tasks that are on their way out."""
        return set(self._silencing)

    def close_item(self, item: SpokenItem) -> None:
        """Nothing more is said in this item, though that was not known when its last words were."""
        self._emit(
            ev.TextOutput, text="", is_partial=False, item_id=item.id, response_id=item.response_id
        )


def _lines(text: str, words: tuple[SpokenWord, ...], ms: float) -> list[Line]:
    """A sentence in the pieces of which it is known where in its `ms` of speech they are."""
    lines: list[Line] = []
    if words:
        cues, wording = Cues(), Wording()
        for phrase in (*wording.feed(text), *wording.flush()):
            for word in phrase.words:
                cues.add(word)
        for spoken in words:
            line = cues.hear(spoken)
            if line is not None:
                start = max(line.start_ms, lines[-1].start_ms if lines else 0.0)
                lines.append(Line(line.text, start, max(start, line.end_ms)))
        text = cues.rest()
    if text or not lines:
        start = lines[-1].end_ms if lines else 0.0
        lines.append(Line(text, start, max(start, ms)))
    return lines
