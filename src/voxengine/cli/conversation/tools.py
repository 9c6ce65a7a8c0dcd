"""The tools that the assistant is offered in `talk` and `demo`: examples that only say what they would do."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from voxengine.engine import VoiceEngine

__all__ = ["Robot", "current_time", "offer_tools"]

#: Meters a second.
_SPEED = 0.5
_METERS = {
    "meters": 1.0,
    "centimeters": 0.01,
    "kilometers": 1000.0,
    "feet": 0.3048,
    "inches": 0.0254,
    "yards": 0.9144,
    "miles": 1609.344,
    "steps": 0.7,
}
_Direction = Literal["forward", "backward", "left", "right", "up", "down"]


@dataclass
class Robot:
    """A robot that only says what it would do, and remembers what it was told."""

    moves: list[dict[str, Any]] = field(default_factory=list)

    def move(self, direction: _Direction, distance: float, unit: str = "meters") -> dict[str, Any]:
        """Move the robot.

        Args:
            direction: forward, backward, left, right, up or down.
            distance: how far.
            unit: meters, centimeters, kilometers, feet, inches, yards, miles, steps or degrees.
        """
        if unit != "degrees" and unit not in _METERS:
            raise ValueError(
                f"I do not know the unit {unit!r}; I know {', '.join(_METERS)} and degrees"
            )
        self.moves.append({"direction": direction, "distance": distance, "unit": unit})
        if unit == "degrees":
            return {"action": "turn", "direction": direction, "degrees": distance}
        meters = distance * _METERS[unit]
        seconds = round(meters / _SPEED, 1)
        return {
            "action": "drive",
            "direction": direction,
            "meters": round(meters, 3),
            "seconds": seconds,
            "message": f"I will be there in {seconds:g} seconds.",
        }


def current_time() -> dict[str, str]:
    """Tell the present local time."""
    now = datetime.now().astimezone()
    return {"time": now.strftime("%H:%M"), "date": now.strftime("%A, %d %B %Y")}


def offer_tools(engine: VoiceEngine) -> Robot:
    """Offer the example tools to the assistant; returns the robot that the tool `move` moves."""
    robot = Robot()
    engine.tool(robot.move)
    # Under the name that the built-in script calls it by.
    engine.tool(name="get_time")(current_time)
    return robot
