"""API keys: how one is made, what is kept of it, and how one that is shown is compared.

A key is `vox_<id>_<secret>`. The id is public: it finds the key and may be logged. The secret is 192 random bits, so
nobody can try them all, nor keep a table of them; that is why one pass of BLAKE2b with a salt of the key's own is
enough. Slow hashes (scrypt, Argon2) protect what people make up and remember. Here they would only let a caller make
the gateway work for a tenth of a second with each wrong key, on the thread that carries everybody's audio.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from voxengine.gateway.grants import Scope

__all__ = ["KEY", "Budget", "Key", "Retired", "derive", "matches", "new_identity", "new_key"]

#: What a key looks like: its id, and its secret.
KEY = re.compile(r"vox_([0-9a-f]{10})_([0-9a-f]{48})", re.ASCII)
_SALT_BYTES = 16
_DIGEST_BYTES = 32

Dollars: TypeAlias = Annotated[float, Meta(ge=0)]
Seconds: TypeAlias = Annotated[float, Meta(gt=0)]
Count: TypeAlias = Annotated[int, Meta(ge=1)]


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """US dollars that may be spent in each day or month (by UTC), or ever."""

    usd: Dollars
    per: Literal["day", "month", "ever"] = "month"


class Retired(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The hash that a rotation replaced, and the Unix time until which its secret still opens."""

    hash: str
    until: float


class Key(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What is kept of an API key. The secret is not in it. None stands for no limit."""

    id: Annotated[str, Meta(pattern="^[0-9a-f]{10}$")]
    #: Salt and digest, both in hex: `blake2b$SALT$DIGEST`.
    hash: Annotated[str, Meta(pattern="^blake2b\\$[0-9a-f]{32}\\$[0-9a-f]{64}$")]
    #: For people: whose it is.
    name: str = ""
    scopes: tuple[Scope, ...] = (Scope.TALK,)
    #: Routes that may be called.
    routes: tuple[str, ...] | None = None
    #: US dollars that one call may cost.
    max_cost: Dollars | None = None
    budget: Budget | None = None
    #: Seconds that one call may last.
    max_duration: Seconds | None = None
    #: Calls at the same time.
    concurrency: Count | None = None
    #: New calls, and requests of any kind, in each minute.
    calls_per_minute: Count | None = None
    requests_per_minute: Count | None = None
    #: Origins of web pages that may use it, besides those of `[gateway] origins`.
    origins: tuple[str, ...] = ()
    #: Unix times.
    created_at: float = 0.0
    expires_at: float | None = None
    #: Revoked.
    disabled: bool = False
    retired: Retired | None = None

    def __repr__(self) -> str:
        return f"Key({self.id!r}, name={self.name!r})"

    def usable(self, now: float) -> bool:
        """Whether it opens anything at this Unix time."""
        return not self.disabled and (self.expires_at is None or now < self.expires_at)


def new_identity(taken: Collection[str]) -> str:
    """An id that is not among those taken."""
    while (identity := secrets.token_hex(5)) in taken:
        pass
    return identity


def new_key(identity: str) -> tuple[str, str]:
    """Make a key of that id: the hash to keep, and the key to hand out once."""
    secret = secrets.token_hex(24)
    return derive(secret), f"vox_{identity}_{secret}"


def derive(secret: str) -> str:
    """The hash of a secret, with a new salt."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return f"blake2b${salt.hex()}${_digest(secret, salt)}"


def matches(key: Key | None, secret: str, now: float) -> bool:
    """Whether a secret is that of the key, in a time that tells nothing about it. `now` is Unix time."""
    found = _same(_NOBODY if key is None else key.hash, secret)
    if key is not None and key.retired is not None and now < key.retired.until:
        found |= _same(key.retired.hash, secret)
    return found and key is not None


def _same(kept: str, secret: str) -> bool:
    _, salt, digest = kept.split("$")
    return hmac.compare_digest(_digest(secret, bytes.fromhex(salt)), digest)


def _digest(secret: str, salt: bytes) -> str:
    made = hashlib.blake2b(
        secret.encode(), salt=salt, person=b"voxengine-key", digest_size=_DIGEST_BYTES
    )
    return made.hexdigest()


#: Compared with where there is no such key, so that the answer takes as long.
_NOBODY = derive(secrets.token_hex(24))
