"""Which web pages may call, and what counts as this machine.

A browser says with `Origin` whose page it is that calls, and a page cannot change that; other clients send none. And a
page can point a name of its own at 127.0.0.1 (DNS rebinding): to the browser that is the same origin, so where no keys
are asked for, the name in `Host` has to be one of this machine.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

__all__ = ["is_local_address", "is_local_host", "origin_allowed"]

_PORTS = {"http": 80, "https": 443}


def is_local_address(address: str) -> bool:
    """Whether the address of a peer is one of this machine's own (127.0.0.0/8, ::1)."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return bool((mapped or found).is_loopback)


def is_local_host(host: str) -> bool:
    """Whether a `Host` (with or without a port) names this machine and can name nothing else."""
    found = _split(f"http://{host}")
    return found is not None and _is_local_name(found[1])


def origin_allowed(
    origin: str, host: str, allowed: Collection[str], *, local: bool = False
) -> bool:
    """Whether a page of this origin may call.

    It may if it comes from the host that it calls, or if its origin is one of the allowed ("*": all). With `local`,
    also if it comes from this machine. The `Host` header leaves the scheme open, so that of the origin counts.
    """
    if "*" in allowed or origin in allowed:
        return True
    found = _split(origin)
    if found is None:
        return False
    scheme, name, port = found
    if any((scheme, name, port) == _split(other) for other in allowed):
        return True
    if local and _is_local_name(name):
        return True
    return (scheme, name, port) == _split(f"{scheme}://{host}")


def _is_local_name(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost") or is_local_address(name)


def _split(url: str) -> tuple[str, str, int] | None:
    """Scheme, name and port of an origin; None: it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
        return None
    if parts.path or parts.query or parts.fragment:
        return None
    return parts.scheme, parts.hostname.rstrip("."), port or _PORTS[parts.scheme]
