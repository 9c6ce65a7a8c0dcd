"""Write the tables of docs/vendors.md anew: `python -m tools.write_tables`.

A table stands between a comment that names the command which prints it, and `<!-- end -->`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from voxengine.cli.comparison import compared, parts
from voxengine.cli.providers import rows

PAGE = Path(__file__).resolve().parent.parent / "docs" / "vendors.md"
_BLOCK = re.compile(r"(<!-- voxengine providers --(\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def written(page: str) -> str:
    """The page with its tables as they are today.

    Raises:
        KeyError: it names another command than there is.
    """
    tables = {
        "markdown": compared({row.name: row.capabilities for row in rows()}),
        "parts": parts(),
    }
    return _BLOCK.sub(lambda found: f"{found[1]}{tables[found[2]]}{found[4]}", page)


def main() -> int:
    """Write the page; the exit code."""
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
