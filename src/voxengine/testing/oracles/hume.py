"""The judge of Hume's EVI: the types of the `hume` package, 8 messages of the client and 12 of the server."""

from __future__ import annotations

from functools import cache

from voxengine.testing.oracles.judge import Judge, Vocabulary
from voxengine.testing.oracles.vendor import models_by_type, vendor_module

__all__ = ["evi_judge"]


def evi_judge() -> Judge:
    """A judge of one chat.

    Raises:
        MissingVendorTypesError: the `hume` package is missing.
    """
    client, server = _vocabularies()
    return Judge(client=client, server=server)


@cache
def _vocabularies() -> tuple[Vocabulary, Vocabulary]:
    def module(name: str) -> object:
        place = f"hume.empathic_voice.{name}"
        return vendor_module(place, package="hume", feature="judging Hume EVI")

    client = getattr(module("chat.types.publish_event"), "PublishEvent")  # noqa: B009 - no types of it
    server = getattr(module("types.subscribe_event"), "SubscribeEvent")  # noqa: B009
    return Vocabulary(models=models_by_type(client)), Vocabulary(models=models_by_type(server))
