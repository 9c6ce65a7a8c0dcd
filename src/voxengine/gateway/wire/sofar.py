"""What a client is told of a response that began before it came."""

from __future__ import annotations

from voxengine.conversation import Conversation, Item
from voxengine.events import FunctionInvoked, TextOutput
from voxengine.gateway.wire.functions import Functions
from voxengine.gateway.wire.response import Response

__all__ = ["tell_so_far"]


def tell_so_far(
    response: Response, response_id: str, log: Conversation, functions: Functions
) -> None:
    """Tell of its items, with their words so far, and of the calls that the client has yet to answer.

    `response_id` is the engine's. What of its audio is over is not said again.
    """
    for item in [item for item in log if item.response_id == response_id]:
        if item.kind == "message":
            response.begin(item.id, response_id)
            response.words(TextOutput(text=item.text, item_id=item.id, response_id=response_id))
            if item.status == "completed":
                response.end_message("completed")
        elif item.kind == "function_call" and not _has_output(item, log):
            call = FunctionInvoked(
                call_id=item.call_id or "",
                name=item.name or "",
                arguments=item.arguments or "",
                response_id=response_id,
            )
            if functions.is_clients(call, item, response, log):
                response.call(item.id, call.call_id, call.name, call.arguments)


def _has_output(call: Item, log: Conversation) -> bool:
    return any(i.kind == "function_output" and i.call_id == call.call_id for i in log)
