"""Opens the event stream of `InvokeModelWithBidirectionalStream`, by AWS's own library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from voxengine.errors import MissingDependencyError
from voxengine.net import Closed
from voxengine.providers.aws import sdk
from voxengine.providers.aws.access import Access, Option
from voxengine.providers.aws.failures import failure_of
from voxengine.providers.aws.stream import EventStream

__all__ = ["FEATURE", "check_library", "open_stream"]

FEATURE = "Nova Sonic"
_PACKAGE = "aws_sdk_bedrock_runtime"


def check_library() -> None:
    """Find out whether AWS's library is there.

    Raises:
        MissingDependencyError: it is not, or this Python is too old for it.
    """
    sdk.need(FEATURE, f"{_PACKAGE}.client")


async def open_stream(
    access: Access,
    model: str,
    option: Option,
    *,
    on_message: Callable[[memoryview], None],
    on_closed: Callable[[Closed, Exception | None], None],
    on_dropped: Callable[[int, int], None],
    provider: str,
) -> EventStream:
    """Begin a stream with a model; messages may be sent at once, before it was `answered`.

    `option` gives `endpoint`, `transport` and `ca_bundle`.

    Raises:
        MissingDependencyError: AWS's library is not there.
        ProviderError: the request could not be made.
    """
    client_of, models = (sdk.need(FEATURE, f"{_PACKAGE}.{name}") for name in ("client", "models"))
    config_of = sdk.need(FEATURE, f"{_PACKAGE}.config").AsyncBedrockRuntimeConfig
    transport = sdk.transport(option, FEATURE)
    config = await config_of.resolve(
        region=access.region,
        endpoint_uri=option("endpoint"),
        transport=transport,
        aws_credentials_identity_resolver=sdk.credentials(access, FEATURE),
    )
    client = client_of.AsyncBedrockRuntimeClient(config=config)
    chunk, part = (
        models.InvokeModelWithBidirectionalStreamInputChunk,
        models.BidirectionalInputPayloadPart,
    )

    def on_event(event: Any) -> None:
        payload = getattr(getattr(event, "value", None), "bytes_", None)
        if payload:
            on_message(memoryview(payload))

    try:
        stream = await client.invoke_model_with_bidirectional_stream(
            models.InvokeModelWithBidirectionalStreamOperationInput(model_id=model)
        )
    except MissingDependencyError:
        raise
    except Exception as failure:
        raise failure_of(failure, provider) from None
    return EventStream(
        stream,
        wrap=lambda message: chunk(value=part(bytes_=message)),
        on_event=on_event,
        on_closed=on_closed,
        on_dropped=on_dropped,
        provider=provider,
        done=transport.close,
    )
