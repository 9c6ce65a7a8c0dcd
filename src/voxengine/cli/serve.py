"""`voxengine serve`: the gateway, until it is told to stop."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from voxengine.cli.console import stderr, stdout
from voxengine.cli.exits import ExitCode, InputProblem, redacted
from voxengine.cli.needs import needs_of
from voxengine.errors import MissingDependencyError, VoiceEngineError
from voxengine.observe.logs import JsonLine, TextLine

if TYPE_CHECKING:
    from voxengine.gateway.config import GatewayConfig
    from voxengine.gateway.gateway import Gateway
    from voxengine.gateway.routes import Link
    from voxengine.gateway.server import Front

__all__ = ["run", "serve"]


def run(
    file: Path | None, *, provider: str | None, host: str | None, port: int | None, as_json: bool
) -> ExitCode:
    """Serve on an event loop of its own, uvloop's where it is installed.

    Raises:
        ConfigurationError: the configuration does not do.
        InputProblem: the port cannot be had.
        MissingDependencyError: the extra `gateway` is not installed.
    """
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as missing:
        raise MissingDependencyError("the gateway", "gateway", str(missing)) from None
    from voxengine.gateway.config import GatewayConfig
    from voxengine.gateway.server.descriptors import raise_limit

    raise_limit()
    given = {"provider": provider, "host": host, "port": port}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    config = GatewayConfig.load(file, **changes)
    set_up_logging(config.log_level, config.log_format)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(serve(config, file=file, changes=changes, as_json=as_json))


def set_up_logging(level: str, form: str) -> None:
    """Let the gateway's log appear from this level on, as lines of text or of JSON, without any key that we know.

    Of other libraries, such as uvicorn, warnings and errors appear, in the same form.
    """
    logging.getLogger("voxengine").setLevel(level.upper())
    for handler in logging.getLogger().handlers:
        if form == "json":
            handler.setFormatter(JsonLine(redacted))
        elif handler.formatter is not None:
            handler.setFormatter(TextLine(handler.formatter))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def serve(
    config: GatewayConfig,
    *,
    file: Path | None = None,
    changes: Mapping[str, Any] | None = None,
    as_json: bool = False,
) -> ExitCode:
    """Serve until SIGTERM or Ctrl-C. `file` and `changes` are what SIGHUP reads the configuration from.

    Raises:
        ConfigurationError: the configuration does not do.
        InputProblem: the port cannot be had.
    """
    from voxengine.gateway.gateway import Gateway
    from voxengine.gateway.serving import make_front
    from voxengine.gateway.serving import serve as hold
    from voxengine.gateway.warming import warm_up

    gateway = Gateway(config, file=file, changes=changes)
    report = Report(gateway, as_json)
    warming: list[asyncio.Task[dict[str, str]]] = []

    def ready(front: Front) -> None:
        report.listening(front)
        task = asyncio.get_running_loop().create_task(warm_up(gateway), name="voxengine-warm-up")
        task.add_done_callback(report.warm)
        warming.append(task)

    try:
        interrupted = await hold(gateway, make_front(gateway), ready=ready)
    except OSError as failure:
        raise InputProblem(
            f"cannot listen on {config.host}:{config.port}: {failure.strerror or failure}"
        ) from None
    finally:
        for task in warming:
            task.cancel()
        await asyncio.gather(*warming, return_exceptions=True)
        await gateway.close()
    report.ended()
    return ExitCode.INTERRUPTED if interrupted else ExitCode.OK


class Report:
    """What is told of a gateway: where it is, what can be called, who may."""

    def __init__(self, gateway: Gateway, as_json: bool) -> None:
        self._gateway = gateway
        self._as_json = as_json

    def listening(self, front: Front) -> None:
        """It takes calls."""
        config = self._gateway.config
        scheme = "https" if front.secure else "http"
        host = "localhost" if config.loopback else config.host
        shown = f"[{host}]" if ":" in host else host
        address = f"{scheme}://{shown}:{front.port}"
        open_to_all = self._gateway.gatekeeper.open
        routes = [
            {
                "name": route.name,
                "default": route.name == self._gateway.routes.default,
                "providers": {link.reference: missing(link) for link in route.links},
            }
            for route in self._gateway.routes
        ]
        if self._as_json:
            store = None if config.data_folder is None else str(config.path(config.store))
            line = {"address": address, "routes": routes, "keys": not open_to_all, "store": store}
            self._line("listening", **line)
            return
        console = stdout()
        console.print(f"[bold]VoxEngine[/] at [bold]{address}[/]", soft_wrap=True)
        console.print(self._table(routes))
        if open_to_all:
            console.print("no keys: loopback only; 'voxengine keys create NAME' makes one")
        stderr().print("[dim]Ctrl-C ends it[/]")

    def _table(self, routes: list[dict[str, Any]]) -> Table:
        table = Table("route", "providers, in order", "")
        for route in routes:
            providers: dict[str, str] = route["providers"]
            usable = not all(providers.values())
            words = [f"{name} ({why})" if why else name for name, why in providers.items()]
            state = "ready" if usable else "[red]cannot be used[/]"
            name = f"{route['name']} (default)" if route["default"] else route["name"]
            table.add_row(name, "\n".join(words), state)
        return table

    def warm(self, task: asyncio.Task[dict[str, str]]) -> None:
        """The providers on this machine are ready."""
        if task.cancelled():
            return
        failed = task.result()
        if self._as_json:
            self._line("ready", failed=failed)
            return
        console = stderr()
        for name, why in failed.items():
            console.print(f"{name} cannot be used: {why}", style="red", markup=False)
        console.print("[dim]ready[/]")

    def ended(self) -> None:
        """All calls are over."""
        if self._as_json:
            self._line("ended")
        else:
            stderr().print("[dim]ended[/]")

    def _line(self, kind: str, **values: Any) -> None:
        print(json.dumps({"type": kind, **values}), flush=True)


def missing(link: Link) -> str:
    """What a provider of a route lacks, in words that name no secret; empty if nothing."""
    if not link.has_key:
        return f"set {link.key_variable}"
    try:
        needs = needs_of(link.provider)
    except VoiceEngineError as failure:
        return str(failure)
    lacking = needs.missing
    if link.key_variable is not None:  # it has a key of its own
        lacking = [each for each in lacking if not each.startswith("set ")]
    return ", ".join(lacking)
