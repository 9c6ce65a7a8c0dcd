"""What is told of a live call."""

from __future__ import annotations

from voxengine.clock import Clock
from voxengine.gateway.call import Call
from voxengine.gateway.http.shapes import CallView, CostView

__all__ = ["cost_view", "view"]

_SPEAKERS = {"listening": "user", "speaking": "assistant"}


async def view(call: Call) -> CallView:
    """The call as it is now."""
    engine = call.engine
    await engine.usage.settle()
    config, figures = engine.config, engine.get_metrics()
    return CallView.model_validate(
        {
            **figures,
            "id": call.id,
            "attached": call.attached,
            "speaker": _SPEAKERS.get(engine.state),
            "route": call.route.name,
            "model": config.model,
            "reconnecting": bool(engine.is_reconnecting),
            "wire": call.wire,
            "key_id": call.grant.key_id,
            "started_at": call.started_at,
            "duration_s": max(0.0, Clock().wall() - call.started_at),
            "items": len(engine.conversation),
            "cost": engine.usage.cost,
        }
    )


async def cost_view(call: Call) -> CostView:
    """What it has used and cost."""
    return CostView(call_id=call.id, **await call.engine.get_usage())
