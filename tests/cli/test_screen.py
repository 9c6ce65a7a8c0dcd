"""The live conversation on the screen."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest
from rich.console import Console

from voxengine import AudioFormat, ConnectionError, VoiceEngine
from voxengine.audio.signal import speak
from voxengine.cli.conversation.screen import Screen
from voxengine.cli.conversation.watch import TurnWatch
from voxengine.events import (
    ErrorGeneral,
    FunctionCancelled,
    FunctionInvoked,
    SystemWarning,
    TranscriptCompleted,
    TranscriptPartial,
)
from voxengine.testing import FaultPlan

RATE = AudioFormat(sample_rate=16000)


def engine_of(**metadata: Any) -> VoiceEngine:
    return VoiceEngine(
        provider="mock",
        input_format=RATE,
        output_format=RATE,
        metadata={"partial_ms": 200, **metadata},
    )


class Playing:
    """Stands in for a loudspeaker: what the engine's own clock says was heard."""

    def __init__(self, engine: VoiceEngine) -> None:
        self.engine = engine

    def __call__(self, item_id: str) -> float | None:
        session = self.engine._session
        if session is None:
            return None
        return session.core.playout.heard_ms(item_id, asyncio.get_running_loop().time())


def plain() -> Console:
    return Console(file=io.StringIO(), width=200)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def say(engine: VoiceEngine, text: str) -> None:
    audio = speak(text, RATE) + bytes(32000)
    for i in range(0, len(audio), 640):
        await engine.send_audio(audio[i : i + 640])
        await asyncio.sleep(0.02)


async def test_an_interruption_shows_what_was_heard() -> None:
    engine, console = engine_of(), plain()
    async with engine, Screen(engine, console, Playing(engine)):
        await engine.send_text("one two three four five six seven eight nine ten")
        await asyncio.sleep(2)
        await say(engine, "stop now")
        await asyncio.sleep(3)
    lines = text_of(console).splitlines()
    cut = next(line for line in lines if "cut here" in line)
    assert "You said: one two" in cut.split("—")[0]
    assert "ten" not in cut.split("—")[0]
    spoken = [line for line in lines if "caller" in line]
    assert spoken[-1].endswith("stop now")
    assert lines.index(cut) < lines.index(spoken[-1])
    assert any(line.endswith("You said: stop now") for line in lines)


@pytest.mark.parametrize("terminal", [True, False])
async def test_partial_words_only_where_they_can_be_replaced(terminal: bool) -> None:
    engine = engine_of()
    console = Console(file=io.StringIO(), width=120, force_terminal=terminal, color_system=None)
    async with engine, Screen(engine, console, Playing(engine)):
        await say(engine, "alpha beta gamma delta")
        await asyncio.sleep(1.0)
        growing = text_of(console)
        await asyncio.sleep(4)
    shown = text_of(console)
    # While it is said: parts of the sentence, and of the answer.
    assert ("alpha beta …" in growing) is terminal
    assert ("You said: alpha …" in shown) is terminal
    assert "You said: alpha beta gamma delta" in shown


async def test_notes_and_tools() -> None:
    engine, console = engine_of(), plain()
    engine.tool(name="move")(lambda distance: {"meters": int(distance)})
    reply = {"tool": {"name": "move", "arguments": {"distance": "10"}}, "then": "Done."}
    engine.config.metadata["mock_responses"] = {
        "go": reply,
        "fail": {"tool": "nothing", "then": "Oh."},
    }
    async with engine, Screen(engine, console, Playing(engine)):
        for text in ("go", "fail"):
            await engine.send_text(text)
            await asyncio.sleep(3)
        publish = engine._bus.publish
        publish(SystemWarning(code="x", message="mind the gap"))
        publish(ErrorGeneral(error="it broke", code="x"))
        publish(FunctionInvoked(call_id="c9", name="slow", arguments="not json"))
        publish(FunctionCancelled(call_id="c9", name="slow"))
    shown = text_of(console)
    for words in (
        "move(distance='10') → {\"meters\":10}", "there is no tool 'nothing'", "warning: mind the gap",
        "error: it broke", "slow(not json) → called off",
    ):  # fmt: skip
        assert words in shown


async def test_a_transcript_that_comes_again_replaces_the_first() -> None:
    engine, console = engine_of(), plain()
    async with engine, Screen(engine, console, Playing(engine)) as screen:
        publish = engine._bus.publish
        publish(TranscriptPartial(text="I would", item_id="u"))
        publish(TranscriptCompleted(text="I would", item_id="u"))
        publish(TranscriptPartial(text="I would like", item_id="u"))
        publish(TranscriptCompleted(text="I would like tea.", item_id="u"))
        publish(TranscriptCompleted(text="", item_id="noise"))
        screen.note("then")
    assert [line.split(maxsplit=2)[1:] for line in text_of(console).splitlines()] == [
        ["caller", "I would like tea."],
        ["then"],
    ]


async def test_a_text_only_answer_is_shown_at_once() -> None:
    engine = VoiceEngine(provider="mock", modalities=["text"])
    console = plain()
    async with engine, Screen(engine, console, lambda _: None):
        await engine.send_text("hi")
        await asyncio.sleep(1)
        assert "You said: hi" in text_of(console)


async def test_a_connection_that_was_lost_and_restored() -> None:
    engine, console = engine_of(faults=FaultPlan(["drop:after_chunks=1"])), plain()
    async with engine, Screen(engine, console, Playing(engine)):
        watch = TurnWatch(engine)
        await engine.send_text("hello there you")
        assert await watch.answered(), "it is no end that somebody has to hear of"
    text = text_of(console)
    assert "was lost" in text
    assert "reconnecting (attempt 1)" in text
    assert "connection restored (closed): 0 ms without" in text
    assert text.rstrip().endswith("You said: hello there you")


async def test_a_connection_that_was_not_restored() -> None:
    engine, console = engine_of(faults=FaultPlan(["drop:after_chunks=1", "refuse:auth,2"])), plain()
    async with engine, Screen(engine, console, Playing(engine)):
        watch = TurnWatch(engine)
        await engine.send_text("hello there you")
        with pytest.raises(ConnectionError, match="was lost"):
            await watch.answered()
