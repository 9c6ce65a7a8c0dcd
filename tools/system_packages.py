"""Install Debian packages that some tests need, where that is allowed; else say why not, and let those tests skip.

`python3 tools/system_packages.py chromium` does nothing where the program is there already. It never fails: a machine
without a browser still runs every other test. Standard library only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence

#: Seconds for the lists of packages, and for the packages themselves.
LISTS_S, PACKAGES_S = 60, 240


def main(programs: Sequence[str]) -> int:
    """Install what is missing; always 0."""
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        why = reason_not_to()
        if why is None:
            say(f"installing {', '.join(missing)} (Debian)")
            why = install(missing)
        if why is not None:
            say(f"{', '.join(missing)} cannot be installed: {why}; the tests that need it skip")
    return 0


def reason_not_to() -> str | None:
    """Why nothing can be installed here, if so."""
    if os.environ.get("VOXENGINE_NO_APT"):
        return "VOXENGINE_NO_APT is set"
    if shutil.which("apt-get") is None:
        return "this is no Debian"
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "that takes root"
    return None


def install(packages: Sequence[str]) -> str | None:
    """Why it failed, None if it did not."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    get = ["apt-get", "-o", "DPkg::Lock::Timeout=60"]
    steps = (
        ([*get, "update", "-qq"], LISTS_S),
        ([*get, "install", "-y", "-qq", "--no-install-recommends", *packages], PACKAGES_S),
    )
    for command, seconds in steps:
        with tempfile.TemporaryFile("w+") as output:  # a pipe that nobody reads would stop it
            try:
                done = subprocess.run(
                    command, env=environment, stdout=output, stderr=output, timeout=seconds
                )
            except subprocess.TimeoutExpired:
                return f"{' '.join(command[:1])} took more than {seconds} s"
            if done.returncode != 0 and command is steps[-1][0]:
                output.seek(0)
                lines = output.read().strip().splitlines()
                return lines[-1] if lines else f"apt-get ended with {done.returncode}"
    return None


def say(words: str) -> None:
    """One line, as the other tools print theirs."""
    print(f"packages: {words}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
