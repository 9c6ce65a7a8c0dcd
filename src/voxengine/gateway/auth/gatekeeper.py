"""The gatekeeper: who a request comes from, and whether there is room for what it wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from voxengine.clock import Clock
from voxengine.errors import ConfigurationError
from voxengine.gateway.auth.budgets import Allowance, Purse
from voxengine.gateway.auth.client_secrets import ClientSecrets, Terms, busy
from voxengine.gateway.auth.credential import credential_of, lowered, unauthorised
from voxengine.gateway.auth.failures import Failures
from voxengine.gateway.auth.keyfile import KeyFile
from voxengine.gateway.auth.keys import KEY, Key, matches
from voxengine.gateway.auth.lease import Lease
from voxengine.gateway.auth.ledger import Ledger, LedgerError, StoredSecret
from voxengine.gateway.auth.limits import Account, Accounts, Rates
from voxengine.gateway.auth.origins import is_local_address, is_local_host, origin_allowed
from voxengine.gateway.grants import Grant, Scope
from voxengine.gateway.refusal import Refused

__all__ = ["ANYONE", "Gatekeeper", "KeysConfig"]

#: The id of everybody, where no key is configured.
ANYONE = "anyone"
#: Headers by which a proxy says that the request came from elsewhere.
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


class KeysConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[keys]` of the configuration."""

    #: The file of the keys, which `voxengine keys` writes. Where it is missing, or has none, only this machine gets in.
    file: Annotated[str, Meta(min_length=1)] = "voxengine-keys.json"
    #: Wrong keys from one address in a minute, before the answer is 429.
    failures_per_minute: Annotated[int, Meta(ge=1)] = 20

    @classmethod
    def read(cls, table: Mapping[str, Any], folder: Path = Path()) -> KeysConfig:
        """What the table says, with the file's path relative to `folder`.

        Raises:
            ConfigurationError: a name or a value in it is not allowed.
        """
        try:
            config = msgspec.convert(table, cls)
        except msgspec.ValidationError as failure:
            raise ConfigurationError(f"[keys]: {failure}") from None
        path = folder / Path(config.file).expanduser()
        return msgspec.structs.replace(config, file=str(path))


class _Caller(msgspec.Struct, frozen=True):
    """Who it is: the key (None: there is none to be had) and the client secret with its terms."""

    key: Key | None
    secret: StoredSecret | None = None
    terms: Terms = Terms()

    @property
    def rates(self) -> list[tuple[str, Rates]]:
        """What is counted, by the names of the accounts."""
        found = []
        if self.key is not None:
            key = self.key
            rates = Rates(key.concurrency, key.calls_per_minute, key.requests_per_minute)
            found.append((key.id, rates))
        if self.secret is not None:
            found.append((self.secret.id, Rates(self.terms.concurrency)))
        return found

    @property
    def allowances(self) -> list[Allowance]:
        """What may be spent."""
        found = []
        if self.key is not None and self.key.budget is not None:
            found.append(Allowance(self.key.id, self.key.budget.usd, self.key.budget.per))
        if self.secret is not None and self.terms.max_cost is not None:
            found.append(Allowance(self.secret.id, self.terms.max_cost, "ever"))
        return found


class Gatekeeper:
    """Lets callers in, and counts what they use. Its methods are called on the event loop, and never wait.

    Args:
        config: the table `[keys]`.
        state: the folder of what outlives the process; None: nothing does.
        origins: web pages that may call, besides the gateway's own.
        clock: the clock by which limits and expiry are counted; None: the running loop's.

    Raises:
        ConfigurationError: the file of the keys, or the folder, cannot be used.
    """

    def __init__(
        self,
        config: KeysConfig,
        *,
        state: Path | None = None,
        origins: Sequence[str] = (),
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or Clock()
        self._file = KeyFile(Path(config.file))
        self._open = not self._file.keys
        self._origins = tuple(origins)
        self._accounts = Accounts()
        self._failures = Failures(config.failures_per_minute)
        self._ledger = Ledger(state)
        #: The client secrets.
        self.secrets = ClientSecrets(self._ledger, self._clock)

    @property
    def open(self) -> bool:
        """Whether there are no keys, so that everybody on this machine gets in and nobody else.

        Once there has been a key, it never is again in this process: a file that was lost opens no door.
        """
        has_keys = bool(self._file.fresh(self._clock.now()))
        self._open = self._open and not has_keys
        return self._open

    def reload(self) -> None:
        """Read the file of the keys anew, now. Calls that are live go on with what they have."""
        self._file.reload()

    def close(self) -> None:
        """Write what is left to be written. May be called again."""
        self._ledger.close()

    def admit(
        self,
        headers: Mapping[str, str],
        *,
        query: Mapping[str, str] | None = None,
        subprotocols: Sequence[str] = (),
        address: str = "",
        scope: Scope | None = Scope.TALK,
    ) -> Grant:
        """Say what a caller may do, or refuse it. `address` is the IP address of the peer.

        `scope` is what is needed; None leaves that to whoever looks at the grant.

        Raises:
            Refused: 400: headers that contradict each other; 401: no key, or none that is good; 403: a key for
                something else, or a page of another origin; 429: too often.
        """
        found = lowered(headers)
        is_open = self.open
        if is_open:
            self._check_local(found, address)
        try:
            caller = self._caller(credential_of(found, query or {}, subprotocols), is_open)
        except Refused as refusal:
            if refusal.status == 401:
                self._failures.count(address, self._clock.now())
            raise
        self._check_origin(found, caller, is_open)
        for account, rates in self._counted(caller):
            account.count("requests", rates, self._clock.now())
        grant = self._grant(caller)
        if scope is not None:
            grant.need(scope)
        return grant

    def begin(self, grant: Grant) -> Lease:
        """Take a place for a new call.

        Raises:
            Refused: 429: no place, too many new calls, or the budget is used up; 503: the budget cannot be looked up.
        """
        caller = self._again(grant)
        now = self._clock.now()
        counted = self._counted(caller)
        purse = self._purse(caller)
        try:
            purse.check()
        except LedgerError:
            raise busy() from None
        for account, rates in counted:
            account.check_room(rates, now)
        for account, rates in counted:
            account.count("calls", rates, now)
        return Lease([account for account, _ in counted], purse)

    def limit_headers(self, grant: Grant) -> dict[str, str]:
        """OpenAI's `x-ratelimit-` headers, for the answer to a request."""
        now = self._clock.now()
        return {
            name: value
            for account, rates in self._counted(self._again(grant))
            for name, value in account.headers(rates, now).items()
        }

    # -- who it is

    def _caller(self, token: str | None, is_open: bool) -> _Caller:
        if token is not None and token.startswith("ek_"):
            return self._by_secret(token, is_open)
        if is_open:  # clients have to send some key; here any will do
            return _Caller(None)
        if token is None:
            raise unauthorised(
                "You did not provide an API key: send Authorization: Bearer, and it."
            )
        parts = KEY.fullmatch(token)
        key = self._file.keys.get(parts[1]) if parts is not None else None
        now = self._clock.wall()
        good = matches(key, parts[2] if parts is not None else "", now)
        if key is None or not good or not key.usable(now):
            raise unauthorised()
        return _Caller(key)

    def _by_secret(self, token: str, is_open: bool) -> _Caller:
        secret = self.secrets.find(token)
        if secret is None:
            raise unauthorised("Incorrect or expired client secret provided.")
        key = self._file.keys.get(secret.key_id)
        if key is None and is_open and secret.key_id == ANYONE:
            return _Caller(None, secret, _terms(secret))
        if key is None or not key.usable(self._clock.wall()):
            raise unauthorised("The key that made this client secret is no longer good.")
        return _Caller(key, secret, _terms(secret))

    def _again(self, grant: Grant) -> _Caller:
        """Who was granted that."""
        secret = self.secrets.named(grant.secret_id) if grant.secret_id is not None else None
        key = self._file.keys.get(grant.key_id)
        return _Caller(key, secret, _terms(secret) if secret is not None else Terms())

    def _grant(self, caller: _Caller) -> Grant:
        key, terms = caller.key, caller.terms
        try:
            left = self._purse(caller).left()
        except LedgerError:
            raise busy() from None
        scopes = frozenset(Scope) if key is None else frozenset(key.scopes)
        routes = None if key is None else key.routes
        return Grant(
            key_id=ANYONE if key is None else key.id,
            scopes=scopes if caller.secret is None else scopes & {Scope.TALK},
            routes=_both(routes, terms.routes),
            max_cost=_least(left, None if key is None else key.max_cost),
            max_duration=_least(terms.max_duration, None if key is None else key.max_duration),
            secret_id=None if caller.secret is None else caller.secret.id,
            session=terms.session,
        )

    def _counted(self, caller: _Caller) -> list[tuple[Account, Rates]]:
        now = self._clock.now()
        return [(self._accounts.get(name, now), rates) for name, rates in caller.rates]

    def _purse(self, caller: _Caller) -> Purse:
        names = [name for name, _ in caller.rates]
        return Purse(self._ledger, self._clock, names, caller.allowances)

    # -- where it comes from

    def _check_local(self, headers: Mapping[str, str], address: str) -> None:
        host = headers.get("host")
        if (
            not is_local_address(address)
            or (host is not None and not is_local_host(host))
            or any(name in headers for name in _FORWARDED)
        ):
            raise Refused(
                403,
                "local_only",
                "No API keys are configured, so only this machine may call, by the name localhost. "
                "Make a key with: voxengine keys create",
                "permission_error",
            )

    def _check_origin(self, headers: Mapping[str, str], caller: _Caller, is_open: bool) -> None:
        origin = headers.get("origin")
        if origin is None:  # not a browser
            return
        allowed = (*self._origins, *(caller.key.origins if caller.key is not None else ()))
        if not origin_allowed(origin, headers.get("host", ""), allowed, local=is_open):
            raise Refused(
                403,
                "origin_not_allowed",
                "Web pages of this origin may not call. List it in [gateway] origins, or in the key's.",
                "permission_error",
            )


def _terms(secret: StoredSecret) -> Terms:
    return msgspec.json.decode(secret.terms, type=Terms)


def _least(*values: float | None) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _both(first: tuple[str, ...] | None, second: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if first is None or second is None:
        return first if second is None else second
    return tuple(name for name in first if name in second)
