"""The judge of OpenAI's Live API: the types of the `openai` package, 15 events of the client and 28 of the server."""

from __future__ import annotations

from functools import cache

from voxengine.testing.oracles.judge import Judge, Vocabulary
from voxengine.testing.oracles.vendor import models_by_type, vendor_module

__all__ = ["live_judge"]


def live_judge() -> Judge:
    """A judge of one connection of the Live API.

    Raises:
        MissingVendorTypesError: the `openai` package is missing, or too old to know the Live API.
    """
    client, server = _vocabularies()
    return Judge(client=client, server=server)


@cache
def _vocabularies() -> tuple[Vocabulary, Vocabulary]:
    live = vendor_module("openai.types.live", package="openai", feature="judging the Live API")
    return (
        Vocabulary(models=models_by_type(live.ClientEvent)),
        Vocabulary(models=models_by_type(live.ServerEvent)),
    )
