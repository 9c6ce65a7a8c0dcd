"""Speaking: sentence by sentence from text to audio, never far ahead of what the listener hears."""

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
from voxengine.providers.cascade.memory import Entry
from voxengine.providers.cascade.parts import TTS
from voxengine.providers.cascade.settings import CascadeSettings
from voxengine.providers.cascade.speakable import speakable
from voxengine.providers.cascade.watch import as_provider_error, watched

__all__ = ["Cut", "Mouth", "SpokenItem"]

#: Items whose audio may still be playing, or that the session may still ask about.
_KEEP = 64
#: After so many chunks in a row others may run.
_CHUNKS_IN_A_ROW = 16


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

    def add(self, text: str, audio_ms: float) -> None:
        """Words that take `audio_ms` to say."""
        self.spans.append(Span(len(self.text), self.audio_ms, self.audio_ms + audio_ms))
        self.text += text
        self.audio_ms += audio_ms
        self.entry.text = self.text

    def heard(self, ms: float) -> str:
        """The words that a listener of the first `ms` has heard."""
        return text_heard(self.text, self.spans, self.audio_ms, ms)


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
        tts: TTS | None,
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
        self._tts = tts
        self._settings = settings
        self._emit = emit
        self._session = session
        self._clock = asyncio.get_running_loop().time
        self._items: OrderedDict[str, SpokenItem] = OrderedDict()

    # -- to speak

    def open(self, item: SpokenItem) -> None:
        """Remember an item that is about to be spoken."""
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
        words = speakable(text) if aloud and self._tts is not None else ""
        if words:
            await self._keep_pace()
            try:
                audio = await self._synthesize(words)
            except Exception as error:
                failure = as_provider_error(error, "speech synthesis")
        ms = self._milliseconds(audio)
        start = item.audio_ms
        item.add(text, ms)
        if audio:
            self.characters += len(words)
            self.seconds += ms / 1000
            first_audio()
        self._emit(
            ev.TextOutput,
            text=text,
            is_partial=not last(),
            item_id=item.id,
            response_id=item.response_id,
            audio_start_ms=start if aloud else None,
            audio_end_ms=start + ms if aloud else None,
        )
        await self._give(item, audio)
        return failure

    async def _synthesize(self, words: str) -> bytes:
        assert self._tts is not None
        stream = self._tts.synthesize(
            words, voice=self.voice, speed=self._settings.speed, session=self._session
        )
        limit = self._settings.tts_timeout
        speech = watched(stream, first=limit, between=limit, what="speech synthesis")
        async with contextlib.aclosing(speech) as pieces:
            # The whole sentence, so that it is known where its words end.
            return b"".join([piece.audio async for piece in pieces])

    async def _give(self, item: SpokenItem, audio: bytes) -> None:
        assert not audio or self._tts is not None
        if self._tts is None or not audio:
            return
        rate = self._tts.sample_rate
        size = max(1, round(self._settings.chunk_ms * rate / 1000)) * 2
        for n, start in enumerate(range(0, len(audio), size)):
            if n and n % _CHUNKS_IN_A_ROW == 0:
                await asyncio.sleep(0)
            chunk = audio[start : start + size]
            # Before the event: whoever asks from within a handler finds it there.
            self.playout.push(item.id, self._milliseconds(chunk), self._clock())
            self._emit(
                ev.AudioOutputChunk,
                audio_data=chunk,
                sample_rate=rate,
                item_id=item.id,
                response_id=item.response_id,
            )

    async def _keep_pace(self) -> None:
        ahead = self.playout.remaining_ms(self._clock()) / 1000 - self._settings.ahead_s
        if ahead > 0:
            await asyncio.sleep(ahead)

    def _milliseconds(self, audio: bytes) -> float:
        return len(audio) / 2 * 1000 / self._tts.sample_rate if self._tts is not None else 0.0

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
        """Fall silent: what was not heard by now never will be. Returns the items that lost something."""
        cuts = []
        for item_id, _, heard in self.playout.stop(self._clock()):
            item = self._items.get(item_id)
            if item is not None:
                cuts.append(Cut(item, heard, item.heard(heard)))
        return cuts

    def close_item(self, item: SpokenItem) -> None:
        """Nothing more is said in this item, though that was not known when its last words were."""
        self._emit(
            ev.TextOutput, text="", is_partial=False, item_id=item.id, response_id=item.response_id
        )
