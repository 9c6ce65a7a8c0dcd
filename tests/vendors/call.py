"""A call to an emulated vendor: a microphone that is always on, a listener, and what the vendor was sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

from voxengine import VoiceEngine
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import speak, understand
from voxengine.conversation import Item
from voxengine.testing.emulators.openai import OpenAIEmulator
from voxengine.testing.emulators.openai.items import Item as VendorItem
from voxengine.testing.emulators.openai.session import Session

_E = TypeVar("_E", bound=ev.ProviderEvent)

KEY = "sk-emulated"
DIALECTS = ("openai", "azure", "xai", "custom")
#: Of the microphone. A real one has 20; with half as many frames these calls take that much less of a machine.
FRAME_MS = 40
#: A text of fourteen seconds. No two words are the same, and all are of one length: so they are where an estimate by
#: letters takes them to be.
LONG = " ".join(f"word{n}" for n in range(10, 50))
ANSWERS: dict[str, Any] = {
    "tell me more": LONG,
    "look it up": {"tool": "look", "then": "found {output}"},
    "re:^please say (.*)": "{1}",
}


def now() -> float:
    return asyncio.get_running_loop().time()


class Ear:
    """The listener: plays what comes, back to back, and throws away what is left when it is told to."""

    def __init__(self, format: AudioFormat) -> None:
        self._format = format
        #: When each piece begins to sound, whose it is, and its audio.
        self._pieces: list[tuple[float, str | None, bytes]] = []
        self._end = 0.0

    def play(self, event: ev.AudioOutputChunk) -> None:
        begin = max(now(), self._end)
        self._pieces.append((begin, event.item_id, event.audio_data))
        self._end = begin + self._format.duration_ms(len(event.audio_data)) / 1000

    def stop(self) -> None:
        at = now()
        kept = []
        for begin, item_id, audio in self._pieces:
            n = self._format.n_bytes(max(0.0, at - begin) * 1000)
            if n:
                kept.append((begin, item_id, audio[:n]))
        self._pieces = kept
        self._end = at

    def ms(self, item_id: str) -> float:
        """How much of an item was, or will be, heard."""
        n = sum(len(audio) for _, whose, audio in self._pieces if whose == item_id)
        return self._format.duration_ms(n)

    def __len__(self) -> int:
        return len(self._pieces)

    def words(self, item_id: str | None = None, since: int = 0) -> str:
        """The words that were, or will be, heard: of one item, or in all; from the n-th piece on."""
        audio, last = bytearray(), None
        for _, whose, piece in self._pieces[since:]:
            if item_id in (None, whose):
                if whose != last:
                    audio += silence(100, self._format)
                audio += piece
                last = whose
        return understand(bytes(audio), self._format) if audio else ""


class Call:
    """An engine on an emulator. `say` puts words into the microphone, which sends silence otherwise."""

    def __init__(
        self,
        emulator: Any,
        *,
        provider: str | None = None,
        microphone: bool = True,
        frame_ms: int = FRAME_MS,
        metadata: dict[str, Any] | None = None,
        **config: Any,
    ) -> None:
        self.emulator = emulator
        self.engine = VoiceEngine(
            provider=provider or emulator.dialect.name,
            api_key=KEY,
            metadata={**emulator.metadata, **(metadata or {})},
            **{"apology": None, **config},
        )
        self.events: list[Any] = []
        #: When each of them came.
        self.times: list[float] = []
        self.ear = Ear(self.engine.config.output_format)
        #: Calls of the tool; how long one takes, and how it fails.
        self.looked: list[str] = []
        self.tool_seconds = 1.0
        self.tool_failure: Exception | None = None
        self.engine.on("*", self._note)
        self.engine.tool(self.look)
        self._words = bytearray()
        self._wants_microphone = microphone
        self._frame_ms = frame_ms
        self._microphone: asyncio.Task[None] | None = None
        self._spoken_until = 0.0

    async def look(self, what: str = "it") -> str:
        """Look something up."""
        self.looked.append(what)
        await asyncio.sleep(self.tool_seconds)
        if self.tool_failure is not None:
            raise self.tool_failure
        return what

    def _note(self, event: Any) -> None:
        self.events.append(event)
        self.times.append(now())
        if type(event) is ev.AudioOutputChunk:
            self.ear.play(event)
        elif type(event) is ev.AudioOutputStopped and event.interrupted:
            self.ear.stop()

    # -- the call

    async def __aenter__(self) -> Self:
        await self.engine.connect()
        if self._wants_microphone:
            self._microphone = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._microphone is not None:
            if self._microphone.done() and not self._microphone.cancelled():
                self._microphone.result()  # sending audio has failed
            self._microphone.cancel()
            await asyncio.wait([self._microphone])
        await self.engine.disconnect()

    def hang_up_microphone(self) -> None:
        """No more audio is sent."""
        assert self._microphone is not None
        self._microphone.cancel()

    async def _listen(self) -> None:
        format = self.engine.config.input_format
        size, quiet = format.n_bytes(self._frame_ms), silence(self._frame_ms, format)
        while True:
            frame = bytes(self._words[:size])
            del self._words[:size]
            await self.engine.send_audio(frame + quiet[len(frame) :])
            await asyncio.sleep(self._frame_ms / 1000)

    def say(self, text: str) -> float:
        """Begin to say this; returns how many seconds it takes."""
        format = self.engine.config.input_format
        audio = speak(text, format)
        self._words += audio
        return format.duration_ms(len(audio)) / 1000

    def play(self, audio: bytes) -> None:
        """Put this into the microphone, behind what is in there."""
        self._words += audio

    async def speak(self, text: str) -> None:
        """Say this to its end."""
        await asyncio.sleep(self.say(text))

    # -- waiting

    async def wait(self, kind: type[_E], count: int = 1, seconds: float = 60.0) -> _E:
        """The n-th event of a class, which may have come already."""
        await until(lambda: len(self.of(kind)) >= count, seconds)
        return self.of(kind)[count - 1]

    async def quiet(self, seconds: float = 90.0) -> None:
        """Wait until nobody has had anything to say for a second and a half."""
        calm = 0
        async with asyncio.timeout(seconds):
            while calm < 30:
                await asyncio.sleep(0.05)
                still = self.engine.state == "idle" and not self._words
                calm = calm + 1 if still and self.engine.is_connected else 0

    async def ask(self, text: str) -> str:
        """Say something, and wait for the answer to be heard to its end; returns what was heard of it."""
        before = len(self.ear)
        await self.speak(text)
        await self.quiet()
        return self.ear.words(since=before)

    # -- what came of it

    def of(self, kind: type[_E]) -> list[_E]:
        return [event for event in self.events if type(event) is kind]

    def at(self, event: Any) -> float:
        """When an event came."""
        return next(t for e, t in zip(self.events, self.times, strict=True) if e is event)

    @property
    def log(self) -> list[tuple[str, str]]:
        return [(item.role, item.text) for item in self.engine.conversation.messages]

    @property
    def answers(self) -> list[Item]:
        return [i for i in self.engine.conversation.messages if i.role == "assistant"]

    @property
    def session(self) -> Session:
        """The vendor's present session."""
        found: Session = self.emulator.sessions[-1]
        return found

    def vendor_item(self, item_id: str) -> VendorItem:
        """An item as the vendor knows it, in whichever session that is."""
        found: list[VendorItem] = [
            i for s in self.emulator.sessions for i in s.items if i.id == item_id
        ]
        assert found, f"the vendor knows no item {item_id}"
        return found[-1]

    def check(self) -> None:
        """What holds of every call: the log says what was heard, each response ends once, no tool runs twice."""
        for item in self.engine.conversation.messages:
            assert item.status != "in_progress", item
            if item.role == "assistant" and item.audio_ms:
                assert item.heard_ms <= item.audio_ms
                assert abs(self.ear.ms(item.id) - item.heard_ms) < 25, (item, self.ear.ms(item.id))
                heard = self.ear.words(item.id).split()
                said = item.text.split()
                if len({len(word) for word in (item.text + item.unheard_text).split()}) > 1:
                    # Where words are is estimated by their letters: one at the edge may be a word off.
                    said = said[: len(heard)] if len(said) <= len(heard) + 1 else said
                assert said == heard[: len(said)], (item, heard)
                if item.status == "completed":
                    assert item.text.split() == heard
        begun = [str(e.response_id) for e in self.of(ev.ResponseStarted)]
        assert len(begun) == len(set(begun))
        ends = (ev.ResponseCompleted, ev.ResponseCancelled, ev.ResponseError)
        ended = [str(e.response_id) for e in self.events if isinstance(e, ends)]
        assert sorted(ended) == sorted(begun)
        outputs = [i.call_id for i in self.engine.conversation if i.kind == "function_output"]
        assert len(outputs) == len(set(outputs))

    def check_vendor(self) -> None:
        """All that the vendor was sent was right, and it refused nothing."""
        assert self.emulator.judge is not None
        assert self.emulator.judge.violations == []
        assert [s.refused for s in self.emulator.sessions if s.refused] == []


class Wire:
    """What an emulator's sessions were sent as audio, and what they have sent.

    Handed to the emulator as `on_event`.
    """

    def __init__(self) -> None:
        self.sent: list[tuple[Session, dict[str, Any]]] = []
        #: By session, in their order: when, and what.
        self.audio: list[list[tuple[float, bytes]]] = []
        self._sessions: list[Session] = []
        self._formats: list[AudioFormat] = []
        self.on: Callable[[Session, dict[str, Any]], None] = lambda *_: None

    def __call__(self, session: Session, event: dict[str, Any] | None) -> None:
        if event is None:
            return
        if session not in self._sessions:
            self._begin(session)
        self.sent.append((session, event))
        self.on(session, event)

    def _begin(self, session: Session) -> None:
        taken: list[tuple[float, bytes]] = []
        self._sessions.append(session)
        self.audio.append(taken)
        append = session.hearing.append

        def listening(audio: bytes) -> None:
            taken.append((now(), audio))
            append(audio)

        session.hearing.append = listening  # type: ignore[method-assign]

    def words(self, number: int) -> str:
        """The words in all audio that the n-th session was sent, counted from 0."""
        format = self._sessions[number].settings.input_format
        audio = b"".join(piece for _, piece in self.audio[number])
        return understand(audio, format) if audio else ""

    def ms(self, number: int) -> float:
        """How much audio it was sent."""
        format = self._sessions[number].settings.input_format
        return format.duration_ms(sum(len(piece) for _, piece in self.audio[number]))

    def types(self, number: int) -> list[str]:
        """The types of all events that the n-th session has sent."""
        session = self._sessions[number]
        return [event["type"] for whose, event in self.sent if whose is session]


@asynccontextmanager
async def vendor(
    dialect: str = "openai", responses: Any = None, *, valid: bool = True, **settings: Any
) -> AsyncIterator[OpenAIEmulator]:
    """An emulator; `valid`: everything that it was sent has to be, by the vendor's types."""
    answers = ANSWERS if responses is None else responses
    async with OpenAIEmulator(dialect, answers, key=KEY, **settings) as emulator:
        yield emulator
    if valid:
        assert emulator.judge is not None
        assert emulator.judge.violations == []


@asynccontextmanager
async def call_to(
    dialect: str = "openai",
    responses: Any = None,
    *,
    faults: Any = (),
    vendor_settings: dict[str, Any] | None = None,
    **config: Any,
) -> AsyncIterator[Call]:
    """A call to an emulator of its own."""
    async with (
        vendor(dialect, responses, faults=faults, **(vendor_settings or {})) as emulator,
        Call(emulator, **config) as call,
    ):
        yield call


async def until(test: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not test():  # noqa: ASYNC110 - what is waited for is in the emulator, and tells nobody
            await asyncio.sleep(0.01)


def drop(call: Call, code: int = 1011) -> None:
    """The vendor closes the connection."""
    call.session.close(code, "upstream")


async def goes_on(call: Call) -> None:
    """Another turn works, and nothing has gone wrong for good."""
    assert await call.ask("are you there") == "You said: are you there"
    call.check()
    assert not [e for e in call.of(ev.ErrorGeneral) if not e.recoverable]
    if call.emulator.judge is not None:
        assert call.emulator.judge.violations == []
    # A response that is given up, or called off as it ends, is not active any more there.
    refused = {code for session in call.emulator.sessions for _, code in session.refused}
    assert refused <= {"response_cancel_not_active", "conversation_already_has_active_response"}
