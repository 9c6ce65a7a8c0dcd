"""The judge of Amazon Polly's requests: the service model that ships with `botocore`, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from voxengine.testing.oracles.vendor import vendor_module

__all__ = ["PollyJudge"]

OPERATION = "SynthesizeSpeech"


class PollyJudge:
    """Judges requests and answers.

    Raises:
        MissingVendorTypesError: `botocore` is not there.
    """

    oracle = "vendor types"

    def __init__(self) -> None:
        self._model = _model()
        self.violations: list[str] = []

    def client(self, message: Any) -> list[str]:
        """What is wrong with the body of a request."""
        validate = vendor_module("botocore.validate", package="botocore", feature="judging Polly")
        try:
            plain = message if isinstance(message, Mapping) else msgspec.json.decode(message)
        except msgspec.DecodeError:
            return self._keep("client", ["the body: not JSON"])
        shape = self._model.operation_model(OPERATION).input_shape
        report = validate.ParamValidator().validate(plain, shape).generate_report()
        problems = [line for line in report.splitlines() if line]
        for name, value in plain.items():
            allowed = getattr(shape.members.get(name), "enum", None)
            if allowed and value not in allowed:
                problems.append(f"{name}: {value!r} is none of its values")
        return self._keep("client", problems)

    def server(self, message: Any) -> list[str]:
        """What is wrong with the head of an answer: {"status": ..., "headers": {...}, "error": NAME or None}."""
        operation = self._model.operation_model(OPERATION)
        known = {shape.name for shape in operation.error_shapes}
        if message["error"] is not None:
            # Every service of Amazon's has these, too; no service model lists them.
            common = {"UnrecognizedClientException", "AccessDeniedException"}
            common |= {"ThrottlingException", "InternalFailure"}
            wrong = [] if message["error"] in known | common else [f"error: {message['error']}"]
            return self._keep("server", wrong)
        headers = {
            member.serialization["name"].lower()
            for member in operation.output_shape.members.values()
            if member.serialization.get("location") == "header"
        }
        sent = {name.lower() for name in message["headers"]}
        return self._keep("server", [f"{name}: unknown header" for name in sorted(sent - headers)])

    def _keep(self, side: str, problems: list[str]) -> list[str]:
        self.violations += [f"{side}: {problem}" for problem in problems]
        return problems


@cache
def _model() -> Any:
    session = vendor_module("botocore.session", package="botocore", feature="judging Polly")
    return session.Session().get_service_model("polly")
