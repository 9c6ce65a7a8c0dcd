"""How many connections the system lets a process have: each takes a file descriptor."""

from __future__ import annotations

import contextlib

__all__ = ["max_connections", "raise_limit"]

#: Connections at once, whatever the system allows.
MOST = 10_000
#: Descriptors for all that is no client: the store, the log, models, connections of REST tools.
_OWN = 64
#: Descriptors of one client: its own, and that of its provider's connection.
_EACH = 2
#: As many as are asked for where the system has no bound.
_PLENTY = 65_536


def raise_limit() -> None:
    """Let this process have as many descriptors as the system lets it ask for."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _PLENTY if hard == resource.RLIM_INFINITY else min(hard, _PLENTY)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def max_connections() -> int:
    """As many as there can be, so that one more is told 503 while there is a descriptor to tell it by."""
    try:
        import resource
    except ImportError:
        return MOST
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST
    return max(1, min(MOST, (soft - _OWN) // _EACH))
