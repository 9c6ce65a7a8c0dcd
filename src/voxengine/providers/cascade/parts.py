"""The parts that a cascade is made of, each a small protocol.

    audio in -> VAD -> turn detector -> STT -> LLM (the brain) -> TTS -> audio out

A part is an object with the methods below; it need not inherit from anything. Parts are made by name
(`voxengine.providers.cascade.registry`) and may be shared by all sessions of the process, so what belongs to one
session is made by a `stream`/`open` call and belongs to the object that it returns.

Audio inside a cascade is a one-dimensional float32 array in [-1, 1] at 16 kHz on the way in (what VAD and speech
recognition models work on), and pcm16 bytes at the TTS's own rate on the way out.

STT and TTS come in two kinds each. One that is called (`STT`, `TTS`) is given a stretch of speech, or a sentence, and
gives back the whole. One that streams (`StreamingSTT`, `StreamingTTS`) is kept open: it is given audio while the user
speaks, or words while the brain finds them. A cascade takes either.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import msgspec

from voxengine.errors import ProviderError

if TYPE_CHECKING:
    import numpy as np

    Samples: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]

__all__ = [
    "INPUT_RATE",
    "STT",
    "TTS",
    "VAD",
    "Brain",
    "BrainEvent",
    "BrainText",
    "BrainToolCall",
    "BrainUsage",
    "Message",
    "STTEagerEnd",
    "STTEmotion",
    "STTEvent",
    "STTFailed",
    "STTFinal",
    "STTPartial",
    "STTResumed",
    "STTSpeechStarted",
    "STTStream",
    "STTTurnEnded",
    "STTUsage",
    "Speech",
    "SpokenWord",
    "StreamingSTT",
    "StreamingTTS",
    "TTSStream",
    "ToolCall",
    "ToolSpec",
    "Transcription",
    "TurnDetector",
    "VADStream",
]

#: Samples per second of the audio that reaches VAD and STT.
INPUT_RATE = 16000


class Transcription(msgspec.Struct, frozen=True):
    """What an STT made of a stretch of speech."""

    text: str
    language: str | None = None
    #: Mean log probability of the words, None where the engine has none.
    confidence: float | None = None


class ToolSpec(msgspec.Struct, frozen=True):
    """A tool as a brain sees it. `parameters` is the JSON schema of one object."""

    name: str
    description: str
    parameters: dict[str, Any]


class ToolCall(msgspec.Struct, frozen=True):
    """A call of a tool. `arguments` is JSON text."""

    call_id: str
    name: str
    arguments: str


class Message(msgspec.Struct, frozen=True):
    """One entry of what the brain is told. `role` is system, user, assistant or tool.

    A message of the assistant may hold tool calls; one of role "tool" is the result of the call `call_id`.
    """

    role: str
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None


class BrainText(msgspec.Struct, frozen=True):
    """A piece of the answer, to be appended."""

    text: str


class BrainToolCall(msgspec.Struct, frozen=True):
    """The brain wants a tool to be called (complete, never a part of a call)."""

    call: ToolCall


class BrainUsage(msgspec.Struct, frozen=True):
    """What the answer cost, where the brain knows."""

    model: str
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0


BrainEvent: TypeAlias = "BrainText | BrainToolCall | BrainUsage"


class SpokenWord(msgspec.Struct, frozen=True):
    """A piece of the text, with the spaces that belong to it, and where it is in the speech that it was said in.

    The times are milliseconds from the start of the first audio of a sentence (`TTS`) or of an answer (`TTSStream`).
    """

    text: str
    start_ms: float
    end_ms: float


class Speech(msgspec.Struct, frozen=True):
    """A piece of synthesised speech: mono pcm16 at the TTS's `sample_rate`.

    `words` are those of which the engine says, with this piece, where they are; it may be any place of the speech.
    """

    audio: bytes
    words: tuple[SpokenWord, ...] = ()


class VADStream(Protocol):
    """Voice activity in one stream of audio."""

    #: Samples that `process` takes at a time.
    frame_samples: int

    def process(self, frame: Samples) -> float:
        """Probability in [0, 1] that the frame holds speech. Cheap (about 0.1 ms): called on the event loop."""

    def reset(self) -> None:
        """Forget the stream so far."""


@runtime_checkable
class VAD(Protocol):
    """Makes a `VADStream` for each session."""

    name: str

    async def load(self) -> None:
        """Load and warm up, so that the first turn does not pay for it. May be called again."""

    def stream(self) -> VADStream:
        """State for one session."""


@runtime_checkable
class TurnDetector(Protocol):
    """Says how long a silence must be before it ends the turn."""

    name: str

    def wait_ms(self, text: str | None, speech_ms: float) -> float:
        """Silence in ms after which the turn is over.

        `text` is the transcript of the turn so far, None when it is not known yet; `speech_ms` how long the user has
        spoken in this turn. Called again whenever either changes during the silence.
        """

    def observe_pause(self, pause_ms: float, ended_turn: bool) -> None:
        """Learn from a pause of this user: how long it was, and whether the turn was really over."""


@runtime_checkable
class STT(Protocol):
    """Speech to text.

    One that listens for given words says so by an attribute `takes_vocabulary = True`; `transcribe` is then also called
    with `vocabulary`, a sequence of words and phrases, where the session has any.
    """

    name: str

    async def load(self) -> None:
        """Load and warm up."""

    async def transcribe(
        self, samples: Samples, *, session: str, partial: bool = False
    ) -> Transcription:
        """Write down a stretch of speech at 16 kHz.

        `session` names the call, so that one shared worker can serve calls fairly. `partial` marks work that may be
        skipped or superseded when the worker is busy. Cancelling the caller drops work that has not begun.

        Raises:
            ProviderError: the engine failed; for a partial also `superseded`, where newer work made it needless.
        """


@runtime_checkable
class Brain(Protocol):
    """The part that understands and answers. The protocol of every LLM of a cascade."""

    name: str

    async def load(self) -> None:
        """Load, connect, warm up."""

    def reply(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        *,
        session: str,
        temperature: float | None = None,
    ) -> AsyncIterator[BrainEvent]:
        """Answer the conversation, as a stream. Closing the iterator stops the work.

        Raises:
            ProviderError: the brain failed; `code` is refused, timeout, bad_response, auth, rate_limit, ...
        """


@runtime_checkable
class TTS(Protocol):
    """Text to speech."""

    name: str
    #: Samples per second of what it gives.
    sample_rate: int
    voices: tuple[str, ...]

    async def load(self) -> None:
        """Load and warm up."""

    def synthesize(
        self, text: str, *, voice: str | None, speed: float, session: str
    ) -> AsyncIterator[Speech]:
        """Speak a sentence. Gives nothing for a text that has nothing to say (blank, emoji only).

        Raises:
            ProviderError: the engine failed.
        """


# -- parts that are kept open


class STTSpeechStarted(msgspec.Struct, frozen=True):
    """The recogniser hears speech begin. `audio_ms`: where in the audio that it was fed, None where it does not say."""

    audio_ms: float | None = None


class STTPartial(msgspec.Struct, frozen=True):
    """A guess at what was said since the last `STTFinal` of this turn. Each one replaces the one before."""

    text: str


class STTFinal(msgspec.Struct, frozen=True):
    """Words of this turn that will not change any more, to be appended to those that came before in it.

    One with `asked` is the last answer to `finalize`: all audio fed before that is in it, or in those before it.
    """

    text: str
    language: str | None = None
    #: In [0, 1], None where the engine has none.
    confidence: float | None = None
    asked: bool = False


class STTEagerEnd(msgspec.Struct, frozen=True):
    """The turn may be over: an answer may be begun, and must be forgotten if `STTResumed` follows.

    `text` is all of the turn; if `STTTurnEnded` follows with the same words, the answer begun is the right one.
    """

    text: str
    confidence: float | None = None


class STTResumed(msgspec.Struct, frozen=True):
    """After an `STTEagerEnd`, the user goes on."""


class STTTurnEnded(msgspec.Struct, frozen=True):
    """The turn is over. `text` is all of it."""

    text: str
    language: str | None = None
    confidence: float | None = None


class STTEmotion(msgspec.Struct, frozen=True):
    """How the user sounds or what the words convey in this turn: scores in [0, 1] by name."""

    scores: Mapping[str, float]


class STTUsage(msgspec.Struct, frozen=True):
    """Seconds of audio that the vendor bills, as far as the stream itself says; added to what came before."""

    seconds: float


class STTFailed(msgspec.Struct, frozen=True):
    """The stream has ended by a failure; another one may be opened if `error.retryable`."""

    error: ProviderError


STTEvent: TypeAlias = (
    "STTSpeechStarted | STTPartial | STTFinal | STTEagerEnd | STTResumed | STTTurnEnded | STTEmotion"
    " | STTUsage | STTFailed"
)


class STTStream(Protocol):
    """The ears of one session, open at a recogniser. Its events come on the event loop, by `on_event` of `open`."""

    def feed(self, audio: bytes) -> None:
        """Take the next audio: mono pcm16 at the recogniser's `sample_rate`, 10 ms to 1 s of it. Never waits.

        What the connection does not take is dropped, the oldest first, and the drop is reported by an `STTFailed`.
        """

    def finalize(self) -> None:
        """The turn is over, as others have found: answer with an `STTFinal` that is `asked`, as soon as possible.

        One whose recogniser finds turns by itself also begins a new turn with it.
        """

    async def close(self) -> None:
        """Close it; no event comes after that. May be called again. Raises nothing."""


@runtime_checkable
class StreamingSTT(Protocol):
    """Speech to text that is given the audio as it comes."""

    name: str
    #: Samples per second of what `feed` takes.
    sample_rate: int
    #: Whether it finds the end of a turn by itself (`STTTurnEnded`), perhaps with an early guess (`STTEagerEnd`).
    detects_turns: bool
    #: Whether it takes words to listen for (`vocabulary`), and tells how the user sounds (`STTEmotion`).
    takes_vocabulary: bool
    tells_emotion: bool

    async def load(self) -> None:
        """Look whether what it needs is there; nothing is connected."""

    async def open(
        self,
        on_event: Callable[[STTEvent], None],
        *,
        session: str,
        language: str | None = None,
        vocabulary: Sequence[str] = (),
        turn_options: Mapping[str, Any] | None = None,
    ) -> STTStream:
        """Open a stream for one session.

        `vocabulary` are words and phrases to listen for, `turn_options` settings of its turn detection in OpenAI's
        names (`threshold`, `silence_duration_ms`, `eagerness`); it leaves out what it does not have.

        Raises:
            ProviderError: it could not be opened; `code` is auth, rate_limit, timeout, refused, ...
        """


class TTSStream(Protocol):
    """One answer, spoken while its words are still being found. The speech is read by `async for`.

    The iterator ends when all that was pushed before `end` has been given, or after `cancel`. It raises a
    `ProviderError` if the engine fails.
    """

    def push(self, text: str) -> None:
        """Take a further piece of the text, with the spaces that belong to it. Never waits."""

    def flush(self) -> None:
        """Speak now what has been pushed: a sentence is complete, or no more will come for a while."""

    def end(self) -> None:
        """No more text comes."""

    def __aiter__(self) -> AsyncIterator[Speech]:
        """The speech, in order; asked for once."""

    async def cancel(self, heard_ms: float | None = None) -> str | None:
        """Speak no more; nothing more is given. May be called again, and after the end.

        `heard_ms`: how much of the speech was heard, None where that is not known. Returns the words that were heard
        if the engine itself can say that (it may take up to half a second), else None.
        """


@runtime_checkable
class StreamingTTS(Protocol):
    """Text to speech that is given the words as they come."""

    name: str
    #: Samples per second of what it gives.
    sample_rate: int
    voices: tuple[str, ...]

    async def load(self) -> None:
        """Look whether what it needs is there; it may connect, so that the first answer does not wait for that."""

    async def open(self, *, voice: str | None, speed: float, session: str) -> TTSStream:
        """Begin an answer.

        Raises:
            ProviderError: it could not be begun; `code` is auth, rate_limit, timeout, refused, ...
        """
