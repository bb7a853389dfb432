"""A codec learns by the published formulas, from its part of a corpus, and what is written is what was trained."""

import math

import numpy as np
import pytest
import soundfile
import torch
from scipy import stats

from eegic import Audio, datasets, perceptual
from eegic.codec import Codec, CodecConfig, consistency, load_codec, spectrum
from eegic.codec.augment import LatentNoise, Linearity
from eegic.codec.training import CodecObjective, CodecTraining, examples, scores, starting_networks, train_codec
from eegic.corpus import SoundFolder
from eegic.training import LoopConfig

SMALL = CodecConfig(
    8000, 128, 32, channels=(8, 8), attention=(), bottleneck_channels=8, bottleneck_blocks=1, dim=4, embedding=8,
    unet_blocks=1, gain=1.0, sigma_max=20.0,
)  # fmt: skip
MUSIC = datasets.MelodyCorpus(timbres=["flute", "organ"], rhythms=["isochronous"])


def objective(training, config=SMALL, awake=True):
    """An objective whose last convolution is not zero, so that every weight matters."""
    networks = starting_networks(config, None, 0)
    if awake:
        torch.nn.init.normal_(networks.conv_out.weight, std=0.1, generator=torch.Generator().manual_seed(1))
    return CodecObjective(networks, config, training, MUSIC)


class TestSchedule:
    def test_the_noise_of_the_student_is_a_truncated_log_normal(self):
        settings = CodecTraining(sigma_mean=-0.5, sigma_sd=1.7)
        position = settings.positions(20_000, SMALL, torch.Generator().manual_seed(0)).double()
        assert 0 <= position.min() and position.max() <= 1
        found = consistency.sigma_at(position, SMALL).log().numpy()
        low, high = ((math.log(s) + 0.5) / 1.7 for s in (SMALL.sigma_min, SMALL.sigma_max))
        assert stats.kstest(found, stats.truncnorm(low, high, -0.5, 1.7).cdf).pvalue > 0.01

    def test_the_gap_narrows_by_powers_of_ten(self):
        settings = CodecTraining(exponents=(1, 3))
        assert [settings.gap(p) for p in (0, 0.5, 1)] == pytest.approx([0.1, 0.01, 0.001])

    @pytest.mark.parametrize(
        "wrong, message",
        [
            ({"latents": 0}, "latents: expected"),
            ({"batch": 1, "linearity": Linearity()}, "batch: expected"),
            ({"sigma_sd": 0}, "sigma_sd: expected"),
            ({"exponents": (0, 1)}, "exponents: expected"),
            ({"exponents": (1,)}, r"exponents: expected two, .* got \(1.0,\)"),
            ({"exponents": 2.0}, r"exponents: expected two, .* got \(2.0,\)"),
            ({"weighting": -1.0}, "weighting: expected"),
        ],
    )
    def test_what_is_refused(self, wrong, message):
        with pytest.raises(ValueError, match=message):
            CodecTraining(**wrong)

    @pytest.mark.parametrize("mean", [-100.0, -30.0, 30.0, 100.0])
    def test_noise_outside_of_the_schedule_is_refused(self, mean):
        """Else all students would stand at one end, where little or nothing is to be learned."""
        with pytest.raises(ValueError, match=f"sigma_mean: .* -6.21 to 3, got a mean of {mean:g} with sigma_sd 2"):
            CodecTraining(sigma_mean=mean).positions(4, SMALL, torch.Generator())

    @pytest.mark.parametrize("mean", [-14.0, 9.0])
    def test_noise_at_the_brink_of_the_schedule_is_drawn_as_it_should_be(self, mean):
        position = CodecTraining(sigma_mean=mean).positions(20_000, SMALL, torch.Generator().manual_seed(0)).double()
        found = consistency.sigma_at(position, SMALL).log().numpy()
        ends = ((math.log(s) - mean) / 2 for s in (SMALL.sigma_min, SMALL.sigma_max))
        assert stats.kstest(found, stats.truncnorm(*ends, mean, 2).cdf).pvalue > 0.01


class TestLoss:
    @pytest.mark.parametrize("noised", ["none", "decoder", "both"])
    def test_loss_and_gradient_are_those_of_the_formula(self, noised):
        """The same draws, item by item, with the teacher as a constant."""
        settings = CodecTraining(latents=3, batch=3, noise=LatentNoise(noised, mean=0.5, share=0.6), weighting=0.7)
        learner = objective(settings)
        samples = learner.batch("train", 0)["samples"]
        learner({"samples": samples}, torch.Generator().manual_seed(4), 0.25).backward()
        found = {name: p.grad.clone() for name, p in learner.networks.named_parameters() if p.grad is not None}
        loss = learner({"samples": samples}, torch.Generator().manual_seed(4), 0.25).item()
        learner.networks.zero_grad(set_to_none=True)

        draws = torch.Generator().manual_seed(4)
        x = spectrum.analyse(samples, SMALL)
        z = settings.noise.apply(learner.networks.encoder(x), SMALL.scale, draws)
        i = settings.positions(3, SMALL, draws)
        sigma, lower = (consistency.sigma_at(at, SMALL) for at in (i, (i - 0.1 ** (1 + 2 * 0.25)).clamp_min(0)))
        noise = torch.randn(x.shape, generator=draws)
        c = 0.00054 * math.sqrt(x[0].numel())
        total = 0
        for k in range(3):
            one = slice(k, k + 1)
            pyramid = learner.networks.decoder(z[one])
            mine = consistency.denoise(learner.networks, x[one] + sigma[k] * noise[one], sigma[one], pyramid, SMALL)
            aim = consistency.denoise(learner.networks, x[one] + lower[k] * noise[one], lower[one], pyramid, SMALL)
            distance = ((mine - aim.detach()).square().sum() + c**2).sqrt() - c
            total = total + distance / (sigma[k] - lower[k]) ** 0.7 / 3
        total.backward()
        assert loss == pytest.approx(total.item(), rel=1e-4)
        for name, parameter in learner.networks.named_parameters():
            if parameter.grad is not None:
                torch.testing.assert_close(found[name], parameter.grad, rtol=2e-3, atol=1e-5 * loss, msg=name)
        assert found.keys() == {name for name, p in learner.networks.named_parameters() if p.grad is not None}

    def test_what_belongs_to_the_format_does_not_learn(self):
        learner = objective(CodecTraining(latents=3, batch=2))
        learner(learner.batch("train", 0), torch.Generator().manual_seed(0), 0.0).backward()
        for name, parameter in learner.networks.named_parameters():
            fixed = "activation_bottleneck" in name or (name.startswith("decoder.") and "proj_emb" in name)
            assert parameter.requires_grad is not fixed, name
            assert (parameter.grad is None) == fixed, name

    def test_linear_lessons_scale_latents_and_sound_alike_and_mix_them_alike(self):
        settings = CodecTraining(latents=3, batch=4, linearity=Linearity(largest=2.0))
        learner = objective(settings)
        samples = 0.2 * learner.batch("train", 3)["samples"]
        z = learner.networks.encoder(spectrum.analyse(samples, SMALL))
        target, latents = learner._lesson(samples, torch.Generator().manual_seed(2), 0.0)
        assert len(target) == len(latents) == 8
        gains = []
        for k in range(4):
            gain = (latents[k].norm() / z[k].norm()).item()
            gains.append(gain)
            torch.testing.assert_close(latents[k], gain * z[k], rtol=1e-4, atol=1e-6)
            torch.testing.assert_close(target[k], spectrum.analyse(gain * samples[k], SMALL), rtol=1e-3, atol=1e-5)
        assert len({round(gain, 3) for gain in gains}) > 1
        for k in range(4):  # a mixture is one combination of two neighbours, in sound and in latents
            pair = torch.stack((z[k].flatten(), z[k - 1].flatten()), 1)
            weights = torch.linalg.lstsq(pair, latents[4 + k].flatten()[:, None]).solution[:, 0]
            torch.testing.assert_close(pair @ weights, latents[4 + k].flatten(), rtol=1e-3, atol=1e-5)
            mixed = weights[0] * samples[k] + weights[1] * samples[k - 1]
            torch.testing.assert_close(target[4 + k], spectrum.analyse(mixed, SMALL), rtol=1e-2, atol=1e-3)

    def test_batches_are_stretches_of_their_part(self):
        learner = objective(CodecTraining(latents=3, batch=2))
        n = 3 * SMALL.samples_per_latent + SMALL.overhang
        found = learner.batch("validation", 5)["samples"]
        expected = [MUSIC.stretch("validation", index, n, 8000.0) for index in (10, 11)]
        np.testing.assert_array_equal(found.numpy(), np.stack(expected))


def recordings(folder, seconds, samples):
    """Six of them, so that there are some for validation, at a share of one half, and some for training."""
    for k in range(6):
        soundfile.write(folder / f"{k}.wav", np.resize(samples, round(8000 * seconds)), 8000, subtype="FLOAT")
    return SoundFolder(folder, held_out=0.5, floor=0.0)


class TestMetrics:
    TONE = 0.3 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)

    def learner(self, corpus, latents):
        learner = CodecObjective(objective(CodecTraining()).networks, SMALL, CodecTraining(latents=latents), corpus)
        learner.batch("validation", 0)  # what training asks for is there
        return learner

    def test_examples_last_three_seconds_where_recordings_do(self, tmp_path):
        found = examples(recordings(tmp_path, 3.0, self.TONE), SMALL, latents=5)
        assert [len(sound.samples) for sound in found] == [24000] * 4
        assert [sound.name for sound in found] == [f"validation-{i}" for i in range(4)]

    def test_examples_are_as_long_as_a_stretch_of_training_where_recordings_are_short(self, tmp_path):
        corpus = recordings(tmp_path, 2.9, self.TONE)
        n_samples = 5 * SMALL.samples_per_latent + SMALL.overhang
        found = examples(corpus, SMALL, latents=5)
        for i, sound in enumerate(found):
            expected = corpus.stretch("validation", i, n_samples, 8000.0)
            np.testing.assert_array_equal(sound.samples[:, 0], expected)
        assert len(found) == 4

    @pytest.mark.parametrize("latents", [1, 8, 40])
    def test_what_training_accepts_can_be_scored(self, tmp_path, latents):
        """With no sample more than a stretch of training; of 40 latents it is longer than the longest window."""
        n_samples = latents * SMALL.samples_per_latent + SMALL.overhang
        metrics = self.learner(recordings(tmp_path, n_samples / 8000, self.TONE), latents).metrics()
        assert np.isfinite(metrics["si_sdr"]) and np.isfinite(metrics["multires_stft"]) == (n_samples >= 256)

    def test_windows_longer_than_a_sound_are_left_out(self):
        codec = Codec.untrained(SMALL)
        for n_samples, windows in ((2048, (256, 512, 1024, 2048)), (2047, (256, 512, 1024)), (256, (256,))):
            sound = Audio(self.TONE[:n_samples], 8000.0)
            expected = perceptual.multires_stft(sound, codec.reconstruct(sound, rng=0), windows=windows)
            assert scores(codec, sound)["multires_stft"] == expected
        assert math.isnan(scores(codec, Audio(self.TONE[:255], 8000.0))["multires_stft"])

    def test_silent_examples_do_not_count(self, monkeypatch):
        learner = self.learner(MUSIC, 8)
        sounds = examples(MUSIC, SMALL, latents=8)
        sounds[1] = Audio(np.zeros(24000), 8000.0, "validation-1")
        monkeypatch.setattr("eegic.codec.training.examples", lambda *args: sounds)
        heard = [scores(Codec(SMALL, learner.networks, "cpu"), sounds[k]) for k in (0, 2, 3)]
        expected = {name: pytest.approx(np.mean([one[name] for one in heard]), rel=1e-6) for name in heard[0]}
        assert learner.metrics() == expected

    def test_of_silence_alone_nothing_is_known(self, tmp_path):
        metrics = self.learner(recordings(tmp_path, 4.0, np.zeros(10)), 8).metrics()
        assert set(metrics) == {"si_sdr", "multires_stft"} and np.isnan(list(metrics.values())).all()


LOOP = LoopConfig(
    steps=120, optimiser="adamw", learning_rate=3e-3, final_learning_rate=1e-4, warmup=5, average=0.9, validate_every=60
)  # fmt: skip
SETTINGS = CodecTraining(latents=8, batch=4, exponents=(0.5, 0.8), weighting=0.3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A codec, its history and its folder."""
    out = tmp_path_factory.mktemp("codec")
    histories = []
    how = {"config": SMALL, "training": SETTINGS, "loop": LOOP, "device": "cpu", "progress": False}
    codec = train_codec(MUSIC, out, name="tiny", after_validation=histories.append, **how)
    return codec, histories[-1], out


class TestTraining:
    def test_it_learns(self, trained):
        _, history, _ = trained
        validation = history.column("validation")
        assert validation[-1] < 0.96 * validation[0]

    def test_what_is_written_is_what_was_trained(self, trained):
        codec, _, out = trained
        loaded = load_codec(out / "tiny.safetensors", device="cpu")
        assert loaded.config == SMALL
        _, sound = MUSIC.piece("test", 0, duration=2, sfreq=8000.0)
        np.testing.assert_array_equal(codec.encode(sound), loaded.encode(sound))

    def test_metrics_of_validation_are_noted(self, trained):
        _, history, _ = trained
        assert set(history.metrics) == {"si_sdr", "multires_stft"}
        assert np.isfinite(history.column("si_sdr")[[0, -1]]).all()

    def test_the_latent_scale_stays(self, trained):
        codec, _, _ = trained
        norm = codec.networks.encoder.activation_bottleneck.l
        assert torch.equal(norm.weight, torch.full((4,), SMALL.scale)) and not norm.bias.any()

    def test_training_goes_on_from_a_codec(self, trained, tmp_path):
        codec, _, _ = trained
        loop = LoopConfig(steps=2, learning_rate=1e-9, final_learning_rate=0.0, average=0.0)
        how = {"training": SETTINGS, "loop": loop, "device": "cpu", "progress": False}
        more = train_codec(MUSIC, tmp_path, initial=codec, **how)
        for name, tensor in more.networks.state_dict().items():
            torch.testing.assert_close(tensor, codec.networks.state_dict()[name], rtol=0, atol=1e-7)
