"""What is left of a conversation: a summary on the screen, and files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from voxengine.cli.conversation.figures import Figures
from voxengine.cli.conversation.waterfall import print_waterfall
from voxengine.cli.exits import redacted

if TYPE_CHECKING:
    from rich.console import Console

    from voxengine.engine import VoiceEngine

__all__ = ["money", "print_summary", "write_json", "write_records"]


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file for people and programs."""
    path.write_text(
        redacted(json.dumps(value, ensure_ascii=False, indent=2, default=str)) + "\n",
        encoding="utf-8",
    )


def write_records(folder: Path, engine: VoiceEngine, report: dict[str, Any]) -> None:
    """Write transcript.json and report.json."""
    write_json(folder / "transcript.json", engine.conversation.as_dict())
    write_json(folder / "report.json", report)


def money(cost: float | None) -> str:
    """US dollars in words."""
    if cost is None:
        return "unknown: the price of this model is not known"
    return "nothing: it runs on this machine" if cost == 0 else f"${cost:.4f}"


def print_summary(console: Console, engine: VoiceEngine, figures: Figures) -> None:
    """Print what was said, called and cut, and what it took."""
    table = Table(
        box=None, show_header=False, padding=(0, 2, 0, 0), title="Summary", title_justify="left"
    )
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for item in engine.conversation:
        if item.kind == "message" and item.role in ("user", "assistant"):
            words = Text(
                item.text or ("(speech without a transcript)" if item.role == "user" else "")
            )
            if item.interrupted and item.role == "assistant":
                words.append(f" — cut after {item.heard_ms / 1000:.2f} s", "red")
            table.add_row("caller" if item.role == "user" else "engine", words)
    for call in figures.calls.values():
        outcome = call.get("output", call.get("error", ""))
        table.add_row(
            "tool",
            Text(
                f"{call['name']} {_compact(call['arguments'])} → {call['status']} {_compact(outcome)}"
            ),
        )
    for cut in figures.interruptions:
        table.add_row(
            "barge-in", Text(f"{cut.reason}, after {cut.heard_ms / 1000:.2f} s of speech")
        )
    table.add_row("cost", money(engine.usage.cost))
    print_waterfall(console, figures.turns)
    console.print()
    console.print(table)


def _compact(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
