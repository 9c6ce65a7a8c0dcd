"""How calls end, in a word."""

from __future__ import annotations

from voxengine.gateway.call import CLIENT_LEFT, GOING_AWAY, Call

__all__ = ["outcome_of"]


def outcome_of(call: Call) -> str:
    """How a call that is over has ended.

    "completed": somebody hung up. "abandoned": its client was cut off and did not come back. "interrupted": the gateway
    went away, and the call may be resumed. "failed": it could not go on.
    """
    if call.close_code == GOING_AWAY:
        return "interrupted"
    if call.close_code != 1000:
        return "failed"
    return "abandoned" if call.reason == CLIENT_LEFT else "completed"
