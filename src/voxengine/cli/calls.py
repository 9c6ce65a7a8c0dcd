"""`voxengine calls`: what the gateway's store has of calls: list, show, delete and purge them."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import typer

from voxengine.cli.exits import ExitCode, InputProblem, guarded
from voxengine.cli.options import Debug, Json

if TYPE_CHECKING:
    from voxengine.gateway.config import GatewayConfig
    from voxengine.gateway.recording import Recordings
    from voxengine.store import SessionStore, StoredCall, StoredConversation

__all__ = ["calls"]

calls = typer.Typer(help="Calls that the gateway's store has.", no_args_is_help=True)

_Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="The gateway's configuration, which names the store [default: voxengine.toml].",
    ),
]
_Store = Annotated[
    Path | None, typer.Option("--store", metavar="FILE", help="The file of the store itself.")
]
_Call = Annotated[str, typer.Argument(metavar="ID", help="The id of the call; see: calls list.")]

_T = TypeVar("_T")


@calls.command("list")
@guarded
def list_(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many.")] = 20,
    route: Annotated[
        str | None, typer.Option("--route", metavar="NAME", help="Only these.")
    ] = None,
    key: Annotated[str | None, typer.Option("--key", metavar="ID", help="Only these.")] = None,
    config: _Config = None,
    store: _Store = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """List calls, the latest first."""

    async def work(open: SessionStore, _: Recordings) -> list[StoredCall]:
        return [*await open.list(limit=limit, route=route, key_id=key)]

    found = _with_store(config, store, work)
    if as_json:
        print(json.dumps({"calls": [_plain(call) for call in found]}, ensure_ascii=False, indent=2))
    else:
        _table(found)


@calls.command()
@guarded
def show(
    call_id: _Call,
    events: Annotated[bool, typer.Option("--events", help="Also what happened in it.")] = False,
    config: _Config = None,
    store: _Store = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show one call: what was said, and what it used."""

    async def work(open: SessionStore, recordings: Recordings) -> dict[str, Any]:
        found = await open.load(call_id)
        if found is None:
            raise _unknown(call_id)
        happened: list[Any] = []
        last = 0
        while events and (page := await open.events(call_id, after=last)):
            happened += page
            last = page[-1].seq
        files = await recordings.of(call_id, found.call.started_at)
        return _described(found, happened if events else None, [str(path) for path in files])

    described = _with_store(config, store, work)
    transcript = described.pop("transcript")
    if as_json:
        print(json.dumps(described, ensure_ascii=False, indent=2))
    else:
        _details(described, transcript)


@calls.command()
@guarded
def delete(
    call_id: _Call,
    config: _Config = None,
    store: _Store = None,
    debug: Debug = False,
) -> None:
    """Remove one call that is over, with its recordings."""

    async def work(open: SessionStore, recordings: Recordings) -> None:
        from voxengine.gateway.record import BEAT

        call = await open.get(call_id)
        if call is None:
            raise _unknown(call_id)
        if call.status == "live" and time.time() - call.seen_at < 2 * BEAT:
            raise InputProblem(f"{call_id} goes on; hang it up first")
        await recordings.delete(call_id, call.started_at)
        await open.delete(call_id)

    _with_store(config, store, work)
    print(f"{call_id} was removed")


@calls.command()
@guarded
def purge(
    older_than: Annotated[
        float | None,
        typer.Option(
            "--older-than",
            metavar="DAYS",
            min=0.0,
            help="Remove what ended so long ago [default: retention_days].",
        ),
    ] = None,
    config: _Config = None,
    store: _Store = None,
    debug: Debug = False,
) -> None:
    """Remove calls that are too old, with their recordings."""
    loaded = _config(config)
    days = older_than if older_than is not None else loaded.retention_days
    if days is None:
        raise InputProblem("the configuration keeps calls for ever; say --older-than DAYS")

    async def work(open: SessionStore, recordings: Recordings) -> int:
        from voxengine.gateway.retention import Keeper

        keeper = Keeper(open, recordings, resume_window=loaded.resume_window, retention_days=days)
        return await keeper.purge(time.time())

    removed = _with_store(config, store, work)
    print(f"{removed} calls were removed")
    raise typer.Exit(ExitCode.OK)


# -- the store


def _config(file: Path | None) -> GatewayConfig:
    from voxengine.gateway.config import GatewayConfig

    return GatewayConfig.load(file)


def _with_store(
    config: Path | None, store: Path | None, work: Callable[[Any, Any], Awaitable[_T]]
) -> _T:
    """Do something with the store that is meant.

    Raises:
        InputProblem: there is none.
        StoreError: it cannot be read.
    """
    import asyncio

    from voxengine.gateway.recording import Recordings
    from voxengine.store import SQLiteStore

    path = store
    if path is None:
        loaded = _config(config)
        if loaded.data_folder is None:
            raise InputProblem("the configuration keeps calls in memory only")
        path = loaded.path(loaded.store)
    if not path.is_file():
        raise InputProblem(f"there is no store {path}")

    async def run() -> _T:
        opened = SQLiteStore(path)
        recordings = Recordings(path.parent / "recordings")
        await opened.open()
        try:
            return await work(opened, recordings)
        finally:
            await recordings.close()
            await opened.close()

    return asyncio.run(run())


def _unknown(call_id: str) -> InputProblem:
    return InputProblem(f"the store has no call {call_id!r}")


# -- what is shown


def _plain(call: StoredCall) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(call)
    del plain["session_hash"]
    return plain


def _described(
    found: StoredConversation, events: list[Any] | None, recordings: list[str]
) -> dict[str, Any]:
    from voxengine.conversation import Conversation

    conversation = Conversation(found.call.id)
    for item in found.items:
        conversation.add(item)
    described = {
        **_plain(found.call),
        "transcript": conversation.transcript(),
        "conversation": conversation.as_dict(),
        "usage": [{"part": u.part, **msgspec.to_builtins(u.leg)} for u in found.usage],
        "recordings": recordings,
    }
    if events is not None:
        described["events"] = msgspec.to_builtins(events)
    return described


def _table(found: list[StoredCall]) -> None:
    from rich.table import Table

    from voxengine.cli.console import stdout

    drawn = Table(title="Calls", title_style="bold")
    drawn.add_column("call", style="bold", no_wrap=True)
    for head in ("started (UTC)", "lasted", "route", "provider", "key", "state", "cost"):
        drawn.add_column(head)
    for call in found:
        lasted = (call.ended_at or call.seen_at) - call.started_at
        drawn.add_row(
            call.id,
            _time(call.started_at),
            f"{max(0.0, lasted):.0f} s",
            call.route,
            call.provider,
            call.key_id,
            call.status,
            _money(call.cost),
        )
    stdout().print(drawn)


def _details(described: dict[str, Any], transcript: str) -> None:
    from rich.text import Text

    from voxengine.cli.console import stdout

    console = stdout()
    console.print(Text(f"{described['id']} ({described['status']})", "bold"))
    for name in ("route", "provider", "key_id", "wire", "reason"):
        console.print(Text(f"{name.replace('_id', '')}: {described[name] or '-'}"))
    console.print(f"started: {_time(described['started_at'])}")
    console.print(f"cost: {_money(described['cost'])}")
    for path in described["recordings"]:
        console.print(Text(f"recording: {path}"), soft_wrap=True)
    for event in described.get("events", ()):
        data = json.dumps(event["data"], ensure_ascii=False)
        console.print(Text(f"{_time(event['at'])} {event['type']} {data}", "dim"), soft_wrap=True)
    console.print(Text("\n" + (transcript or "(nothing was said)")), soft_wrap=True)


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _money(cost: float | None) -> str:
    return "?" if cost is None else f"${cost:.4f}"
