"""How much of a conversation is told: trimmed by whole turns, tools with their results, notes first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxengine.conversation import Fitted, HistoryBudget, Item, as_prompt, fit, summary_item
from voxengine.conversation.history import CUT, bytes_of, tokens_of


def said(id: str, text: str, role: str = "") -> Item:
    who = role or {"u": "user", "a": "assistant", "s": "system"}[id[0]]
    return Item(id=id, role=who, text=text, status="completed")  # type: ignore[arg-type]


def call(n: int, arguments: str = "{}") -> Item:
    return Item(
        id=f"f{n}", kind="function_call", role="assistant", status="completed",
        call_id=f"c{n}", name="weather", arguments=arguments,
    )  # fmt: skip


def result(n: int, output: str = "sun") -> Item:
    return Item(
        id=f"o{n}", kind="function_output", role="tool", status="completed",
        call_id=f"c{n}", name="weather", output=output,
    )  # fmt: skip


TALK = [
    said("s0", "The caller is a guest."),
    said("a0", "Good morning."),
    said("u1", "Hello."),
    said("a1", "How can I help?"),
    said("u2", "How is the weather?"),
    call(2),
    result(2),
    said("a2", "It is sunny."),
    said("u3", "Thank you."),
    said("a3", "You are welcome."),
]


def ids(fitted: Fitted) -> list[str]:
    return [item.id for item in fitted.items]


@pytest.mark.parametrize(
    ("most", "told"),
    [
        (10, "s0 a0 u1 a1 u2 f2 o2 a2 u3 a3"),
        (9, "s0 u1 a1 u2 f2 o2 a2 u3 a3"),
        (8, "s0 u2 f2 o2 a2 u3 a3"),
        (7, "s0 u2 f2 o2 a2 u3 a3"),
        (6, "s0 u3 a3"),
        (3, "s0 u3 a3"),
        (2, "s0 a3"),
        (1, "a3"),
    ],
)
def test_whole_turns_are_left_out_oldest_first(most: int, told: str) -> None:
    fitted = fit(TALK, HistoryBudget(max_items=most))
    assert ids(fitted) == told.split()
    left = [item.id for item in TALK if item.id not in told.split()]
    assert [item.id for item in fitted.left_out] == left


def test_nothing_is_left_out_where_nothing_limits() -> None:
    assert fit(TALK, HistoryBudget()) == Fitted(tuple(TALK))
    assert fit([], HistoryBudget(max_items=1, max_bytes=1)) == Fitted()


def test_a_call_and_its_result_stay_together_wherever_they_stand() -> None:
    late = [said("u1", "Look it up."), call(1), said("u2", "And?"), result(1), said("a2", "Sun.")]
    assert ids(fit(late, HistoryBudget(max_items=2))) == ["u2", "a2"]
    alone = [said("u1", "Hi."), call(1), result(2), said("a1", "Hello.")]
    assert ids(fit(alone, HistoryBudget())) == ["u1", "a1"]
    assert fit(alone, HistoryBudget()).left_out == (), "it is not for want of room"
    assert ids(fit([result(1), call(1)], HistoryBudget())) == []


def test_notes_take_half_of_the_room_at_most_and_the_newest_go_first() -> None:
    talk = [said(f"s{n}", "A note.") for n in range(10)] + [said("u1", "Hi."), said("a1", "Hello.")]
    assert ids(fit(talk, HistoryBudget(max_items=4))) == ["s8", "s9", "u1", "a1"]
    assert ids(fit(talk, HistoryBudget(max_items=6))) == ["s6", "s7", "s8", "s9", "u1", "a1"]


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (100, "one two three four five"),
        (22, "[...] three four five"),
        (16, "[...] four five"),
        (15, "[...] four five"),
        (14, "[...] five"),
        (9, "[...] ive"),
        (6, None),
    ],
)
def test_a_last_item_that_is_too_long_is_cut_between_words(limit: int, words: str | None) -> None:
    [*told] = fit([said("u1", "one two three four five")], HistoryBudget(max_bytes=limit)).items
    assert [item.text for item in told] == ([words] if words else [])
    assert all(bytes_of(item) <= limit for item in told)


def test_a_result_that_is_too_long_loses_its_end() -> None:
    talk = [said("u1", "Look."), call(1), result(1, "many words " * 100)]
    told = fit(talk, HistoryBudget(max_bytes=120)).items
    assert [item.id for item in told] == ["f1", "o1"]
    assert told[1].output == "many words many words many words many words many [...]"
    assert talk[2].output == "many words " * 100, "the log itself is not changed"
    assert fit(talk, HistoryBudget(max_bytes=60)).items == ()


def test_the_summary_comes_first_and_takes_its_room() -> None:
    note = summary_item("They talked of the weather.", 7)
    assert note.text == "Earlier in this conversation: They talked of the weather."
    fitted = fit(TALK[8:], HistoryBudget(max_items=3), note)
    assert [item.id for item in fitted.told] == ["summary_7", "u3", "a3"]
    fitted = fit(TALK[8:], HistoryBudget(max_items=2), note)
    assert [item.id for item in fitted.told] == ["summary_7", "a3"]
    fitted = fit(TALK[8:], HistoryBudget(max_bytes=50), note)
    assert [item.text for item in fitted.told] == [
        "Earlier in this conversation: They talked of [...]"
    ]


def test_money_buys_tokens() -> None:
    dear = HistoryBudget(max_cost=0.001, token_price=0.0001, max_tokens=50)
    assert dear.tokens == 10
    assert ids(fit(TALK[:4], dear)) == ["a1"]
    assert HistoryBudget(max_cost=1.0, max_tokens=50).tokens == 50, "a price that is not known"
    assert HistoryBudget(max_cost=1.0, token_price=0.001).part(0.5).tokens == 500


def test_tokens_are_estimated_by_bytes() -> None:
    assert tokens_of(said("u1", "")) == 4
    assert tokens_of(said("u1", "four")) == 5
    assert tokens_of(said("u1", "fours")) == 6
    assert tokens_of(said("u1", "\u4f60\u597d")) == 6


def test_as_a_prompt() -> None:
    cut = said("a9", "As I was")
    cut.status = "incomplete"
    cut.unheard_text = " saying"
    assert as_prompt([*TALK[:2], *TALK[4:7], cut, said("u9", "")]).splitlines() == [
        "Note: The caller is a guest.",
        "Assistant: Good morning.",
        "User: How is the weather?",
        "Tool weather was called with {}",
        "Tool weather returned sun",
        "Assistant: As I was (interrupted here)",
    ]


# -- whatever the conversation

_WORDS = st.text(st.characters(codec="utf-8"), max_size=60)


@st.composite
def _talks(draw: st.DrawFn) -> list[Item]:
    talk: list[Item] = []
    for n in range(draw(st.integers(0, 12))):
        kind = draw(st.sampled_from("uascx"))
        if kind == "c":
            talk.append(call(n, draw(_WORDS)))
            talk.append(result(n, draw(_WORDS)))
        elif kind == "x":
            talk.append(draw(st.sampled_from([call(n), result(n)])))
        else:
            talk.append(said(f"{kind}{n}", draw(_WORDS)))
    return talk


_LIMIT = st.none() | st.integers(0, 200)


@given(_talks(), _LIMIT, _LIMIT, _LIMIT, st.booleans())
def test_every_telling_keeps_to_its_limits_and_to_the_order(
    talk: list[Item], items: int | None, size: int | None, tokens: int | None, summed: bool
) -> None:
    budget = HistoryBudget(max_items=items, max_bytes=size, max_tokens=tokens)
    summary = summary_item("so far " * 20, 3) if summed else None
    fitted = fit(talk, budget, summary)
    told = fitted.told
    assert items is None or len(told) <= items
    assert size is None or sum(map(bytes_of, told)) <= size
    assert tokens is None or sum(map(tokens_of, told)) <= tokens
    order = [item.id for item in talk]
    assert sorted(ids(fitted), key=order.index) == ids(fitted)
    assert {*ids(fitted)}.isdisjoint(item.id for item in fitted.left_out)
    pairs = {i.call_id for i in talk if i.kind == "function_output"}
    pairs &= {i.call_id for i in talk if i.kind == "function_call"}
    whole = [i for i in talk if i.kind == "message" or i.call_id in pairs]
    assert len(fitted.items) + len(fitted.left_out) == len(whole)
    calls = [item.call_id for item in fitted.items if item.kind == "function_call"]
    assert calls == [item.call_id for item in fitted.items if item.kind == "function_output"]
    words = [item for item in fitted.items if item.kind == "message" and item.role != "system"]
    cut = [item for item in fitted.items if item not in talk]
    assert len(cut) <= 1
    assert all(CUT in (item.text or item.output or "") for item in cut)
    if words and not cut and fitted.left_out:
        # What is told of what was said is the end of it, without a gap.
        spoken = [i.id for i in talk if i.kind == "message" and i.role != "system"]
        assert [i.id for i in words] == spoken[-len(words) :]
