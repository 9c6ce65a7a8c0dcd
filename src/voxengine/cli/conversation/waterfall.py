"""The latency waterfall on the screen: a row for each turn, a colour for each stage."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from voxengine.cli.conversation.figures import STAGES, Turn

__all__ = ["COLOURS", "print_waterfall", "segments"]

#: Of each stage: its colour on the screen, and in pictures.
COLOURS = {
    "turn_decided_ms": ("blue", "#4c78a8"),
    "transcript_ms": ("magenta", "#b279a2"),
    "first_token_ms": ("yellow", "#eeca3b"),
    "first_audio_ms": ("green", "#54a24b"),
    "first_audible_ms": ("cyan", "#72b7b2"),
}
#: How the stages are called above their columns.
_HEADS = {
    "turn_decided_ms": "turn\ndecided",
    "transcript_ms": "trans-\ncript",
    "first_token_ms": "first\ntoken",
    "first_audio_ms": "first\naudio",
    "first_audible_ms": "first\naudible",
}


def segments(turn: Turn) -> list[tuple[str, float, float]]:
    """The stages of a turn as (name, begin, end) in ms: each lasts from the stage before it to its own moment.

    A stage that was over before the one before it (the transcript is often there first) takes no time of its own.
    """
    result = []
    reached = 0.0
    for name in STAGES:
        at = getattr(turn.metrics, name)
        if at is not None:
            result.append((name, reached, max(reached, at)))
            reached = max(reached, at)
    return result


def print_waterfall(console: Console, turns: Sequence[Turn]) -> None:
    """Print the moments of each turn in milliseconds, and under them the bars."""
    if not turns:
        return
    console.print()
    console.print("[bold]Latency of each turn[/] [dim](ms after the end of the caller's speech)")
    console.print(_table(turns))
    width = min(console.width, 110) - 16
    longest = max((end for turn in turns for _, _, end in segments(turn)), default=1.0)
    for number, turn in enumerate(turns, 1):
        total = segments(turn)[-1][2] if segments(turn) else 0.0
        bar = _bar(turn, width / max(longest, 1.0))
        console.print(Text.assemble((f" {number}  ", "bold"), bar, f" {total:.0f} ms"))


def _table(turns: Sequence[Turn]) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    table.add_column(" ", justify="right", style="bold")
    table.add_column("turn", max_width=34, overflow="ellipsis", no_wrap=True)
    for name in STAGES:
        table.add_column(_HEADS[name], justify="right", style=COLOURS[name][0], no_wrap=True)
    for number, turn in enumerate(turns, 1):
        values = (getattr(turn.metrics, name) for name in STAGES)
        cells = ["-" if value is None else f"{value:.0f}" for value in values]
        words = (turn.user_text or "(speech)") + ("" if turn.spoken else " (typed)")
        table.add_row(str(number), Text(words), *cells)
    return table


def _bar(turn: Turn, scale: float) -> Text:
    bar = Text()
    drawn = 0
    for name, _, end in segments(turn):
        cells = round(end * scale)
        bar.append("█" * max(0, cells - drawn), COLOURS[name][0])
        drawn = max(drawn, cells)
    return bar
