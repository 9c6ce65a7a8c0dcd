"""The parts that a cascade is made of, each a small protocol.

    audio in -> VAD -> turn detector -> STT -> LLM (the brain) -> TTS -> audio out

A part is an object with the methods below; it need not inherit from anything. Parts are made by name
(`voxengine.providers.cascade.registry`) and may be shared by all sessions of the process, so what belongs to one
session is made by a `stream`/`open` call and belongs to the object that it returns.

Audio inside a cascade is a one-dimensional float32 array in [-1, 1] at 16 kHz on the way in (what VAD and speech
recognition models work on), and pcm16 bytes at the TTS's own rate on the way out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import msgspec

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
    "Speech",
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


class Speech(msgspec.Struct, frozen=True):
    """A piece of synthesised speech: mono pcm16 at the TTS's `sample_rate`."""

    audio: bytes


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
    """Speech to text."""

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
