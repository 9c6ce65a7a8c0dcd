"""What an emulated model is told to be, and what it tells: settings, calls, and who listens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from voxengine.providers.cascade.parts import SpokenWord

__all__ = ["Call", "ModelListener", "ModelSettings"]


class ModelSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the model behaves. Times are milliseconds, except those that say so."""

    #: What it says first, without being spoken to; "" is nothing.
    greeting: str = ""
    #: From the end of the user's turn to the first sound of the answer.
    latency_ms: float = 100.0
    #: How many times faster than it plays audio is sent, and the length of a chunk of it.
    pace: float = 5.0
    chunk_ms: float = 100.0
    #: Silence of the user's that ends a turn; and a shorter one after which it may be over (None: never).
    silence_ms: float = 500.0
    pause_ms: float | None = None
    #: It finds turns itself; otherwise `commit` makes them.
    detects: bool = True
    #: It stops when the user speaks; otherwise it goes on, as a person does at a nod.
    interrupts: bool = True
    #: It answers turns, and results of tools, by itself; otherwise `respond` makes it.
    answers: bool = True
    answers_tools: bool = True
    #: Calls that wait for their results are withdrawn when the user interrupts.
    cancels_tools: bool = False
    #: It follows the clock of the listener: an answer lasts until it has been played, and of one that is interrupted
    #: only that counts as said which was played. Otherwise what was sent is said.
    plays_out: bool = False
    #: It speaks; otherwise all its answers are written.
    speaks: bool = True
    speed: float = 1.0
    #: The user's words are told while they are spoken.
    partials: bool = True
    #: What speech is taken for that carries no words, in rotation.
    transcripts: tuple[str, ...] = ()
    #: Tokens for a second of audio, either way.
    audio_tokens_s: float = 25.0


class Call(msgspec.Struct, frozen=True):
    """A call of a tool. `text` is the arguments as the script has them; `arguments` is empty if that is no object."""

    id: str
    name: str
    arguments: dict[str, Any]
    text: str


class ModelListener(Protocol):
    """Is told what the model hears and does, on the event loop.

    The order of a turn is: speech started, (the answer under way ended), speech stopped, user text, reply started,
    reply text, words and audio, tool calls, reply generated, reply ended. Milliseconds of the user are those of all
    audio that came in, those of words count from the first audio of the reply.
    """

    def on_speech_started(self, audio_ms: float) -> None:
        """The user began to speak."""

    def on_speech_stopped(self, audio_ms: float) -> None:
        """The user's turn is over."""

    def on_user_partial(self, text: str) -> None:
        """All words of the turn so far."""

    def on_pause(self, text: str) -> None:
        """It has been quiet for `pause_ms`; `text` is all of the turn so far."""

    def on_resumed(self) -> None:
        """After a pause, the turn went on."""

    def on_user_text(self, text: str) -> None:
        """All words of a turn that is over; "" if there were none."""

    def on_reply_started(self, reply_id: str) -> None:
        """The model begins to answer."""

    def on_reply_text(self, text: str) -> None:
        """What it is about to say, all of it."""

    def on_words(self, text: str, start_ms: float, end_ms: float) -> None:
        """A word, with the space before it, just before the audio in which it begins."""

    def on_audio(self, audio: bytes, words: Sequence[SpokenWord]) -> None:
        """A chunk of audio, and the words that begin in it."""

    def on_written(self, piece: str) -> None:
        """A piece of a reply that is not spoken."""

    def on_tool_calls(self, calls: list[Call]) -> None:
        """It wants results of tools."""

    def on_tools_cancelled(self, call_ids: list[str]) -> None:
        """It does not want them any more."""

    def on_reply_generated(self) -> None:
        """All of the answer was sent."""

    def on_reply_ended(self, status: str, text: str) -> None:
        """The answer has ended: completed, interrupted, cancelled or failed. `text` is what was said of it."""

    def on_error(self, code: str, message: str) -> None:
        """The model failed; the answer under way, if there is one, ends as failed after this."""

    def on_fault(self, fault: Any) -> None:
        """A fault strikes in an answer: give it to the model's `strike`, and what is not its own to the wire."""

    def on_failure(self, failure: BaseException) -> None:
        """Something of the emulator itself has failed, perhaps one of these methods."""
