from __future__ import annotations

import asyncio

import numpy as np
import pytest

from tests.cascade_parts.speech import recording
from voxengine.errors import AudioError, ConfigurationError, ProviderError
from voxengine.providers.cascade.energy import EnergyVAD
from voxengine.providers.cascade.local.silero import SileroVAD
from voxengine.providers.cascade.parts import INPUT_RATE, VAD


def probabilities(stream, samples):
    size = stream.frame_samples
    return np.array(
        [stream.process(samples[i : i + size]) for i in range(0, len(samples) - size + 1, size)]
    )


def noise(seconds: float, level: float):
    rng = np.random.default_rng(3)
    return (rng.standard_normal(int(seconds * INPUT_RATE)) * level).astype(np.float32)


@pytest.fixture(params=["energy", pytest.param("silero", marks=pytest.mark.models)])
def vad(request):
    made = EnergyVAD() if request.param == "energy" else SileroVAD()
    asyncio.run(made.load())
    assert isinstance(made, VAD)
    return made


def test_hears_speech_and_not_the_quiet_around_it(vad):
    speech = recording("sense_and_sensibility_0880")
    quiet = noise(1.5, 0.0005)
    found = probabilities(vad.stream(), np.concatenate([quiet, speech, quiet])) > 0.5
    frames = int(1.4 * INPUT_RATE / vad.stream().frame_samples)
    assert not found[:frames].any()
    assert not found[-frames // 2 :].any()
    assert found[frames:-frames].mean() > 0.6


def test_streams_are_independent_and_reset_forgets(vad):
    speech = recording("go_forward_ten_meters")
    alone = probabilities(vad.stream(), speech)
    one, other = vad.stream(), vad.stream()
    probabilities(other, noise(1, 0.2))
    assert np.array_equal(probabilities(one, speech), alone)
    other.reset()
    assert np.array_equal(probabilities(other, speech), alone)


def test_silence_and_full_scale_are_numbers_between_0_and_1(vad):
    stream = vad.stream()
    for level in (0.0, 1.0, -1.0):
        assert 0.0 <= stream.process(np.full(stream.frame_samples, level, np.float32)) <= 1.0


def test_a_frame_of_another_length_is_refused(vad):
    with pytest.raises(AudioError, match="samples at a time, not 100"):
        vad.stream().process(np.zeros(100, np.float32))


@pytest.mark.models
def test_silero_gives_what_the_batch_form_of_the_model_gives():
    from faster_whisper.vad import get_vad_model

    vad = SileroVAD()
    asyncio.run(vad.load())
    speech = recording("jfk")[: 512 * 200]
    ours = probabilities(vad.stream(), speech)
    # Not the last frame: that library overwrites the end of it.
    theirs = get_vad_model()(speech.copy()).ravel()
    assert np.allclose(ours[:-1], theirs[:-1], atol=1e-6)


@pytest.mark.models
def test_silero_is_not_fooled_by_noise_and_tones():
    vad = SileroVAD()
    asyncio.run(vad.load())
    t = np.arange(2 * INPUT_RATE) / INPUT_RATE
    tone = (0.3 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
    for sound in (noise(2, 0.1), tone):
        assert (probabilities(vad.stream(), sound) > 0.5).mean() < 0.1


def test_silero_without_load_says_so():
    with pytest.raises(ProviderError, match="await load"):
        SileroVAD().stream()


def test_energy_gets_used_to_a_noisy_room():
    stream = EnergyVAD().stream()
    hum = noise(20, 0.02)
    found = probabilities(stream, hum)
    assert found[0] > 0.5
    assert found[-30:].max() < 0.5
    assert (probabilities(stream, noise(0.5, 0.3)) > 0.5).all()


@pytest.mark.parametrize("options", [{"slope_db": 0}, {"frame_ms": 1}, {"rise_db_s": -1}])
def test_energy_refuses_numbers_that_make_no_sense(options):
    with pytest.raises(ConfigurationError, match="energy"):
        EnergyVAD(**options)
