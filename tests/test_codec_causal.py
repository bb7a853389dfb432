"""Causal codecs: their latents tell of no later sound, lie where they should, and come back in time."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from eegic import Audio, information_content
from eegic.codec import Codec, CodecConfig, load_codec, spectrum, streaming
from eegic.surprisal import FlowConfig, SurprisalModel

CAUSAL = CodecConfig(
    sfreq=8000.0, n_fft=64, hop=16, channels=(8, 8, 16, 16), attention=(2, 3), heads=2, bottleneck_channels=16,
    bottleneck_blocks=2, dim=4, embedding=8, causal=True,
)  # fmt: skip
STEP = 64  # samples per latent


@pytest.fixture(scope="module")
def codec():
    return Codec.untrained(CAUSAL, rng=1)


def noise(n_samples, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(n_samples)).astype(np.float32)


def told(config, samples):
    """Latents of led-in sound, without what normalisations take from all of it."""
    networks = Codec.untrained(config, rng=1).networks
    for module in networks.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.GroupNorm):
                setattr(module, name, nn.Identity())
    led_in = torch.from_numpy(np.pad(samples, (config.lead, 0)))
    with torch.inference_mode():
        return networks.encoder(spectrum.analyse(led_in, config)[None])[0].T.numpy()


def first_changed(config, from_sample):
    """First latent that changes when the sound does from a sample on."""
    before = noise(40 * STEP)
    after = before.copy()
    after[from_sample:] = noise(40 * STEP, seed=1)[from_sample:]
    changed = np.abs(told(config, before) - told(config, after)).max(1) > 1e-6
    return int(np.flatnonzero(changed)[0])


@pytest.mark.parametrize("at", [20 * STEP, 20 * STEP + 1, 21 * STEP - 2])
def test_latents_tell_of_no_later_sound(at):
    assert first_changed(CAUSAL, at) == 20
    assert first_changed(replace(CAUSAL, causal=False), at) < 18


@pytest.mark.parametrize(("within", "expected"), [(5, [20]), (40, [20, 21])])
def test_a_moment_is_told_of_by_its_latent_and_at_most_the_next(within, expected):
    """Windows reach back by what they overlap, 48 samples."""
    before = noise(40 * STEP)
    after = before.copy()
    after[20 * STEP + within] += 0.5
    changed = np.flatnonzero(np.abs(told(CAUSAL, before) - told(CAUSAL, after)).max(1) > 1e-6)
    np.testing.assert_array_equal(changed, expected)


def test_there_is_a_latent_for_each_whole_step(codec):
    for n_samples in (STEP, 10 * STEP, 10 * STEP + 63):
        assert codec.encode(Audio(noise(n_samples), 8000.0)).shape == (n_samples // STEP, 4)
    assert codec.config.n_samples(3) == 3 * STEP
    assert codec.window == STEP / 8000
    with pytest.raises(ValueError, match="too short for a latent, which takes 64 samples"):
        codec.encode(Audio(noise(STEP - 1), 8000.0))


def test_what_comes_back_is_in_time_and_as_long(codec):
    sound = Audio(noise(1000), 8000.0)
    z = codec.encode(sound)
    assert len(codec.decode(z, rng=0).samples) == STEP * len(z)
    assert len(codec.reconstruct(sound, rng=0).samples) == 1000


def test_decoding_gives_the_spectrogram_back_in_time(codec, monkeypatch):
    """Where cleaning gives the true spectrogram, the sound of latents is the sound itself."""
    samples = 0.2 * np.sin(np.arange(20 * STEP) / 9).astype(np.float32)  # nothing near the Nyquist bin
    truth = spectrum.analyse(torch.from_numpy(np.pad(samples, (codec.config.lead, 0))), codec.config)
    monkeypatch.setattr("eegic.codec.codec.consistency.sample", lambda *args: truth[None])
    back = codec.decode(np.zeros((20, 4)), rng=0).samples[:, 0]
    inside = slice(0, -codec.config.overhang)  # nothing fades at the start
    np.testing.assert_allclose(back[inside], samples[inside], atol=1e-3)


@pytest.mark.parametrize("block", [1, 3, 64])
def test_block_by_block_is_the_whole(codec, block):
    samples = torch.from_numpy(noise(30 * STEP + codec.config.overhang))
    whole = codec.networks.encoder.features(spectrum.analyse(samples, codec.config)[None])
    with torch.inference_mode():
        found = streaming.features_of_sound(codec.networks.encoder, samples, codec.config, block=block)
    torch.testing.assert_close(found, whole.detach(), atol=2e-5, rtol=1e-4)


def test_files_say_that_a_codec_is_causal(codec, tmp_path):
    codec.save(tmp_path / "causal.safetensors")
    again = load_codec(tmp_path / "causal.safetensors")
    assert again.config == CAUSAL
    sound = Audio(noise(1000), 8000.0)
    np.testing.assert_array_equal(again.encode(sound), codec.encode(sound))
    assert CodecConfig.of(codec.networks.state_dict(), {"sfreq": 8000.0}).causal


def test_silence_before_a_sound_moves_no_latent():
    """A melody that starts later has its latents where they would be anyway, on the same grid."""
    codec = Codec.untrained(CAUSAL, rng=1)
    flow = SurprisalModel.untrained(FlowConfig(data=4, width=8, depth=1, heads=1, blocks=1), rng=0)
    tone = np.concatenate([np.zeros(8000 + 700), noise(8000)])
    series = information_content(Audio(tone, 8000.0), flow, codec=codec)
    known = series.times[np.isfinite(series.values[:, 0])]
    np.testing.assert_allclose(known * 8000 / STEP, np.rint(known * 8000 / STEP), atol=1e-6)
    assert 8700 - 2048 - STEP <= known[0] * 8000 <= 8700 + 2 * STEP  # loudness is measured over 2048 samples
