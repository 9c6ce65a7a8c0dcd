"""Who the client is, where a proxy that we trust stands before us."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from voxengine.errors import ConfigurationError

__all__ = ["Proxies"]

_Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"


class Proxies:
    """The proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.

    Args:
        trusted: IP addresses and networks, as "10.0.0.0/8"; "*" stands for everybody.

    Raises:
        ConfigurationError: one is neither.
    """

    def __init__(self, trusted: Sequence[str] = ()) -> None:
        self.trusted = tuple(trusted)
        self._everybody = "*" in self.trusted
        self._networks: list[_Network] = []
        for name in self.trusted:
            if name == "*":
                continue
            try:
                self._networks.append(ipaddress.ip_network(name, strict=False))
            except ValueError:
                raise ConfigurationError(
                    f"a trusted proxy is an IP address or a network as 10.0.0.0/8, not {name!r}"
                ) from None

    def client(self, peer: str, secure: bool, headers: Mapping[str, str]) -> tuple[str, bool]:
        """The address of the client behind `peer`, and whether it came by TLS.

        The nearest address that is not a proxy's own counts: what stands before it may be the client's invention.
        """
        if not self._trusts(peer):
            return peer, secure
        scheme = headers.get("x-forwarded-proto", "").split(",")[-1].strip().lower()
        if scheme:
            secure = scheme in ("https", "wss")
        address = peer
        for hop in reversed(headers.get("x-forwarded-for", "").split(",")):
            if _address(hop) is None:
                break
            address = hop.strip()
            if not self._trusts(address):
                break
        return address, secure

    def _trusts(self, name: str) -> bool:
        if self._everybody:
            return True
        address = _address(name)
        return address is not None and any(address in network for network in self._networks)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(name.strip())
    except ValueError:
        return None
    # A socket that takes both families shows IPv4 within IPv6.
    return getattr(address, "ipv4_mapped", None) or address
