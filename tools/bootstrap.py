"""Make `.venv` from nothing but a Python 3.11+ interpreter, exactly as the lock file says.

Run by `make venv`, which every other target needs. It uses the standard library only, and not
all of that: a distribution's python3 often has no pip, no ensurepip and no CA certificates. So
the wheel of pip, which runs as it is and carries its own certificates, lies in `tools/vendor/`.
No other download happens than pip's own, from the index that pip is configured for.

Every package is a wheel named by version and SHA-256 in `requirements/lock.txt`; nothing is
compiled and no package's setup code runs. The project itself is installed editable, with the
build backend of the lock.

A stamp, written last, says what the environment was made from. If it matches, there is nothing
to do. If it is missing, an install was interrupted, and the environment is made anew: a half
installed package is not something pip can repair.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "voxengine-stamp"
LOCK = ROOT / "requirements" / "lock.txt"
PROJECT = ROOT / "pyproject.toml"

PIP_WHEEL = ROOT / "tools" / "vendor" / "pip-26.3-py3-none-any.whl"
PIP_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"

OLDEST_PYTHON = (3, 11)
NEWEST_PYTHON = (3, 14)


class BootstrapError(Exception):
    """The environment cannot be made; the message says what to do about it."""


def main() -> int:
    """Bring `.venv` up to date; return the exit code."""
    try:
        check_python()
        with one_at_a_time():
            update()
    except BootstrapError as error:
        print(f"venv: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nvenv: interrupted; the next run starts it anew", file=sys.stderr)
        return 130
    return 0


def update() -> None:
    """Do what the stamp says is left to do: nothing, the project alone, or everything."""
    base, project = fingerprint(interpreter(), LOCK, PIP_WHEEL), fingerprint("project", PROJECT)
    found = read_stamp()
    if found == [base, project]:
        return
    started = time.monotonic()
    whole = not found or found[0] != base
    with suppress(FileNotFoundError):
        STAMP.unlink()
    if whole:
        check_pip_wheel()
        say(f"making .venv with Python {sys.version.split()[0]}")
        create_venv()
        say("installing the locked packages; a first run downloads some hundred MB")
        install_lock()
    say("installing voxengine (editable)")
    install_project()
    STAMP.write_text(f"{base}\n{project}\n", encoding="ascii")
    say(f"ready in {time.monotonic() - started:.0f} s")


def check_python() -> None:
    """Refuse an interpreter that the lock file has no packages for, naming the way out."""
    if not OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        raise BootstrapError(
            f"the locked packages are for Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} to "
            f"{NEWEST_PYTHON[0]}.{NEWEST_PYTHON[1]}; {sys.executable} is "
            f"{sys.version.split()[0]}. Name another one: make venv PYTHON=/path/to/python3"
        )


def check_pip_wheel() -> None:
    """Run only the pip that this file names."""
    try:
        content = PIP_WHEEL.read_bytes()
    except OSError as error:
        raise BootstrapError(
            f"cannot read {PIP_WHEEL}: {error}. Check out the file again"
        ) from None
    if hashlib.sha256(content).hexdigest() != PIP_SHA256:
        raise BootstrapError(f"{PIP_WHEEL} is not the file that was reviewed; check it out again")


def create_venv() -> None:
    """Make an empty environment, and put the vendored pip into it."""
    try:
        import venv
    except ImportError:
        raise BootstrapError(
            f"{sys.executable} lacks the standard library's venv module. "
            "On Debian or Ubuntu: apt-get install python3"
        ) from None
    try:
        venv.create(VENV, clear=True, symlinks=os.name != "nt", with_pip=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise BootstrapError(f"cannot make {VENV}: {error}") from None
    run_pip(["--no-index", "--no-deps", str(PIP_WHEEL)], pip=[str(PIP_WHEEL / "pip")])


def install_lock() -> None:
    """Install the locked wheels, each checked against its hash."""
    run_pip(
        ["--no-deps", "--only-binary=:all:", "--require-hashes", "-r", str(LOCK)],
        packages=count_packages(),
    )


def install_project() -> None:
    """Install the project itself, editable, with the locked build backend."""
    run_pip(["--no-deps", "--no-build-isolation", "--no-index", "--editable", str(ROOT)])


def run_pip(arguments: list[str], pip: list[str] | None = None, packages: int = 0) -> None:
    """Run `pip install` in the environment, and show its output only if it fails.

    Modules are compiled when they are first imported: compiling all of them here would double the
    time of an install.
    """
    command = [str(VENV_PYTHON), *(pip or ["-m", "pip"]), "--disable-pip-version-check", "install"]
    options = ["--no-compile", "--no-input", "--no-warn-script-location", "--progress-bar=off"]
    environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore", "PIP_USER": "0"}
    tail: deque[str] = deque(maxlen=40)
    with subprocess.Popen(
        [*command, *options, *arguments],
        env=environment,
        close_fds=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        seen = 0
        for line in process.stdout:
            tail.append(line)
            if line.startswith("Collecting "):
                seen += 1
                show_progress(f"{seen}/{packages} {line.split()[1]}")
            elif line.startswith("Installing collected packages"):
                show_progress("unpacking")
    show_progress("")
    if process.returncode:
        raise BootstrapError(
            f"pip failed:\n\n{''.join(tail)}\n"
            "Without a network, PIP_FIND_LINKS may name a folder with the wheels, PIP_INDEX_URL another "
            "index. Behind a proxy, set HTTPS_PROXY, and PIP_CERT to its certificates if it has its own."
        )


def interpreter() -> str:
    """Name the interpreter and the place: an environment can follow neither when they change."""
    return f"{sys.version_info[:2]} {sys.implementation.name} {sys.base_prefix} {VENV}"


def fingerprint(text: str, *files: Path) -> str:
    """Hash a text and some files."""
    digest = hashlib.sha256(text.encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def read_stamp() -> list[str]:
    """Return the stamp's lines, or nothing if the environment is missing or unfinished."""
    try:
        return STAMP.read_text(encoding="ascii").split() if VENV_PYTHON.exists() else []
    except FileNotFoundError:
        return []


def count_packages() -> int:
    """Count the lock's entries."""
    return sum("==" in line for line in LOCK.read_text(encoding="utf-8").splitlines())


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let two `make` runs in one checkout wait for each other, where the platform has flock.

    A pip that outlives a killed run inherits the lock, so the next run waits for its end too.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    directory = os.open(Path(__file__).parent, os.O_RDONLY)
    os.set_inheritable(directory, True)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def say(message: str) -> None:
    """Print one line of progress at once."""
    print(f"venv: {message}", flush=True)


def show_progress(message: str) -> None:
    """Rewrite one line of a terminal; a log is spared."""
    if sys.stdout.isatty():
        print(f"\r\033[K{message and '      ' + message}", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
