"""How late the event loop is."""

from __future__ import annotations

import asyncio
import time

import pytest

from voxengine.gateway.lag import LoopLag


@pytest.mark.real_clock
async def test_a_loop_that_is_held_up_is_late():
    lag = LoopLag(interval=0.01, window=0.1)
    assert lag.percentile(99) == 0.0
    lag.start()
    lag.start()
    await asyncio.sleep(0.05)
    time.sleep(0.5)  # noqa: ASYNC251 - this is the fault
    await asyncio.sleep(0.02)

    assert lag.percentile(99) > 400
    assert lag.percentile(50) < 400
    # Only the last moments count.
    await asyncio.sleep(0.5)
    assert lag.percentile(99) < 400
    lag.stop()


@pytest.mark.real_clock
async def test_one_stall_is_not_a_loop_that_is_late():
    lag = LoopLag(interval=0.001, window=1.0)  # of a thousand readings ten may be worse
    lag.start()
    await asyncio.sleep(0.01)
    stalls = 0
    while lag.percentile(99) < 80:
        time.sleep(0.1)  # noqa: ASYNC251 - this is the fault
        stalls += 1
        await asyncio.sleep(0.002)
    lag.stop()

    assert 5 < stalls <= 11


async def test_a_loop_that_is_not_is_not():
    lag = LoopLag()
    lag.start()
    await asyncio.sleep(60)

    assert lag.percentile(99) < 1
    lag.stop()
    await asyncio.sleep(1)
