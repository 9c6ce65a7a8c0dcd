"""Keys: how one is shown, which open a session, the ephemeral ones, and refusals at the handshake."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from typing import Any

from voxengine.clock import Clock
from voxengine.providers.mock.faults import Refuse
from voxengine.realtime.errors import Complaint, http_error
from voxengine.testing.emulators.faults import REFUSALS
from voxengine.testing.emulators.http import Answer, Request, json_answer
from voxengine.testing.emulators.openai.dialects import Dialect
from voxengine.testing.emulators.openai.settings import Settings

__all__ = ["Keys", "refusal"]

#: Ephemeral keys that are remembered; the oldest go first.
MAX_SECRETS = 1000
_SUBPROTOCOL = "openai-insecure-api-key."
#: By the code of a `Refuse`: the vendor's code, its kind of error, and its words.
_REFUSED = {
    "auth": ("invalid_api_key", "invalid_request_error", "Incorrect API key provided."),
    "forbidden": ("forbidden", "invalid_request_error", "This model is not available to you."),
    "not_found": ("model_not_found", "invalid_request_error", "The model does not exist."),
    "rate_limit": ("rate_limit_exceeded", "requests", "Rate limit reached. Try again later."),
    "quota": ("insufficient_quota", "insufficient_quota", "You exceeded your current quota."),
}
_SERVER_ERROR = ("server_error", "server_error", "The server had an error.")


class Keys:
    """The keys of one emulator.

    `ways` are those in which a key may be shown, None: the dialect's own. `key` is the one that does not expire.
    """

    def __init__(self, dialect: Dialect, ways: tuple[str, ...] | None, key: str) -> None:
        self.ways = dialect.auth if ways is None else ways
        self._dialect = dialect
        self._key = key
        #: Ephemeral keys: the loop's time at which each expires, and the settings that it brings.
        self._made: dict[str, tuple[float, dict[str, Any] | None]] = {}

    def shown(self, request: Request) -> str | None:
        """The key that a request shows, in one of the ways that this vendor takes."""
        if "none" in self.ways:
            return self._key
        found: list[str | None] = []
        if "bearer" in self.ways:
            found.append(request.bearer)
        if "header" in self.ways:
            found.append(request.headers.get(self._dialect.key_name))
        if "query" in self.ways:
            found.append(request.query.get(self._dialect.key_name))
        if "subprotocol" in self.ways:
            offered = request.subprotocols
            found += [n.removeprefix(_SUBPROTOCOL) for n in offered if n.startswith(_SUBPROTOCOL)]
        return next((token for token in found if token), None)

    def known(self, token: str | None) -> tuple[bool, dict[str, Any] | None]:
        """Whether a key opens a session, and the settings that it brings."""
        if token is None:
            return False, None
        if self._is_lasting(token):
            return True, None
        until, first = self._made.get(token, (0.0, None))
        return until > asyncio.get_running_loop().time(), first

    def _is_lasting(self, token: str) -> bool:
        return secrets.compare_digest(token.encode(), self._key.encode())

    def unauthorised(self, token: str | None) -> Answer:
        """The answer to a key that opens nothing, or to none."""
        if self._dialect.name == "azure":
            text = "Access denied due to invalid subscription key or wrong API endpoint."
            return json_answer(401, {"error": {"code": "401", "message": text}})
        text = "Incorrect API key provided." if token else "Missing bearer authentication in header"
        return json_answer(401, http_error("invalid_request_error", "invalid_api_key", text))

    def answer(self, request: Request, settings_of: Callable[[str, str, str], Settings]) -> Answer:
        """The answer to a request for an ephemeral key. `settings_of` makes settings of (kind, model, id)."""
        if request.method != "POST":
            text = f"Not allowed to {request.method} on {request.path}."
            error = http_error("invalid_request_error", "method_not_supported", text)
            return json_answer(405, error)
        token = self.shown(request)
        if token is None or not self._is_lasting(token):
            return self.unauthorised(token)
        try:
            seconds, first = _request(request.body)
            kind = (first or {}).get("type", "realtime")
            model = (first or {}).get("model") or self._dialect.default_model or "gpt-realtime"
            settings = settings_of(kind, model, f"sess_{secrets.token_hex(8)}")
            if first is not None:
                settings.update(first, has_spoken=False)
        except Complaint as complaint:
            body = http_error(complaint.kind, complaint.code, str(complaint))
            body["error"]["param"] = complaint.param
            return json_answer(400, body)
        value = f"ek_{secrets.token_hex(16)}"
        while len(self._made) >= MAX_SECRETS:
            del self._made[next(iter(self._made))]
        self._made[value] = (asyncio.get_running_loop().time() + seconds, first)
        until = int(Clock().wall() + seconds)
        return json_answer(200, {"value": value, "expires_at": until, "session": settings.wire()})


def refusal(fault: Refuse) -> Answer | None:
    """The answer to a handshake that a fault refuses; None resets the connection."""
    status = REFUSALS.get(fault.code, 500)
    if status is None:
        return None
    code, kind, text = _REFUSED.get(fault.code, _SERVER_ERROR)
    wait = fault.retry_after
    if wait is None and fault.code == "rate_limit":
        wait = 1.0
    headers = {} if wait is None else {"Retry-After": f"{wait:g}"}
    return json_answer(status, http_error(kind, code, text), headers)


def _request(body: bytes) -> tuple[float, dict[str, Any] | None]:
    """The seconds that an ephemeral key is asked for, and the session that it shall open.

    Raises:
        Complaint: it is no such request.
    """
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        raise Complaint("We could not parse the JSON body of your request.") from None
    if not isinstance(value, dict) or set(value) - {"expires_after", "session"}:
        raise Complaint("The body has expires_after and session.", "unknown_parameter")
    after = value.get("expires_after") or {}
    if not isinstance(after, dict):
        raise Complaint("expires_after is an object.", "invalid_type", "expires_after")
    seconds = after.get("seconds", 600)
    if not isinstance(seconds, int) or not 10 <= seconds <= 7200:
        raise Complaint(
            "expires_after.seconds is 10 to 7200.", "invalid_value", "expires_after.seconds"
        )
    if set(after) - {"anchor", "seconds"} or after.get("anchor", "created_at") != "created_at":
        raise Complaint("expires_after.anchor is created_at.", "invalid_value", "expires_after")
    session = value.get("session")
    if session is not None and not isinstance(session, dict):
        raise Complaint("session is an object.", "invalid_type", "session")
    return float(seconds), session
