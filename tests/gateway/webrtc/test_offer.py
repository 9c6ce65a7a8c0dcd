"""Offers of strangers: what is not one is refused, what names too much is cut down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxengine.gateway.refusal import Refused
from voxengine.gateway.webrtc.connection import ice_servers
from voxengine.gateway.webrtc.offer import MAX_CANDIDATES, read_offer

HEAD = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=fingerprint:sha-256 AA:BB"]
AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 111"
DATA = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel"


def sdp(*lines: str) -> str:
    return "\r\n".join([*HEAD, *lines]) + "\r\n"


def candidate(host: str, port: int = 5000, transport: str = "udp") -> str:
    return f"a=candidate:1 1 {transport} 2113937151 {host} {port} typ host"


def hosts(text: str) -> list[str]:
    return [line.split(" ")[4] for line in text.splitlines() if line.startswith("a=candidate")]


def test_an_offer_is_taken_as_it_is():
    text = sdp(AUDIO, candidate("192.0.2.7"), DATA)
    offer = read_offer(text)
    assert offer.sdp == text
    assert offer.has_channel
    assert not read_offer(sdp(AUDIO)).has_channel


def test_a_hidden_address_is_that_of_the_caller():
    text = sdp(AUDIO, candidate("0e1b2c3d-aaaa.local"), candidate("192.0.2.7"))
    assert hosts(read_offer(text, "198.51.100.4").sdp) == ["198.51.100.4", "192.0.2.7"]
    assert hosts(read_offer(text).sdp) == ["192.0.2.7"]


def test_what_cannot_be_tried_is_left_out():
    text = sdp(
        AUDIO,
        candidate("192.0.2.7", transport="tcp"),
        candidate("internal.example"),
        "a=candidate:1",
        candidate("2001:db8::1"),
        "a=end-of-candidates",
    )
    found = read_offer(text).sdp
    assert hosts(found) == ["2001:db8::1"]
    assert "end-of-candidates" not in found


def test_no_more_addresses_are_tried_than_anybody_has():
    text = sdp(AUDIO, *(candidate(f"192.0.2.{n}") for n in range(200)))
    assert len(hosts(read_offer(text).sdp)) == MAX_CANDIDATES


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=1\r\n",
        sdp(),
        sdp(DATA),
        sdp(AUDIO, AUDIO),
        sdp(AUDIO, DATA, DATA),
        sdp(AUDIO, "m=video 9 UDP/TLS/RTP/SAVPF 96"),
        sdp(AUDIO).replace("a=fingerprint", "a=nothing"),
    ],
)
def test_what_is_no_offer_for_a_call(text: str):
    with pytest.raises(Refused) as refused:
        read_offer(text)
    assert (refused.value.status, refused.value.code) == (400, "invalid_offer")


def test_an_offer_that_is_too_long():
    with pytest.raises(Refused) as refused:
        read_offer(sdp(AUDIO, *["a=x"] * 20_000))
    assert refused.value.status == 413


@given(st.lists(st.sampled_from([*HEAD, AUDIO, DATA, candidate("x.local"), "a=candidate", ""])))
def test_whatever_comes_is_taken_or_refused(lines: list[str]):
    try:
        offer = read_offer("\n".join(lines), "::1")
    except Refused:
        return
    assert offer.sdp.startswith("v=0\r\n")


def test_ice_servers_of_the_configuration(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TURN_SECRET", "s3cret")
    turn = {"urls": "turn:turn.example:3478", "username": "me", "credential_env": "TURN_SECRET"}
    found = ice_servers([{"urls": ["stun:stun.example"]}, turn])
    assert [server.credential for server in found] == [None, "s3cret"]
    assert ice_servers([]) == []


@pytest.mark.parametrize(
    "server",
    [{"urls": "http://stun.example"}, {"urls": "stun:x", "credential_env": "NO_SUCH_VARIABLE"}],
)
def test_ice_servers_that_cannot_be_used(server: dict[str, str]):
    with pytest.raises(Refused) as refused:
        ice_servers([server])
    assert (refused.value.status, refused.value.code) == (503, "ice_not_configured")
