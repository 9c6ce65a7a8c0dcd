"""Partial transcripts: never flickering, word by word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voxengine.providers.cascade.partials import StablePrefix

_WORD = st.sampled_from(
    ["go", "forward,", "Forward", "ten", "10", "meters.", "meters", "and", "—", "then"]
)
_TEXT = st.lists(_WORD, max_size=12).map(" ".join)


def test_only_what_two_decodes_agree_on_is_shown() -> None:
    prefix = StablePrefix()
    assert prefix.update("Go for") is None
    assert prefix.update("Go forward.") == "Go"
    assert prefix.update("Go forward, ten") == "Go forward"
    assert prefix.update("go forward ten meters") == "Go forward ten"
    assert prefix.update("go forward") is None
    assert prefix.update("go forward ten meters") is None
    assert prefix.update("go forward ten meters.") == "Go forward ten meters"


def test_a_word_put_in_later_is_not_shown_twice() -> None:
    prefix = StablePrefix()
    prefix.update("Mr. John Dashwood had")
    assert prefix.update("Mr. John Dashwood had then") == "Mr. John Dashwood had"
    prefix.update("And Mr. John Dashwood had then leisure")
    shown = prefix.update("And Mr. John Dashwood had then leisure to consider")
    assert shown == "Mr. John Dashwood had then leisure"


def test_a_decode_that_is_something_else_shows_nothing() -> None:
    prefix = StablePrefix()
    prefix.update("one two three")
    prefix.update("one two three")
    assert prefix.update("red green blue white") is None
    assert prefix.update("red green blue white black") is None
    assert prefix.shown == "one two three"


def test_stretches_follow_one_another() -> None:
    prefix = StablePrefix()
    prefix.update("one two")
    prefix.update("one two three")
    assert prefix.close("One, two three four.") == "one two three four"
    assert prefix.update("five six") is None
    assert prefix.update("five six seven") == "one two three four five six"


def test_what_is_heard_once_more_is_not_shown_twice() -> None:
    prefix = StablePrefix()
    prefix.close("one two")
    kept = prefix.closed
    prefix.close("three four")
    prefix.rewind(kept)
    assert prefix.update("three four five") is None
    assert prefix.update("three four five six") == "one two three four five"


@given(st.lists(st.tuples(_TEXT, st.booleans()), max_size=12))
def test_each_partial_starts_with_the_one_before(decodes: list[tuple[str, bool]]) -> None:
    prefix, last = StablePrefix(), ""
    for text, closes in decodes:
        longer = prefix.close(text) if closes else prefix.update(text)
        if longer is not None:
            assert longer.startswith(last)
            assert len(longer) > len(last)
            assert not last or longer[len(last)] == " "
            last = longer
    assert prefix.shown == last


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=20))
def test_a_decode_that_only_grows_is_shown_in_full(words: list[str]) -> None:
    prefix = StablePrefix()
    for n in range(1, len(words) + 1):
        prefix.update(" ".join(words[:n]))
    prefix.update(" ".join(words))
    assert prefix.shown == " ".join(words)
