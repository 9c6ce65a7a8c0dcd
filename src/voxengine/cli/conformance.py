"""`voxengine conformance`: the suite that every provider has to pass."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
    from voxengine.testing.conformance.gateway import GatewayReport

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


def check(
    names: Sequence[str],
    *,
    everything: bool,
    gateway: bool,
    out: Path | None,
    as_json: bool,
    markdown: bool,
) -> ExitCode:
    """Run the suite on these providers, print and write how they did.

    `gateway`: each is also put behind a gateway, and checked as a client of that sees it. `markdown`: only that is
    done, and what is printed is its table for a page.

    Raises:
        InputProblem: no provider is named, or the file cannot be written.
        UnknownProviderError: there is no such provider.
        MissingVendorTypesError: the gateway cannot be checked, for the types are missing by which it is judged.
    """
    if not names and not everything:
        raise InputProblem(
            f"name a provider, or ask for --all; there are {', '.join(list_providers())}"
        )
    chosen = list(dict.fromkeys([*names, *(runnable() if everything else ())]))
    for name in chosen:
        get_provider(name)
    reports = {} if markdown else {name: _run(name) for name in chosen}
    behind = {name: _run_gateway(name) for name in chosen} if gateway or markdown else {}
    figures = {"providers": {name: _figures(name, reports, behind) for name in chosen}}
    if out is not None:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(
                redacted(json.dumps(figures, indent=2, ensure_ascii=False)) + "\n", encoding="utf-8"
            )
        except OSError as failure:
            raise InputProblem(f"{out} cannot be written: {failure.strerror or failure}") from None
    if markdown:
        _show_markdown(behind)
    elif as_json:
        print(redacted(json.dumps(figures, ensure_ascii=False)))
    else:
        _show(reports)
        _show_gateway(behind)
        if out is not None:
            stdout().print(f"[dim]written to {out}[/]")
    ok = all(r.ok for r in reports.values()) and all(r.ok for r in behind.values())
    return ExitCode.OK if ok else ExitCode.FAILED


def _figures(
    name: str, reports: dict[str, ConformanceReport], behind: dict[str, GatewayReport]
) -> dict[str, Any]:
    own = reports[name].figures() if name in reports else {}
    return {**own, "through_gateway": behind[name].figures()} if name in behind else own


def _run(name: str) -> ConformanceReport:
    from voxengine.testing.conformance import all_checks, run_conformance

    with _progress(name, len(all_checks())) as done:
        return run_conformance(name, on_result=done)


def _run_gateway(name: str) -> GatewayReport:
    from voxengine.testing.conformance import gateway as suite

    with _progress(f"{name} through the gateway", len(suite.gateway_checks())) as done:
        return suite.run_gateway_conformance(name, on_result=done)


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[Any], None]]:
    """A bar on a terminal; gives what is to be told of each result."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = stderr()
    if not console.is_terminal:
        console.print(f"[dim]checking {what} ...[/]")
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(what, total=total)
        yield lambda result: progress.update(task, advance=1, description=f"{what}: {result.name}")


def _show(reports: dict[str, ConformanceReport]) -> None:
    console = stdout()
    table = Table(title="Conformance", title_style="bold")
    table.add_column("provider")
    heads = ("passed", "failed", "does not apply", "seconds", "client events", "valid messages")
    for head in heads:
        table.add_column(head, justify="right")
    for name, report in reports.items():
        seconds = sum(result.seconds for result in report)
        table.add_row(
            name,
            f"[green]{report.passed}[/]",
            _failed(report.failed),
            str(report.skipped),
            f"{seconds:.1f}",
            *_wire(report.wire),
        )
    console.print(table)
    for name, report in reports.items():
        for result in report.of("failed"):
            console.print(Text(f"✗ {name}: {result.name}: {redacted(result.reason)}", "red"))
        for words in report.wire.get("wrong", ()):
            console.print(Text(f"✗ {name}: on the wire: {redacted(words)}", "red"))


def _show_gateway(reports: dict[str, GatewayReport]) -> None:
    if not reports:
        return
    console = stdout()
    table = Table(title="Through the gateway", title_style="bold")
    table.add_column("provider")
    for head in ("passed", "failed", "refused", "seconds", "client events", "valid messages"):
        table.add_column(head, justify="right")
    for name, report in reports.items():
        table.add_row(
            name,
            f"[green]{len(report.of('passed'))}[/]",
            _failed(len(report.of("failed"))),
            str(len(report.of("refused"))),
            f"{sum(result.seconds for result in report):.1f}",
            *_wire(report.wire),
        )
    console.print(table)
    for name, report in reports.items():
        for result in report.of("failed"):
            words = f"✗ {name} through the gateway: {result.name}: {redacted(result.reason)}"
            console.print(Text(words, "red"))


def _show_markdown(reports: dict[str, GatewayReport]) -> None:
    from voxengine.testing.conformance.gateway import table_of

    print(redacted(table_of({name: report.figures() for name, report in reports.items()})), end="")


def _failed(count: int) -> str:
    return f"[bold red]{count}[/]" if count else "0"


def _wire(wire: dict[str, Any]) -> tuple[str, str]:
    """How many types of messages the client sent, and how many of the other side's were valid."""
    if not wire:
        return "", ""
    sent, valid = wire["server_events_sent"], wire["server_events_valid"]
    good = "green" if sent == valid else "bold red"
    return str(wire["client_events"]), f"[{good}]{valid} of {sent}[/]"
