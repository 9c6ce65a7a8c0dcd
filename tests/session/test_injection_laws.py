"""Whatever happens in whatever order: each note ends once, the queue has bounds, the urgent goes first."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.session.test_injection import NOTES, Desk
from voxengine import events as ev
from voxengine.conversation.injection import QUEUE_LIMIT, Note
from voxengine.session import effects as fx

PROVIDERS = st.builds(
    lambda **fields: msgspec.structs.replace(NOTES, **fields),
    auto_response=st.booleans(),
    self_interrupting=st.booleans(),
    vad_events=st.booleans(),
    system_messages=st.booleans(),
    instructions_updatable=st.booleans(),
    response_on_request=st.booleans(),
    text_input=st.booleans(),
    say=st.booleans(),
    history=st.sampled_from(["none", "items", "prompt"]),
)
NOTE = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["system", "user", "assistant"]),
        "when": st.sampled_from(
            ["now", "next_turn", "before_response", "after_response", "on_silence"]
        ),
        "priority": st.integers(-2, 2),
        "ttl": st.none() | st.floats(0.1, 20),
        "key": st.none() | st.sampled_from("ab"),
        "speak": st.booleans(),
        "silence_s": st.floats(0.5, 10),
        "condition": st.sampled_from([None, lambda _: True, lambda _: False, lambda c: c[99]]),
    }
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), NOTE),
        st.tuples(st.just("many"), NOTE),
        st.tuples(st.just("wait"), st.floats(0, 30)),
        st.tuples(
            st.sampled_from(
                ["turn", "speech", "text", "answer", "broken", "ask", "interrupt", "say"]
            ),
            st.none(),
        ),
        st.tuples(
            st.sampled_from(["lose", "restore", "cancel", "take", "refuse", "slow"]), st.none()
        ),
        st.tuples(st.just("switch"), PROVIDERS),
    ),
    max_size=25,
)


class World(Desk):
    """A call in which anything may happen."""

    def __init__(self, capabilities: Any) -> None:
        super().__init__(capabilities, recovers=True)
        self.count = 0
        self.ids: list[str] = []

    def do(self, step: str, value: Any) -> None:
        self.count += 1
        getattr(self, f"_{step}")(value)

    def _put(self, options: dict[str, Any]) -> None:
        self.ids.append(f"n{len(self.ids)}")
        self.give(fx.Inject(Note(id=self.ids[-1], text=f"[{self.ids[-1]}]", **options)))

    def _many(self, options: dict[str, Any]) -> None:
        for _ in range(QUEUE_LIMIT // 2):
            self._put({**options, "key": None})

    def _wait(self, seconds: float) -> None:
        self.wait(seconds)

    def _turn(self, _: None) -> None:
        if self.core.connected:
            self.user_says(item=f"u{self.count}")

    def _speech(self, _: None) -> None:
        if self.core.connected:
            self.user_speaks(f"u{self.count}")

    def _text(self, _: None) -> None:
        if self.core.connected:
            self.give(fx.Text("hello"))

    def _answer(self, _: None) -> None:
        if self.core.connected:
            self.answer(ms=500, n=self.count)

    def _broken(self, _: None) -> None:
        if self.core.connected:
            self.answer(ms=500, n=self.count, done=False)

    def _ask(self, _: None) -> None:
        if self.core.connected:
            self.give(fx.CreateResponse())

    def _say(self, _: None) -> None:
        if self.core.connected:
            self.give(fx.Say("aloud"))

    def _interrupt(self, _: None) -> None:
        self.give(fx.Interrupt())

    def _lose(self, _: None) -> None:
        self.give(ev.ConnectionLost(code="closed", error="gone"))

    def _restore(self, _: None) -> None:
        if not self.core.connected:
            self.give(fx.Reattached("vendor", self.core.capabilities, "closed"))

    def _switch(self, capabilities: Any) -> None:
        self.give(fx.Attached(f"vendor{self.count}", capabilities))

    def _cancel(self, _: None) -> None:
        for id in self.ids[-2:]:
            self.give(fx.CancelInjection(id))

    def _slow(self, _: None) -> None:
        self.slow = not self.slow

    def _take(self, _: None) -> None:
        for id in list(self.core.notes.given):
            self.give(fx.NoteTaken(id))

    def _refuse(self, _: None) -> None:
        for id in list(self.core.notes.given):
            self.give(fx.NoteRefused(id, "no"))


@given(PROVIDERS, STEPS)
def test_each_note_ends_once_or_waits_within_bounds(capabilities: Any, steps: list[Any]):
    world = World(capabilities)
    for step, value in steps:
        world.do(step, value)
        notes = world.core.notes
        assert len(notes.queue) <= QUEUE_LIMIT
        waiting = {queued.note.id for queued in notes.queue} | set(notes.given)
        settled = [effect.result.injection_id for effect in world.of(fx.NoteSettled)]
        assert len(settled) == len(set(settled))
        assert waiting | set(settled) == set(world.ids)
        assert not waiting & set(settled)
        for queued in notes.queue:
            assert queued.expires_at is None or queued.expires_at > world.now
    in_log = [i for i in world.core.conversation if i.text.startswith("[n")]
    assert len({i.text for i in in_log}) == len(in_log)
    went_in = {
        effect.result.item_id
        for effect in world.of(fx.NoteSettled)
        if effect.result.status in ("applied", "degraded")
    }
    assert {i.id for i in in_log if i.status == "completed"} == went_in - {None}
    world.give(fx.Close())
    assert {effect.result.injection_id for effect in world.of(fx.NoteSettled)} == set(world.ids)


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), max_size=30))
def test_the_urgent_goes_first_and_then_the_old(notes: list[tuple[int, bool]]):
    d = Desk(msgspec.structs.replace(NOTES, auto_response=False))
    for number, (priority, speak) in enumerate(notes):
        d.put(f"{number}", when="next_turn", priority=priority, speak=speak)
    d.user_says()
    order = [(-notes[int(id)][0], int(id)) for id in d.given]
    assert order == sorted(order)
    assert len(order) == len(notes)
    assert len(d.of(fx.RequestResponse)) == 1


@given(PROVIDERS, STEPS)
def test_a_response_is_never_asked_for_while_one_is_under_way(capabilities: Any, steps: list[Any]):
    world = World(capabilities)
    for step, value in steps:
        if step in ("ask", "say", "text", "restore", "switch", "lose", "wait"):
            world.do(step, value)
            continue
        busy = world.core.replies.in_flight
        seen = len(world.of(fx.RequestResponse))
        world.do(step, value)
        if busy is not None and world.core.replies.in_flight is busy:
            assert len(world.of(fx.RequestResponse)) == seen
