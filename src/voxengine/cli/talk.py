"""`voxengine talk`: a conversation by recordings, by typing, or by microphone and loudspeaker."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxengine.audio.formats import AudioFormat
from voxengine.cli.console import busy, stderr, stdout
from voxengine.cli.conversation.caller import Caller
from voxengine.cli.conversation.figures import Figures
from voxengine.cli.conversation.jsonlines import JsonLines
from voxengine.cli.conversation.loudspeaker import Loudspeaker
from voxengine.cli.conversation.recording import CallRecording
from voxengine.cli.conversation.report import print_summary, write_records
from voxengine.cli.conversation.screen import Screen
from voxengine.cli.conversation.tools import offer_tools
from voxengine.cli.conversation.watch import TurnWatch
from voxengine.cli.exits import ExitCode, InputProblem
from voxengine.engine import VoiceEngine
from voxengine.errors import AudioError, ConnectionError, VoiceEngineError

if TYPE_CHECKING:
    from voxengine.config import VoiceEngineConfig
    from voxengine.listen import Listening

__all__ = ["Inputs", "load_recording", "talk"]

#: Seconds of silence behind a recording until whatever was in it has been noticed.
_TAIL_S = 2.0
#: Bytes of standard input that are read as one text, at most.
_LONGEST_LINE = 1_000_000


@dataclass
class Inputs:
    """What the user says, and how. With neither files nor texts nor `typing`, by microphone."""

    files: Sequence[Path] = ()
    texts: Sequence[str] = ()
    typing: bool = False
    fast: bool = False
    #: Seconds of an answer after which the next recording begins, None: when all of it was heard.
    barge_in: float | None = None

    @property
    def microphone(self) -> bool:
        """Whether a sound card is used."""
        return not (self.files or self.texts or self.typing)


def load_recording(path: Path, target: AudioFormat) -> bytes:
    """A WAV file as audio for the engine.

    Raises:
        InputProblem: it cannot be read, or is no mono recording of 16-bit PCM.
    """
    from voxengine.audio.wav import load_speech

    try:
        return load_speech(path, target)
    except OSError as failure:
        raise InputProblem(f"{path} cannot be read: {failure.strerror or failure}") from None
    except AudioError as failure:
        hint = str(failure).replace("Pass downmix=True to mix them, or take", "Take")
        raise InputProblem(hint) from None


async def talk(
    config: VoiceEngineConfig, inputs: Inputs, *, out: Path | None, as_json: bool
) -> ExitCode:
    """Hold the conversation.

    Raises:
        VoiceEngineError: it could not be held.
    """
    # Before anything is opened: a wrong file should not cost a warm-up.
    recordings = [load_recording(path, config.input_format) for path in inputs.files]
    engine = VoiceEngine(config)
    offer_tools(engine)
    figures = Figures(engine)
    lines = JsonLines(engine) if as_json else None
    console = stderr() if as_json else stdout()
    with busy(console, f"connecting {config.provider!r}"):
        await engine.connect()
    answered = False
    try:
        answered = await _converse(engine, inputs, recordings, out, None if as_json else console)
    except asyncio.CancelledError:
        if lines is not None and lines.broken:
            raise BrokenPipeError from None
        raise
    finally:
        await engine.disconnect()
        report = figures.as_dict()
        if out is not None:
            write_records(out, engine, report)
        if lines is not None:
            lines.write({"type": "summary", **report})
        elif len(engine.conversation):
            print_summary(console, engine, figures)
    if out is not None:
        console.print(f"[dim]written to {out}[/]")
    if not answered:
        stderr().print("there was no answer", style="yellow")
    return ExitCode.OK if answered and not figures.errors else ExitCode.FAILED


async def _converse(
    engine: VoiceEngine,
    inputs: Inputs,
    recordings: Sequence[bytes],
    out: Path | None,
    console: Any,
) -> bool:
    """Say all there is to say. Returns whether there were answers to all of it."""
    async with AsyncExitStack() as stack:
        recording = None
        if out is not None:
            file = CallRecording(out / "conversation.wav", engine.config, follows=inputs.microphone)
            recording = stack.enter_context(file)
        if inputs.microphone:
            return await _by_microphone(engine, stack, console, recording)
        speaker = stack.enter_context(Loudspeaker(engine, recording.engine if recording else None))
        watch = TurnWatch(engine, lambda: speaker.silent)
        if console is not None:
            await stack.enter_async_context(Screen(engine, console, speaker.heard_ms))
        caller = await stack.enter_async_context(
            Caller(engine, recording.caller if recording else None)
        )
        fast = inputs.fast and _may_hurry(engine)
        answered = True
        for left, audio in zip(range(len(recordings))[::-1], recordings, strict=True):
            await caller.speak(audio, fast=fast)
            if inputs.barge_in is not None and left and await watch.under_way(inputs.barge_in):
                continue  # into the answer
            answered &= await watch.answered(at_least=_TAIL_S)
        said = len(recordings)
        async for text in _texts(inputs):
            await engine.send_text(text)
            answered &= await watch.answered()
            said += 1
        if not said and not sys.stdin.isatty():
            raise InputProblem(
                "standard input holds nothing to say; give --file WAV, --text TEXT, --type or --mic"
            )
        if caller.failure is not None:
            raise caller.failure
        return answered


def _may_hurry(engine: VoiceEngine) -> bool:
    """Whether audio may be sent faster than it was spoken: only to ears that count audio, not time."""
    provider = engine.provider
    if provider is not None and provider.capabilities.on_device:
        return True
    stderr().print(
        f"--fast is ignored: {engine.config.provider!r} hears in real time", style="yellow"
    )
    return False


# -- typing


async def _texts(inputs: Inputs) -> AsyncIterator[str]:
    for text in inputs.texts:
        yield text
    if not inputs.typing:
        return
    prompt = "you> " if sys.stdin.isatty() else ""
    if prompt:
        stderr().print(
            "Type, and press Enter. An empty line or Ctrl-D ends the conversation.", style="dim"
        )
    while True:
        line = await _line(prompt)
        if line is None or (prompt and not line.strip()):
            return
        if line.strip():
            yield line.strip()


async def _line(prompt: str) -> str | None:
    """The next line of standard input, None at its end.

    Read in a daemon thread: one that waits for the user must not keep the process from ending.
    """
    import threading

    loop = asyncio.get_running_loop()
    future: asyncio.Future[str | None] = loop.create_future()

    def deliver(result: str | None, failure: Exception | None) -> None:
        if future.done():
            return
        if failure is not None:
            future.set_exception(failure)
        else:
            future.set_result(result)

    def read() -> None:
        result: str | None = None
        failure: Exception | None = None
        try:
            if prompt:
                sys.stderr.write(prompt)
                sys.stderr.flush()
            result = sys.stdin.readline(_LONGEST_LINE) or None
        except UnicodeDecodeError as error:
            failure = InputProblem(f"standard input is not text: {error}")
        except (OSError, ValueError):
            pass  # standard input is closed
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(deliver, result, failure)

    threading.Thread(target=read, name="stdin", daemon=True).start()
    return await future


# -- microphone


async def _by_microphone(
    engine: VoiceEngine, stack: AsyncExitStack, console: Any, recording: CallRecording | None
) -> bool:
    try:
        listening: Listening = await stack.enter_async_context(engine.listen())
    except VoiceEngineError as failure:
        if isinstance(failure, ConnectionError):
            raise
        failure.add_note("Without a sound card, use --file WAV, --text TEXT or --type")
        raise
    if recording is not None:
        listening.on_frame = recording.microphone
        recording.follow(engine)
    if console is not None:
        await stack.enter_async_context(Screen(engine, console, listening.heard_ms))
    stderr().print("Speak. Ctrl-C ends the conversation.", style="dim")
    try:
        await listening.wait()
    except asyncio.CancelledError:  # Ctrl-C is the ordinary end here
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
    return True
