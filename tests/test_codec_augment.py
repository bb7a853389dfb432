"""Noise on latents and linearity: formulas, who learns from what, and how often."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest, norm

from eegic.codec.augment import MIXTURES, LatentNoise, Linearity

SCALE = 0.06


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def latents(n=64, dim=5, n_latents=7, seed=1):
    """Of variance 1, times the scale of the codec; no two sizes are equal."""
    return SCALE * torch.randn(n, dim, n_latents, generator=draws(seed))


def clean_fractions(noise, n_latents=1, n=4000, seed=0):
    """The t of every sound and frame, (n, n_latents): what is left of latents that the noise cannot reach."""
    large = torch.full((n, 1, n_latents), 1e6, dtype=torch.float64)
    return (noise.apply(large, SCALE, draws(seed)) / 1e6)[:, 0].numpy()


def correlation(x, y):
    return torch.corrcoef(torch.stack([x.flatten(), y.flatten()]))[0, 1].item()


class TestNoise:
    def test_none_gives_latents_back_and_draws_nothing(self):
        z, generator = latents(), draws()
        assert LatentNoise().apply(z, SCALE, generator) is z
        assert torch.equal(generator.get_state(), draws().get_state())

    def test_is_a_path_between_noise_and_latents(self):
        """Of a constant t: the mean over noises is t z, and what is left has variance ((1 - t) gamma scale)²."""
        t = 1 / (1 + math.exp(-0.4))
        noise = LatentNoise("both", mean=0.4, sd=0.0, gamma=2.5, share=1.0)
        z = latents(40_000, 2, 1)
        noised = noise.apply(z, SCALE, draws())
        slope = (noised * z).sum() / (z * z).sum()
        assert slope.item() == pytest.approx(t, rel=0.02)
        rest = noised - t * z
        assert rest.std().item() == pytest.approx((1 - t) * 2.5 * SCALE, rel=0.01)
        assert abs(correlation(rest, z)) < 0.02
        assert kstest(rest.flatten()[:4000].numpy() / ((1 - t) * 2.5 * SCALE), norm.cdf).pvalue > 0.01

    @pytest.mark.parametrize("noised", ["decoder", "both"])
    def test_a_lower_mean_is_more_noise(self, noised):
        z = latents(500)
        found = [
            correlation(LatentNoise(noised, mean=mean, share=0.9).apply(z, SCALE, draws()), z)
            for mean in range(-4, 7, 2)
        ]
        assert found == sorted(found) and found[0] < 0.3 and found[-1] > 0.98

    @pytest.mark.parametrize("gamma", [0.5, 1.0, 4.0])
    @pytest.mark.parametrize("scale", [0.06, 1.0, 30.0])
    def test_gamma_counts_in_units_of_the_scale(self, gamma, scale):
        """Latents of another scale get noise of that scale; at t near 0 nothing else is left."""
        noise = LatentNoise("both", mean=-20, gamma=gamma, share=1.0)
        assert noise.apply(torch.zeros(200, 4, 9), scale, draws()).std().item() == pytest.approx(
            gamma * scale, rel=0.03
        )
        z = latents()
        plain = LatentNoise("both", gamma=gamma)
        torch.testing.assert_close(
            plain.apply(z * scale / SCALE, scale, draws()), plain.apply(z, SCALE, draws()) * scale / SCALE
        )

    @pytest.mark.parametrize(("mean", "sd"), [(0.0, 1.0), (1.3, 0.5), (-2.0, 2.0)])
    @pytest.mark.parametrize(("per", "n_latents"), [("sound", 1), ("frame", 3)])
    def test_the_clean_fraction_is_logit_normal(self, mean, sd, per, n_latents):
        t = clean_fractions(LatentNoise("both", mean=mean, sd=sd, share=1.0, per=per), n_latents, n=1500)
        assert kstest(np.log(t / (1 - t)).flatten(), norm(mean, sd).cdf).pvalue > 0.01

    def test_a_sound_has_one_clean_fraction_or_one_per_frame(self):
        sound, frame = (clean_fractions(LatentNoise("both", share=1.0, per=per), 6, 3000) for per in ("sound", "frame"))
        np.testing.assert_allclose(sound, sound[:, :1] * np.ones(6), atol=1e-5)
        assert len(np.unique(np.round(sound[:, 0], 6))) > 2900
        logits = np.log(frame / (1 - frame))
        assert np.abs(np.corrcoef(logits.T) - np.eye(6)).max() < 0.08  # 4 standard errors

    def test_all_dimensions_share_their_clean_fraction_and_none_its_noise(self):
        noise = LatentNoise("both", sd=2.0, share=1.0, per="frame")
        noised = noise.apply(torch.full((50, 4, 6), 1e6, dtype=torch.float64), SCALE, draws()) / 1e6
        torch.testing.assert_close(noised, noised[:, :1].expand(-1, 4, -1), atol=1e-5, rtol=0)
        only = LatentNoise("both", mean=-30, share=1.0).apply(torch.zeros(2000, 3, 2), SCALE, draws()).reshape(2000, 6)
        assert (torch.corrcoef(only.T) - torch.eye(6)).abs().max() < 0.1

    @pytest.mark.parametrize("noised", ["decoder", "both"])
    @pytest.mark.parametrize("share", [0.1, 0.75, 0.99])
    @pytest.mark.parametrize("per", ["sound", "frame"])
    def test_a_share_of_the_sounds_is_noised_and_the_others_are_not_touched(self, noised, share, per):
        z = latents(4000, 2, 3)
        changed = LatentNoise(noised, share=share, per=per).apply(z, SCALE, draws()) != z
        assert torch.equal(changed.any((1, 2)), changed.all((1, 2)))
        assert changed.all((1, 2)).float().mean().item() == pytest.approx(
            share, abs=4 * math.sqrt(share * (1 - share) / 4000)
        )

    def test_draws_follow_from_the_generator_alone(self):
        z, noise = latents(), LatentNoise("both", per="frame")
        first = noise.apply(z, SCALE, draws(5))
        torch.manual_seed(99)
        assert torch.equal(noise.apply(z, SCALE, draws(5)), first)
        assert not torch.equal(noise.apply(z, SCALE, draws(6)), first)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
    def test_latents_keep_their_precision(self, dtype):
        """Under automatic mixed precision encoders may give any."""
        assert LatentNoise("both").apply(latents().to(dtype), SCALE, draws()).dtype == dtype

    def test_sets_in_after_its_delay(self):
        noise, z = LatentNoise("both", share=1.0, delay=0.4), latents()
        assert torch.equal(noise.apply(z, 1.0, draws(), 0.39), z)
        for progress in (0.4, 1.0):
            assert not torch.equal(noise.apply(z, 1.0, draws(), progress), z)


class TestWhoLearns:
    """The gradient of the sum of what the decoder gets, with respect to the latents that the encoder gave."""

    @staticmethod
    def gradient(noise, z):
        z = z.clone().requires_grad_()
        noised = noise.apply(z, SCALE, draws())
        (gradient,) = torch.autograd.grad(noised.sum(), z)
        return gradient, (noised != z).all((1, 2))

    def test_with_decoder_the_encoder_learns_from_clean_sounds_alone(self):
        gradient, noised = self.gradient(LatentNoise("decoder", share=0.5), latents())
        assert 10 < noised.sum() < 54
        assert (gradient[noised] == 0).all() and (gradient[~noised] == 1).all()

    @pytest.mark.parametrize("per", ["sound", "frame"])
    def test_with_both_the_gradient_is_as_large_as_the_clean_fraction(self, per):
        noise, n = LatentNoise("both", share=0.5, per=per), 64
        gradient, noised = self.gradient(noise, latents(n))
        assert 10 < noised.sum() < 54
        assert (gradient[~noised] == 1).all()
        shifted = noise.apply(latents(n) + 1000, SCALE, draws()).double()  # the same draws, further from zero
        t = (shifted - noise.apply(latents(n), SCALE, draws())) / 1000
        torch.testing.assert_close(gradient.double(), t, atol=1e-5, rtol=0)
        assert gradient[noised].max() < 1 and gradient[noised].min() > 0

    def test_the_decoder_hears_the_same_noise_in_both_cases(self):
        z = latents()
        given = [LatentNoise(noised, share=0.6).apply(z, SCALE, draws()) for noised in ("decoder", "both")]
        assert torch.equal(*given)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"noised": "encoder"}, ValueError, "noised: expected one of 'none', 'decoder', 'both', got 'encoder'"),
        ({"per": "latent"}, ValueError, "per: expected one of 'sound', 'frame', got 'latent'"),
        ({"mean": math.inf}, ValueError, "mean: expected a finite number .*, got inf"),
        ({"mean": "0"}, TypeError, "mean: expected a number .*, got '0'"),
        ({"sd": -1.0}, ValueError, "sd: expected a number of logits that is not negative, got -1.0"),
        ({"gamma": 0.0}, ValueError, "gamma: expected a finite positive number .*, got 0.0"),
        ({"share": 0.0}, ValueError, "share: expected a share above 0 and up to 1, got 0"),
        ({"share": 1.1}, ValueError, "share: expected a share above 0 and up to 1, got 1.1"),
        ({"noised": "decoder", "share": 1.0}, ValueError, "expected less than 1 .*, or the encoder never learns"),
    ],
)
def test_noise_that_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        LatentNoise(**options)


def sounds(n=6, n_samples=50, peak=0.4, seed=2):
    x = torch.randn(n, n_samples, generator=draws(seed))
    return peak * x / x.abs().amax(dim=1, keepdim=True)


class TestMixtures:
    @pytest.mark.parametrize("mixtures", MIXTURES)
    def test_equal_a_loop(self, mixtures):
        x, z = sounds(), latents(6)
        both, codes = Linearity(mixtures=mixtures).mixed(x, z, draws())
        assert both.shape == (12, 50) and codes.shape == (12, 5, 7)
        assert torch.equal(both[:6], x) and torch.equal(codes[:6], z)
        for k in range(6):
            basis = torch.stack([x[k], x[k - 1]], dim=1)
            first, second = torch.linalg.lstsq(basis, both[6 + k]).solution.tolist()
            torch.testing.assert_close(both[6 + k], first * x[k] + second * x[k - 1])
            torch.testing.assert_close(codes[6 + k], first * z[k] + second * z[k - 1])
            if mixtures == "random":
                assert 0.5 <= first <= 1 and second == pytest.approx(1 - first, abs=1e-5)
            else:
                assert first == pytest.approx(second, abs=1e-5) == pytest.approx({"half": 0.5, "sum": 1}[mixtures])

    def test_random_weights_are_uniform_from_a_half_to_1(self):
        x = torch.eye(2000)  # a mixture shows its weights
        mixed = Linearity().mixed(x, torch.zeros(2000, 1, 1), draws())[0][2000:]
        weights = mixed.diagonal().numpy()
        assert kstest(weights, "uniform", (0.5, 0.5)).pvalue > 0.01
        torch.testing.assert_close(mixed.sum(dim=1), torch.ones(2000))

    def test_gradients_reach_both_latents(self):
        z = latents(6).requires_grad_()
        codes = Linearity(mixtures="half").mixed(sounds(), z, draws())[1]
        (gradient,) = torch.autograd.grad(codes.sum(), z)
        torch.testing.assert_close(gradient, torch.full_like(gradient, 2.0))  # its own, and two halves


class TestGains:
    quiet = sounds(5000, 4, peak=0.01)

    def test_are_1_or_uniform(self):
        gains = Linearity(probability=0.7, largest=3.0, smallest=0.0).gains(self.quiet, 0.0, draws()).numpy()
        changed = gains != 1
        assert changed.mean() == pytest.approx(0.7, abs=4 * math.sqrt(0.21 / 5000))
        assert kstest(gains[changed], "uniform", (0, 3)).pvalue > 0.01

    def test_below_the_smallest_become_0(self):
        gains = Linearity(probability=1.0, largest=2.0, smallest=0.5).gains(self.quiet, 0.0, draws()).numpy()
        assert (gains == 0).mean() == pytest.approx(0.25, abs=0.025)
        assert kstest(gains[gains > 0], "uniform", (0.5, 1.5)).pvalue > 0.01

    @pytest.mark.parametrize("peak", [0.2, 0.9, 1.7])
    def test_are_capped_so_that_no_peak_passes_1(self, peak):
        x = sounds(3000, 4, peak)
        gains = Linearity(largest=3.0).gains(x, 0.0, draws())
        free = Linearity(largest=3.0).gains(0.01 * x, 0.0, draws())
        torch.testing.assert_close(gains, free.clamp_max(1 / peak))
        peaks = (gains[:, None] * x).abs().amax(dim=1)
        assert peaks.max() <= 1 + 1e-6
        assert (peak > 0.3) == bool((peaks > 1 - 1e-6).any())

    def test_of_silence_are_finite(self):
        gains = Linearity().gains(torch.zeros(100, 8), 0.0, draws())
        assert torch.isfinite(gains).all() and gains.max() <= 3

    def test_without_a_probability_are_1(self):
        assert (Linearity(probability=0).gains(sounds(), 0.3, draws()) == 1).all()

    def test_draws_follow_from_the_generator_alone(self):
        for annealed in (False, True):
            one = Linearity(annealed=annealed)
            assert torch.equal(one.gains(self.quiet, 0.5, draws(3)), one.gains(self.quiet, 0.5, draws(3)))
        assert not torch.equal(one.gains(self.quiet, 0.5, draws(3)), one.gains(self.quiet, 0.5, draws(4)))

    @pytest.mark.parametrize(("progress", "left"), [(0, 1), (0.2, 1), (0.55, 0.5), (0.9, 0), (1, 0)])
    def test_their_range_narrows_towards_1(self, progress, left):
        annealed, constant = Linearity(annealed=True), Linearity()
        assert annealed.range_at(progress) == pytest.approx(left, abs=1e-12)
        assert constant.range_at(progress) == 1
        full = constant.gains(self.quiet, progress, draws())
        torch.testing.assert_close(annealed.gains(self.quiet, progress, draws()), 1 + left * (full - 1))

    def test_the_range_follows_half_a_cosine(self):
        progress = np.linspace(0, 1, 101)
        found = [Linearity(annealed=True).range_at(p) for p in progress]
        expected = np.where(progress < 0.2, 1, np.where(progress > 0.9, 0, np.cos(np.pi / 1.4 * (progress - 0.2)) ** 2))
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mixtures": "mean"}, ValueError, "mixtures: expected one of 'random', 'half', 'sum', got 'mean'"),
        ({"probability": 1.2}, ValueError, "probability: expected 0 to 1, got 1.2"),
        ({"probability": None}, TypeError, "probability: expected a number .*, got None"),
        ({"largest": 0.0}, ValueError, "largest: expected a finite positive number of gain, got 0.0"),
        ({"smallest": 3.0}, ValueError, r"smallest: expected 0 to below largest \(3\), got 3"),
        ({"smallest": -0.1}, ValueError, r"smallest: expected 0 to below largest \(3\), got -0.1"),
        ({"annealed": 1}, TypeError, "annealed: expected True or False, got 1"),
    ],
)
def test_linearity_that_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        Linearity(**options)
