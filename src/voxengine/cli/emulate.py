"""`voxengine emulate`: a vendor on this machine, for programs that shall be tested without a key."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shlex
import signal
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from voxengine.cli.console import stderr, stdout
from voxengine.cli.exits import ExitCode, InputProblem, keep_secret, redacted

if TYPE_CHECKING:
    from voxengine.testing.emulators.openai import Session

__all__ = ["emulate", "read_responses", "show_emulators"]

DEFAULT_KEY = "sk-emulated"


def show_emulators(*, as_json: bool) -> None:
    """List the emulators."""
    from voxengine.testing.emulators.catalogue import emulators

    if as_json:
        print(json.dumps({entry.name: entry.about for entry in emulators().values()}))
        return
    table = Table("emulator", "of")
    for entry in emulators().values():
        table.add_row(entry.name, entry.about)
    stdout().print(table)


def read_responses(path: Path | None) -> Any:
    """What the emulator answers, from a JSON or TOML file: a table of replies by what was said, or a list of them.

    Raises:
        InputProblem: the file cannot be read, or is something else.
    """
    if path is None:
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        raise InputProblem(f"{path} cannot be read: {failure}") from None
    try:
        value = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except ValueError as failure:
        raise InputProblem(f"{path} is not what its name says: {failure}") from None
    if not isinstance(value, (dict, list, str)):
        raise InputProblem(f"{path} holds a table of replies, or a list of them")
    return value


async def emulate(
    name: str,
    *,
    host: str,
    port: int,
    speech: str,
    responses: Any,
    key: str,
    faults: list[str],
    as_json: bool,
) -> ExitCode:
    """Run an emulator until Ctrl-C, and tell of what happens to it.

    Raises:
        ConfigurationError: there is no such emulator, or a setting does not do.
        InputProblem: the port cannot be had.
        MissingDependencyError: something that it needs is not installed.
    """
    from voxengine.testing.emulators.catalogue import emulators, make_emulator
    from voxengine.testing.emulators.openai import EmulatorFailed

    if key != DEFAULT_KEY:
        keep_secret(key)
    entry = emulators().get(name)
    report = Report(name, key, entry.judged_by if entry is not None else "", as_json)
    emulator = make_emulator(
        name,
        responses=responses,
        faults=faults,
        key=key,
        speech=speech,
        host=host,
        port=port,
        on_event=report.event,
    )
    interrupted = False
    try:
        with _signals() as stopped:
            async with emulator:
                report.begins(emulator)
                interrupted = await stopped
    except OSError as failure:
        raise InputProblem(
            f"cannot listen on {host}:{port}: {failure.strerror or failure}"
        ) from None
    except EmulatorFailed as verdict:
        report.violations(verdict.violations)
        return ExitCode.FAILED
    report.ends(emulator)
    return ExitCode.INTERRUPTED if interrupted else ExitCode.OK


@contextlib.contextmanager
def _signals() -> Iterator[asyncio.Future[bool]]:
    """Gives what is done when a signal ends the emulator: True if it was Ctrl-C."""
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[bool] = loop.create_future()

    def stop(interrupted: bool) -> None:
        if not stopped.done():
            stopped.set_result(interrupted)

    with contextlib.ExitStack() as undo:
        for number, interrupted in ((signal.SIGINT, True), (signal.SIGTERM, False)):
            with contextlib.suppress(NotImplementedError):  # a platform without them
                loop.add_signal_handler(number, stop, interrupted)
                undo.callback(loop.remove_signal_handler, number)
        yield stopped


class Report:
    """Tells of an emulator: one line a session, a turn, a refusal, a violation."""

    def __init__(self, name: str, key: str, judged_by: str, as_json: bool) -> None:
        self._name = name
        self._judged_by = judged_by
        self._key = key
        self._as_json = as_json
        #: By session: what of its model's memory was told.
        self._told: dict[str, int] = {}

    def begins(self, emulator: Any) -> None:
        """It listens."""
        command = self._command(emulator.metadata)
        judge = getattr(emulator, "judge", None)
        oracle = None if judge is None else getattr(judge, "oracle", self._judged_by)
        if self._as_json:
            line = {"endpoint": emulator.endpoint, "command": command, "judged_by": oracle}
            self._line("listening", emulator=self._name, **line)
            return
        console = stdout()
        console.print(f"[bold]{self._name}[/] at {emulator.endpoint}", soft_wrap=True)
        if oracle is None:
            console.print(f"messages are not judged: {self._judged_by} are not installed")
        else:
            console.print(f"messages are judged by {oracle}")
        console.print(f"  {command}", soft_wrap=True, markup=False)
        stderr().print("[dim]Ctrl-C ends it[/]")

    def _command(self, metadata: dict[str, Any]) -> str:
        """A line for another terminal."""
        kind, _, part = self._name.rpartition(".")
        kind = {"brain": "llm"}.get(kind, kind)
        before = f"{kind}_options." if kind else ""
        plain = {k: v for k, v in metadata.items() if isinstance(v, (str, int, float))}
        pairs = [
            *([f"{kind}={part}"] if kind else []),
            *(f"{before}{k}={v}" for k, v in plain.items()),
        ]
        settings = " ".join(f"--set {shlex.quote(pair)}" for pair in pairs)
        shown = self._key if self._key == DEFAULT_KEY else "..."
        variable = f"{part.upper().replace('-', '_')}_API_KEY"
        provider = "cascade" if kind else part
        return f"{variable}={shown} voxengine talk --provider {provider} {settings}"

    def event(self, session: Any, event: Any) -> None:
        """A session has sent this; None: it has ended."""
        from voxengine.testing.emulators.openai import Session

        if isinstance(session, Session):
            self._of_openai(session, event)
        elif event is None:
            self._said(session)
            self._line("session_closed", session=session.id)
        elif session.id not in self._told:
            self._told[session.id] = 0
            self._line("session_opened", session=session.id)
        else:
            self._said(session)

    def _said(self, session: Any) -> None:
        """What its model has heard and said since, where it has one."""
        model = getattr(session, "model", None)
        memory = list(model.memory) if model is not None else []
        for role, text in memory[self._told.get(session.id, 0) :]:
            self._line("item", session=session.id, role=role, text=text)
        self._told[session.id] = len(memory)

    def _of_openai(self, session: Session, event: dict[str, Any] | None) -> None:
        if event is None:
            used = session.usage
            self._line(
                "session_closed",
                session=session.id,
                responses=used.responses,
                tokens=used.total_tokens,
            )
            return
        match event["type"]:
            case "session.created":
                model = session.config.get("model")
                self._line("session_opened", session=session.id, model=model)
            case "error":
                self._line("error_sent", session=session.id, message=event["error"]["message"])
            case "response.done":
                self._turn(session, event["response"])

    def _turn(self, session: Session, response: dict[str, Any]) -> None:
        said = [
            part.get("transcript") or part.get("text") or ""
            for item in response["output"]
            for part in item.get("content", [])
        ]
        calls = [
            f"{item['name']}({item['arguments']})" for item in response["output"] if "name" in item
        ]
        asked = next((item for item in reversed(session.items) if item.role == "user"), None)
        self._line(
            "turn",
            session=session.id,
            status=response["status"],
            user="" if asked is None else asked.words,
            assistant=" ".join([*said, *calls]).strip(),
        )

    def violations(self, violations: list[str]) -> None:
        """The emulator was not true to its vendor."""
        for violation in violations:
            self._line("violation", message=violation)

    def ends(self, emulator: Any) -> None:
        """It was stopped."""
        sessions = len(getattr(emulator, "sessions", ()))
        counted = getattr(getattr(emulator, "judge", None), "figures", dict)
        figures: dict[str, Any] = counted()
        self._line("stopped", sessions=sessions, **figures)

    def _line(self, kind: str, **fields: Any) -> None:
        if self._as_json:
            print(redacted(json.dumps({"type": kind, **fields}, ensure_ascii=False)), flush=True)
            return
        words = "  ".join(
            f"{name}: {value}" for name, value in fields.items() if value not in ("", None)
        )
        style = "red" if kind in ("violation", "error_sent") else ""
        stdout().print(Text(redacted(f"{kind.replace('_', ' ')}  {words}"), style), soft_wrap=True)
