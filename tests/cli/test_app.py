"""The command line as a whole: help, exit codes, and errors without tracebacks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tests.cli.conftest import QUICK
from voxengine import __version__
from voxengine.cli.exits import ExitCode, InputProblem, code_of, keep_secret, redacted
from voxengine.errors import (
    AudioError,
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    MissingDependencyError,
    UnknownProviderError,
)

Run = Callable[..., Result]


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from voxengine.cli import main; main()", *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.mark.parametrize(
    "command", ["talk", "demo", "providers", "doctor", "conformance", "emulate"]
)
def test_every_command_has_help(run: Run, command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "--json" in result.output
    assert "Exit codes" in result.output


def test_help_lists_the_commands_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, voxengine.cli.app as a\n"
        "from typer.testing import CliRunner\n"
        "r = CliRunner().invoke(a.app, ['--help'])\n"
        "assert r.exit_code == 0 and 'conformance' in r.output\n"
        "heavy = {'numpy', 'onnxruntime', 'ctranslate2', 'matplotlib', 'sounddevice', 'faster_whisper'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_is_quick() -> None:
    def seconds(*command: str) -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, capture_output=True, timeout=60)
        return time.perf_counter() - started

    # Against what it cannot do without, turn about, so that a slow machine is slow for both.
    help_ = ("-c", "from voxengine.cli import main; main()", "--help")
    rounds = [(seconds("-c", "import typer, rich.console"), seconds(*help_)) for _ in range(4)]
    floor, ours = (min(times) for times in zip(*rounds, strict=True))
    assert ours < 4 * floor


def test_version(run: Run) -> None:
    assert run("--version").output == f"voxengine {__version__}\n"


def test_without_typer_it_says_what_to_install() -> None:
    code = "import sys\nsys.modules['typer'] = None\nfrom voxengine.cli import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'voxengine[cli]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["talk", "--provider", "nope", "--text", "hi"], "no provider 'nope'"),
        (
            ["talk", "--provider", "mock", "--mode", "slow", "--text", "hi"],
            "mode 'slow' is unknown",
        ),
        (
            ["talk", "--provider", "mock", "--config", "/no/such.toml", "--text", "hi"],
            "cannot be read",
        ),
        (["talk", "--provider", "mock", "--set", "nonsense", "--text", "hi"], "KEY=VALUE"),
        (
            ["talk", "--provider", "mock", "--set", "ms_per_word=fast", "--text", "hi"],
            "ms_per_word",
        ),
        (["talk", "--provider", "mock", "--mic", "--text", "hi"], "--mic"),
        (["talk", "--provider", "mock", "--text", "hi", "--out", "/dev/null/x"], "cannot be made"),
        (["conformance"], "name a provider"),
        (["conformance", "nope"], "no provider 'nope'"),
        (["providers", "--json", "--markdown"], "exclude each other"),
        (["talk", "--nonsense"], "--nonsense"),
        (["nonsense"], "nonsense"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(run: Run, arguments: list[str], words: str) -> None:
    result = run(*arguments)
    assert result.exit_code == ExitCode.USAGE
    assert words in result.output.replace("\n", " ")
    assert "Traceback" not in result.output


def test_a_provider_that_refuses(run: Run) -> None:
    result = run("talk", *QUICK, "--set", "faults=refuse", "--text", "hi")
    assert result.exit_code == ExitCode.PROVIDER
    assert "refused" in result.stderr
    assert "Traceback" not in result.output


def test_debug_shows_where(run: Run) -> None:
    arguments = ("talk", "--provider", "nope", "--text", "hi")
    assert "Traceback" in run(*arguments, "--debug").stderr
    assert "Traceback" in run(*arguments, env={"VOXENGINE_DEBUG": "1"}).stderr
    assert "Traceback" not in run(*arguments, env={"VOXENGINE_DEBUG": "0"}).stderr


def test_a_key_in_an_error_is_masked(run: Run) -> None:
    result = run(
        "talk",
        "--provider",
        "sk-secret-12345",
        "--text",
        "hi",
        env={"SOME_API_KEY": "sk-secret-12345"},
    )
    assert result.exit_code == ExitCode.USAGE
    assert "sk-secret" not in result.output
    assert "***" in result.output


def test_a_key_is_not_taken_from_the_command_line(run: Run) -> None:
    result = run("talk", "--provider", "mock", "--set", "api_key=sk-secret-12345", "--text", "hi")
    assert result.exit_code == ExitCode.USAGE
    assert "sk-secret" not in result.output


def test_as_a_process() -> None:
    done = process("talk", "--provider", "mock", "--file", "/no/such.wav")
    assert done.returncode == ExitCode.USAGE
    assert done.stderr.startswith("error: /no/such.wav cannot be read")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_a_reader_that_goes_away_ends_it() -> None:
    arguments = ["talk", *QUICK, "--json", "--text", "one", "--text", "two"]
    with subprocess.Popen(
        [sys.executable, "-c", "from voxengine.cli import main; main()", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.readline()
        running.stdout.close()
        words = running.stderr.read()
        assert running.wait(timeout=30) == ExitCode.FAILED
    assert "Traceback" not in words
    assert "handler" not in words


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (KeyboardInterrupt(), 130),
        (ConfigurationError("x"), 2),
        (InputProblem("x"), 2),
        (MissingDependencyError("x", "local"), 2),
        (UnknownProviderError("x"), 2),
        (ConnectionError("x"), 3),
        (AuthenticationError("x"), 3),
        (AudioError("no device"), 1),
        (RuntimeError("x"), 1),
    ],
)
def test_exit_codes(failure: BaseException, code: int) -> None:
    assert code_of(failure) == code


def test_redaction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VENDOR_API_KEY", "key-of-a-vendor")
    monkeypatch.setenv("SHORT_API_KEY", "x")
    keep_secret("from-the-file")
    keep_secret(None)
    assert redacted("a key-of-a-vendor b from-the-file x") == "a *** b *** x"


def test_interrupted(tmp_path: Path) -> None:
    import signal

    arguments = [
        "talk",
        "--provider",
        "mock",
        "--set",
        "ms_per_word=2000",
        "--json",
        "--text",
        "a b c d e f",
    ]
    with subprocess.Popen(
        # A shell starts what runs in the background deaf to Ctrl-C, and its children are born so too.
        [
            sys.executable,
            "-c",
            "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
            "from voxengine.cli import main; main()",
            *arguments,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if '"audio_chunk"' in line:
                break
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
    assert running.returncode == ExitCode.INTERRUPTED
    assert "interrupted" in err
    assert "Traceback" not in err
    assert '"summary"' in out.splitlines()[-1]
