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
    rows += _hot_path(figures)
    rows += _gateway(figures)
    rows += _on_device(figures)
    return rows


#: Prefixes of the CPU figures of a row.
_AGAINST = ("", "floor_", "websockets_", "timers_")


def _hot_path(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    rows = []
    for row in figures.get("hot_path", ()):
        mode = "" if row["mode"] == "big" else f", mode {row['mode']}"
        which = f"{row['calls']} calls, {row['chunk_ms']} ms{mode}"
        # With few calls the machine's waking up is most of the cost, whoever is woken.
        judged = row["calls"] >= 25
        least, most = row["ratio_spread"]
        rows += [
            (
                f"{which}: CPU against a raw socket's",
                f"{row['ratio_to_floor']} ({least} - {most})",
                "<= 1.3" if judged else "",
            ),
            (
                "... ms/s a call: ours / raw / websockets / timers alone",
                " / ".join(f"{row[f'{s}cpu_ms_per_call_s']:.2f}" for s in _AGAINST),
                "",
            ),
            (
                "... without timers / of websockets",
                f"{row['ratio_without_timers']} / {row['websockets_ratio_to_floor']}",
                "",
            ),
            (
                "... latency above a raw socket's, p50 / p99",
                f"{row['p50_added_ms']} / {row['p99_added_ms']} ms",
                "<= 5 ms",
            ),
            (
                "... delivered; frames too late",
                f"{row['delivered']:.2%}; {row['missed_deadlines']} of {row['frames']}",
                "100 %",
            ),
            (
                "... rounds used; waited for the core, at most",
                f"{row['rounds_used']} of {len(row['rounds'])}; {max(row['waited']):.0%}",
                "",
            ),
            (
                "... resident memory of a call above a raw socket's",
                f"{row['rss_kb_per_call']} KB",
                "<= 150 KB" if judged else "",
            ),
        ]
    return rows + _growth(figures)


def _growth(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    growth = figures.get("hot_path_growth")
    if growth is None:
        return []
    rows = []
    for side in ("voxengine", "floor", "websockets"):
        each = growth[side]
        rows += [
            (
                f"{side}, {growth['from_calls']} to {growth['to_calls']} calls: each more costs",
                f"{each['cpu_ms_per_added_call_s']} ms/s, {each['rss_kb_per_added_call']} KB",
                "",
            ),
            ("... connecting takes", f"{each['connect_ms']} ms", ""),
            (
                "... the first call holds up the loop for",
                f"{each['first_call_lag_ms']:.0f} ms",
                "",
            ),
        ]
    heap = figures.get("hot_path_heap_kb_per_call")
    if heap:
        label = "Python's memory of a call above a raw socket's"
        rows.append((label, f"{heap['voxengine']} KB", "<= 150 KB"))
    return rows


def _gateway(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    rows = []
    for row in figures.get("gateway", ()):
        least, most = row["ratio_spread"]
        rows += [
            (
                f"gateway, {row['calls']} calls: CPU against a raw relay's",
                f"{row['ratio_to_floor']} ({least} - {most})",
                "<= 2.0",
            ),
            (
                "... ms/s a call: ours / raw / websockets",
                " / ".join(f"{row[f'{s}cpu_ms_per_call_s']:.2f}" for s in _AGAINST[:3]),
                "",
            ),
            (
                "... latency above a raw relay's, p50 / p99",
                f"{row['p50_added_ms']} / {row['p99_added_ms']} ms",
                "<= 5 ms" if row["calls"] <= 25 else "<= 15 ms",
            ),
            ("... delivered", f"{row['delivered']:.2%}", "100 %"),
            (
                "... rounds used; waited for the core, at most",
                f"{row['rounds_used']} of {len(row['rounds'])}; {max(row['waited']):.0%}",
                "",
            ),
        ]
    memory = figures.get("gateway_rss_kb_per_further_call")
    if memory:
        label = "gateway, resident memory of a further call"
        rows.append((label, f"{memory['voxengine']} KB", "<= 400 KB"))
    capacity = figures.get("gateway_capacity")
    if capacity:
        most = capacity["max_calls_at_20ms_lag"]
        held = f"{most}" if capacity["limit_reached"] else f"at least {most}"
        rows.append(("gateway, calls until the loop is 20 ms late (p99)", held, ""))
    return rows


def _on_device(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    device = figures.get("on_device")
    if device is None:
        return []
    wait = device["voice_to_voice_ms"]
    rows = [
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
