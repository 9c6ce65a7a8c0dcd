"""When a connection is replaced that the vendor would end."""

from __future__ import annotations

import msgspec
import pytest

from tests.session.driver import SERVER_VAD, Driver
from voxengine import events as ev
from voxengine.session import effects as fx
from voxengine.session.rotation import Rotation


def hour() -> Rotation:
    return Rotation(opened_at=100.0, limit=3600.0, margin=300.0)


def test_a_quiet_moment_is_taken_from_the_margin_on() -> None:
    rotation = hour()
    assert rotation.next_look == 3400
    assert not rotation.wanted(3399.9, quiet=True, answering=False)
    assert not rotation.wanted(3400, quiet=False, answering=False)
    assert rotation.wanted(3400, quiet=True, answering=False)
    assert not rotation.wanted(3401, quiet=True, answering=False), "it is under way"


def test_the_last_half_minute_waits_for_answers_only() -> None:
    rotation = hour()
    assert not rotation.wanted(3669.9, quiet=False, answering=False)
    assert not rotation.wanted(3670, quiet=False, answering=True)
    assert rotation.wanted(3690, quiet=False, answering=False)


@pytest.mark.parametrize(
    ("limit", "margin", "due", "forced"),
    [(60, 300, 40, 50), (480, 300, 320, 450), (3600, 10, 3590, 3595), (3600, 0, 3600, 3600)],
)
def test_the_margin_is_at_most_a_third(
    limit: float, margin: float, due: float, forced: float
) -> None:
    rotation = Rotation(0.0, limit, margin)
    assert rotation.next_look == due
    assert rotation.look_again(due) == (forced if forced > due else None)
    assert rotation.look_again(forced) is None


def test_what_failed_is_tried_again() -> None:
    rotation = hour()
    assert rotation.wanted(3400, quiet=True, answering=False)
    assert rotation.failed(3410) == 3425
    assert not rotation.wanted(3424, quiet=True, answering=False)
    assert rotation.wanted(3425, quiet=True, answering=False)
    assert rotation.failed(3426, busy=True) == 3427


def test_the_core_asks_for_it_once_and_at_a_quiet_moment() -> None:
    minute = msgspec.structs.replace(SERVER_VAD, max_connection_seconds=60)
    d = Driver()
    d.give(fx.Attached("vendor", minute, opened_at=d.now))
    d.wait(39)
    d.user_says()
    d.wait(5)
    assert not d.of(fx.Rotate), "an answer is due"
    d.answer(ms=1000)
    assert not d.of(fx.Rotate), "it is being heard"
    d.wait(1.1)
    assert len(d.of(fx.Rotate)) == 1
    d.give(ev.TimingStage(stage="x"), 1)
    assert len(d.of(fx.Rotate)) == 1
    d.give(fx.RotationFailed())
    d.wait(3)
    assert len(d.of(fx.Rotate)) == 2


def test_a_lost_connection_is_not_replaced_by_plan() -> None:
    d = Driver(recovers=True)
    minute = msgspec.structs.replace(SERVER_VAD, max_connection_seconds=60)
    d.give(fx.Attached("vendor", minute, opened_at=d.now))
    d.wait(30)
    d.give(ev.ConnectionLost())
    d.wait(60)
    assert not d.of(fx.Rotate)
    assert "rotation" not in d.timers
