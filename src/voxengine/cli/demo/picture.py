"""The latency waterfall as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxengine.cli.conversation.figures import STAGES, Turn
from voxengine.cli.conversation.waterfall import COLOURS, segments
from voxengine.errors import MissingDependencyError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_waterfall"]

_INK = "#333333"
_PALE = "#8a8a8a"
#: A stage narrower than this part of the axis is not labelled inside its bar.
_NARROW = 0.055


def draw_waterfall(turns: Sequence[Turn], path: Path, subtitle: str = "") -> None:
    """Draw a row for each turn, a coloured bar for each stage, on one axis of milliseconds.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        OSError: the file cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as missing:
        raise MissingDependencyError("the picture of the waterfall", "demo") from missing
    # Without pyplot, which would look for a screen and keep every figure.
    figure = Figure(figsize=(11, 2.2 + 1.15 * max(1, len(turns))), dpi=120, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.2, h_pad=0.2)  # type: ignore[union-attr,call-arg]
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    longest = max((end for turn in turns for _, _, end in segments(turn)), default=100.0)
    axes.set_xlim(0, longest * 1.14)
    for row, turn in enumerate(turns):
        _draw_turn(axes, row, turn, longest)
    _dress(axes, len(turns))
    _head(axes, subtitle)
    figure.savefig(path)


def _draw_turn(axes: Axes, row: int, turn: Turn, longest: float) -> None:
    end = 0.0
    for name, begin, end in segments(turn):
        width = end - begin
        axes.barh(row, width, left=begin, height=0.38, color=COLOURS[name][1], edgecolor="white")
        if width >= longest * _NARROW:
            middle = (begin + end) / 2
            style: dict[str, Any] = {
                "ha": "center",
                "va": "center",
                "color": "white",
                "fontweight": "bold",
            }
            axes.text(middle, row, f"{width:.0f}", fontsize=9.5, **style)
    total: dict[str, Any] = {"va": "center", "fontsize": 12, "fontweight": "bold", "color": _INK}
    axes.text(end + longest * 0.012, row, f"{end:.0f} ms", **total)
    words = f"“{turn.user_text}”" if turn.user_text else "(speech)"
    axes.text(0, row - 0.25, f"{row + 1}.  {words}", va="bottom", fontsize=11, color=_INK)
    moments = [
        f"{label} at {value:.0f}"
        for name, label in STAGES.items()
        if (value := getattr(turn.metrics, name)) is not None
    ]
    axes.text(0, row + 0.24, "  ·  ".join(moments), va="top", fontsize=8.5, color=_PALE)


def _dress(axes: Axes, rows: int) -> None:
    axes.set_ylim(rows - 0.5, -0.6)
    axes.set_yticks([])
    axes.set_xlabel("milliseconds after the end of the caller's speech", color=_INK, fontsize=10.5)
    axes.tick_params(axis="x", colors=_INK)
    axes.grid(axis="x", color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#bbbbbb")


def _head(axes: Axes, subtitle: str) -> None:
    """Title, subtitle and legend, one above the other."""
    from matplotlib.patches import Patch

    title = "From the end of the caller's speech to the first audible sample"
    axes.set_title(title, loc="left", pad=52, fontsize=14, fontweight="bold", color=_INK)
    place: dict[str, Any] = {
        "xycoords": "axes fraction",
        "textcoords": "offset points",
        "va": "bottom",
    }
    axes.annotate(subtitle, (0, 1), (0, 34), fontsize=10, color=_PALE, **place)
    handles = [Patch(color=COLOURS[name][1], label=label) for name, label in STAGES.items()]
    style: dict[str, Any] = {
        "frameon": False,
        "fontsize": 9.5,
        "handlelength": 1.1,
        "borderaxespad": 0.4,
    }
    axes.legend(
        handles=handles, ncols=len(handles), loc="lower left", bbox_to_anchor=(-0.01, 1.0), **style
    )
