"""The main job: a human recording holds a spoken conversation with the engine, which is measured and checked."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from voxengine.audio.formats import AudioFormat
from voxengine.cli.console import busy, stderr, stdout
from voxengine.cli.conversation.caller import Caller
from voxengine.cli.conversation.figures import Figures
from voxengine.cli.conversation.jsonlines import JsonLines
from voxengine.cli.conversation.loudspeaker import Loudspeaker
from voxengine.cli.conversation.recording import CallRecording
from voxengine.cli.conversation.report import money, write_records
from voxengine.cli.conversation.screen import Screen
from voxengine.cli.conversation.tools import Robot, offer_tools
from voxengine.cli.conversation.watch import TurnWatch
from voxengine.cli.conversation.waterfall import print_waterfall
from voxengine.cli.demo.checks import Check, checks
from voxengine.cli.demo.picture import draw_waterfall
from voxengine.cli.demo.scenario import Lines, Scenario, as_figures
from voxengine.cli.demo.voice import synthetic_caller
from voxengine.cli.exits import ExitCode
from voxengine.cli.options import WARM_UP_S
from voxengine.cli.talk import load_recording
from voxengine.config import VoiceEngineConfig
from voxengine.data import speech_path
from voxengine.engine import VoiceEngine
from voxengine.errors import MissingDependencyError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["demo"]

REQUEST = "Tell me a long story."
_SETTINGS: dict[str, Any] = {
    "provider": "local",
    "mode": "big",
    "input_format": AudioFormat(sample_rate=16000),
    "connect_timeout": WARM_UP_S,
}


@dataclass
class _Run:
    """What is left of the conversation when it is over."""

    engine: VoiceEngine
    figures: Figures
    robot: Robot
    scenario: Scenario
    origin: float

    @property
    def checks(self) -> list[Check]:
        return checks(self.engine.conversation, self.robot.moves, self.scenario.barge_in)

    def recorded_ms(self) -> list[float | None]:
        """What was measured at the loudspeaker, for each turn; nothing if turns and sentences do not match."""
        if len(self.figures.turns) != len(self.scenario.spoken):
            return []
        answers = [turn.metrics.item_id for turn in self.figures.turns]
        return self.scenario.recorded_ms(answers)

    def report(self) -> dict[str, Any]:
        """In the form of the project's figures, and what else is known."""
        report = self.figures.as_dict()
        spoken = self.scenario.spoken
        for turn, recorded, said in zip(report["turns"], self.recorded_ms(), spoken, strict=False):
            turn["at_ms"] = round((said.speech_ended_at - self.origin) * 1000, 1)
            turn["recorded_ms"] = None if recorded is None else round(recorded, 1)
        cut = self.scenario.barge_in
        report["barge_in"] = as_figures(cut) if cut is not None else None
        report["checks"] = {check.name: check.passed for check in self.checks}
        return report


async def demo(out: Path, *, as_json: bool = False) -> ExitCode:
    """Hold the conversation, show it, and write its records into the folder `out`.

    Raises:
        VoiceEngineError: it could not be held.
    """
    console = stderr() if as_json else stdout()
    if not find_spec("matplotlib"):
        raise MissingDependencyError("the demo", "demo")  # now, not when all has been said
    # Not what the environment or a file may say: the demo is always the same.
    config = VoiceEngineConfig.load(env={}, **_SETTINGS)
    engine = VoiceEngine(config)
    robot, figures = offer_tools(engine), Figures(engine)
    lines = JsonLines(engine) if as_json else None
    with busy(console, "warming up the models"):
        said = Lines(
            command=load_recording(speech_path("go_forward_ten_meters"), config.input_format),
            request=await synthetic_caller(REQUEST, config.input_format),
            interruption=load_recording(
                speech_path("sense_and_sensibility_0880"), config.input_format
            ),
        )
        await engine.connect()
    _introduce(console)
    try:
        run = await _hold(engine, figures, robot, said, out, None if as_json else console)
    except asyncio.CancelledError:
        if lines is not None and lines.broken:
            raise BrokenPipeError from None
        raise
    report = run.report()
    write_records(out, engine, report)
    with busy(console, "drawing the waterfall"):
        await asyncio.to_thread(
            draw_waterfall, figures.turns, out / "waterfall.png", _subtitle(run)
        )
    if lines is not None:
        lines.write({"type": "summary", **report})
    else:
        _show(console, run, out)
    failed = [check for check in run.checks if not check.passed]
    for check in failed:
        stderr().print(Text(f"failed: {check.name}: {check.found}", "bold red"))
    return ExitCode.FAILED if failed else ExitCode.OK


async def _hold(
    engine: VoiceEngine,
    figures: Figures,
    robot: Robot,
    lines: Lines,
    out: Path,
    console: Console | None,
) -> _Run:
    try:
        async with AsyncExitStack() as stack:
            recording = stack.enter_context(CallRecording(out / "conversation.wav", engine.config))
            speaker = stack.enter_context(Loudspeaker(engine, recording.engine))
            watch = TurnWatch(engine, lambda: speaker.silent)
            if console is not None:
                await stack.enter_async_context(Screen(engine, console, speaker.heard_ms))
            caller = await stack.enter_async_context(Caller(engine, recording.caller))
            scenario = Scenario(engine, caller, speaker, watch, lines)
            await scenario.play()
            return _Run(engine, figures, robot, scenario, recording.origin)
    finally:
        await engine.disconnect()


def _introduce(console: Console) -> None:
    console.print(
        "\n[bold]A caller talks to the engine, on this machine alone.[/] [dim]Times are in seconds."
    )
    console.print(
        "[dim]The command and the interruption are recordings of people; a synthetic voice asks for the story.\n"
    )


def _subtitle(run: _Run) -> str:
    cut = run.scenario.barge_in
    barge_in = (
        f"barge-in: silent {cut.silent_ms:.0f} ms after the detection of speech" if cut else ""
    )
    return f"provider {run.engine.config.provider}, on this machine, no network.  {barge_in}"


def _show(console: Console, run: _Run, out: Path) -> None:
    print_waterfall(console, run.figures.turns)
    recorded = [f"{ms:.0f}" for ms in run.recorded_ms() if ms is not None]
    if recorded:
        console.print(
            f"\n[bold]On the recording[/], from the caller's last sample above -40 dBFS to the engine's first: "
            f"{', '.join(recorded)} ms"
        )
    cut = run.scenario.barge_in
    if cut is not None:
        console.print(
            f"[bold]Barge-in[/]: engine silent {cut.silent_ms:.0f} ms after detection "
            f"(detected {cut.detected_ms:.0f} ms after the caller's first sound)"
        )
    console.print(f"[bold]Cost[/]: {money(run.engine.usage.cost)}\n")
    for check in run.checks:
        mark = ("✓", "green") if check.passed else ("✗", "bold red")
        console.print(Text.assemble(mark, f" {check.name}: ", (check.found, "dim")))
    names = ("conversation.wav", "transcript.json", "report.json", "waterfall.png")
    console.print(f"\n[dim]written to {out}: {', '.join(names)}[/]")
