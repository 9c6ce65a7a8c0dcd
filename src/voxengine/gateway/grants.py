"""What a caller may do: the outcome of looking at a key or a client secret."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from voxengine.gateway.refusal import Refused

__all__ = ["Grant", "Scope"]


class Scope(StrEnum):
    """What a key is for: hold calls, watch them, change them and the gateway."""

    TALK = "talk"
    OBSERVE = "observe"
    OPERATE = "operate"


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """A caller who was let in. Holds no secret, so it may be logged."""

    #: The id of the key; "anyone" where none is configured.
    key_id: str
    scopes: frozenset[Scope] = frozenset(Scope)
    #: Routes and models that may be called; None: all.
    routes: tuple[str, ...] | None = None
    #: What is left to be spent by one call, in US dollars, and the seconds that it may last; None: any.
    max_cost: float | None = None
    max_duration: float | None = None
    #: The id of the client secret, where it came with one, and the session that this was made for (OpenAI's form).
    secret_id: str | None = None
    session: dict[str, Any] | None = None

    def need(self, scope: Scope) -> None:
        """Raise, if it is not for that.

        Raises:
            Refused: 403.
        """
        if scope not in self.scopes:
            raise Refused(
                403,
                "insufficient_scope",
                f"this key is not for that: it lacks the scope {scope.value!r}",
                "permission_error",
            )

    def need_route(self, route: str) -> None:
        """Raise, if it is for other routes.

        Raises:
            Refused: 403.
        """
        if self.routes is not None and route not in self.routes:
            raise Refused(
                403,
                "route_not_allowed",
                f"this key may not call {route!r}; it may call {', '.join(self.routes) or 'none'}",
                "permission_error",
            )
