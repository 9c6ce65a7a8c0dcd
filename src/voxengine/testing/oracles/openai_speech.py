"""The judge of OpenAI's text to speech: `openai.types.audio.SpeechCreateParams`, of which unknown fields are wrong.

The answer is audio, which has no type.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from voxengine.testing.oracles.vendor import vendor_module

__all__ = ["speech_problems"]


def speech_problems(body: bytes) -> list[str]:
    """What is wrong with the body of a request.

    Raises:
        MissingVendorTypesError: the `openai` package is missing.
    """
    from pydantic import ValidationError

    try:
        _adapter().validate_json(body, strict=True)
    except ValidationError as refusal:
        errors = refusal.errors(include_url=False, include_input=False)
        return [f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in errors]
    return []


@cache
def _adapter() -> Any:
    from pydantic import ConfigDict, TypeAdapter, with_config

    module = vendor_module(
        "openai.types.audio.speech_create_params",
        package="openai",
        feature="judging OpenAI's text to speech",
    )
    closed: Any = with_config(ConfigDict(extra="forbid"))
    return TypeAdapter(closed(module.SpeechCreateParams))
