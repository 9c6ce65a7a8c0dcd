"""`voxengine calls`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from voxengine.conversation import Item
from voxengine.session.ledger import LegUsage
from voxengine.store import AddEvent, PutItem, PutUsage, SQLiteStore, StoredCall

Run = Callable[..., Result]


async def fill(path: Path) -> None:
    store = SQLiteStore(path)
    await store.open()
    now = time.time()
    for n, ended in enumerate((now - 90_000, now - 60, None), 1):
        call_id = f"call_{n}"
        started = (ended or now) - 30
        _ = store.begin_call(
            StoredCall(
                id=call_id, route=f"route{n}", provider="mock", key_id="key_a", started_at=started
            )
        )
        item = Item(id="a", text=f"[bold]words {n}[/bold]", status="completed")
        leg = LegUsage("mock", "m", cost=0.25)
        _ = store.write(call_id, PutItem(item, 1.0), PutUsage(leg), AddEvent(now, "tick", {"n": n}))
        if ended is not None:
            _ = store.end_call(call_id, at=ended, reason="hung up")
    await store.close()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    (tmp_path / "voxengine.toml").write_text('[gateway]\nstore = "data/calls.db"\n')
    path = tmp_path / "data" / "calls.db"
    asyncio.run(fill(path))
    folder = (
        path.parent / "recordings" / time.strftime("%Y-%m-%d", time.gmtime(time.time() - 90_030))
    )
    folder.mkdir(parents=True)
    (folder / "call_1.1.wav").touch()
    return path


def ids(run: Run, *options: str) -> list[str]:
    result = run("calls", "list", "--json", *options)
    assert result.exit_code == 0, result.output
    return [call["id"] for call in json.loads(result.stdout)["calls"]]


def test_the_list(run: Run, store: Path) -> None:
    assert ids(run) == ["call_3", "call_2", "call_1"]
    assert ids(run, "--store", str(store), "-n", "1") == ["call_3"]
    assert ids(run, "--route", "route2") == ["call_2"]
    assert ids(run, "--key", "nobody") == []
    result = run("calls", "list")
    for words in ("call_1", "route2", "live", "ended", "$0.2500", "30 s"):
        assert words in result.stdout


def test_one_call(run: Run, store: Path) -> None:
    result = run("calls", "show", "call_1", "--events")
    assert "user: [bold]words 1[/bold]" in result.stdout
    assert "call_1.1.wav" in result.stdout
    assert 'tick {"n": 1}' in result.stdout
    shown = json.loads(run("calls", "show", "call_1", "--json").stdout)
    assert shown["conversation"]["items"][0]["text"] == "[bold]words 1[/bold]"
    assert shown["reason"] == "hung up"
    assert "session_hash" not in shown


def test_a_call_is_removed(run: Run, store: Path) -> None:
    refused = run("calls", "delete", "call_3")
    assert refused.exit_code == 2
    assert "goes on" in refused.stderr
    assert run("calls", "delete", "call_1").exit_code == 0
    assert ids(run) == ["call_3", "call_2"]
    assert not list(store.parent.rglob("*.wav"))


def test_what_is_too_old_is_removed(run: Run, store: Path) -> None:
    assert run("calls", "purge").stdout == "0 calls were removed\n"
    assert run("calls", "purge", "--older-than", "1").stdout == "1 calls were removed\n"
    assert ids(run) == ["call_3", "call_2"]
    assert not list(store.parent.rglob("*.wav"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "call_9"), "no call 'call_9'"),
        (("delete", "../x"), "no call '../x'"),
        (("list", "--store", "nowhere.db"), "there is no store nowhere.db"),
    ],
)
def test_what_is_not_there_is_said(
    run: Run, store: Path, arguments: tuple[str, ...], words: str
) -> None:
    result = run("calls", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_gateway_that_keeps_nothing(run: Run, store: Path, tmp_path: Path) -> None:
    (tmp_path / "voxengine.toml").write_text('[gateway]\nstore = "memory"\n')
    result = run("calls", "list")
    assert result.exit_code == 2
    assert "in memory only" in result.stderr
