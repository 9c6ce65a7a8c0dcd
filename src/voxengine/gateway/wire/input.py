"""The client's audio on its way to the engine: straight through, or kept back where the plan of turns says so."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING, Any

import pybase64

from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.wire_formats import format_of
from voxengine.errors import AudioError, ConnectionError, SessionClosedError, VoiceEngineError
from voxengine.gateway.wire.hearing import Began, Ear, Heard, load_detector
from voxengine.gateway.wire.settings import Settings
from voxengine.gateway.wire.told import Told
from voxengine.gateway.wire.turns import Plan
from voxengine.realtime.errors import Complaint

if TYPE_CHECKING:
    from voxengine.gateway.wire.session import RealtimeSession

__all__ = ["Input", "audio_of"]

#: The least audio that can be committed.
MIN_COMMIT_MS = 100.0
#: Milliseconds of audio that are kept back at most.
MAX_HELD_MS = 300_000.0
#: Silence that ends a turn where the provider knows no other end: longer than any detector waits.
CLOSING_SILENCE_MS = 2000.0
#: The gateway's own ear: audio is looked at in pieces of this length, and speech is noticed within this time.
PIECE_MS = 100.0
NOTICED_AFTER_MS = 160.0
#: Frames that may wait for a provider that takes audio only when it is waited for.
MAX_WAITING = 500

#: How nearly every message of a client begins: as JSON is written without spaces, and with them.
_HEADS = (
    b'{"type":"input_audio_buffer.append","audio":"',
    b'{"type": "input_audio_buffer.append", "audio": "',
)
_COMPACT, _SPACED = _HEADS
_N_COMPACT, _N_SPACED = len(_COMPACT), len(_SPACED)
_b64decode = pybase64.b64decode


def audio_of(message: memoryview | bytes) -> bytes | None:
    """The audio of a message that is an append in its usual form; None where that takes a closer look."""
    if message[:_N_COMPACT] == _COMPACT:
        start = _N_COMPACT
    elif message[:_N_SPACED] == _SPACED:
        start = _N_SPACED
    else:
        return None
    if message[-2:] != b'"}':
        return None
    try:
        return _b64decode(message[start:-2], validate=True)
    except ValueError:
        return None  # broken, or there is more in it than the audio


class Input:
    """One client's input audio buffer."""

    def __init__(self, session: RealtimeSession) -> None:
        self._session = session
        self._engine = session.call.engine
        self._take_audio = self._engine.take_audio
        recording = session.call.recording
        self._record = recording.user if recording is not None else None
        self.plan = Plan()
        self.told = Told(session, lambda: self.position_ms)
        self._format = AudioFormat()
        self._frame = self._format.bytes_per_frame
        #: Bytes since the format changed, and milliseconds before that.
        self._bytes = 0
        self._before_ms = 0.0
        #: Where the audio begins that is not a turn yet.
        self._uncommitted_ms = 0.0
        self._rest = b""
        self._ear: Ear | None = None
        #: Audio that is kept back; how much of it, while nobody speaks, belongs to a turn that may begin.
        self._held: deque[bytes] = deque()
        self._held_bytes = 0
        self._padding = 0
        #: Turns of which the provider has not been sent the audio.
        self._unsent: list[bytes] = []
        #: The item of the turn that the gateway's own ear hears.
        self._item_id: str | None = None
        #: Frames for a provider that has to be waited for, and the task that gives it one after the other.
        self._waiting: deque[bytes] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._straight = True
        #: Whether the client knows that its audio goes nowhere.
        self._lost = False

    @property
    def format(self) -> AudioFormat:
        """The format of the client's audio."""
        return self._format

    @property
    def position_ms(self) -> float:
        """Milliseconds of all audio that the client has sent."""
        return self._before_ms + self._format.duration_ms(self._bytes)

    # -- settings

    async def configure(self, settings: Settings, plan: Plan) -> None:
        """Take other settings, and another plan. What is kept back is sent first, or forgotten with its format.

        Raises:
            VoiceEngineError: the detector cannot be used.
        """
        format = format_of(settings.input["format"])
        if format != self._format:
            self._before_ms, self._bytes, self._rest = self.position_ms, 0, b""
            self._format, self._frame = format, format.bytes_per_frame
            self._forget()
        elif not plan.held and not plan.own_ear:
            for audio in self._take_held():
                self._push(audio)
        vad = settings.turn_detection
        ear = None
        if plan.own_ear and vad is not None:
            detector = await load_detector(self._session.gateway.config.vad)
            ear = Ear(detector, format, vad, self.position_ms)
            self._padding = format.n_bytes(ear.prefix_ms + NOTICED_AFTER_MS)
        if self._item_id is not None and ear is None:
            self._engine.hear_speech(False, self._item_id)
            self._item_id = None
        self._ear, self.plan = ear, plan
        self._straight = not plan.held and ear is None and not plan.missing

    # -- the audio path

    def take(self, audio: bytes) -> None:
        """Some more of what the client's microphone heard.

        Raises:
            Complaint: it is no audio, too much is kept back, or the provider is lost.
        """
        if self._rest or len(audio) % self._frame:
            audio = self._rest + audio
            whole = len(audio) - len(audio) % self._frame
            self._rest, audio = audio[whole:], audio[:whole]
        if not audio:
            return
        self._bytes += len(audio)
        if self._record is not None:
            self._record(audio)
        if self._straight:
            self._push(audio)
        elif self._ear is not None:
            self._listen(self._ear, audio)
        else:
            self._hold(audio)

    def _push(self, audio: bytes) -> None:
        if self._pump is None:
            waits = self._give(audio)
            if waits is not None:
                self._pump = asyncio.get_running_loop().create_task(self._work(waits))
        elif len(self._waiting) < MAX_WAITING:
            self._waiting.append(audio)
        else:
            raise Complaint(
                "The provider takes no audio; it is lost.", "input_audio_buffer_overflow"
            )

    def _give(self, audio: bytes) -> Awaitable[None] | None:
        try:
            waits = self._take_audio(audio)
        except AudioError as failure:
            raise Complaint(str(failure), "invalid_value", "audio") from None
        except (ConnectionError, SessionClosedError) as failure:
            if self._lost:
                return None
            self._lost = True
            raise Complaint(
                f"The audio goes nowhere: {failure}", "provider_unavailable", kind="server_error"
            ) from None
        self._lost = False
        return waits

    async def _work(self, waits: Awaitable[None] | None) -> None:
        """For a provider that has to be waited for: one frame after the other. Ends when there is no more."""
        try:
            while True:
                try:
                    if waits is not None:
                        await waits
                except VoiceEngineError as failure:
                    if not self._lost and not self._session.call.ending:
                        self._session.failed(failure, None)
                    self._lost = True
                if not self._waiting:
                    return
                try:
                    waits = self._give(self._waiting.popleft())
                except Complaint as complaint:
                    waits = None
                    self._session.failed(complaint, None)
        finally:
            self._pump = None

    async def _sent(self) -> None:
        """Wait until the provider has all audio so far."""
        while self._pump is not None:
            await asyncio.wait([self._pump])

    def _hold(self, audio: bytes) -> None:
        if self._format.duration_ms(self._held_bytes) > MAX_HELD_MS:
            raise Complaint(
                "The input audio buffer is full; commit or clear it.",
                "input_audio_buffer_overflow",
            )
        self._held.append(audio)
        self._held_bytes += len(audio)

    def _take_held(self) -> list[bytes]:
        held = list(self._held)
        self._held.clear()
        self._held_bytes = 0
        return held

    def _forget(self) -> None:
        self._take_held()
        self._unsent.clear()

    # -- the gateway's own ear

    def _listen(self, ear: Ear, audio: bytes) -> None:
        step = self._format.n_bytes(PIECE_MS)
        for start in range(0, len(audio), step):
            piece = audio[start : start + step]
            noticed = ear.feed(piece)
            self._keep(piece)
            for each in noticed:
                self._notice(each)

    def _keep(self, audio: bytes) -> None:
        """Send or hold audio of a turn that is under way; in silence, keep only what would belong to the next."""
        if self._item_id is None:
            self._held.append(audio)
            self._held_bytes += len(audio)
            while self._held_bytes - len(self._held[0]) >= self._padding:
                self._held_bytes -= len(self._held.popleft())
        elif self.plan.held:
            self._hold(audio)
        else:
            self._push(audio)

    def _notice(self, heard: Heard) -> None:
        engine, told = self._engine, self.told
        told.own_ms = heard.at_ms
        try:
            if isinstance(heard, Began):
                self._item_id = item_id = self._session.new_id("item")
                engine.hear_speech(True, item_id)
                if not self.plan.held:
                    for audio in self._take_held():
                        self._push(audio)
            elif self._item_id is not None:
                engine.hear_speech(False, self._item_id, lag_ms=heard.lag_ms)
                self._session.commands.then(partial(self._end_turn, self._item_id))
                self._item_id = None
        finally:
            told.own_ms = None

    async def _end_turn(self, item_id: str) -> None:
        """A turn that the gateway's own ear has heard: made, and answered if that is wanted."""
        await self._make_turn(item_id)
        if not self._session.settings.answers:
            return
        if self.plan.commits:
            await self._engine.create_response()
        else:
            self.release()

    async def _make_turn(self, item_id: str | None) -> None:
        held = self._take_held()
        if self.plan.commits:
            for audio in held:
                self._push(audio)
            await self._sent()
            await self._engine.commit_audio(item_id)
            return
        audio = b"".join(held)
        self._unsent.append(audio)
        self._engine.hear_turn(
            item_id or self._session.new_id("item"),
            audio_ms=None,
            duration_ms=self._format.duration_ms(len(audio)),
        )
        if self._session.settings.kind == "transcription":
            self.release()  # nobody will ask for an answer

    # -- what the client asks for

    def turn_made(self) -> None:
        """What has come so far is a turn."""
        self._uncommitted_ms = self.position_ms

    async def commit(self) -> None:
        """Make a turn of what was heard.

        Raises:
            Complaint: it is too little, or the provider takes no turns.
        """
        held_ms = self.position_ms - self._uncommitted_ms
        if held_ms < MIN_COMMIT_MS:
            raise Complaint(
                "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, but "
                f"buffer only has {held_ms:.2f}ms of audio.",
                "input_audio_buffer_commit_empty",
            )
        if self.plan.missing or (self.plan.detection != "none" and not self._can_commit):
            what = self.plan.missing or "this provider ends turns by itself, and only so"
            raise Complaint(f"The input audio buffer cannot be committed: {what}.", "unsupported")
        item_id, self._item_id = self._item_id, None
        if item_id is not None:
            self._engine.hear_speech(False, item_id)
        if self._ear is not None:
            self._ear.reset()
        self.turn_made()
        await self._make_turn(item_id)

    async def take_item(self, item_id: str, audio: bytes) -> None:
        """Speech that the client gives as an item of the conversation: a turn that is made at once.

        Raises:
            Complaint: turns are not ended by the client, or one is under way.
        """
        provider = self._engine.provider
        can = provider is not None and provider.capabilities.commit
        if not can or self.plan.detection != "none" or self._ear is not None or self._held:
            raise Complaint(
                "Speech without a transcript is taken as an item only where 'turn_detection' is null, and the provider "
                "takes turns from the client. Otherwise append it to the input audio buffer.",
                "unsupported_content",
                "item.content",
            )
        if self.position_ms > self._uncommitted_ms:
            raise Complaint(
                "The input audio buffer is not empty: commit or clear it first.",
                "invalid_value",
                "item.content",
            )
        self.told.given(item_id)
        self._push(audio)
        await self._engine.commit_audio(item_id)

    @property
    def _can_commit(self) -> bool:
        provider = self._engine.provider
        return not self.plan.commits or (provider is not None and provider.capabilities.commit)

    async def clear(self) -> None:
        """Forget what is not a turn yet.

        Raises:
            Complaint: the provider has it, and cannot forget it.
        """
        provider = self._engine.provider
        if self._straight or (self._ear is not None and not self.plan.held):
            if provider is None or not provider.capabilities.clear:
                raise unsupported_clear()
            await self._sent()
            await self._engine.clear_audio()
        self._take_held()
        self._rest = b""
        if self._ear is not None:
            self._ear.reset()
        if self._item_id is not None:
            self._engine.hear_speech(False, self._item_id)
            self._item_id = None
        self._uncommitted_ms = self.position_ms
        self._session.send({"type": "input_audio_buffer.cleared"})

    @property
    def keeps_turns(self) -> bool:
        """Whether there are turns that the provider has not heard."""
        return bool(self._unsent)

    def release(self) -> None:
        """An answer is wanted: send the turns that were kept back."""
        if not self._unsent:
            return
        for audio in self._unsent:
            self._push(audio)
        self._unsent.clear()
        self._push(silence(CLOSING_SILENCE_MS, self._format))

    def on_event(self, event: Any) -> None:
        """An event of the engine."""
        self.told.on_event(event)

    def close(self) -> None:
        """The client is gone."""
        self.told.close()
        self._forget()
        self._waiting.clear()


def unsupported_clear() -> Complaint:
    """What is said where audio cannot be taken back."""
    return Complaint(
        "The provider of this session cannot take back audio that it has heard.", "unsupported"
    )
