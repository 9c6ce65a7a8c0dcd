"""`voxengine providers`: what each provider can do, drawn from the capability data and from nothing else.

All of them in a line each, or of some all there is to know.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from rich.table import Table
from rich.text import Text

from voxengine.audio.formats import AudioFormat
from voxengine.cli.comparison import compared, markdown_table
from voxengine.cli.console import stdout
from voxengine.cli.needs import Needs, capabilities_of, needs_of
from voxengine.providers.capabilities import Capabilities
from voxengine.providers.registry import get_provider, list_providers

__all__ = ["Row", "rows", "show"]

_YES, _NO = "yes", "-"
#: The capabilities by what they are about. Fields that are not named here come at the end.
_ORDER = (
    "on_device", "input_formats", "output_formats", "audio_output", "text_output", "text_input", "voices",
    "languages", "turn_detection", "vad_events", "auto_response", "self_interrupting", "input_transcription",
    "partial_transcripts", "vocabulary", "emotion",
    "cancel", "truncate", "commit", "clear", "delete", "say", "tools", "parallel_tools",
    "continues_after_tool", "history", "history_max_bytes", "history_max_items", "system_messages",
    "instructions_updatable", "response_on_request", "resume", "max_connection_seconds", "usage_unit",
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


def show(form: Literal["table", "json", "markdown"], names: Sequence[str] = ()) -> None:
    """Print what there is to know of the providers of these names; without any, an overview of all.

    Raises:
        UnknownProviderError: there is no such provider.
    """
    for name in names:
        get_provider(name)
    table = [row for row in rows() if not names or row.name in names]
    if form == "json":
        print(
            json.dumps(
                {"providers": [row.as_dict() for row in table]}, ensure_ascii=False, indent=2
            )
        )
    elif form == "markdown":
        known = {row.name: row.capabilities for row in table}
        sys.stdout.write(_markdown(table) if names else compared(known))
    elif names:
        stdout().print(_details(table))
    else:
        console = stdout()
        console.print(_overview(table))
        console.print("[dim]voxengine providers NAME shows all that one can do[/]")


def _fields() -> list[str]:
    names = [f.name for f in msgspec.structs.fields(Capabilities)]
    return [n for n in _ORDER if n in names] + [n for n in names if n not in _ORDER]


def _value(value: Any) -> str:
    if value is None or value is False or value in ((), "none"):
        return _NO
    if value is True:
        return _YES
    if isinstance(value, tuple) and isinstance(value[0], AudioFormat):
        return _formats(value)
    if isinstance(value, tuple):
        return ", ".join(str(v) for v in value)
    return str(value)


def _formats(formats: Iterable[AudioFormat]) -> str:
    """By encoding, with the rates in kHz: "pcm16 24, 16; g711_ulaw 8"."""
    rates: dict[str, list[str]] = {}
    for format in formats:
        rates.setdefault(format.encoding, []).append(f"{format.sample_rate / 1000:g}")
    return "; ".join(f"{encoding} {', '.join(khz)}" for encoding, khz in rates.items())


def _cells(row: Row, name: str) -> str:
    return "?" if row.capabilities is None else _value(getattr(row.capabilities, name))


def _state(row: Row) -> str:
    return row.problem or ("ready" if row.needs.ready else "; ".join(row.needs.missing))


def _lines(table: list[Row]) -> list[tuple[str, list[str]]]:
    lines = [(name.replace("_", " "), [_cells(row, name) for row in table]) for name in _fields()]
    lines.append(("needs", [row.needs.words for row in table]))
    lines.append(("state", [_state(row) for row in table]))
    return lines


def _overview(table: list[Row]) -> Table:
    drawn = Table(title="Providers", title_style="bold")
    drawn.add_column("provider", style="bold", no_wrap=True)
    for head in ("ends turns by", "tools", "cut at heard", "history", "limit", "billed by"):
        drawn.add_column(head)
    drawn.add_column("state", overflow="fold")
    for row in table:
        can, state = row.capabilities, _state(row)
        cells = ["?"] * 6
        if can is not None:
            limit = can.max_connection_seconds
            cells = [
                _value(can.turn_detection),
                _value(can.tools),
                _value(can.truncate),
                _value(can.history),
                f"{limit // 60} min" if limit is not None else _NO,
                _value(can.usage_unit),
            ]
        drawn.add_row(row.name, *cells, Text(state, "green" if state == "ready" else "yellow"))
    return drawn


def _details(table: list[Row]) -> Table:
    drawn = Table(title="Providers", title_style="bold")
    drawn.add_column("capability (rates in kHz)", style="dim")
    for row in table:
        style = "" if row.needs.ready and not row.problem else "yellow"
        drawn.add_column(row.name, style=style, overflow="fold")
    for label, cells in _lines(table):
        if label == "needs":
            drawn.add_section()
        drawn.add_row(label, *(Text(c, "green" if c in (_YES, "ready") else "") for c in cells))
    return drawn


def _markdown(table: list[Row]) -> str:
    # What is installed on this machine does not belong into a document.
    body = [[label, *cells] for label, cells in _lines(table) if label != "state"]
    return markdown_table([["capability", *(f"`{row.name}`" for row in table)], *body])
