"""The judges of Deepgram: the types of the `deepgram-sdk` package, of the agent and of each interface for speech."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from voxengine.testing.oracles.exceptions import Exceptions, OtherValue
from voxengine.testing.oracles.judge import Judge, Vocabulary
from voxengine.testing.oracles.vendor import vendor_module

__all__ = ["SPEECH", "agent_judge", "speech_judge"]

#: What a client may send, by interface: the class of each type, where it is not told by the class itself.
_AGENT = (
    "Settings",
    "UpdateListen",
    "UpdateThink",
    "UpdateThinkLive",
    "UpdateSpeak",
    "UpdatePrompt",
    "InjectUserMessage",
    "InjectAgentMessage",
    "SendFunctionCallResponse",
    "ForceEndTurn",
    "KeepAlive",
)
#: Interfaces for speech: what a client may send on each.
SPEECH = {
    "listen.v1": ("Configure", "Finalize", "CloseStream", "KeepAlive"),
    "listen.v2": ("Configure", "ForceEndTurn", "CloseStream"),
    "speak.v1": ("Text", "Flush", "Clear", "Close"),
    "speak.v2": ("Speak", "Flush", "Interrupt", "Configure", "Close"),
}
#: Classes whose `type` is declared as any of several: each is of one.
_OF_ONE = {
    "Finalize": "Finalize",
    "CloseStream": "CloseStream",
    "KeepAlive": "KeepAlive",
    "Flush": "Flush",
    "Clear": "Clear",
    "Close": "Close",
    "Flushed": "Flushed",
    "Cleared": "Cleared",
}

_EXCEPTIONS = Exceptions(
    dialect="deepgram",
    fields=tuple(
        OtherValue(
            events=("Settings", "UpdateSpeak"),
            path=path,
            reason="the voices of Flux are newer than the package's list of models",
            shape=Annotated[str, msgspec.Meta(pattern="^flux-[a-z]+-[a-z]+$")],
            stands_in="aura-2-thalia-en",
        )
        for path in ("agent.speak.provider.model", "speak.provider.model")
    ),
)


def agent_judge() -> Judge:
    """A judge of one conversation with the Voice Agent.

    Raises:
        MissingVendorTypesError: the `deepgram-sdk` package is missing.
    """
    client, server = _vocabularies("agent.v1")
    return Judge(client=client, server=server, exceptions=_EXCEPTIONS)


def speech_judge(interface: str) -> Judge:
    """A judge of one of `SPEECH`: "listen.v2", "speak.v1", ...

    Raises:
        MissingVendorTypesError: the `deepgram-sdk` package is missing.
    """
    client, server = _vocabularies(interface)
    return Judge(client=client, server=server)


@cache
def _vocabularies(interface: str) -> tuple[Vocabulary, Vocabulary]:
    def module(name: str) -> Any:
        place = f"deepgram.{interface}.{name}"
        with warnings.catch_warnings():
            # The package uses a part of its WebSocket library that is no longer to be used.
            warnings.simplefilter("ignore", DeprecationWarning)
            return vendor_module(place, package="deepgram-sdk", feature="judging Deepgram")

    prefix = "".join(part.capitalize() for part in interface.split("."))
    names = SPEECH.get(interface, _AGENT)
    types = module("types")
    client = [getattr(types, f"{prefix}{name}") for name in names]
    answers = getattr(module("socket_client"), f"{prefix[-2:]}SocketClientResponse")
    return (
        Vocabulary(models=_by_type(client, prefix)),
        Vocabulary(models=_by_type(_members(answers), prefix)),
    )


def _members(union: Any) -> Iterable[Any]:
    """The messages that a server may send; audio is none."""
    for member in get_args(union):
        if get_origin(member) is Union:
            yield from _members(member)
        elif member is not bytes:
            yield member


def _by_type(models: Iterable[Any], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for model in models:
        one = _OF_ONE.get(model.__name__.removeprefix(prefix))
        kinds = (one,) if one is not None else get_args(model.model_fields["type"].annotation)
        for kind in kinds:
            # Of two forms of one type the first counts: History of words, and of calls.
            found.setdefault(kind, model)
    return found
