"""The command line: `voxengine talk`, `demo`, `providers`, `doctor`, `conformance`, `emulate`, `serve`.

`main` is the console script. It imports typer and rich only when it is called, and each command imports what it needs
when it runs, so that `voxengine --help` is quick and a missing extra is one clear line.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line, and end the process with its exit code (see `voxengine.cli.exits`)."""
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError as missing:
        print(
            f"voxengine: the command line needs the package {missing.name!r}. "
            "Install it with: pip install 'voxengine[cli]'",
            file=sys.stderr,
        )
        sys.exit(2)
    from voxengine.cli.app import app
    from voxengine.cli.exits import quiet_logging

    quiet_logging()
    app(prog_name="voxengine")
