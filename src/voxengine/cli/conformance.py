"""`voxengine conformance`: the suite that every provider has to pass."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from voxengine.cli.console import stderr, stdout
from voxengine.cli.exits import ExitCode, InputProblem, redacted
from voxengine.cli.needs import capabilities_of, needs_of
from voxengine.providers.registry import get_provider, list_providers

if TYPE_CHECKING:
    from voxengine.testing.conformance import ConformanceReport

__all__ = ["check", "runnable"]


def runnable() -> list[str]:
    """The providers that can be checked here without a key: on this machine, or against an emulator."""
    from voxengine.testing.conformance.vendors import has_emulator

    found = []
    for name in list_providers():
        if has_emulator(name):
            found.append(name)
            continue
        capabilities = capabilities_of(name)
        if capabilities is not None and capabilities.on_device and needs_of(name).ready:
            found.append(name)
    return found


def check(names: Sequence[str], *, everything: bool, out: Path | None, as_json: bool) -> ExitCode:
    """Run the suite on these providers, print and write how they did.

    Raises:
        InputProblem: no provider is named, or the file cannot be written.
        UnknownProviderError: there is no such provider.
    """
    if not names and not everything:
        raise InputProblem(
            f"name a provider, or ask for --all; there are {', '.join(list_providers())}"
        )
    chosen = list(dict.fromkeys([*names, *(runnable() if everything else ())]))
    for name in chosen:
        get_provider(name)
    reports = {name: _run(name) for name in chosen}
    figures = {"providers": {name: report.figures() for name, report in reports.items()}}
    if out is not None:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(
                redacted(json.dumps(figures, indent=2, ensure_ascii=False)) + "\n", encoding="utf-8"
            )
        except OSError as failure:
            raise InputProblem(f"{out} cannot be written: {failure.strerror or failure}") from None
    if as_json:
        print(redacted(json.dumps(figures, ensure_ascii=False)))
    else:
        _show(reports, out)
    return ExitCode.OK if all(report.ok for report in reports.values()) else ExitCode.FAILED


def _run(name: str) -> ConformanceReport:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from voxengine.testing.conformance import all_checks, run_conformance

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = stderr()
    if not console.is_terminal:
        console.print(f"[dim]checking {name} ...[/]")
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(name, total=len(all_checks()))

        def done(result: Any) -> None:
            progress.update(task, advance=1, description=f"{name}: {result.name}")

        return run_conformance(name, on_result=done)


def _show(reports: dict[str, ConformanceReport], out: Path | None) -> None:
    console = stdout()
    table = Table(title="Conformance", title_style="bold")
    table.add_column("provider")
    heads = ("passed", "failed", "does not apply", "seconds", "client events", "valid messages")
    for head in heads:
        table.add_column(head, justify="right")
    for name, report in reports.items():
        failed = f"[bold red]{report.failed}[/]" if report.failed else "0"
        seconds = sum(result.seconds for result in report)
        table.add_row(
            name,
            f"[green]{report.passed}[/]",
            failed,
            str(report.skipped),
            f"{seconds:.1f}",
            *_wire(report),
        )
    console.print(table)
    for name, report in reports.items():
        for result in report.of("failed"):
            console.print(Text(f"✗ {name}: {result.name}: {redacted(result.reason)}", "red"))
        for words in report.wire.get("wrong", ()):
            console.print(Text(f"✗ {name}: on the wire: {redacted(words)}", "red"))
    if out is not None:
        console.print(f"[dim]written to {out}[/]")


def _wire(report: ConformanceReport) -> tuple[str, str]:
    """How many types of messages the provider sent, and how many of its vendor's were valid."""
    wire = report.wire
    if not wire:
        return "", ""
    sent, valid = wire["server_events_sent"], wire["server_events_valid"]
    good = "green" if sent == valid else "bold red"
    return str(wire["client_events"]), f"[{good}]{valid} of {sent}[/]"
