"""The file of the keys."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.gateway.auth.conftest import Doors, bearer, id_of
from voxengine.errors import ConfigurationError
from voxengine.gateway.auth import Key, KeyFile, KeysConfig, new_identity, new_key
from voxengine.gateway.auth.keys import matches
from voxengine.gateway.refusal import Refused
from voxengine.testing import advance


async def test_it_is_read_anew_when_it_changes(doors: Doors) -> None:
    first = doors.key()
    keeper = doors.keeper()
    keeper.admit(bearer(first))

    second = doors.key()
    with pytest.raises(Refused):
        keeper.admit(bearer(second))  # it is looked at once in a second
    await advance(1.1)
    keeper.admit(bearer(second))
    third = doors.key()
    keeper.reload()
    keeper.admit(bearer(third))


async def test_a_file_that_broke_leaves_the_keys_as_they_were(
    doors: Doors, caplog: pytest.LogCaptureFixture
) -> None:
    key = doors.key()
    keeper = doors.keeper()
    good = doors.file.read_bytes()

    with caplog.at_level(logging.ERROR):
        for broken in (
            b"",
            b"{]",
            b"\xff",
            b"[]",
            b'{"keys": [{"id": 5}]}',
            b'{"keys": [], "version": 2}',
        ):
            doors.file.write_bytes(broken)
            await advance(1.1)
            keeper.admit(bearer(key))
            await advance(1.1)
            keeper.admit(bearer(key))
    assert len(caplog.records) == 6  # each is complained of once
    doors.file.write_bytes(good)
    await advance(1.1)
    keeper.admit(bearer(key))


@pytest.mark.parametrize(
    "content",
    [
        "{",
        '{"keys": [{"id": "0123456789"}]}',
        '{"keys": [{"id": "0123456789", "hash": "plain", "name": ""}]}',
        '{"keys": [], "more": 1}',
        '{"version": 9}',
    ],
)
def test_a_file_that_cannot_be_used_at_the_start_is_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"keys\.json"):
        KeyFile(path)


def test_a_file_that_others_may_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text('{"keys": []}')
    path.chmod(0o666)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        KeyFile(path)


def test_an_id_that_is_there_twice_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    add(path)
    content = json.loads(path.read_text())
    content["keys"] *= 2
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigurationError, match="twice"):
        KeyFile(path)


def test_it_is_the_owners_alone_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "keys.json"
    old = os.umask(0)
    try:
        add(path)
        add(path)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in path.parent.iterdir()) == ["keys.json", "keys.json.lock"]


def test_a_broken_file_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    add(path)
    file = KeyFile(path)
    path.write_text("{")
    with pytest.raises(ConfigurationError), file.changing():
        pytest.fail("it was opened")
    assert path.read_text() == "{"


def test_a_change_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    add(path)
    before = path.read_bytes()
    with contextlib.suppress(KeyError), KeyFile(path).changing() as keys:
        keys.clear()
        raise KeyError
    assert path.read_bytes() == before


def add(path: Path, times: int = 1) -> None:
    for _ in range(times):
        with KeyFile(path).changing() as keys:
            identity = new_identity(keys)
            hashed, _ = new_key(identity)
            keys[identity] = Key(id=identity, hash=hashed)


def test_those_who_change_it_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    with ThreadPoolExecutor(4) as pool:  # each opens the file anew, as another program would
        for done in [pool.submit(add, path, 10) for _ in range(4)]:
            done.result()
    assert len(KeyFile(path).keys) == 40


def test_a_hash_is_of_one_key_and_salted() -> None:
    hashed, made = new_key("0123456789")
    again, other = new_key("0123456789")
    key = Key(id="0123456789", hash=hashed)
    assert made != other
    assert hashed != again
    assert matches(key, made.split("_")[2], 0.0)
    assert not matches(key, other.split("_")[2], 0.0)
    assert not matches(None, made.split("_")[2], 0.0)


def test_the_table_of_the_configuration(tmp_path: Path) -> None:
    config = KeysConfig.read({"file": "k.json", "failures_per_minute": 3}, tmp_path)
    assert config == KeysConfig(file=str(tmp_path / "k.json"), failures_per_minute=3)
    assert KeysConfig.read({}, tmp_path).file == str(tmp_path / "voxengine-keys.json")
    assert KeysConfig.read({"file": "/etc/k.json"}, tmp_path).file == "/etc/k.json"
    for wrong in ({"fil": "x"}, {"file": ""}, {"file": 5}, {"failures_per_minute": 0}):
        with pytest.raises(ConfigurationError, match=r"\[keys\]"):
            KeysConfig.read(wrong, tmp_path)


async def test_a_rotated_key_may_stay_good_for_a_while(doors: Doors) -> None:
    from voxengine.clock import Clock
    from voxengine.gateway.auth import Retired

    old = doors.key()
    keeper = doors.keeper()
    identity = id_of(old)
    hashed, new = new_key(identity)
    until = Clock().wall() + 3600
    doors.change(old, hash=hashed, retired=Retired(keeper._file.keys[identity].hash, until))
    keeper.reload()
    keeper.admit(bearer(new))
    keeper.admit(bearer(old))
    await advance(3600)
    keeper.admit(bearer(new))
    with pytest.raises(Refused):
        keeper.admit(bearer(old))
