"""Tickets: what lets a stream in that belongs to a call which Twilio has asked about.

Twilio sends no query with a stream, and its handshake says nothing of the call. So the answer to its question carries a
ticket as a parameter of the stream. It is for this call and route, for a minute, and is taken once. It is signed and
not stored, so that another process with the same auth token may take it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from voxengine.gateway.refusal import Refused

__all__ = ["Tickets"]

#: Seconds for which a ticket is good. Twilio opens the stream as soon as it has read the answer.
GOOD_FOR = 60.0
#: Seconds for which an answered request is remembered, and how many are.
REMEMBERED_FOR = 3600.0
MOST_REMEMBERED = 10_000


class Tickets:
    """Gives tickets out, and takes them. `now` is Unix time, `token` Twilio's auth token."""

    def __init__(self) -> None:
        #: Tickets that were taken, until they would have expired.
        self._used: dict[str, float] = {}
        #: The ticket that a request was answered with, by its signature, and until when that is remembered.
        self._answered: dict[str, tuple[str, float]] = {}

    def answer(self, signature: str, call_sid: str, route: str, token: str, now: float) -> str:
        """The ticket for a signed request. Twilio may repeat one whose answer it did not get: it is the same then.

        Raises:
            Refused: 403, the request was answered before, and its ticket is used or has expired.
        """
        self._forget(now)
        before = self._answered.get(signature)
        if before is not None:
            ticket = before[0]
            if ticket in self._used or _expiry(ticket) <= now:
                raise _refused("request_replayed", "This request was answered before.")
            return ticket
        ticket = _make(call_sid, route, token, now + GOOD_FOR)
        self._answered[signature] = (ticket, now + REMEMBERED_FOR)
        if len(self._answered) > MOST_REMEMBERED:
            del self._answered[next(iter(self._answered))]
        return ticket

    def take(self, ticket: str, call_sid: str, route: str, token: str, now: float) -> None:
        """Let a stream in.

        Raises:
            Refused: 403, the ticket is not good for it.
        """
        self._forget(now)
        expiry, nonce = _expiry(ticket), ticket.split(".")[1:2]
        good = _sign(expiry, nonce[0] if nonce else "", call_sid, route, token)
        same = hmac.compare_digest(good.encode(), ticket.encode("utf-8", "surrogatepass"))
        if not same or expiry <= now:
            raise _refused("invalid_ticket", "The stream does not belong to a call known here.")
        if ticket in self._used:
            raise _refused("ticket_used", "The call has had its stream.")
        self._used[ticket] = expiry

    def _forget(self, now: float) -> None:
        # Both are in the order in which they expire, but for what a few tickets differ.
        while self._used and next(iter(self._used.values())) <= now:
            del self._used[next(iter(self._used))]
        while self._answered and next(iter(self._answered.values()))[1] <= now:
            del self._answered[next(iter(self._answered))]


def _make(call_sid: str, route: str, token: str, expiry: float) -> str:
    return _sign(int(expiry), secrets.token_hex(8), call_sid, route, token)


def _sign(expiry: int, nonce: str, call_sid: str, route: str, token: str) -> str:
    # The length of the id keeps what belongs to it apart from the route.
    said = f"{expiry}.{nonce}.{len(call_sid)}.{call_sid}.{route}".encode("utf-8", "surrogatepass")
    key = hmac.digest(token.encode(), b"voxengine twilio stream", hashlib.sha256)
    return f"{expiry}.{nonce}.{hmac.new(key, said, hashlib.sha256).hexdigest()}"


def _expiry(ticket: str) -> int:
    """Unix time, or 0 if it is no ticket."""
    number = ticket.partition(".")[0]
    return int(number) if number.isascii() and number.isdecimal() and len(number) <= 12 else 0


def _refused(code: str, message: str) -> Refused:
    return Refused(403, code, message, "permission_error")
