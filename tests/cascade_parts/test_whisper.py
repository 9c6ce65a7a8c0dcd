from __future__ import annotations

import asyncio
from itertools import pairwise

import numpy as np
import pytest

from tests.cascade_parts.speech import recording, transcript, word_error_rate, word_errors
from voxengine.errors import AudioError
from voxengine.providers.cascade.local.decoding import (
    Guards,
    compression_ratio,
    is_one_phrase_repeated,
)
from voxengine.providers.cascade.local.whisper import WhisperSTT
from voxengine.providers.cascade.local.windows import MAX_WINDOW_S, split_at_pauses
from voxengine.providers.cascade.parts import INPUT_RATE, STT

SENTENCES = ("jfk", "sense_and_sensibility_0870", "sense_and_sensibility_0880")


@pytest.fixture(scope="module")
def stt() -> WhisperSTT:
    made = WhisperSTT()
    asyncio.run(made.load())
    assert isinstance(made, STT)
    return made


def heard(stt: WhisperSTT, samples, *, partial: bool = False, session: str = "test") -> str:
    return asyncio.run(stt.transcribe(samples, session=session, partial=partial)).text


def silence(seconds: float):
    return np.zeros(int(seconds * INPUT_RATE), np.float32)


def noise(seconds: float, level: float):
    rng = np.random.default_rng(5)
    return (rng.standard_normal(int(seconds * INPUT_RATE)) * level).astype(np.float32)


@pytest.mark.models
class TestSpeech:
    @pytest.mark.parametrize("partial", [False, True])
    def test_word_error_rate(self, stt, partial):
        pairs = [
            (transcript(name), heard(stt, recording(name), partial=partial)) for name in SENTENCES
        ]
        assert word_error_rate(pairs) <= 0.10, pairs

    def test_the_command(self, stt):
        said = transcript("go_forward_ten_meters")
        text = heard(stt, recording("go_forward_ten_meters"))
        assert word_errors(said, text) == 0
        assert text.endswith(".")  # what the turn detector reads

    @pytest.mark.parametrize("gain", [0.01, 3.0])
    def test_quiet_and_loud_callers(self, stt, gain):
        samples = np.clip(recording("go_forward_ten_meters") * np.float32(gain), -1, 1)
        assert word_errors(transcript("go_forward_ten_meters"), heard(stt, samples)) == 0

    def test_says_how_sure_it_is(self, stt):
        got = asyncio.run(stt.transcribe(recording("sense_and_sensibility_0870"), session="a"))
        assert got.language == "en"
        assert got.confidence is not None
        assert -0.5 < got.confidence < 0

    def test_several_calls_at_once(self, stt):
        async def main() -> list[str]:
            jobs = [
                stt.transcribe(recording("go_forward_ten_meters"), session=name) for name in "abcd"
            ]
            return [result.text for result in await asyncio.gather(*jobs)]

        assert len(set(asyncio.run(main()))) == 1

    def test_the_callers_buffer_may_change_while_the_speech_waits(self, stt):
        async def main() -> str:
            samples = recording("go_forward_ten_meters")
            task = asyncio.ensure_future(stt.transcribe(samples, session="a"))
            await asyncio.sleep(0)
            samples[:] = 0
            text: str = (await task).text
            return text

        assert word_errors("go forward ten meters", asyncio.run(main())) == 0


@pytest.mark.models
class TestNoSpeech:
    @pytest.mark.parametrize(
        "samples",
        [
            silence(0),
            silence(0.01),
            silence(3),
            noise(0.3, 0.001),
            noise(1, 0.01),
            noise(3, 0.03),
            noise(8, 0.1),
            (0.2 * np.sin(np.arange(32000) * 0.17)).astype(np.float32),
        ],
        ids=["nothing", "10ms", "silence", "hiss", "noise", "louder", "long", "tone"],
    )
    def test_gives_no_words(self, stt, samples):
        assert heard(stt, samples) == ""
        assert heard(stt, samples, partial=True) == ""

    def test_ten_minutes_of_silence_cost_next_to_nothing(self, stt):
        assert heard(stt, silence(600)) == ""

    @pytest.mark.parametrize(
        ("samples", "message"),
        [
            (np.zeros((2, 100), np.float32), "one-dimensional"),
            (np.array([0.0, np.nan] * 1000, np.float32), "not finite"),
            (np.array([np.inf] * 2000, np.float32), "not finite"),
        ],
    )
    def test_what_is_no_audio_is_refused(self, stt, samples, message):
        with pytest.raises(AudioError, match=message):
            heard(stt, samples)


@pytest.mark.models
class TestRepeats:
    def test_a_context_that_is_too_short_loops_and_is_decoded_again(self):
        # What the least context guards against, and what is left when it does not help.
        stt = WhisperSTT(guards=Guards(min_context_s=3.5, margin_s=0.5))
        asyncio.run(stt.load())
        text = heard(stt, recording("go_forward_ten_meters"))
        assert stt.reruns >= 1
        assert word_errors("go forward ten meters", text) == 0

    def test_what_really_is_repeated_is_kept(self, stt):
        word = recording("go_forward_ten_meters")
        text = heard(stt, np.concatenate([word, word, word]))
        assert word_errors(" ".join(["go forward ten meters"] * 3), text) <= 2

    @pytest.mark.parametrize(
        ("text", "repeated"),
        [
            ("Turn it off. Turn it off", True),
            ("No... no... No", True),
            ("go on go on go on", True),
            ("Bye bye.", False),
            ("Go on, go on.", False),
            ("ask what you can do for your country", False),
            ("no no yes", False),
            ("", False),
        ],
    )
    def test_one_phrase_repeated(self, text, repeated):
        assert is_one_phrase_repeated(text) is repeated

    def test_compression_ratio(self):
        assert compression_ratio("") == 0
        assert compression_ratio(transcript("sense_and_sensibility_0870")) < 1.6
        assert compression_ratio("go on " * 30) > 2


@pytest.mark.models
def test_it_listens_for_the_words_of_a_vocabulary(stt):
    """A real recording of which the model by itself gets one word wrong."""
    speech = recording("sense_and_sensibility_0880")

    def text(*vocabulary: str) -> str:
        session = "-".join(vocabulary)
        work = stt.transcribe(speech, session=session, vocabulary=vocabulary)
        found: str = asyncio.run(work).text
        return found

    assert "ill-disposed" not in text()
    assert text("ill-disposed") == "He was not an ill-disposed young man."
    # More of them than it can read do no harm, and none is heard where nothing is said.
    assert "young man" in text(*(f"word{n}" for n in range(400)))
    quiet = stt.transcribe(noise(2.0, 0.005), session="quiet", vocabulary=["ill-disposed"])
    assert asyncio.run(quiet).text == ""


def test_a_language_is_not_a_country():
    assert WhisperSTT("base", language="de-DE")._language == "de"


@pytest.mark.models
def test_a_model_under_a_path(stt):
    folder = stt.files.path
    one = WhisperSTT(str(folder))
    asyncio.run(one.load())
    assert one.files is not None
    assert not one.files.pinned
    assert asyncio.run(one.transcribe(silence(1.0), session="path")).text == ""


def long_speech(gap_s: float):
    parts, said = [], []
    for name in (*SENTENCES, "go_forward_ten_meters", *SENTENCES):
        parts += [recording(name), silence(gap_s)]
        said.append(transcript(name))
    return np.concatenate(parts[:-1]), " ".join(said)


@pytest.mark.models
@pytest.mark.parametrize("gap_s", [0.0, 0.6])
def test_long_speech_loses_no_words(gap_s):
    stt = WhisperSTT()
    samples, said = long_speech(gap_s)
    assert len(samples) > 44 * INPUT_RATE
    assert word_error_rate([(said, heard(stt, samples))]) <= 0.10


@pytest.mark.models
def test_a_growing_turn_is_not_decoded_from_its_start_again():
    stt = WhisperSTT()
    samples, said = long_speech(0.6)
    heard(stt, samples[: 30 * INPUT_RATE], partial=True)
    assert stt.reused == 0
    text = heard(stt, samples)
    assert stt.reused >= 1
    assert word_error_rate([(said, text)]) <= 0.10
    before = stt.reused
    heard(stt, samples, session="another call")
    assert stt.reused == before


class TestWindows:
    def test_they_are_all_of_the_speech_in_order(self):
        samples, _ = long_speech(0.6)
        windows = split_at_pauses(samples)
        assert windows[0][0] == 0
        assert windows[-1][1] == len(samples)
        assert all(left[1] == right[0] for left, right in pairwise(windows))
        assert all(end - start <= (MAX_WINDOW_S + 0.1) * INPUT_RATE for start, end in windows)

    def test_cuts_are_in_the_silence(self):
        samples, _ = long_speech(0.6)
        for _, end in split_at_pauses(samples)[:-1]:
            assert np.sqrt(np.mean(samples[end - 1600 : end + 1600] ** 2)) < 0.01

    def test_cuts_stay_where_they_are_when_more_is_said(self):
        samples, _ = long_speech(0.6)
        final = split_at_pauses(samples)
        for seconds in range(14, len(samples) // INPUT_RATE, 3):
            *closed, _ = split_at_pauses(samples[: seconds * INPUT_RATE])
            assert closed == final[: len(closed)]

    def test_a_pause_at_the_end_is_no_cut(self):
        samples = np.concatenate([noise(14, 0.1), silence(2)])
        assert split_at_pauses(samples) == [(0, len(samples))]

    @pytest.mark.parametrize("seconds", [0, 0.001, 11.9, 30, 100])
    @pytest.mark.parametrize("level", [0.0, 0.2])
    def test_without_pauses(self, seconds, level):
        samples = noise(seconds, level)
        windows = split_at_pauses(samples)
        assert windows[-1][1] == len(samples)
        assert all(end - start <= (MAX_WINDOW_S + 0.1) * INPUT_RATE for start, end in windows)
