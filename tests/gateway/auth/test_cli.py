"""`voxengine keys`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.gateway.auth.conftest import bearer, id_of
from voxengine.cli.app import app
from voxengine.gateway.auth import Gatekeeper, KeyFile, KeysConfig
from voxengine.gateway.refusal import Refused

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, ["keys", *arguments])


def opens(key: str, file: str = "voxengine-keys.json") -> bool:
    keeper = Gatekeeper(KeysConfig(file=file))
    try:
        keeper.admit(bearer(key), address="203.0.113.7")
    except Refused:
        return False
    finally:
        keeper.close()
    return True


async def test_a_key_is_shown_once_and_opens(run: Run, tmp_path: Path) -> None:
    made = run("create", "alice")
    assert made.exit_code == 0
    key = made.stdout.strip()
    assert opens(key)
    assert "not shown again" in made.stderr
    assert key not in made.stderr
    assert key.split("_")[2] not in (tmp_path / "voxengine-keys.json").read_text()

    for shown in (run("list").output, run("list", "--json").output):
        assert "alice" in shown
        assert id_of(key) in shown
        assert key.split("_")[2] not in shown
        assert "blake2b" not in shown


async def test_all_limits_are_kept(run: Run, tmp_path: Path) -> None:
    made = run(
        "create", "--json", "--scope", "talk", "--scope", "operate", "--route", "support", "--origin",
        "https://app.example", "--max-cost", "0.5", "--budget", "20/day", "--max-duration", "30m", "--concurrency",
        "4", "--calls-per-minute", "10", "--requests-per-minute", "60", "--expires-in", "90d",
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    told = json.loads(made.stdout)
    key = KeyFile(Path(told["file"])).keys[told["id"]]
    assert (key.scopes, key.routes) == (("talk", "operate"), ("support",))
    assert key.origins == ("https://app.example",)
    assert (key.max_cost, key.max_duration, key.concurrency) == (0.5, 1800.0, 4)
    assert key.budget is not None
    assert (key.budget.usd, key.budget.per) == (20.0, "day")
    assert (key.calls_per_minute, key.requests_per_minute) == (10, 60)
    assert key.expires_at == pytest.approx(key.created_at + 90 * 86_400, abs=0.01)
    shown = run("list").output
    for words in ("talk, operate", "support", "$0.5 a call", "$20/day", "4 at once", "until "):
        assert words in shown


async def test_rotate_and_revoke(run: Run) -> None:
    first = run("create").stdout.strip()
    second = run("rotate", id_of(first)).stdout.strip()
    assert id_of(second) == id_of(first)
    assert (opens(first), opens(second)) == (False, True)

    assert run("revoke", id_of(first)).exit_code == 0
    assert not opens(second)
    assert json.loads(run("list", "--json").stdout)["keys"][0]["state"] == "revoked"
    assert run("rotate", id_of(first)).exit_code == 2


async def test_the_configuration_names_the_file(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "gateway.toml").write_text('[keys]\nfile = "mine.json"\n')
    key = run("create", "--config", "etc/gateway.toml").stdout.strip()
    assert opens(key, str(folder / "mine.json"))
    other = run("create", "--file", "other.json").stdout.strip()
    assert opens(other, "other.json")
    assert not opens(other, str(folder / "mine.json"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "--budget", "much"),
        ("create", "--budget", "5/year"),
        ("create", "--max-duration", "long"),
        ("create", "--scope", "root"),
        ("create", "--concurrency", "0"),
        ("revoke", "0123456789"),
        ("rotate", "0123456789"),
        ("list", "--config", "nowhere.toml"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_writes_nothing(
    run: Run, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "voxengine-keys.json").exists()
