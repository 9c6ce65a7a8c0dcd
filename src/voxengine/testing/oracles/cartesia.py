"""The judge of Cartesia's text to speech: the types of the `cartesia` package, 2 messages of the client, 6 of its own.

A message of the client has no type: one with `cancel` cancels, any other is an input. The vendor's types leave two
things open that its documents do not: the models and the languages, which may be any text.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import msgspec

from voxengine.testing.oracles.judge import Judge, Message, Vocabulary
from voxengine.testing.oracles.vendor import models_by_type, vendor_module

__all__ = ["CartesiaJudge", "cartesia_judge"]

#: What the two messages of the client are called in counts and reports.
INPUT, CANCEL = "input", "cancel"


class CartesiaJudge(Judge):
    """Judges one connection."""

    oracle = "cartesia.types"

    def client(self, message: Message) -> list[str]:
        """What is wrong with a message of the client, which is told apart by its fields."""
        try:
            raw = msgspec.json.encode(message) if isinstance(message, Mapping) else message
            plain = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            plain = None
        if not isinstance(plain, dict) or "type" in plain:
            return super().client(plain if isinstance(plain, dict) else b"")
        kind = CANCEL if "cancel" in plain else INPUT
        # Put in for the judging alone.
        return super().client({**plain, "type": kind})

    def _problems(
        self, side: str, vocabulary: Vocabulary, kind: str, message: Message
    ) -> list[str]:
        if side == "client" and isinstance(message, Mapping):
            message = {name: value for name, value in message.items() if name != "type"}
        return super()._problems(side, vocabulary, kind, message)


def cartesia_judge() -> CartesiaJudge:
    """A judge of one connection.

    Raises:
        MissingVendorTypesError: the `cartesia` package is missing.
    """
    client, server = _vocabularies()
    return CartesiaJudge(client=client, server=server)


@cache
def _vocabularies() -> tuple[Vocabulary, Vocabulary]:
    feature = "judging Cartesia"
    sent = vendor_module(
        "cartesia.types.websocket_client_event", package="cartesia", feature=feature
    )
    told = vendor_module("cartesia.types.websocket_response", package="cartesia", feature=feature)
    client = {INPUT: sent.GenerationRequest, CANCEL: sent.CancelContextRequest}
    return Vocabulary(models=client), Vocabulary(models=models_by_type(told.WebsocketResponse))
