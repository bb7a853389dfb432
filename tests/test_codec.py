"""The codec as one uses it: sound of any kind in, latents and their times out, chunks, decoding, files, refusals."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from eegic import Audio, weights
from eegic.codec import Codec, CodecConfig, load_codec, spectrum

SMALL = CodecConfig(
    sfreq=8000.0,
    n_fft=64,
    hop=16,
    channels=(8, 8, 16, 16),
    attention=(2, 3),
    heads=2,
    bottleneck_channels=16,
    bottleneck_blocks=2,
    dim=4,
    embedding=8,
)  # 64 samples, or 4 frames, per latent
SLOW = CodecConfig(**{**SMALL.settings(), "sfreq": 400.0})  # 60 s are 375 latents


@pytest.fixture(scope="module")
def codec():
    return Codec.untrained(SMALL, rng=1)


@pytest.fixture(scope="module")
def slow():
    return Codec.untrained(SLOW, rng=2)


def sound(seconds, sfreq=8000.0, seed=0, n_channels=1):
    """Noise below 1 kHz that grows louder; its channels differ."""
    rng = np.random.default_rng(seed)
    n = round(seconds * sfreq)
    frequencies, phases = rng.uniform(20, 0.12 * min(sfreq, 8000), 40), rng.uniform(0, 2 * np.pi, (n_channels, 40))
    times = np.arange(n)[:, None] / sfreq
    channels = [np.sin(2 * np.pi * frequencies * times + phase).mean(1) for phase in phases]
    return Audio(np.stack(channels, 1) * np.linspace(0.2, 2, n)[:, None], sfreq, "noise")


def filled_chunks(codec, audio):
    """The published procedure, spelled out: chunks of the spectrogram, the last one filled up with its start."""
    config = codec.config
    samples = torch.tensor(audio.samples[:, 0])
    n_latents = (len(samples) - 48) // 64
    x = spectrum.analyse(samples[: 64 * n_latents + 48], config)
    chunks, size = [], 375 * 4
    for start in range(0, x.shape[-1], size):
        chunk = x[..., start : start + size]
        chunks.append(torch.cat((chunk, x[..., : size - chunk.shape[-1]]), -1))
    with torch.inference_mode():
        z = torch.cat([codec.networks.encoder(chunk[None])[0] for chunk in chunks], -1)
    return (z / 0.06).T[:n_latents].numpy()


class TestEncode:
    @pytest.mark.parametrize("n_samples", [112, 175, 176, 8000, 8001])
    def test_how_many(self, codec, n_samples):
        """Latent j needs samples 64 j to 64 j + 112; one sample less, and it is not there."""
        z = codec.encode(Audio(np.random.default_rng(0).standard_normal(n_samples) / 9, 8000))
        assert z.shape == ((n_samples - 48) // 64, 4)
        assert z.dtype == np.float32
        assert codec.features(sound(1)).shape == (124, SMALL.flat)

    def test_when(self, codec):
        assert codec.frame_rate == 125
        np.testing.assert_array_equal(codec.frame_times(4), [0, 0.008, 0.016, 0.024])
        assert Codec.untrained(SLOW).frame_times(0).shape == (0,)

    def test_a_click_is_heard_at_its_latent(self):
        """In a codec whose normalisations are neutral, change centres on the latent at whose onset the click is."""
        codec = Codec.untrained(CodecConfig(**{**SMALL.settings(), "bottleneck": "identity"}), rng=3)
        for parent in list(codec.networks.modules()):
            for name, child in parent.named_children():
                if isinstance(child, nn.GroupNorm):
                    setattr(parent, name, nn.Identity())
        quiet = sound(2).samples[:, 0]
        click = quiet.copy()
        click[64 * 120 : 64 * 120 + 32] += 1
        change = np.square(codec.encode(Audio(click, 8000)) - codec.encode(Audio(quiet, 8000))).sum(1)
        centre = (change * codec.frame_times(len(change))).sum() / change.sum()
        assert centre == pytest.approx(codec.frame_times(121)[120], abs=1.5 / codec.frame_rate)

    def test_channels_and_rates(self, codec):
        """One sound in stereo at 11025 Hz and in mono at 8000 Hz: latents (variance 1) agree to 1e-4 typically.

        At the edges, where resampling takes the sound to come out of silence, they agree to .005.
        """
        stereo = sound(2, 11025.0, n_channels=2)
        mono = Audio(sound(2, 8000.0, n_channels=2).samples.mean(1), 8000.0)
        difference = np.abs(codec.encode(stereo) - codec.encode(mono))
        assert difference.max() < 5e-3
        assert np.median(difference) < 1e-4

    def test_latents_are_divided_by_the_scale(self, codec):
        z = codec.encode(sound(1))
        np.testing.assert_allclose(z.mean(1), 0, atol=1e-5)
        np.testing.assert_allclose(z.var(1), 1, rtol=0.01)

    def test_silence_has_a_latent_of_full_size(self, codec):
        z = codec.encode(Audio(np.zeros(4000), 8000))
        assert np.isfinite(z).all()
        np.testing.assert_allclose(
            np.linalg.norm(z, axis=1), np.linalg.norm(codec.encode(sound(0.5)), axis=1), rtol=0.05
        )

    def test_refusals(self, codec):
        with pytest.raises(
            ValueError, match=r"short: 0\.01388 s are too short .* takes 112 samples at 8000 Hz \(0\.014 s"
        ):
            codec.encode(Audio(np.ones(111), 8000, "short"))
        with pytest.raises(TypeError, match=r"audio: expected an Audio, got ndarray. read_audio\(path\) reads one"):
            codec.encode(np.ones(8000))
        with pytest.raises(ValueError, match="chunk: expected one of 'reference', 'overlap', got 'overlaps'"):
            codec.encode(sound(1), chunk="overlaps")
        with pytest.raises(ValueError, match="batch: expected at least 1, got 0"):
            codec.encode(sound(1), batch=0)
        with pytest.raises(ValueError, match="not finite"):
            codec.encode(Audio(np.full(8000, np.nan), 8000))


class TestChunks:
    """Rounding moves latents of variance 1 by less than 1e-4; chunk boundaries move them by much more."""

    @pytest.mark.parametrize("n_latents", [375, 376, 700, 750, 751])
    def test_reference(self, slow, n_latents):
        audio = sound((64 * n_latents + 60) / 400, 400.0)
        expected = filled_chunks(slow, audio)
        assert expected.shape == (n_latents, 4)
        for batch in (1, 2, 5):
            np.testing.assert_allclose(slow.encode(audio, batch=batch), expected, rtol=0, atol=1e-4)

    @pytest.mark.parametrize("n_latents", [1, 64, 65, 300, 751])
    def test_overlap(self, slow, n_latents):
        """The whole sound at once, whatever its length and the batch."""
        audio = sound((64 * n_latents + 60) / 400, 400.0)
        x = spectrum.analyse(torch.tensor(audio.samples[: 64 * n_latents + 48, 0]), SLOW)[None]
        with torch.inference_mode():
            features = slow.networks.encoder.features(x)
            z = slow.networks.encoder.narrow(features)[0].T.numpy() / 0.06
        for batch in (1, 3):
            np.testing.assert_allclose(slow.encode(audio, chunk="overlap", batch=batch), z, rtol=0, atol=1e-4)
        np.testing.assert_allclose(slow.features(audio, chunk="overlap"), features[0].T, rtol=0, atol=1e-4)
        if n_latents <= 375:
            np.testing.assert_allclose(slow.encode(audio), z, rtol=0, atol=1e-4)

    def test_boundaries_are_gone(self, slow):
        """Of sound that repeats itself: with chunks, latents change where the second begins; with overlap, nowhere."""
        period = sound(64 * 25 / 400, 400.0).samples[:, 0]
        audio = Audio(np.tile(period, 30), 400.0)
        inside = slice(25 * 3, 25 * 27)
        jumps = {}
        for chunk in ("reference", "overlap"):
            z = slow.encode(audio, chunk=chunk)[inside]
            jumps[chunk] = np.abs(z[25:] - z[:-25]).max()  # one period apart
        assert jumps["overlap"] < 1e-4 < 0.1 < jumps["reference"]

    @pytest.mark.parametrize(("chunk", "most"), [("reference", 375 * 4), ("overlap", 64 * 4 + 2 * 8)])
    def test_the_whole_spectrogram_is_never_there(self, slow, monkeypatch, chunk, most):
        """Of 5004 frames, as many are analysed at once as a chunk has, or a block with what its neighbours lend it."""
        analysed, analyse = [], spectrum.analyse

        def counting(samples, config):
            analysed.append(analyse(samples, config))
            return analysed[-1]

        monkeypatch.setattr(spectrum, "analyse", counting)
        assert len(slow.encode(sound((64 * 1251 + 60) / 400, 400.0), chunk=chunk)) == 1251
        frames = [x.shape[-1] for x in analysed]
        assert sum(frames) >= 1251 * 4
        assert max(frames) <= most

    def test_memory_that_runs_out_changes_nothing(self, slow):
        """A device that cannot hold more than 300 frames of a chunk of 1500 computes it block by block."""
        audio = sound(100, 400.0)
        expected = {chunk: slow.encode(audio, chunk=chunk) for chunk in ("reference", "overlap")}
        refused = []

        def too_large(module, args):
            if args[0].shape[-1] * len(args[0]) > 300:
                refused.append(args[0].shape)
                raise torch.OutOfMemoryError("CUDA out of memory")

        handle = slow.networks.encoder.conv_inp.register_forward_pre_hook(too_large)
        try:
            for chunk, z in expected.items():
                np.testing.assert_allclose(slow.encode(audio, chunk=chunk, batch=2), z, rtol=0, atol=1e-4)
                assert refused
                refused.clear()
        finally:
            handle.remove()


class TestDecode:
    def test_length_rate_and_range(self, codec):
        z = codec.encode(sound(1))
        decoded = codec.decode(30 * z)
        assert (decoded.samples.shape, decoded.sfreq) == ((64 * len(z) + 48, 1), 8000.0)
        assert np.abs(decoded.samples).max() <= 1

    def test_the_seed_is_all_the_chance_there_is(self, codec):
        z = codec.encode(sound(0.3))
        state = torch.random.get_rng_state()
        first = codec.decode(z, rng=5, steps=2).samples
        np.testing.assert_array_equal(first, codec.decode(z, rng=np.random.default_rng(5), steps=2).samples)
        assert np.abs(first - codec.decode(z, rng=6, steps=2).samples).max() > 1e-3
        assert np.abs(first - codec.decode(z, rng=5).samples).max() > 1e-3
        assert torch.equal(state, torch.random.get_rng_state())

    def test_latents_matter(self, codec):
        z = codec.encode(sound(0.3))
        assert np.abs(codec.decode(z).samples - codec.decode(z[::-1]).samples).max() > 1e-3

    @pytest.mark.parametrize("steps", [1, 2])
    def test_windows_lend_each_other_enough(self, steps):
        """Without normalisations, which see one window, windows make the whole."""
        codec = Codec.untrained(SMALL, rng=4)
        for parent in list(codec.networks.modules()):
            for name, child in parent.named_children():
                if isinstance(child, nn.GroupNorm):
                    setattr(parent, name, nn.Identity())
        z = np.random.default_rng(0).standard_normal((150, 4))
        whole = codec.decode(z, steps=steps).samples
        assert np.abs(whole).max() > 1e-3
        for latents in (70, 149):
            windowed = codec.decode(z, steps=steps, window=latents / 125 + 1e-6).samples
            np.testing.assert_allclose(windowed, whole, rtol=0, atol=1e-5)

    def test_reconstruction_is_as_long_as_the_sound_and_does_not_fade(self, codec):
        for n in (5000, 5056, 5057):
            audio = Audio(sound(1).samples[:n], 8000.0, "piece")
            back = codec.reconstruct(audio)
            assert (len(back.samples), back.sfreq, back.name) == (n, 8000.0, "piece")
            edges = np.concatenate([back.samples[:24], back.samples[-24:]])
            faded = codec.decode(codec.encode(audio)).samples
            assert edges.std() > 0.3 * back.samples.std()
            assert np.concatenate([faded[:24], faded[-24:]]).std() < 0.2 * faded.std()

    def test_refusals(self, codec):
        with pytest.raises(ValueError, match=r"z: expected \(n_frames, 4\), one row per latent, got shape \(4, 9\)"):
            codec.decode(np.zeros((4, 9)))
        with pytest.raises(ValueError, match=r"z: expected \(n_frames, 4\).*got shape \(0, 4\)"):
            codec.decode(np.zeros((0, 4)))
        with pytest.raises(ValueError, match=r"z: expected an array \(n_frames, dim\), got shape \(4,\)"):
            codec.decode(np.zeros(4))
        with pytest.raises(ValueError, match="z: latent 2 is not finite. Decode known latents only"):
            codec.decode(np.where(np.arange(5)[:, None] == 2, np.nan, np.zeros((5, 4))))
        with pytest.raises(ValueError, match="steps: expected at least 1, got 0"):
            codec.decode(np.zeros((5, 4)), steps=0)
        with pytest.raises(ValueError, match="window: expected a finite positive number of seconds"):
            codec.decode(np.zeros((5, 4)), window=0)


class TestFiles:
    @pytest.mark.parametrize("bottleneck", ["layernorm", "tanh", "identity"])
    def test_round_trip_is_exact(self, tmp_path, bottleneck):
        config = CodecConfig(**{**SMALL.settings(), "bottleneck": bottleneck, "heads": 4, "sigma_data": 0.4})
        codec = Codec.untrained(config, rng=7)
        codec.save(tmp_path / "small.safetensors")
        back = load_codec(tmp_path / "small.safetensors", device="cpu")
        assert back.config == config
        assert (back.name, back.licence, len(back.sha256)) == ("small", codec.licence, 64)
        stored = back.networks.state_dict()
        assert all(torch.equal(stored[key], value) for key, value in codec.networks.state_dict().items())
        np.testing.assert_allclose(back.encode(sound(0.5)), codec.encode(sound(0.5)), rtol=1e-5, atol=1e-4)

    def test_a_public_checkpoint(self, tmp_path):
        """Weights under 'gen_state_dict', beside numbers of the training; rates are those of the public codec."""
        config = CodecConfig(n_fft=64, hop=16, channels=(8, 8, 8), attention=(2,), bottleneck_channels=8, dim=4,
                             embedding=8, bottleneck="tanh")  # fmt: skip
        codec = Codec.untrained(config)
        torch.save({"gen_state_dict": codec.networks.state_dict(), "it": 3}, tmp_path / "music2latent.pt")
        back = load_codec(tmp_path / "music2latent.pt", device="cpu")
        assert back.config == config
        np.testing.assert_allclose(back.encode(sound(0.1, 44100.0)), codec.encode(sound(0.1, 44100.0)), atol=1e-4)

    def test_the_json_says_where_it_comes_from(self, tmp_path):
        codec = Codec.untrained(SMALL)
        codec.save(tmp_path / "first.safetensors")
        loaded = load_codec(tmp_path / "first.safetensors", device="cpu")
        loaded.save(tmp_path / "second.safetensors")
        first, second = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("first", "second"))
        assert first["source"] is None
        assert second["source"] == {"name": "first", "sha256": loaded.sha256}
        assert first["licence"] == second["licence"] == "none needed"

    def test_settings_that_are_not_there(self, tmp_path, codec):
        """Only public checkpoints leave rates and constants to convention: here 44100 Hz would be wrong by 5.5."""
        settings = SMALL.settings()
        del settings["sfreq"], settings["hop"]
        weights.write(tmp_path / "odd.safetensors", "codec", codec.networks.state_dict(), settings)
        with pytest.raises(ValueError, match="odd: expected all settings .* but 'hop', 'sfreq' are not there"):
            load_codec(tmp_path / "odd.safetensors", device="cpu")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"conv_out.bias": None}, "Missing: 'conv_out.bias'; left over: none"),
            ({"conv_out.extra": torch.zeros(1)}, "Missing: none; left over: 'conv_out.extra'"),
            ({"conv_out.bias": torch.zeros(3)}, r"conv_out.bias should be of shape \(2,\), but is \(3,\)"),
            ({"norm_out.bias": torch.full((8,), np.nan)}, "norm_out.bias is not finite"),
            ({"encoder.gain.scale": None}, "'encoder.gain.scale' not there, so this is no codec"),
            ({"up_layers.3.att.norm.weight": None}, "Missing: 'up_layers.3.att.norm.weight'"),
        ],
    )
    def test_weights_that_do_not_fit(self, tmp_path, codec, change, message):
        state = {k: v for k, v in {**codec.networks.state_dict(), **change}.items() if v is not None}
        weights.write(tmp_path / "odd.safetensors", "codec", state, SMALL.settings())
        with pytest.raises(ValueError, match=message):
            load_codec(tmp_path / "odd.safetensors", device="cpu")

    def test_the_device_is_asked_for_first(self, tmp_path):
        with pytest.raises(ValueError, match="device: expected 'auto', 'cpu', 'cuda' or 'cuda:1', got 'tpu9'"):
            load_codec(tmp_path / "missing.safetensors", device="tpu9")


class TestUntrained:
    def test_the_seed_is_the_codec(self):
        state = torch.random.get_rng_state()
        a, b, c = (Codec.untrained(SMALL, rng=rng).networks.state_dict() for rng in (3, 3, 4))
        assert all(torch.equal(a[key], b[key]) for key in a)
        assert not any(torch.equal(a[key], c[key]) for key in a if key.endswith("conv1.weight"))
        assert torch.equal(state, torch.random.get_rng_state())

    def test_what_it_says_of_itself(self, codec):
        expected = "Codec(untrained: 4 channels at 125.00 Hz from 8000 Hz, layernorm, on cpu, licence none needed)"
        assert repr(codec) == expected
        with pytest.raises(AttributeError, match="cannot assign to field"):
            codec.name = "trained"

    def test_a_copy_on_another_device_is_its_own(self, codec):
        copy = codec.to("cpu")
        with torch.no_grad():
            copy.networks.conv_out.bias.add_(1)
            changed = copy.networks.conv_out.bias - codec.networks.conv_out.bias
        torch.testing.assert_close(changed, torch.ones(2))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("chunk", ["reference", "overlap"])
def test_cuda_is_the_cpu(slow, chunk):
    """Latents of variance 1 agree to 1e-3, decoded sound to 1e-3 of full scale."""
    audio = sound(130, 400.0)
    there = slow.to("cuda")
    z = slow.encode(audio, chunk=chunk)
    np.testing.assert_allclose(there.encode(audio, chunk=chunk), z, rtol=0, atol=1e-3)
    np.testing.assert_allclose(
        there.decode(z[:99], rng=1).samples, slow.decode(z[:99], rng=1).samples, rtol=0, atol=1e-3
    )
