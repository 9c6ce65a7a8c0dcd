"""One call from its number to its verdict, on a virtual clock of its own."""

from __future__ import annotations

import asyncio
import logging
import random
import time

import msgspec

from chaos.caller import Caller
from chaos.far_side import ChaosMock, FarSide
from chaos.laws import judge
from chaos.listener import Listener
from chaos.plan import Plan
from chaos.record import Record
from voxengine.audio.formats import AudioFormat
from voxengine.testing.clock import DeadlockError, TimeLimitError, VirtualClockLoop
from voxengine.testing.leaks import find_leaks, settle

__all__ = ["Outcome", "run"]

#: Seconds that a call may last by its own clock, and by the real one.
MAX_VIRTUAL = 1800.0
MAX_REAL = 30.0


class Outcome(msgspec.Struct):
    """What came of a call. `seconds` are real, `virtual_s` those of its clock."""

    seed: int
    emulated: bool
    violations: dict[str, list[str]]
    told: dict[str, int]
    seconds: float
    virtual_s: float
    turns: int
    #: The whole call in lines, where it was asked for.
    trace: list[str] = []


class _Errors(logging.Handler):
    """Collects what is logged as an error: a handler or a task that failed and was not waited for."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        words = record.getMessage()
        failure = record.exc_info[1] if record.exc_info else None
        self.found.append(f"{words} ({failure!r})" if failure is not None else words)


def run(
    plan: Plan,
    *,
    trace: bool = False,
    mock: type[ChaosMock] = ChaosMock,
    listener: type[Listener] = Listener,
) -> Outcome:
    """Hold the call of a plan, and judge it. `mock` and `listener` are other ones, to see what is found of them."""
    random.seed(plan.seed)  # the engine's own pauses are cut by chance
    began, errors = time.monotonic(), _Errors()
    loggers = [logging.getLogger(name) for name in ("voxengine", "asyncio")]
    held: list[Caller] = []

    async def main() -> None:
        record = Record()
        async with FarSide(plan, mock) as far:
            caller = Caller(plan, far, record, listener(AudioFormat()))
            held.append(caller)
            await caller.hold()

    for logger in loggers:
        logger.addHandler(errors)
    leaks: list[str] = []
    stuck: str | None = None
    ended_at = 0.0
    try:
        with asyncio.Runner(loop_factory=_make_loop) as runner:
            try:
                runner.run(main())
                runner.run(settle())
                leaks = find_leaks(runner.get_loop())
            except (DeadlockError, TimeLimitError) as failure:
                stuck = str(failure)
            ended_at = runner.get_loop().time()
    finally:
        for logger in loggers:
            logger.removeHandler(errors)
    caller = held[0]
    record = caller.record
    if stuck is not None:
        record.hung.append(stuck)
    record.crashed += errors.found
    verdict = judge(record, caller.engine.conversation, caller.listener, leaks)
    return Outcome(
        seed=plan.seed,
        emulated=plan.emulated,
        violations=verdict.violations,
        told=dict(verdict.told),
        seconds=round(time.monotonic() - began, 4),
        virtual_s=round(ended_at, 3),
        turns=len(record.said),
        trace=[*record.lines(), *_log(caller)] if trace else [],
    )


def _make_loop() -> VirtualClockLoop:
    return VirtualClockLoop(max_virtual=MAX_VIRTUAL, max_real=MAX_REAL)


def _log(caller: Caller) -> list[str]:
    return [f"log      {line}" for line in caller.engine.conversation.transcript().splitlines()]
