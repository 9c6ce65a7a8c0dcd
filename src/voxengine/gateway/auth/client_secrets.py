"""Client secrets: keys for a browser or a phone, good for minutes, one route and a budget.

A client secret is `ek_` and 192 random bits. What it allows is kept in the ledger under the hash of it, so it is short
enough for any header, says nothing to its holder, and is as good in another process of the gateway, or after a restart.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Any

import msgspec

from voxengine.clock import Clock
from voxengine.gateway.auth.days import day_of
from voxengine.gateway.auth.ledger import SECRET_ACCOUNT, Ledger, LedgerError, StoredSecret
from voxengine.gateway.grants import Grant, Scope
from voxengine.gateway.refusal import Refused

__all__ = ["CLIENT_SECRET", "MAX_SECRETS", "ClientSecrets", "Terms", "busy"]

#: What a client secret looks like.
CLIENT_SECRET = re.compile(r"ek_[0-9a-f]{48}", re.ASCII)
#: Client secrets that are good at the same time.
MAX_SECRETS = 100_000
#: Bytes of the JSON of a session that comes with one.
MAX_SESSION = 128 << 10
#: Seconds after which what a client secret has spent is of no interest: no call lasts so long.
_FORGOTTEN_AFTER = 3 * 86_400.0


class Terms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a client secret allows, within what its key does; None: no more limits than the key's."""

    #: Routes that may be called, by name.
    routes: tuple[str, ...] | None = None
    #: US dollars that all its calls together may cost.
    max_cost: float | None = None
    #: Seconds that each of its calls may last.
    max_duration: float | None = None
    #: Calls at the same time.
    concurrency: int | None = None
    #: The settings that its calls begin with, in OpenAI's form.
    session: dict[str, Any] | None = None


class ClientSecrets:
    """The client secrets in a ledger."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._count = ledger.count_secrets()

    def create(self, grant: Grant, terms: Terms, seconds: float) -> tuple[str, int]:
        """Make one for the holder of a key: its value, and the Unix time at which it expires.

        Raises:
            Refused: 400: the session is too long; 403: by a client secret, or without the scope; 429: there are too
                many; 503: it cannot be kept now.
        """
        grant.need(Scope.TALK)
        if grant.secret_id is not None:
            raise Refused(
                403,
                "insufficient_scope",
                "A client secret cannot make another one.",
                "permission_error",
            )
        written = msgspec.json.encode(terms)
        if len(written) > MAX_SESSION:
            raise Refused(
                400, "session_too_long", f"The session is longer than {MAX_SESSION} bytes."
            )
        now = self._clock.wall()
        # A whole second, as it is told.
        until = int(now + seconds)
        value = f"ek_{secrets.token_hex(24)}"
        digest = _digest(value)
        try:
            self._make_room(now)
            self._ledger.keep_secret(
                StoredSecret(_name(digest), digest, grant.key_id, float(until), written)
            )
        except LedgerError:
            raise busy() from None
        self._count += 1
        return value, until

    def _make_room(self, now: float) -> None:
        self._count -= self._ledger.drop_secrets(now, day_of(now - _FORGOTTEN_AFTER))
        if self._count >= MAX_SECRETS:
            self._count = self._ledger.count_secrets()  # other processes drop theirs too
        if self._count >= MAX_SECRETS:
            raise Refused(
                429,
                "rate_limit_exceeded",
                f"There are {MAX_SECRETS} client secrets. Wait until some have expired.",
                "requests",
                retry_after=10.0,
            )

    def find(self, value: str) -> StoredSecret | None:
        """What is kept of a client secret; None: there is none such, or it has expired.

        Raises:
            Refused: 503: it cannot be looked up now.
        """
        if CLIENT_SECRET.fullmatch(value) is None:
            return None
        digest = _digest(value)
        found = self.named(_name(digest))
        if found is None or not hmac.compare_digest(found.digest, digest):
            return None
        return found if self._clock.wall() < found.expires_at else None

    def named(self, name: str) -> StoredSecret | None:
        """What is kept of the client secret of an id, expired or not.

        Raises:
            Refused: 503: it cannot be looked up now.
        """
        try:
            return self._ledger.find_secret(name)
        except LedgerError:
            raise busy() from None


def busy() -> Refused:
    """The refusal where the ledger cannot be asked."""
    return Refused(
        503, "server_busy", "The gateway cannot look that up now.", "server_error", retry_after=1.0
    )


def _digest(value: str) -> bytes:
    # No salt: it is found by this, and 192 random bits need none.
    return hashlib.blake2b(value.encode(), person=b"voxengine-secret", digest_size=32).digest()


def _name(digest: bytes) -> str:
    return SECRET_ACCOUNT + digest.hex()[:24]
