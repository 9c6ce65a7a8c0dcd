"""Addresses that keep showing keys which are none."""

from __future__ import annotations

import ipaddress
import logging
from collections import OrderedDict

from voxengine.gateway.auth.limits import Bucket, Limited

__all__ = ["Failures"]

logger = logging.getLogger(__name__)

#: Addresses that are remembered; those that have failed longest ago go first.
MAX_ADDRESSES = 10_000


class Failures:
    """Counts wrong keys by the address that they came from; beyond `per_minute` the answer is 429 instead of 401.

    A good key is let in from the same address nevertheless: several people may share one, nobody shall be able to lock
    another out, and keys are too long to be guessed at any pace. What is bounded is the noise.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def count(self, address: str, now: float) -> None:
        """Note a failure. `now` is monotonic.

        Raises:
            Limited: there were too many.
        """
        name = _network(address)
        bucket = self._buckets.get(name)
        if bucket is None or bucket.idle(now):  # one line for a series of them
            logger.warning("a key or client secret from %s was refused", name)
        if bucket is None:
            if len(self._buckets) >= MAX_ADDRESSES:
                self._buckets.popitem(last=False)
            bucket = self._buckets[name] = Bucket()
        self._buckets.move_to_end(name)
        wait = bucket.take(self._per_minute, now)
        if wait:
            raise Limited("Too many wrong keys came from your address.", wait, {})


def _network(address: str) -> str:
    """What counts as one caller: an IPv4 address, or the /64 of an IPv6 one, of which everybody has all."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "an unknown address"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))
    return str(found)
