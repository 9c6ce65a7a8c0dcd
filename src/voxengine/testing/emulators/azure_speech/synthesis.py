"""Synthesis: text in, as a stream or as a document, speech and the places of its words out."""

from __future__ import annotations

import asyncio
import re
from html import unescape

from voxengine.audio.formats import AudioFormat
from voxengine.testing.emulators.azure_speech.session import TICKS, SpeechSession
from voxengine.testing.emulators.mouth import Piece, speak_paced
from voxengine.testing.oracles.azure_speech import Frame

__all__ = ["SynthesisSession"]

FORMAT = AudioFormat("pcm16", 24000)
_WIRE_FORMAT = "raw-24khz-16bit-mono-pcm"
#: Texts that wait to be spoken.
_MOST = 256
#: A sentence, and what follows it.
_SENTENCE = re.compile(r"(.*?[.!?]+)\s+(.*)", re.DOTALL)
_TAG = re.compile(r"<[^>]+>")
_SIGNS = re.compile(r"^\W+|\W+$")


class SynthesisSession(SpeechSession):
    """One session of synthesis. `voice_name` is whose voice was asked for, `text` all that came."""

    def opened(self) -> None:
        """Nothing is said before the client says what."""
        super().opened()
        self.voice_name: str | None = None
        self.text = ""
        self._pending = ""
        #: Sentences to speak, None at the end of a request.
        self._texts: asyncio.Queue[str | None] = asyncio.Queue(_MOST)
        self._spoken_ms = 0.0
        self._begun = ""
        self._mouth = asyncio.create_task(self._speak_all(), name="azure-speech-mouth")
        self._mouth.add_done_callback(self._done)
        self.tasks.append(self._mouth)

    def taken(self, frame: Frame) -> None:
        """A frame of the client."""
        match frame.path, frame.body:
            case "synthesis.context", dict() as context:
                synthesis = context["synthesis"]
                if synthesis["audio"]["outputFormat"] != _WIRE_FORMAT:
                    self.invalid([f"only {_WIRE_FORMAT} is emulated"], frame)
                self.voice_name = (synthesis.get("input") or {}).get("voiceName")
            case "text.piece", str() as text:
                self._begin()
                self._read(text)
            case "text.end", _:
                self._finish()
            case "ssml", str() as document:
                self._begin()
                self._read(unescape(_TAG.sub("", document)))
                self._finish()

    def closed(self) -> None:
        """Speak no more."""
        self._mouth.cancel()

    def _begin(self) -> None:
        if self._begun == self.request_id:
            return
        self._begun, self._spoken_ms = self.request_id, 0.0
        self.begin_turn()
        audio = {"type": "inline", "streamId": self.request_id}
        self.say("response", {"context": {"serviceTag": self.id}, "audio": audio})

    def _read(self, text: str) -> None:
        self.text += text
        self._pending += text
        while (found := _SENTENCE.fullmatch(self._pending)) is not None:
            self._texts.put_nowait(found[1])
            self._pending = found[2]

    def _finish(self) -> None:
        if self._pending.strip():
            self._texts.put_nowait(self._pending)
        self._pending = ""
        self._texts.put_nowait(None)

    def _done(self, task: asyncio.Task[None]) -> None:
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            self.on_failure(failure)

    async def _speak_all(self) -> None:
        number, chunks = 0, 0
        while True:
            text = await self._texts.get()
            if text is None:
                self.say("audio", b"", {"X-StreamId": self.request_id})
                self.say("turn.end", {})
                number = 0
                continue
            if not number:
                number, chunks = self.emulator.faults.responding(), 0
            settings, begin = self.emulator.settings, self._spoken_ms
            async for piece in speak_paced(
                self.emulator.voice,
                text,
                FORMAT,
                chunk_ms=settings.chunk_ms,
                pace=settings.pace,
            ):
                for fault in self.emulator.faults.at_chunk(number, chunks):
                    self.strike(fault)
                chunks += 1
                self._send(piece, begin)

    def _send(self, piece: Piece, begin_ms: float) -> None:
        self._spoken_ms = begin_ms + piece.end_ms
        for word in piece.words:
            start, end = begin_ms + word.start_ms, begin_ms + word.end_ms
            text = _SIGNS.sub("", word.text)
            data = {
                "Offset": round(start * TICKS),
                "Duration": round((end - start) * TICKS),
                "text": {"Text": text, "Length": len(text), "BoundaryType": "WordBoundary"},
            }
            self.say("audio.metadata", {"Metadata": [{"Type": "WordBoundary", "Data": data}]})
        self.say("audio", piece.audio, {"X-StreamId": self.request_id})
