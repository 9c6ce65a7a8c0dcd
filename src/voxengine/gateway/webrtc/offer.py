"""A client's offer (SDP, RFC 8866): looked at before anything is done for it, and made fit for our side of ICE."""

from __future__ import annotations

import ipaddress

import msgspec

from voxengine.gateway.refusal import Refused

__all__ = ["MAX_OFFER", "Offer", "read_offer"]

#: Bytes of an offer. Browsers make some 3 KB, with video and many networks 20.
MAX_OFFER = 64 * 1024
#: Addresses of the client that are tried. More is nobody's: each is a packet that we send for a stranger.
MAX_CANDIDATES = 24
_END_OF_CANDIDATES = "a=end-of-candidates"
_CANDIDATE, _FINGERPRINT = "a=candidate:", "a=fingerprint:"
#: Names that hide a browser's own address from a page (draft-ietf-mmusic-mdns-ice-candidates).
_HIDDEN = ".local"


class Offer(msgspec.Struct, frozen=True):
    """What a client offers."""

    sdp: str
    #: Whether it will open a data channel.
    has_channel: bool


def read_offer(sdp: str, address: str = "") -> Offer:
    """Look at an offer that came from this address.

    An address that the client hides by a name of its own network is replaced by the one that the offer came from.
    That more candidates may follow is assumed of every client: it finds us, and then we know where it is.

    Raises:
        Refused: 400, it is none, or not of one audio stream and at most one data channel; 413, it is too long.
    """
    if len(sdp) > MAX_OFFER:
        raise Refused(413, "offer_too_large", f"The SDP offer is longer than {MAX_OFFER} bytes.")
    lines = sdp.replace("\r\n", "\n").strip("\n").split("\n")
    if lines[0] != "v=0":
        raise _bad("it does not begin with 'v=0'")
    kinds = [line[2:].split(" ", 1)[0] for line in lines if line.startswith("m=")]
    if kinds.count("audio") != 1:
        raise _bad("it has to offer one audio stream")
    if kinds.count("application") > 1 or set(kinds) - {"audio", "application"}:
        raise _bad("only one audio stream and one data channel are taken")
    if not any(line.startswith(_FINGERPRINT) for line in lines):
        raise _bad("it has no fingerprint, by which the client could be known")
    kept: list[str] = []
    candidates = 0
    for line in lines:
        if line.startswith(_CANDIDATE):
            found = _reachable(line, address)
            if found is not None and candidates < MAX_CANDIDATES:
                candidates += 1
                kept.append(found)
        elif line != _END_OF_CANDIDATES:
            kept.append(line)
    return Offer("\r\n".join(kept) + "\r\n", "application" in kinds)


def _reachable(line: str, address: str) -> str | None:
    """A candidate with an address that can be tried; None: there is none, or it is not UDP."""
    parts = line.split(" ")
    if len(parts) < 8 or parts[2].lower() != "udp":
        return None
    host = parts[4]
    if host.lower().endswith(_HIDDEN):
        host = address
    try:
        parts[4] = str(ipaddress.ip_address(host))
    except ValueError:
        return None
    return " ".join(parts)


def _bad(why: str) -> Refused:
    return Refused(400, "invalid_offer", f"The SDP offer cannot be answered: {why}.")
