"""The conformance suite of the gateway: what a client of OpenAI's Realtime wire gets, whatever provider is behind it.

Each check starts a gateway on a port of this machine with one provider behind it, talks to it through a plain WebSocket
as any client would, and looks at the effect: in what the client is told, in the log, and in what the model knows. Each
event is judged by the types that OpenAI publishes. Run them with `run_gateway_conformance`, or on the command line with
`voxengine conformance NAME --gateway`.
"""

from voxengine.testing.conformance.gateway.checks import GatewayCheck, gateway_checks
from voxengine.testing.conformance.gateway.report import GatewayReport, GatewayResult, table_of
from voxengine.testing.conformance.gateway.runner import run_gateway_check, run_gateway_conformance
from voxengine.testing.conformance.gateway.stands import Stand, stand_for

__all__ = [
    "GatewayCheck",
    "GatewayReport",
    "GatewayResult",
    "Stand",
    "gateway_checks",
    "run_gateway_check",
    "run_gateway_conformance",
    "stand_for",
    "table_of",
]
