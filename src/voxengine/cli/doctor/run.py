"""Look at everything, show it, and say whether the configured provider can work."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from voxengine.cli.console import busy, stderr, stdout
from voxengine.cli.conversation import jsonlines
from voxengine.cli.doctor import provider as about
from voxengine.cli.doctor import system
from voxengine.cli.doctor.checkup import Finding
from voxengine.cli.doctor.selftest import self_tests
from voxengine.cli.exits import ExitCode

__all__ = ["examine"]

_MARKS = {
    "ok": ("✓", "green"),
    "note": ("·", "dim"),
    "warning": ("!", "yellow"),
    "broken": ("✗", "bold red"),
}


def examine(name: str | None, config_file: Path | None, *, as_json: bool) -> ExitCode:
    """Examine this machine; the exit code says whether the configured provider can work here."""
    config, valid = about.configuration(name, config_file)
    chosen = config.provider if config is not None else (name or "local")
    findings = [
        *system.python(),
        *system.packages(),
        *system.keys(config),
        *system.devices(),
        valid,
    ]
    if config is not None:
        findings += about.provider(config)
    with busy(stderr(), "checking models and running self-tests"):
        findings += about.models(config)
        findings += self_tests(chosen)
    failing = [finding for finding in findings if finding.fails]
    if as_json:
        _print_json(chosen, findings, ok=not failing)
    else:
        _print(stdout(), findings)
        _conclude(stdout(), chosen, failing)
    return ExitCode.FAILED if failing else ExitCode.OK


def _print_json(provider: str, findings: Iterable[Finding], *, ok: bool) -> None:
    print(
        jsonlines.as_json(
            {"ok": ok, "provider": provider, "findings": [f.as_dict() for f in findings]}
        )
    )


def _print(console: Console, findings: Iterable[Finding]) -> None:
    table = Table(box=None, show_header=False, padding=(0, 1), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(max_width=28)
    table.add_column(overflow="fold")
    section = ""
    for finding in findings:
        if finding.section != section:
            section = finding.section
            table.add_row("", Text(section, "bold"), "")
        detail = Text(finding.detail, "" if finding.state != "note" else "dim")
        if finding.remedy and finding.state != "ok":
            detail.append(f"  → {finding.remedy}", "yellow")
        mark, style = _MARKS[finding.state]
        table.add_row(Text(mark, style), Text(finding.name), detail)
    console.print(table)


def _conclude(console: Console, provider: str, failing: list[Finding]) -> None:
    console.print()
    if not failing:
        console.print(Text(f"The provider {provider!r} can work here.", "bold green"))
        return
    console.print(Text(f"The provider {provider!r} cannot work here:", "bold red"))
    for finding in failing:
        remedy = f" → {finding.remedy}" if finding.remedy else ""
        console.print(Text(f"  {finding.name}: {finding.detail}{remedy}", "red"), soft_wrap=True)
