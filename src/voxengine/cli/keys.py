"""`voxengine keys`: make, list, rotate and revoke the API keys of the gateway. A key is shown once, when it is made."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from voxengine.cli.exits import InputProblem, guarded
from voxengine.cli.options import Debug, Json

if TYPE_CHECKING:
    from voxengine.gateway.auth import Key, KeyFile

__all__ = ["keys"]

keys = typer.Typer(help="API keys of the gateway.", no_args_is_help=True)

_Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="The gateway's configuration, whose [keys] names the file of the keys [default: voxengine.toml].",
    ),
]
_File = Annotated[
    Path | None, typer.Option("--file", metavar="FILE", help="The file of the keys itself.")
]
_Identity = Annotated[str, typer.Argument(metavar="ID", help="The id of the key; see: keys list.")]
_DURATION = re.compile(r"(\d+)([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_BUDGET = re.compile(r"(\d+(?:\.\d+)?)(?:/(day|month|ever))?")


@keys.command()
@guarded
def create(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Whose it is, for people.")] = "",
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            metavar="SCOPE",
            help="talk, observe or operate. May be repeated [default: talk].",
        ),
    ] = None,
    route: Annotated[
        list[str] | None,
        typer.Option("--route", metavar="NAME", help="Only this route. May be repeated."),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            "--origin", metavar="URL", help="Web pages from there may use it. May be repeated."
        ),
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option("--max-cost", metavar="USD", help="What one call may cost.")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            metavar="USD[/PERIOD]",
            help="What all may cost in a day, a month or ever, such as 20/month.",
        ),
    ] = None,
    max_duration: Annotated[
        str | None,
        typer.Option(
            "--max-duration", metavar="TIME", help="How long a call may last, such as 30m."
        ),
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", metavar="N", help="Calls at the same time.")
    ] = None,
    calls_per_minute: Annotated[
        int | None, typer.Option("--calls-per-minute", metavar="N", help="New calls in a minute.")
    ] = None,
    requests_per_minute: Annotated[
        int | None,
        typer.Option(
            "--requests-per-minute", metavar="N", help="Requests of any kind in a minute."
        ),
    ] = None,
    expires_in: Annotated[
        str | None, typer.Option("--expires-in", metavar="TIME", help="For how long, such as 90d.")
    ] = None,
    config: _Config = None,
    file: _File = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a key, and show it: the only time, for nothing but a hash of it is kept."""
    from voxengine.gateway.auth import new_identity, new_key

    now = time.time()
    wanted: dict[str, Any] = {
        "name": name,
        "scopes": scope or ["talk"],
        "routes": route or None,
        "origins": origin or [],
        "max_cost": max_cost,
        "budget": _budget(budget),
        "max_duration": _seconds(max_duration, "--max-duration"),
        "concurrency": concurrency,
        "calls_per_minute": calls_per_minute,
        "requests_per_minute": requests_per_minute,
        "created_at": round(now, 3),
    }
    lifetime = _seconds(expires_in, "--expires-in")
    if lifetime is not None:
        wanted["expires_at"] = round(now + lifetime, 3)
    place = _key_file(config, file)
    with place.changing() as kept:
        identity = new_identity(kept)
        hashed, made = new_key(identity)
        kept[identity] = _key({**wanted, "id": identity, "hash": hashed})
    _hand_out(place, identity, made, as_json=as_json)


@keys.command("list")
@guarded
def list_keys(
    config: _Config = None, file: _File = None, as_json: Json = False, debug: Debug = False
) -> None:
    """Show which keys there are, and what each may do."""
    found = sorted(_key_file(config, file).keys.values(), key=lambda key: key.created_at)
    if as_json:
        shown = [{**_told(key), "state": _state(key)} for key in found]
        print(json.dumps({"keys": shown}, ensure_ascii=False, indent=2))
        return
    from rich.table import Table
    from rich.text import Text

    from voxengine.cli.console import stdout

    table = Table(title="Keys", title_style="bold")
    for head in ("id", "name", "scopes", "routes", "limits", "made", "state"):
        table.add_column(head, overflow="fold")
    for key in found:
        row = (key.name, ", ".join(key.scopes), ", ".join(key.routes or ("all",)), _limits(key))
        table.add_row(*map(Text, (key.id, *row, _day(key.created_at), _state(key))))
    stdout().print(table)


@keys.command()
@guarded
def rotate(
    identity: _Identity,
    keep_old: Annotated[
        str | None,
        typer.Option("--keep-old", metavar="TIME", help="The old one stays good for, such as 1h."),
    ] = None,
    config: _Config = None,
    file: _File = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Replace a key by a new one with the same id and the same limits."""
    from voxengine.gateway.auth import Retired, new_key

    grace = _seconds(keep_old, "--keep-old")
    place = _key_file(config, file)
    with place.changing() as kept:
        old = _find(kept, identity)
        if old.disabled:
            raise InputProblem(f"the key {identity} is revoked; make another one")
        hashed, made = new_key(identity)
        retired = Retired(old.hash, round(time.time() + grace, 3)) if grace is not None else None
        kept[identity] = msgspec.structs.replace(old, hash=hashed, retired=retired)
    _hand_out(place, identity, made, as_json=as_json)


@keys.command()
@guarded
def revoke(
    identity: _Identity,
    config: _Config = None,
    file: _File = None,
    debug: Debug = False,
) -> None:
    """Let a key, and the client secrets that were made with it, open nothing more. Live calls go on."""
    from voxengine.cli.console import stderr

    place = _key_file(config, file)
    with place.changing() as kept:
        kept[identity] = msgspec.structs.replace(_find(kept, identity), disabled=True, retired=None)
    stderr().print(f"the key {identity} is revoked in {place.path}", markup=False, soft_wrap=True)


def _key_file(config: Path | None, file: Path | None) -> KeyFile:
    from voxengine.gateway.auth import KeyFile, KeysConfig

    if file is None:
        from voxengine.gateway.config import GatewayConfig

        loaded = GatewayConfig.load(config)
        file = Path(KeysConfig.read(loaded.keys, loaded.folder).file)
    return KeyFile(file)


def _key(fields: dict[str, Any]) -> Key:
    from voxengine.gateway.auth import Key

    try:
        return msgspec.convert(fields, Key)
    except msgspec.ValidationError as failure:
        raise InputProblem(f"such a key cannot be made: {failure}") from None


def _find(kept: dict[str, Key], identity: str) -> Key:
    key = kept.get(identity)
    if key is None:
        raise InputProblem("there is no key of that id; `voxengine keys list` shows the ids")
    return key


def _hand_out(place: KeyFile, identity: str, made: str, *, as_json: bool) -> None:
    """The key alone on standard output, so that a script can take it; what to know about it beside."""
    from voxengine.cli.console import stderr

    if as_json:
        print(json.dumps({"id": identity, "key": made, "file": str(place.path)}, indent=2))
        return
    print(made)
    words = f"Keep it: it is not shown again. Its id is {identity}; {place.path} has a hash of it."
    stderr().print(words, markup=False, soft_wrap=True)


def _told(key: Key) -> dict[str, Any]:
    """All of a key but the hashes."""
    told: dict[str, Any] = msgspec.to_builtins(key)
    return {name: value for name, value in told.items() if name not in ("hash", "retired")}


def _state(key: Key) -> str:
    now = time.time()
    if key.disabled:
        return "revoked"
    if key.expires_at is not None:
        return f"until {_day(key.expires_at)}" if now < key.expires_at else "expired"
    return "good"


def _limits(key: Key) -> str:
    found = [
        (key.max_cost, "${:g} a call"),
        (key.max_duration, "{:g} s a call"),
        (key.concurrency, "{} at once"),
        (key.calls_per_minute, "{} calls/min"),
        (key.requests_per_minute, "{} requests/min"),
    ]
    words = [form.format(value) for value, form in found if value is not None]
    if key.budget is not None:
        words.append(f"${key.budget.usd:g}/{key.budget.per}")
    return ", ".join(words) or "none"


def _day(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d")


def _seconds(text: str | None, option: str) -> float | None:
    if text is None:
        return None
    found = _DURATION.fullmatch(text)
    if found is None:
        raise InputProblem(f"{option} takes a number with s, m, h or d, such as 30m")
    return float(int(found[1]) * _UNITS[found[2]])


def _budget(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    found = _BUDGET.fullmatch(text)
    if found is None:
        raise InputProblem("--budget takes US dollars and a period, such as 20/month")
    return {"usd": float(found[1]), "per": found[2] or "month"}
