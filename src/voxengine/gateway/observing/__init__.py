"""What is seen of the gateway from outside: figures for Prometheus, the log of its calls, spans for OpenTelemetry."""

from voxengine.gateway.observing.observing import Observing

__all__ = ["Observing"]
