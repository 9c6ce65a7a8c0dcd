"""The normal form of what was said, numbers in words, and phrase patterns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxengine.providers.cascade.brains.number_words import in_words, read_number
from voxengine.providers.cascade.brains.phrases import compile_phrase
from voxengine.providers.cascade.brains.utterance import MAX_CHARS, Utterance


@pytest.mark.parametrize(
    ("said", "normal"),
    [
        ("Go forward, TEN meters!", "go forward 10 meters"),
        ("go forward 10m", "go forward 10 m"),
        ("twenty-five", "25"),
        ("a hundred and one dogs", "101 dogs"),
        ("two thousand three hundred and forty five", "2345"),
        ("2 thousand", "2000"),
        ("1,000 or 1,234.5", "1000 or 1234.5"),
        ("two point five and three point one four", "2.5 and 3.14"),
        ("one and a half meters", "1.5 meters"),
        ("minus six or -7", "-6 or -7"),
        ("five five five", "5 5 5"),
        ("twenty ten", "20 10"),
        ("zero", "0"),
        ("nought point", "nought point"),
        ("five and six", "5 and 6"),
        ("eight thirty", "8 30"),
        ("Don't—it’s ill-disposed", "dont its ill disposed"),
        ("a man", "a man"),
        ("point blank", "point blank"),
        ("前进10米", "前 进 10 米"),
        ("ＡＢＣ ①", "abc 1"),
        ("?! 😀", ""),
        ("a million and five", "1000005"),
    ],
)
def test_normal_form(said, normal):
    assert Utterance(said).text == normal
    assert Utterance(normal).text == normal


def test_the_users_own_words_are_found_again():
    utterance = Utterance("Say: Hello, twenty-five WORLDS!")
    assert utterance.text == "say hello 25 worlds"
    assert utterance.said(4, 19) == "Hello, twenty-five WORLDS"
    assert utterance.said(10, 12) == "twenty-five"
    assert utterance.said(19, 30) == ""


def test_long_turns_are_cut():
    assert len(Utterance("a " * 10 * MAX_CHARS).text) <= MAX_CHARS


@given(st.integers(-999_999_999, 999_999_999))
def test_numbers_survive_being_said(n):
    assert Utterance(in_words(n)).text == str(n)


@given(st.integers(0, 99_999).map(lambda n: n / 100))
def test_decimals_survive_being_said(x):
    assert float(Utterance(in_words(x)).text) == x


@given(st.text(max_size=100))
def test_any_text_has_a_normal_form(text):
    once = Utterance(text).text
    assert Utterance(once).text == once


@pytest.mark.parametrize("words", [["and"], ["hundred"], ["point", "five"], ["minus"], []])
def test_no_number(words):
    assert read_number(words) is None


def match(phrase, said, values=None, whole=False):
    found = compile_phrase(phrase, values or {}, whole=whole).search(Utterance(said).text + " ")
    return None if found is None else {k: v.strip() for k, v in found.groupdict().items() if v}


@pytest.mark.parametrize(
    ("phrase", "said", "slots"),
    [
        ("go home", "Please GO home, now", {}),
        ("go home", "go homeward", None),
        ("go home", "let's ego home", None),
        ("(go|walk) [back] home", "walk home", {}),
        ("(go|walk) [back] home", "walk back home", {}),
        ("(go|walk) [back] home", "run home", None),
        ("wait {n:number} seconds", "wait ten seconds", {"n": "10"}),
        ("wait {n:number} seconds", "wait some seconds", None),
        ("wait ten seconds", "wait 10 seconds", {}),
        ("my name is {name}", "my name is John Paul Jones", {"name": "john paul jones"}),
        ("call {who} [right] now", "call John Paul right now", {"who": "john paul"}),
        ("call {who:word}", "call John Paul", {"who": "john"}),
        ("{who}", "anyone there", {"who": "anyone there"}),
        ("turn {side}", "turn straight ahead please", {"side": "straight ahead"}),
        ("turn {side}", "turn around", None),
        ("don't", "DONT", {}),
        ("ill-disposed", "ill disposed", {}),
    ],
)
def test_phrases(phrase, said, slots):
    values = {"side": ["straight", "straight ahead", "left"]}
    assert match(phrase, said, values) == slots


def test_whole():
    assert match("stop", "Stop!", whole=True) == {}
    assert match("stop", "stop it", whole=True) is None


@pytest.mark.parametrize(
    ("phrase", "why"),
    [
        ("(go|walk", "never closed"),
        ("go)", "closes nothing"),
        ("(go]", "closes nothing"),
        ("a|b", "outside of brackets"),
        ("{n:integer}", "unknown kind"),
        ("{n", "not understood"),
        ("[please]", "nothing that must be said"),
        ("?!", "nothing that must be said"),
    ],
)
def test_phrases_that_are_wrong(phrase, why):
    with pytest.raises(ValueError, match=why):
        compile_phrase(phrase, {}, whole=False)
