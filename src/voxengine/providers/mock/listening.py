"""From the audio that the mock gets to the events that a vendor would send about it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import understand
from voxengine.config import ProviderConfig
from voxengine.providers.mock.config import MockSettings, answers_on_request, speaks_on
from voxengine.providers.mock.ears import Began, Ears, Paused, Speaking, TurnOver
from voxengine.providers.mock.memory import Entry
from voxengine.providers.mock.service import Vendor
from voxengine.providers.mock.wire import Wire
from voxengine.providers.mock.words import WordsSoFar

__all__ = ["Listener"]

#: What it believes to have heard where there are no words of ours.
UNINTELLIGIBLE = "(speech)"


class Listener:
    """The vendor's hearing: voice activity, turns, transcripts."""

    def __init__(
        self,
        settings: MockSettings,
        config: ProviderConfig,
        wire: Wire,
        vendor: Vendor,
        format: AudioFormat,
    ) -> None:
        self._settings = settings
        self._config = config
        self._wire = wire
        self._vendor = vendor
        self._ears = self._new_ears(format)
        self._options = dict(config.turn_options or {})
        self._item_id: str | None = None
        self._shown = ""
        self._words = WordsSoFar(format)
        self._turns = 0
        #: Turns so far.
        self._heard = 0
        #: Whether any audio came at all.
        self.heard_any = False

    @property
    def detects(self) -> bool:
        """Whether it finds the ends of turns by itself."""
        kinds = self._settings.capabilities.turn_detection
        return self._config.turn_detection != "none" and any(kind != "none" for kind in kinds)

    def _new_ears(self, format: AudioFormat) -> Ears:
        settings, options = self._settings, self._config.turn_options or {}
        threshold = options.get("threshold")
        louder = 0.0 if threshold is None else 20 * math.log10(max(threshold, 0.01) / 0.5)
        return Ears(
            format,
            detect=self.detects,
            silence_ms=options.get("silence_duration_ms") or settings.silence_ms,
            pause_ms=settings.pause_ms,
            threshold_db=settings.threshold_db + louder,
            step_ms=settings.partial_ms,
            prefix_ms=options.get("prefix_padding_ms") or 300.0,
        )

    def reconfigure(self, format: AudioFormat) -> None:
        """The settings have changed. What was heard under others is forgotten."""
        options = dict(self._config.turn_options or {})
        same = self._ears.format == format and self._ears.detect == self.detects
        if not same or options != self._options:
            self._ears = self._new_ears(format)
            self._item_id = None
        self._options = options

    def feed(self, audio: bytes) -> None:
        """Hear some more."""
        if not audio:
            return
        self.heard_any = True
        self._vendor.meter.heard(self._ears.format.duration_ms(len(audio)) / 1000)
        for noticed in self._ears.feed(audio):
            match noticed:
                case Began(at_ms=at_ms):
                    self._began(at_ms)
                case Speaking():
                    self._go_on(noticed)
                case Paused(at_ms=at_ms, lag_ms=lag_ms):
                    if self._wants("vad_events"):
                        self._wire.send(
                            ev.VadSpeechEnded, item_id=self._item_id, audio_ms=at_ms, lag_ms=lag_ms
                        )
                case TurnOver():
                    self._turn(noticed.audio, noticed.at_ms)

    def commit(self) -> None:
        """Make a turn of what was heard.

        Raises:
            MessageError: nothing was.
        """
        if not self._ears.held_ms:
            raise self._vendor.refusal("there is no audio to make a turn of", "audio_buffer_empty")
        if self._ears.speaking and self._wants("vad_events"):
            self._wire.send(
                ev.VadSpeechEnded, item_id=self._item_id, audio_ms=self._ears.position_ms
            )
        position = self._ears.position_ms
        self._turn(self._ears.take(), position, detected=False)

    def clear(self) -> None:
        """Forget what is not yet a turn."""
        self._ears.take()
        self._item_id = None
        self._shown = ""

    # -- inside

    def _wants(self, what: str) -> bool:
        """Whether events of a kind are offered and wanted. No wish is the provider's default: yes."""
        offered = {"transcription": "input_transcription", "partials": "partial_transcripts"}.get(
            what, what
        )
        wish = getattr(self._config, what)
        return wish is not False and bool(getattr(self._settings.capabilities, offered))

    def _began(self, at_ms: float) -> None:
        if self._item_id is None:
            self._item_id = self._vendor.ids.new("item")
            self._shown = ""
            self._words = WordsSoFar(self._ears.format)
        if self._wants("vad_events"):
            self._wire.send(ev.VadSpeechStarted, item_id=self._item_id, audio_ms=at_ms)
        if not speaks_on(self._settings.capabilities, self._config):
            self._vendor.barge_in()

    def _go_on(self, so_far: Speaking) -> None:
        if not self._wants("partials") or self._config.transcription is False:
            return
        text = self._words.listen(so_far.audio)
        if not text:
            # Of scripted words, as many as could have been said by now.
            words = (self._scripted() or "").split()
            text = " ".join(words[: int(so_far.speech_ms / self._settings.ms_per_word)])
        if text.startswith(self._shown) and text != self._shown:
            self._shown = text
            self._wire.send(ev.TranscriptPartial, text=text, item_id=self._item_id)

    def _scripted(self) -> str | None:
        transcripts: Any = self._settings.transcripts
        if isinstance(transcripts, str):
            transcripts = (transcripts,)
        return transcripts[self._turns % len(transcripts)] if transcripts else UNINTELLIGIBLE

    def _turn(self, audio: bytes, at_ms: float, detected: bool = True) -> None:
        item_id = self._item_id or self._vendor.ids.new("item")
        self._item_id, self._shown = None, ""
        self._wire.send(ev.TurnDetected, item_id=item_id, audio_ms=at_ms)
        text: str | None = understand(audio, self._ears.format)
        if not text:
            text = self._scripted()
            self._turns += 1
        entry = Entry(id=item_id, role="user", text=text or "")
        entry.audio_ms = self._ears.format.duration_ms(len(audio))
        self._vendor.memory.add(entry)
        emotions = self._settings.emotions
        if emotions and self._wants("emotion"):
            rotation = (emotions,) if isinstance(emotions, Mapping) else emotions
            scores = dict(rotation[self._heard % len(rotation)])
            self._wire.send(ev.EmotionDetected, scores=scores, item_id=item_id)
        self._heard += 1
        if self._wants("transcription"):
            delay = self._settings.transcript_delay_ms / 1000
            if delay:
                self._wire.later(delay, self._transcribe, item_id, text)
            else:
                self._transcribe(item_id, text)
        can = self._settings.capabilities
        if not (detected and can.auto_response) or answers_on_request(can, self._config):
            return
        if self._vendor.player.active is None or not speaks_on(can, self._config):
            self._vendor.answer(entry)

    def _transcribe(self, item_id: str, text: str | None) -> None:
        if text is None:
            self._wire.send(
                ev.TranscriptFailed, item_id=item_id, error="the speech could not be transcribed"
            )
        else:
            language = self._config.language or "en"
            self._wire.send(ev.TranscriptCompleted, text=text, item_id=item_id, language=language)
