"""Where a request shows who it comes from, and what does not count as showing it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from voxengine.gateway.refusal import Refused

__all__ = ["SUBPROTOCOL", "credential_of", "lowered", "unauthorised"]

#: Browsers cannot send headers of their own with a WebSocket, so OpenAI's clients put the key into a subprotocol.
SUBPROTOCOL = "openai-insecure-api-key."
#: No credential of ours is longer, and nothing that is gets looked at.
_LONGEST = 128
#: Headers that decide who gets in. Which of two would count is a matter of taste, and so of attacks.
_ONCE = frozenset({"authorization", "api-key", "host", "origin"})
#: Names under which people put keys into the address.
_IN_ADDRESS = frozenset({"api-key", "api_key", "apikey", "key", "token", "access_token"})


def lowered(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers by their names in lower case.

    Raises:
        Refused: 400: one that decides who gets in is given twice, or has control characters in it.
    """
    items: Iterable[tuple[str, str]] = headers.items()
    found: dict[str, str] = {}
    for name, value in items:
        name = name.lower()
        if name in _ONCE and (name in found or not (value.isascii() and value.isprintable())):
            raise Refused(400, "invalid_header", f"the header {name!r} is not as it has to be")
        found[name] = value
    return found


def credential_of(
    headers: Mapping[str, str], query: Mapping[str, str], subprotocols: Sequence[str]
) -> str | None:
    """The key or the client secret that a request shows; None: it shows none. `headers` are in lower case.

    It is looked for in `Authorization: Bearer`, in `api-key` (Azure's clients) and in the subprotocol. Never in the
    address: that is written into logs and histories.

    Raises:
        Refused: 401: several are shown that are not the same, or it is in none of our places.
    """
    shown: set[str] = set()
    authorization = headers.get("authorization")
    if authorization is not None:
        scheme, _, bearer = authorization.strip().partition(" ")
        if scheme.lower() != "bearer" or not bearer.strip():
            raise unauthorised("The header 'Authorization' has to be: Bearer, and the key.")
        shown.add(bearer.strip())
    if "api-key" in headers:
        shown.add(headers["api-key"].strip())
    shown |= {n.removeprefix(SUBPROTOCOL) for n in subprotocols if n.startswith(SUBPROTOCOL)}
    if len(shown) > 1:
        raise unauthorised("The request shows several keys that are not the same.")
    if not shown and any(name.lower() in _IN_ADDRESS for name in query):
        raise unauthorised("A key is not taken from the address, which gets logged: use a header.")
    token = shown.pop() if shown else None
    if token is not None and len(token) > _LONGEST:
        raise unauthorised()
    return token


def unauthorised(message: str = "Incorrect API key provided.") -> Refused:
    """The refusal of whoever cannot say who it is. It never repeats what was shown."""
    return Refused(401, "invalid_api_key", message)
