"""Figures as tables to read."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table


def show(figures: dict[str, Any]) -> None:
    """Print what was measured."""
    table = Table(title="VoxEngine, measured on this machine", title_justify="left")
    table.add_column("what")
    table.add_column("figure", justify="right")
    table.add_column("target", justify="right")
    for name, value, target in _rows(figures):
        table.add_row(name, value, target)
    Console().print(table)


def _rows(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    rows = []
    if "import_ms" in figures:
        rows.append(("import voxengine", f"{figures['import_ms']} ms", "<= 100 ms"))
        rows.append(("from voxengine import VoiceEngine", f"{figures['import_engine_ms']} ms", ""))
    if "event_us" in figures:
        rows.append(
            (
                "an event, provider to handler, above making it",
                f"{figures['event_us']} us",
                "<= 2 us",
            )
        )
        above = figures["event_above_function_call_us"]
        rows.append(("... above making it and a plain function call", f"{above} us", ""))
    device = figures.get("on_device")
    if device is None:
        return rows
    wait = device["voice_to_voice_ms"]
    rows += [
        ("end of speech to first audible sample, median", f"{wait['median']} ms", "<= 500 ms"),
        ("... 90th percentile / maximum", f"{wait['p90']} / {wait['max']} ms", ""),
        ("speech detected to silence, median / maximum", _pair(device["barge_in_ms"]), "<= 40 ms"),
    ]
    rows += [
        (f"word error rate, {name}", f"{value:.1%}", "") for name, value in device["wer"].items()
    ]
    rows += [
        (f"voice to voice with {n} calls at once, median", f"{v} ms", "")
        for n, v in device["calls"].items()
    ]
    rows += [
        (
            "real-time factor, recognition / synthesis",
            f"{device['stt_rtf']} / {device['tts_rtf']}",
            "",
        ),
        ("resident memory", f"{device['rss_mb']} MB", ""),
    ]
    return rows


def _pair(values: dict[str, float]) -> str:
    return f"{values['median']} / {values['max']} ms"
