"""Install OpenAI's clients for JavaScript and ElevenLabs' types into `out/node`, as the lock file of the tests says.

Of the types, which are written in TypeScript, JSON schemas are made, by which Python can judge messages.

Run by `make node`. The tests that need them are skipped without them, so where there is no Node, no npm, or no way to
the registry, this says so and that is no failure.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Where the scripts and the lock file are.
SCRIPTS = ROOT / "tests" / "gateway" / "clients" / "node"
#: Where the packages are installed.
FOLDER = ROOT / "out" / "node"
STAMP = FOLDER / "installed"
NAMES = ("package.json", "package-lock.json")
#: Seconds that the installation may take, and the schema.
BUDGET = 180.0
SCHEMA_BUDGET = 60.0
#: ElevenLabs' messages, in both directions, and the schema of them.
TYPES = Path("node_modules/@elevenlabs/types/generated/types/asyncapi-types.ts")
SCHEMA = FOLDER / "elevenlabs-types.json"
GENERATOR = Path("node_modules/ts-json-schema-generator/bin/ts-json-schema-generator.js")


def installed() -> bool:
    """Whether the packages of the lock file are there."""
    return STAMP.exists() and STAMP.read_text() == _wanted()


def install() -> str:
    """Install them if they are not there; what went wrong, in words, or nothing."""
    if installed():
        return ""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return "there is no Node with npm here"
    FOLDER.mkdir(parents=True, exist_ok=True)
    STAMP.unlink(missing_ok=True)
    for name in NAMES:
        shutil.copy(SCRIPTS / name, FOLDER)
    quietly = ("--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
    patience = ("--fetch-retries=1", "--fetch-timeout=30000")
    try:
        done = subprocess.run(
            [npm, "ci", *quietly, *patience],
            cwd=FOLDER,
            capture_output=True,
            text=True,
            timeout=BUDGET,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"npm took longer than {BUDGET:g} s"
    if done.returncode:
        return done.stderr.strip() or f"npm ended with code {done.returncode}"
    wrong = _make_schema()
    if not wrong:
        STAMP.write_text(_wanted())
    return wrong


def _make_schema() -> str:
    """Make it; what went wrong, in words, or nothing."""
    node = shutil.which("node")
    assert node is not None
    # Without a check of the types themselves, and no field but those that they have.
    wanted = ("--type", "*", "--no-type-check", "--out", str(SCHEMA))
    try:
        done = subprocess.run(
            [node, str(GENERATOR), "--path", str(TYPES), *wanted],
            cwd=FOLDER,
            capture_output=True,
            text=True,
            timeout=SCHEMA_BUDGET,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"the schema of the types took longer than {SCHEMA_BUDGET:g} s"
    return done.stderr.strip()[-500:] if done.returncode else ""


def _wanted() -> str:
    content = b"".join((SCRIPTS / name).read_bytes() for name in NAMES)
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    wrong = install()
    if wrong:
        print(f"node: the tests that need its packages will be skipped: {wrong}", file=sys.stderr)
