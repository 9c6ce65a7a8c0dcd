"""Which words were heard: by example, and what holds whatever the audio and the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxengine.conversation import Item, Span, text_heard
from voxengine.conversation.heard import FASTEST

TEXT = "one two three four"


@pytest.mark.parametrize(
    ("heard_ms", "expected"),
    [
        (-5, ""),
        (0, ""),
        (100, ""),
        (166, ""),
        (170, "one"),
        (300, "one"),
        (389, "one two"),
        (500, "one two"),
        (700, "one two"),
        (730, "one two three"),
        (999, "one two three"),
        (1000, TEXT),
        (5000, TEXT),
    ],
)
def test_words_are_spread_evenly_where_nothing_better_is_known(
    heard_ms: float, expected: str
) -> None:
    assert text_heard(TEXT, [Span(0, 0.0)], 1000.0, heard_ms).rstrip() == expected


@pytest.mark.parametrize(
    ("heard_ms", "expected"),
    [
        (70, ""),
        (100, "Hi."),
        (500, "Hi."),
        (800, "Hi."),
        (899, "Hi. How"),
        (950, "Hi. How are"),
        (1000, "Hi. How are you?"),
    ],
)
def test_known_times_are_kept_to(heard_ms: float, expected: str) -> None:
    spans = [Span(0, 0.0, 100.0), Span(4, 800.0, 1000.0)]
    assert text_heard("Hi. How are you?", spans, 1000.0, heard_ms).rstrip() == expected


def test_text_that_comes_before_its_audio_is_not_heard_before_its_share() -> None:
    """Text far ahead of the audio: of two equal halves the second is not said yet."""
    spans = [Span(0, 0.0), Span(9, 0.0)]
    assert text_heard("one two. three four.", spans, 1000.0, 400.0).rstrip() == "one two."


def test_a_span_without_an_end_lasts_until_the_next_begins() -> None:
    spans = [Span(0, 0.0), Span(4, 500.0)]
    assert text_heard("one two", spans, 1000.0, 400.0).rstrip() == ""
    assert text_heard("one two", spans, 1000.0, 500.0).rstrip() == "one"


def test_what_is_said_to_end_after_the_audio_that_came_was_not_all_heard() -> None:
    """The sentence lasts 2 s, but only 1 s of it ever arrived."""
    assert text_heard(TEXT, [Span(0, 0.0, 2000.0)], 1000.0, 1000.0).rstrip() == "one two"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("antidisestablishmentarianism", ""),
        ("🎉🎉🎉🎉", ""),
        ("tabs\tand\nlines here", "tabs"),
        ("  leading spaces", ""),
        ("trailing   ", ""),
    ],
)
def test_odd_texts(text: str, expected: str) -> None:
    assert text_heard(text, [Span(0, 0.0)], 1000.0, 400.0).strip() == expected


def test_nothing_comes_of_nothing() -> None:
    assert text_heard("", [Span(0, 0.0)], 1000.0, 500.0) == ""
    assert text_heard(TEXT, [], 1000.0, 500.0) == ""
    assert text_heard(TEXT, [Span(0, 0.0)], 0.0, 500.0) == ""


# -- an item


def speak(item: Item, text: str, ms: float) -> None:
    item.add_text(text)
    item.audio_ms += ms


def test_an_item_is_cut_to_what_was_heard() -> None:
    item = Item(id="a", role="assistant")
    speak(item, "one two ", 500)
    speak(item, "three four", 500)
    item.cut(600)
    assert (item.text, item.unheard_text) == ("one two", " three four")
    assert (item.heard_ms, item.audio_ms) == (600, 1000)
    assert item.status == "incomplete"
    assert item.interrupted


def test_cut_at_the_end_all_was_heard() -> None:
    item = Item(id="a", role="assistant")
    speak(item, TEXT, 1000)
    item.cut(4000)
    assert (item.text, item.unheard_text, item.heard_ms) == (TEXT, "", 1000)


def test_text_without_any_audio_was_not_said() -> None:
    item = Item(id="a", role="assistant")
    item.add_text(TEXT)
    item.cut(0)
    assert (item.text, item.unheard_text) == ("", TEXT)


def test_empty_text_leaves_no_span() -> None:
    item = Item(id="a")
    item.add_text("")
    assert item.spans == []


# -- an item that is not complete


def streamed(text: str, ms_per_word: float, lead: int, words: int) -> Item:
    """An item whose words are spoken one after the other, and come so many words before their audio."""
    item = Item(id="a", role="assistant")
    spoken = text.split()
    for n in range(words + lead):
        if n < len(spoken):
            item.add_text((" " if n else "") + spoken[n])
        if n >= lead:
            item.audio_ms += ms_per_word
    return item


WORDY = " ".join(f"word{n}" for n in range(10, 50))


def test_words_that_came_without_their_audio_were_not_said() -> None:
    """No speech is so quick that two words fit into a tenth of a second."""
    item = Item(id="a", role="assistant")
    speak(item, "one two three", 100)
    item.leave_off()
    assert (item.text, item.unheard_text) == ("", "one two three")


@pytest.mark.parametrize("lead", [0, 1, 3, 10])
@pytest.mark.parametrize("ms", [300, 400, 700])
def test_the_lead_of_the_text_is_told_from_the_rate_of_the_speech(ms: float, lead: int) -> None:
    item = streamed(WORDY, ms, lead, words=12)
    item.leave_off()
    assert len(item.text.split()) in (11, 12)
    assert item.text + item.unheard_text == " ".join(WORDY.split()[: 12 + lead])


def test_text_that_comes_after_its_audio_was_said() -> None:
    item = Item(id="a", role="assistant")
    for word in WORDY.split()[:12]:
        item.audio_ms += 400
        item.add_text(f"{word} ")
    item.leave_off()
    assert item.text.split() == WORDY.split()[:12]


def test_text_that_comes_after_its_audio_in_ever_longer_pieces_was_said() -> None:
    """What came for so much audio is then less than was said in it."""
    item = Item(id="a", role="assistant")
    pieces = ["one two ", "three ", "four five six seven eight nine ten eleven"]
    for ms, words in zip((1000, 1000, 3000), pieces, strict=True):
        item.audio_ms += ms
        item.add_text(words)
    item.leave_off()
    assert item.text == "".join(pieces)


def test_a_writing_without_spaces_is_not_spoken_faster() -> None:
    item = Item(id="a", role="assistant")
    speak(item, "今日はとても良い天気ですね", 500)
    item.leave_off()
    assert item.text == "今日はとて"


def test_what_is_known_of_the_times_is_not_estimated() -> None:
    item = Item(id="a", role="assistant")
    item.add_text("Quick as a flash. ", 0, 100)
    item.add_text("And then", 100)
    item.audio_ms = 200
    item.leave_off()
    assert item.text == "Quick as a flash."


def test_a_complete_item_was_said_whatever_its_audio_is() -> None:
    item = Item(id="a", role="assistant", status="completed")
    speak(item, "one two three", 100)
    assert item.text_at(100) == "one two three"


def test_breaking_off_and_then_cutting_short_agree() -> None:
    item = streamed(WORDY, 400, 5, words=12)
    before = item.text_at(2400).rstrip()
    item.leave_off()
    assert item.text_at(2400).rstrip() == before
    item.cut(2400)
    assert item.text == before


# -- what always holds

WORDS = st.text(alphabet=st.sampled_from("ab,.é日🎉 \n"), max_size=30)


@st.composite
def spoken(draw: st.DrawFn) -> Item:
    """An item as a provider makes it: text and audio in turn, text first, sometimes with times."""
    item = Item(id="a", role="assistant")
    for _ in range(draw(st.integers(0, 5))):
        text = draw(WORDS)
        audio = draw(st.floats(0, 2000))
        if draw(st.booleans()):
            start = item.audio_ms
            item.add_text(text, start, start + draw(st.floats(1, 2000)))
        else:
            item.add_text(text)
        item.audio_ms += audio
    item.status = draw(st.sampled_from(["in_progress", "completed"]))
    return item


MS = st.floats(-10, 12_000)


@given(item=spoken(), ms=MS)
def test_what_was_heard_is_a_beginning_of_the_text(item: Item, ms: float) -> None:
    assert item.text.startswith(item.text_at(ms))


@given(item=spoken(), ms=MS)
def test_what_was_heard_are_whole_words(item: Item, ms: float) -> None:
    heard = item.text_at(ms)
    rest = item.text[len(heard) :]
    # A sign is a word by itself.
    assert not heard or not rest or heard[-1] in " \n日" or rest[0].isspace()


@given(item=spoken(), one=MS, two=MS)
def test_who_hears_longer_does_not_hear_less(item: Item, one: float, two: float) -> None:
    less, more = sorted((one, two))
    assert len(item.text_at(less)) <= len(item.text_at(more))


@given(item=spoken(), ms=MS)
def test_cutting_loses_no_text_and_is_final(item: Item, ms: float) -> None:
    text = item.text
    item.cut(ms)
    assert item.text + item.unheard_text == text
    assert item.text == item.text.rstrip()
    assert 0 <= item.heard_ms <= item.audio_ms


@given(item=spoken(), ms=MS)
def test_what_is_not_complete_is_never_heard_further_than_what_is(item: Item, ms: float) -> None:
    item.status = "completed"
    whole = item.text_at(ms)
    item.status = "in_progress"
    assert whole.startswith(item.text_at(ms))


@given(item=spoken(), ms=MS)
def test_nobody_speaks_faster_than_can_be_understood(item: Item, ms: float) -> None:
    item.status = "in_progress"
    timed = sum(span.end_ms is not None for span in item.spans)
    heard = item.text_at(ms)
    assert timed or len(heard) <= max(0.0, min(ms, item.audio_ms)) * FASTEST / 1000
