"""What has to hold of every call, judged by what the user said, what the tools did, and what a listener heard.

- turns_lost: a word that the user said is in no item of the user's in the log.
- turns_doubled: it is there more than once.
- turns_unanswered: of an answer to a turn, after which the user waited, nothing at all was heard.
- answered_twice: it has more than one that was heard to its end.
- unheard_words: a word of the assistant's in the log was not heard.
- tools_run_twice: a tool has run more than once for one request.
- hung: the call, or one call of the engine, did not come to its end.
- crashed: something failed in a way that no application is told of.
- leaked_tasks, leaked_sockets, leaked_timers: it was left behind when the engine was disconnected.

What the application was told of is no violation, but is counted: that a turn could not be transcribed, that audio was
lost, that it was refused, that an answer failed, that the provider was lost for good. What was said last, before
somebody hung up in the middle of it, need not have been understood.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from chaos.listener import Listener
from chaos.record import Record, Said
from voxengine.conversation import Conversation, Item

__all__ = ["KINDS", "judge"]

KINDS = (
    "turns_lost",
    "turns_doubled",
    "turns_unanswered",
    "answered_twice",
    "unheard_words",
    "tools_run_twice",
    "hung",
    "crashed",
    "leaked_tasks",
    "leaked_sockets",
    "leaked_timers",
)

_OWN = re.compile(r"w\d{4}")
#: The application was told that it was not heard, or not understood.
_NOT_HEARD = ("lost", "audio_lost", "refused", "transcript_failed", "speech_not_heard")
#: It was told that there is no answer.
_NO_ANSWER = (*_NOT_HEARD, "error", "answer_failed")

#: Seconds for which what may be needed again is held at most, before its loss is told.
_HELD = 35.0
#: Seconds within which a provider may still tell that somebody has begun to speak, a stall included.
_TOLD_WITHIN = 3.0


class Verdict:
    """The violations of one call, by kind, and how often the application was told of something instead."""

    def __init__(self) -> None:
        self.violations: dict[str, list[str]] = {}
        self.told: Counter[str] = Counter()

    def add(self, kind: str, words: str) -> None:
        """One more."""
        self.violations.setdefault(kind, []).append(words)


def judge(
    record: Record, conversation: Conversation, listener: Listener, leaks: Iterable[str]
) -> Verdict:
    """What of all this does not hold of a call that is over."""
    verdict = Verdict()
    for words in record.hung:
        verdict.add("hung", words)
    for words in record.crashed:
        verdict.add("crashed", words)
    for leak in leaks:
        kind = next((k for k in ("socket", "timer") if leak.startswith(k)), "task")
        verdict.add(f"leaked_{kind}s", leak)
    _turns(verdict, record, conversation)
    _answers(verdict, record, conversation)
    _heard(verdict, conversation, listener)
    _tools(verdict, record)
    return verdict


# -- what the user said


def _turns(verdict: Verdict, record: Record, conversation: Conversation) -> None:
    users = [item for item in conversation.messages if item.role == "user"]
    count = Counter(word for item in users for word in _OWN.findall(item.text))
    for said in record.said:
        missing = [word for word in said.own if not count[word]]
        doubled = [word for word in said.own if count[word] > 1]
        if doubled:
            verdict.add("turns_doubled", f"turn {said.number}: {' '.join(doubled)}")
        if not missing:
            continue
        until = _settled(record, said)
        if until is None:
            verdict.told["hung_up"] += 1
        elif record.was_told(said.began, until + _HELD, *_NOT_HEARD):
            verdict.told["turns_not_heard"] += 1
        else:
            verdict.add("turns_lost", f"turn {said.number}: {' '.join(missing)}")


def _settled(record: Record, said: Said) -> float | None:
    """When all was quiet for the first time after a turn; None if that never was."""
    after = (s.quiet for s in record.said if s.number >= said.number and s.quiet is not None)
    return next(after, None)


# -- what was answered


def _answers(verdict: Verdict, record: Record, conversation: Conversation) -> None:
    messages = conversation.messages
    answers = [i for i in messages if i.role == "assistant" and (i.text or i.heard_ms)]
    for said in record.said:
        own = [item for item in answers if _echoes(item, said)]
        complete = [item for item in own if item.status == "completed"]
        if len(complete) > 1:
            verdict.add("answered_twice", f"turn {said.number}: {[item.text for item in complete]}")
        if said.quiet is None or said.called_off or own:
            continue
        turns = {i.id for i in messages if i.role == "user" and set(said.own) & set(i.text.split())}
        if any(item.turn_id in turns for item in answers):
            continue
        if said.kind == "typed" and any(_just_before(other, said) for other in record.said):
            # The provider told of that speech after the text: it interrupted the answer before a word of it was
            # heard, and one answer is to both.
            verdict.told["spoke_into_the_answer"] += 1
            continue
        if record.was_told(said.began, said.quiet + _HELD, *_NO_ANSWER):
            verdict.told["turns_not_answered"] += 1
        else:
            verdict.add("turns_unanswered", f"turn {said.number}: {said.words}")


def _just_before(other: Said, said: Said) -> bool:
    """Whether something was said aloud so shortly before, or while, a text was typed."""
    return other.kind != "typed" and other.began < said.began < other.ended + _TOLD_WITHIN


def _echoes(item: Item, said: Said) -> bool:
    """Whether an item answers a turn: the words of the turn are in it, or the tool's result for them."""
    echoed = {*said.own, *(f"r{word[1:]}" for word in said.own)}
    return any(word in echoed for word in (item.text + " " + item.unheard_text).split())


# -- what was heard


def _heard(verdict: Verdict, conversation: Conversation, listener: Listener) -> None:
    for item in conversation.messages:
        if item.status == "in_progress":
            verdict.add("hung", f"an item was left in progress: {item.role} {item.text!r}")
        if item.role != "assistant" or not item.text:
            continue
        said, heard = item.text.split(), listener.words(item.id)
        n = _agree(said, heard)
        if n < len(said):
            verdict.add(
                "unheard_words", f"of {said} only {heard} was heard ({item.status}, {item.id})"
            )


def _agree(said: Sequence[str], heard: Sequence[str]) -> int:
    """How many words at the beginning of both are the same."""
    n = 0
    for ours, theirs in zip(said, heard, strict=False):
        if ours != theirs:
            break
        n += 1
    return n


# -- what the tools did


def _tools(verdict: Verdict, record: Record) -> None:
    for what, runs in record.tool_runs.items():
        count = Counter(runs)
        if count["done"] > 1 or count["begun"] - count["called off"] > 1:
            verdict.add("tools_run_twice", f"look {what}: {runs}")
