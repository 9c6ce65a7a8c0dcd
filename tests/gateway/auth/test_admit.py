"""Who gets in with what, from where."""

from __future__ import annotations

import base64
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateway.auth.conftest import Doors, bearer, id_of
from voxengine.clock import Clock
from voxengine.gateway.auth import Gatekeeper, Limited
from voxengine.gateway.auth.credential import credential_of, lowered
from voxengine.gateway.auth.origins import is_local_host, origin_allowed
from voxengine.gateway.grants import Scope
from voxengine.gateway.refusal import Refused
from voxengine.testing import advance

AWAY = "203.0.113.7"


def refused(keeper: Gatekeeper, headers: dict[str, str], **more) -> Refused:
    with pytest.raises(Refused) as caught:
        keeper.admit(headers, **{"address": AWAY, **more})
    return caught.value


# -- ways to show a key


async def test_a_key_is_taken_from_all_its_places(doors: Doors) -> None:
    key = doors.key(name="alice")
    keeper = doors.keeper()

    ways = [
        {"headers": bearer(key)},
        {"headers": {"Authorization": f"bearer {key}"}},
        {"headers": {"api-key": key}},
        {"headers": {}, "subprotocols": ("realtime", f"openai-insecure-api-key.{key}")},
    ]
    for way in ways:
        grant = keeper.admit(**way, address=AWAY)  # type: ignore[arg-type]
        assert (grant.key_id, grant.scopes) == (id_of(key), frozenset({Scope.TALK}))
        assert grant.routes is None
        assert grant.secret_id is None


async def test_a_key_in_the_address_is_refused_and_said_to_be(doors: Doors) -> None:
    key = doors.key()
    refusal = refused(doors.keeper(), {}, query={"api-key": key})

    assert (refusal.status, refusal.code) == (401, "invalid_api_key")
    assert "address" in str(refusal)


async def test_two_keys_that_differ_are_refused(doors: Doors) -> None:
    one, two = doors.key(), doors.key()
    keeper = doors.keeper()

    assert refused(keeper, {**bearer(one), "api-key": two}).status == 401
    assert keeper.admit({**bearer(one), "api-key": one}, address=AWAY).key_id == id_of(one)


async def test_wrong_keys_are_refused_in_openais_form(doors: Doors) -> None:
    key, other = doors.key(), doors.key()
    keeper = doors.keeper()
    foreign = f"vox_{id_of(key)}_{other.split('_')[2]}"
    wrong = [
        key[:-1],
        key + "0",
        key.upper(),
        foreign,
        "vox_0123456789_" + "0" * 48,
        "sk-proj-of-another-vendor",
        "",
        "ek_" + "0" * 48,
        "vox__",
        "é" * 20,
    ]
    for token in wrong:
        refusal = refused(keeper, bearer(token), address=AWAY)
        if token.isascii():
            assert refusal.status == 401
            assert refusal.body["error"]["code"] == "invalid_api_key"
            assert refusal.body["error"]["type"] == "invalid_request_error"
            assert refusal.headers == {"www-authenticate": "Bearer"}
        else:
            assert refusal.status == 400
        assert not token or token not in str(refusal)
    assert refused(keeper, {}).status == 401
    assert (
        refused(
            keeper, {"authorization": "Basic " + base64.b64encode(key.encode()).decode()}
        ).status
        == 401
    )


async def test_expired_and_revoked_keys_are_refused(doors: Doors) -> None:
    now = Clock().wall()
    key = doors.key(expires_at=now + 60)
    keeper = doors.keeper()
    keeper.admit(bearer(key), address=AWAY)

    await advance(60)
    assert refused(keeper, bearer(key)).status == 401

    another = doors.key()
    await advance(1.1)
    keeper.admit(bearer(another), address=AWAY)
    doors.change(another, disabled=True)
    await advance(1.1)
    assert refused(keeper, bearer(another)).status == 401


async def test_a_scope_that_a_key_lacks_is_403(doors: Doors) -> None:
    talk, both = doors.key(), doors.key(scopes=["talk", "observe"])
    keeper = doors.keeper()

    assert keeper.admit(bearer(both), address=AWAY, scope=Scope.OBSERVE).key_id == id_of(both)
    refusal = refused(keeper, bearer(talk), scope=Scope.OPERATE)
    assert (refusal.status, refusal.code) == (403, "insufficient_scope")


# -- without keys


async def test_without_keys_this_machine_gets_in_with_any_key_or_none(doors: Doors) -> None:
    keeper = doors.keeper()
    assert keeper.open

    for address in ("127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1"):
        for host in ("localhost:8080", "127.0.0.1:8080", "[::1]:8080", "app.localhost"):
            for more in ({}, {"authorization": "Bearer sk-whatever"}):
                grant = keeper.admit({"host": host, **more}, address=address, scope=Scope.OPERATE)
                assert grant.key_id == "anyone"


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({"host": "localhost"}, AWAY),
        ({"host": "localhost"}, "10.0.0.1"),
        ({"host": "localhost"}, ""),
        ({"host": "localhost"}, "not an address"),
        ({"host": "evil.example"}, "127.0.0.1"),  # its name was pointed at this machine
        ({"host": "localhost.evil.example:8080"}, "127.0.0.1"),
        ({"host": "127.0.0.1.evil.example"}, "127.0.0.1"),
        ({"host": "localhost@evil.example"}, "127.0.0.1"),
        ({"host": "evil.example#localhost"}, "127.0.0.1"),
        ({"host": "localhost", "x-forwarded-for": AWAY}, "127.0.0.1"),
        ({"host": "localhost", "forwarded": "for=203.0.113.7"}, "127.0.0.1"),
        ({"host": "localhost", "origin": "https://evil.example"}, "127.0.0.1"),
        ({"host": "localhost", "origin": "null"}, "127.0.0.1"),
    ],
)
async def test_without_keys_nobody_else_gets_in(
    doors: Doors, headers: dict[str, str], address: str
) -> None:
    assert refused(doors.keeper(), headers, address=address).status == 403


async def test_the_first_key_closes_the_door_for_good(doors: Doors) -> None:
    keeper = doors.keeper()
    local = {"host": "localhost"}
    keeper.admit(local, address="127.0.0.1")

    key = doors.key()
    await advance(1.1)
    assert refused(keeper, local, address="127.0.0.1").status == 401
    assert keeper.admit(bearer(key), address=AWAY).key_id == id_of(key)

    doors.file.unlink()
    await advance(1.1)
    assert not keeper.open
    assert refused(keeper, local, address="127.0.0.1").status == 401
    assert keeper.admit(bearer(key), address=AWAY).key_id == id_of(key)

    doors.file.write_text('{"keys": []}')
    await advance(1.1)
    assert not keeper.open
    assert refused(keeper, local, address="127.0.0.1").status == 401
    assert refused(keeper, bearer(key)).status == 401


# -- web pages


async def test_pages_of_other_origins_are_refused(doors: Doors) -> None:
    key, own = doors.key(), doors.key(origins=["https://own.example"])
    keeper = doors.keeper(origins=["https://app.example", "http://dev.example:3000"])
    host = {"host": "voice.example"}

    for origin in ("https://voice.example", "https://app.example", "http://dev.example:3000"):
        keeper.admit({**bearer(key), **host, "origin": origin}, address=AWAY)
    keeper.admit({**bearer(own), **host, "origin": "https://own.example"}, address=AWAY)
    for origin in (
        "https://own.example",
        "https://evil.example",
        "https://app.example.evil.example",
        "https://voice.example:8443",
        "http://dev.example",
        "http://localhost:3000",
        "null",
        "",
        "https://voice.example@evil.example",
        "file://voice.example",
    ):
        refusal = refused(keeper, {**bearer(key), **host, "origin": origin})
        assert (refusal.status, refusal.code) == (403, "origin_not_allowed"), origin


def test_an_origin_of_this_machine_counts_only_where_it_is_said_to() -> None:
    assert origin_allowed("http://localhost:3000", "localhost:8080", (), local=True)
    assert not origin_allowed("http://localhost:3000", "localhost:8080", ())
    assert origin_allowed("http://localhost:8080", "localhost:8080", ())
    assert origin_allowed("https://anything.example", "voice.example", ("*",))


# -- those who keep trying


async def test_who_keeps_trying_is_told_to_wait_and_locks_nobody_out(
    doors: Doors, caplog: pytest.LogCaptureFixture
) -> None:
    key = doors.key()
    keeper = doors.keeper(failures_per_minute=5)

    with caplog.at_level(logging.DEBUG):
        statuses = [refused(keeper, bearer(f"wrong-{n}")).status for n in range(50)]
    assert statuses == [401] * 5 + [429] * 45
    refusal = refused(keeper, bearer("wrong"))
    assert isinstance(refusal, Limited)
    assert 1 <= int(refusal.headers["retry-after"]) <= 12
    assert len(caplog.records) == 1  # one line for all of them

    assert keeper.admit(bearer(key), address=AWAY).key_id == id_of(key)
    assert refused(keeper, bearer("wrong"), address="198.51.100.1").status == 401
    await advance(12.1)
    assert refused(keeper, bearer("wrong")).status == 401
    assert refused(keeper, bearer("wrong")).status == 429


async def test_a_network_of_ipv6_counts_as_one(doors: Doors) -> None:
    doors.key()
    keeper = doors.keeper(failures_per_minute=2)
    statuses = [
        refused(keeper, bearer("x"), address=f"2001:db8:0:1::{n:x}").status for n in range(4)
    ]
    assert statuses == [401, 401, 429, 429]
    assert refused(keeper, bearer("x"), address="2001:db8:0:2::1").status == 401


async def test_addresses_that_fail_are_bounded(doors: Doors) -> None:
    doors.key()
    keeper = doors.keeper(failures_per_minute=1)
    assert refused(keeper, bearer("x"), address="10.0.0.0").status == 401
    assert refused(keeper, bearer("x"), address="10.0.0.0").status == 429
    for n in range(10_000):
        refused(keeper, bearer("x"), address=f"11.{n >> 16}.{n >> 8 & 255}.{n & 255}")
    # The first was forgotten for the sake of the others.
    assert refused(keeper, bearer("x"), address="10.0.0.0").status == 401


# -- what is shown


async def test_no_key_is_in_a_log_a_repr_or_a_refusal(
    doors: Doors, caplog: pytest.LogCaptureFixture
) -> None:
    key = doors.key(name="alice")
    secret_part = key.split("_")[2]
    with caplog.at_level(logging.DEBUG):
        keeper = doors.keeper(failures_per_minute=1)
        grant = keeper.admit(bearer(key), address=AWAY)
        shown = [repr(grant), repr(keeper), repr(keeper.secrets), repr(keeper._file.keys)]
        for wrong in (secret_part, key + "a", f"vox_{secret_part[:10]}_{secret_part}"):
            refusal = refused(keeper, bearer(wrong))
            shown += [str(refusal), repr(refusal), str(refusal.body), str(refusal.headers)]
    shown += [record.getMessage() for record in caplog.records]
    assert caplog.records
    for text in shown:
        assert secret_part not in text
        assert "blake2b" not in text
    assert secret_part not in doors.file.read_text()


# -- anything at all in a header

_text = st.text(st.characters(max_codepoint=0x2FF), max_size=200)


@given(
    st.dictionaries(
        st.sampled_from(["Authorization", "authorization", "API-Key", "host", "Origin", "x"]), _text
    ),
    st.dictionaries(_text, _text, max_size=3),
    st.lists(_text | _text.map("openai-insecure-api-key.".__add__), max_size=3),
)
def test_headers_of_any_kind_give_a_token_or_a_refusal(
    headers: dict[str, str], query: dict[str, str], subprotocols: list[str]
) -> None:
    token, refusal = _look(headers, query, subprotocols)
    if refusal is not None:
        assert refusal.status in (400, 401)
        assert all(value not in str(refusal) for value in headers.values() if len(value) > 60)
    elif token is not None:
        assert len(token) <= 128
        assert any(token in value for value in (*headers.values(), *subprotocols))


def _look(
    headers: dict[str, str], query: dict[str, str], subprotocols: list[str]
) -> tuple[str | None, Refused | None]:
    try:
        return credential_of(lowered(headers), query, subprotocols), None
    except Refused as refusal:
        return None, refusal


@given(_text)
def test_a_host_is_local_only_if_a_browser_would_find_this_machine_there(host: str) -> None:
    if is_local_host(host):
        name = host.lower().rstrip("0123456789").rstrip(":").rstrip(".")
        assert (
            name.endswith("localhost")
            or name.startswith(("127.", "[::1"))
            or host.startswith("127.")
        )


def test_a_header_of_a_megabyte_is_refused_at_once() -> None:
    with pytest.raises(Refused) as caught:
        credential_of({"authorization": "Bearer " + "a" * 1_000_000}, {}, ())
    assert caught.value.status == 401
    assert len(str(caught.value)) < 200


def test_a_header_that_is_given_twice_is_refused() -> None:
    with pytest.raises(Refused, match="authorization"):
        lowered({"Authorization": "Bearer a", "authorization": "Bearer b"})
