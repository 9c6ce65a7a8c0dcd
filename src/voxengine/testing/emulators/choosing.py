"""Which calls of a script's reply a model may make: those of tools that it was given."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from voxengine.providers.mock.script import Reply, ToolUse

__all__ = ["allowed"]


def allowed(
    reply: Reply, names: Collection[str], *, choice: str = "auto", parallel: bool = True
) -> Reply:
    """The reply, with calls only of the tools of these names.

    `choice` is auto, none, required, or the name of the one tool that has to be called.
    """
    if choice not in ("auto", "none", "required"):
        kept = tuple(use for use in reply.tools if use.name == choice)
        return msgspec.structs.replace(reply, text="", tools=kept or (ToolUse(choice),))
    if choice == "required" and not reply.tools and names:
        return msgspec.structs.replace(reply, text="", tools=(ToolUse(next(iter(names))),))
    kept = tuple(use for use in reply.tools if use.name in names and choice != "none")
    text = reply.text
    if reply.tools and not kept and not text:
        text = f"I have no tool called {reply.tools[0].name}."
    then = reply.then
    if len(kept) > 1 and not parallel:
        # One at a time: what follows the first result is the call of the next.
        rest = [{"name": use.name, "arguments": use.arguments} for use in kept[1:]]
        kept, then = kept[:1], {"tools": rest, "then": then}
    return msgspec.structs.replace(reply, text=text, tools=kept, then=then)
