"""Who may see and do what with a call.

With the scope "observe" a caller sees all calls, with "operate" it changes them. With "talk" it sees and changes its
own: those of its key, and where it came with a client secret, those of that secret. Of others it is told nothing, not
even that there are any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import Request

from voxengine.gateway.call import Call
from voxengine.gateway.grants import Grant, Scope
from voxengine.gateway.refusal import Refused

if TYPE_CHECKING:
    from voxengine.gateway.gateway import Gateway

__all__ = ["accessible", "admitted", "owns"]


def admitted(gateway: Gateway, request: Request, scope: Scope | None = None) -> Grant:
    """Whom the request comes from. Without a scope, any key will do.

    Raises:
        Refused: it is not let in, or lacks the scope.
    """
    return gateway.gatekeeper.admit(
        request.headers,
        query=request.query_params,
        address=request.client.host if request.client is not None else "",
        scope=scope,
    )


def accessible(
    gateway: Gateway, request: Request, call_id: str, scope: Scope
) -> tuple[Call, Grant]:
    """A live call, for a caller who has this scope, or whose own call it is.

    Raises:
        Refused: it is not let in; 403 it may not do that; 404 there is no such call, or not for it.
    """
    grant = admitted(gateway, request)
    call = gateway.calls.get(call_id)
    sees = grant.scopes & {Scope.OBSERVE, Scope.OPERATE}
    mine = call is not None and owns(grant, call)
    if not sees and Scope.TALK not in grant.scopes:
        grant.need(scope)
    if call is None or not (mine or sees):
        raise Refused(404, "call_not_found", "There is no such live call.")
    if mine:
        # What its key may not call any more, it may not change either.
        grant.need_route(call.route.name)
    else:
        grant.need(scope)
    return call, grant


def owns(grant: Grant, call: Call) -> bool:
    """Whether it is the caller's own call."""
    return (
        Scope.TALK in grant.scopes
        and grant.key_id == call.grant.key_id
        and grant.secret_id in (None, call.grant.secret_id)
    )
