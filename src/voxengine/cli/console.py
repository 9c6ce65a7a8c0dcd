"""Where text goes: standard output for results, standard error for all about how it goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

__all__ = ["busy", "stderr", "stdout"]


def stdout() -> Console:
    """Standard output, as it is now (a test may have replaced it)."""
    return Console(highlight=False)


def stderr() -> Console:
    """Standard error, as it is now."""
    return Console(stderr=True, highlight=False)


@contextmanager
def busy(console: Console, what: str) -> Iterator[None]:
    """Show that something is under way, and then how long it took. Where nothing can move, two plain lines."""
    started = time.monotonic()
    if console.is_terminal:
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            progress.add_task(what, total=None)
            yield
    else:
        console.print(f"[dim]{what} ...[/]")
        yield
    console.print(f"[dim]{what}: {time.monotonic() - started:.1f} s[/]")
