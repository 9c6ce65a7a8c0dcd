"""`voxengine providers`: the capability table, drawn from the capability data and from nothing else."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from rich.table import Table
from rich.text import Text

from voxengine.audio.formats import AudioFormat
from voxengine.cli.console import stdout
from voxengine.cli.needs import Needs, capabilities_of, needs_of
from voxengine.providers.capabilities import Capabilities
from voxengine.providers.registry import list_providers

__all__ = ["Row", "rows", "show"]

_YES, _NO = "yes", "-"
#: The capabilities by what they are about. Fields that are not named here come at the end.
_ORDER = (
    "on_device", "input_formats", "output_formats", "audio_output", "text_output", "text_input", "voices",
    "languages", "turn_detection", "vad_events", "auto_response", "self_interrupting", "input_transcription",
    "partial_transcripts", "cancel", "truncate", "commit", "clear", "delete", "say", "tools", "parallel_tools",
    "continues_after_tool", "history", "history_max_bytes", "history_max_items", "system_messages", "resume",
    "max_connection_seconds", "usage_unit",
)  # fmt: skip


@dataclass
class Row:
    """One provider: what it can do, or why that is not known, and what it needs."""

    name: str
    capabilities: Capabilities | None
    needs: Needs
    problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As data."""
        return {
            "name": self.name,
            "capabilities": self.capabilities.as_dict() if self.capabilities is not None else None,
            "needs": {"extra": self.needs.extra or None, "key": self.needs.key or None},
            "ready": self.needs.ready and not self.problem,
            "missing": [*self.needs.missing, *([self.problem] if self.problem else [])],
        }


def rows() -> list[Row]:
    """All registered providers. One that cannot be imported has a row that says so."""
    found = []
    for name in list_providers():
        try:
            found.append(Row(name, capabilities_of(name), needs_of(name)))
        except Exception as failure:  # another package's provider may fail in any way
            found.append(Row(name, None, Needs(), f"{type(failure).__name__}: {failure}"))
    return found


def show(form: Literal["table", "json", "markdown"]) -> None:
    """Print the table."""
    table = rows()
    if form == "json":
        print(
            json.dumps(
                {"providers": [row.as_dict() for row in table]}, ensure_ascii=False, indent=2
            )
        )
    elif form == "markdown":
        sys.stdout.write(_markdown(table))
    else:
        stdout().print(_rich(table))


def _fields() -> list[str]:
    names = [f.name for f in msgspec.structs.fields(Capabilities)]
    return [n for n in _ORDER if n in names] + [n for n in names if n not in _ORDER]


def _value(value: Any) -> str:
    if value is None or value is False or value in ((), "none"):
        return _NO
    if value is True:
        return _YES
    if isinstance(value, tuple):
        return ", ".join(_format(v) if isinstance(v, AudioFormat) else str(v) for v in value)
    return str(value)


def _format(format: AudioFormat) -> str:
    return f"{format.encoding}@{format.sample_rate}"


def _cells(row: Row, name: str) -> str:
    return "?" if row.capabilities is None else _value(getattr(row.capabilities, name))


def _state(row: Row) -> str:
    return row.problem or ("ready" if row.needs.ready else "; ".join(row.needs.missing))


def _lines(table: list[Row]) -> list[tuple[str, list[str]]]:
    lines = [(name.replace("_", " "), [_cells(row, name) for row in table]) for name in _fields()]
    lines.append(("needs", [row.needs.words for row in table]))
    lines.append(("state", [_state(row) for row in table]))
    return lines


def _rich(table: list[Row]) -> Table:
    drawn = Table(title="Providers", title_style="bold")
    drawn.add_column("capability", style="dim")
    for row in table:
        style = "" if row.needs.ready and not row.problem else "yellow"
        drawn.add_column(row.name, style=style, overflow="fold")
    for label, cells in _lines(table):
        if label == "needs":
            drawn.add_section()
        drawn.add_row(label, *(Text(c, "green" if c in (_YES, "ready") else "") for c in cells))
    return drawn


def _markdown(table: list[Row]) -> str:
    head = ["capability", *(f"`{row.name}`" for row in table)]
    # What is installed on this machine does not belong into a document.
    body = [[label, *cells] for label, cells in _lines(table) if label != "state"]
    lines = [head, ["---"] * len(head), *body]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines
    )
