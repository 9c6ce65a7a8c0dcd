"""Exit codes, and the one clear line that stands for an error.

0    it worked
1    it ran, and the answer is no: a check failed, a device could not be used
2    what was asked for cannot be done as asked: arguments, configuration, an input file, a missing extra or model
3    the provider or the connection to it failed
130  interrupted with Ctrl-C
"""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Callable
from enum import IntEnum
from typing import Any, TypeVar

import typer

from voxengine.errors import (
    AudioError,
    ConfigurationError,
    MessageError,
    MissingDependencyError,
    ModelError,
    ProviderError,
    UnknownProviderError,
    UnsupportedFeatureError,
    VoiceEngineError,
)

__all__ = [
    "DEBUG_VARIABLE",
    "ExitCode",
    "InputProblem",
    "code_of",
    "guarded",
    "keep_secret",
    "quiet_logging",
    "redacted",
]

#: Set to anything but "" or "0", it asks for tracebacks, as `--debug` does.
DEBUG_VARIABLE = "VOXENGINE_DEBUG"
#: A value that is shorter is no secret, and replacing it would garble the text.
_SHORTEST_SECRET = 6
_SECRET_NAMES = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")

_F = TypeVar("_F", bound=Callable[..., Any])


class ExitCode(IntEnum):
    """What the process tells its caller."""

    OK = 0
    FAILED = 1
    USAGE = 2
    PROVIDER = 3
    INTERRUPTED = 130


class InputProblem(VoiceEngineError):
    """Something on the command line, or a file that it names, cannot be used."""


_USAGE = (
    InputProblem,
    ConfigurationError,
    MissingDependencyError,
    ModelError,
    MessageError,
    UnknownProviderError,
    UnsupportedFeatureError,
)


def code_of(failure: BaseException) -> ExitCode:
    """The exit code that belongs to an exception."""
    if isinstance(failure, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    if isinstance(failure, _USAGE):
        return ExitCode.USAGE
    if isinstance(failure, AudioError):
        return ExitCode.FAILED
    if isinstance(failure, ProviderError):
        return ExitCode.PROVIDER
    return ExitCode.FAILED


# -- secrets

_kept: set[str] = set()


def keep_secret(value: str | None) -> None:
    """Never show this text again."""
    if value and len(value) >= _SHORTEST_SECRET:
        _kept.add(value)


def redacted(text: str) -> str:
    """The text without any key that we know: those of the environment, and those of the configuration."""
    from_environment = (
        value
        for name, value in os.environ.items()
        if name.endswith(_SECRET_NAMES) and len(value) >= _SHORTEST_SECRET
    )
    for secret in sorted({*_kept, *from_environment}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


# -- errors


def guarded(command: _F) -> _F:
    """Turn whatever a command raises into one line on standard error and an exit code.

    With the command's `debug` argument, or `VOXENGINE_DEBUG`, the traceback is shown too.
    """

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except typer.Exit:
            raise
        except BrokenPipeError:
            # `voxengine providers | head`: nobody reads any more, also not what Python flushes at its exit.
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
            raise typer.Exit(ExitCode.FAILED) from None
        except (Exception, KeyboardInterrupt) as failure:
            _show(failure, bool(kwargs.get("debug")) or _debug_wanted())
            raise typer.Exit(code_of(failure)) from None

    return run  # type: ignore[return-value]


def _debug_wanted() -> bool:
    return os.environ.get(DEBUG_VARIABLE, "") not in ("", "0")


def _show(failure: BaseException, debug: bool) -> None:
    from voxengine.cli.console import stderr

    console = stderr()
    if isinstance(failure, KeyboardInterrupt):
        console.print("interrupted", style="yellow")
    elif isinstance(failure, VoiceEngineError):
        words = ". ".join([str(failure), *getattr(failure, "__notes__", ())])
        console.print(redacted(f"error: {words}"), style="bold red", markup=False, soft_wrap=True)
    else:
        words = f"internal error: {type(failure).__name__}: {failure}"
        hint = "" if debug else " (--debug shows where)"
        console.print(redacted(words) + hint, style="bold red", markup=False, soft_wrap=True)
    if debug:
        import traceback

        text = "".join(traceback.format_exception(failure))
        console.print(redacted(text), markup=False, soft_wrap=True)


class _OneLine(logging.Formatter):
    """A log record as one line: tracebacks belong to --debug."""

    def format(self, record: logging.LogRecord) -> str:
        text = f"{record.levelname.lower()}: {record.getMessage()}"
        if _debug_wanted() and record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return redacted(text)


def quiet_logging() -> None:
    """Let warnings of the libraries appear as single lines on standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
